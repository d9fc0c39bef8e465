"""What people write in packages-dir: patterns, and paths that do not exist as they are written."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from attested_publish.distributions import copy_privately
from attested_publish.distributions.finding import find
from attested_publish.distributions.patterns import TooManyExamined, matches
from attested_publish.problems import FilesProblem

posix = pytest.mark.skipif(sys.platform == "win32", reason="names and links are others there")

WHEEL = "{}-1.0-py3-none-any.whl"


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a tree of files, in the working directory."""
    for place, name in (
        ("dist", "a"),
        ("dist/linux", "b"),
        ("release", "stray"),
        ("release/x", "c"),
        ("release/y/deep", "d"),
        ("release/.hidden", "h"),
        ("odd,name", "e"),
        ("odd[1]", "f"),
    ):
        folder = tmp_path / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WHEEL.format(name)).write_text(name)
    (tmp_path / "dist" / f"{WHEEL.format('a')}.publish.attestation").write_text("{}")
    (tmp_path / "dist" / "notes.txt").touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*packages: str) -> str:
    paths, _ = find(packages)
    return "".join(sorted(path.name.partition("-")[0][0] for path in paths))


@pytest.mark.parametrize(
    ("packages", "names"),
    [
        (["dist"], "ab"),
        (["dist/*"], "ab"),
        (["dist/*.whl"], "a"),
        (["./dist/*.whl"], "a"),
        (["dist/a-?.?-*.whl"], "a"),
        (["dist/[ab]-*.whl"], "a"),
        (["dist/*/"], "b"),
        (["dist/*/*.whl"], "b"),
        (["dist/**"], "ab"),
        (["dist/**/*.whl"], "ab"),
        (["release/*/"], "cd"),
        (["release/*"], "cds"),
        (["release/x*"], "c"),
        (["release/.*/"], "h"),
        (["*/x"], "c"),
        (["*/../release/x"], "c"),
        (["release/**/"], "cds"),
        (["release/**/**/*.whl"], "cds"),
        (["**/*.whl"], "abcdefs"),
        (["**/deep"], "d"),
        # Twice is once.
        (["dist", "dist", "dist/"], "ab"),
        (["dist/*", "dist/*.whl", "dist/a*", "*/a-*"], "ab"),
        (["dist/*.whl", "release/x"], "ac"),
        # There is such a name.
        (["odd,name"], "e"),
        (["odd[1]"], "f"),
        (["odd[[]1]"], "f"),
    ],
)
def test_what_is_found(packages: list[str], names: str) -> None:
    assert found(*packages) == names


def test_attestation_files_that_match_are_no_distributions() -> None:
    paths, ignored = find(["dist/*"])
    assert {path.suffix for path in paths} == {".whl"}
    assert {path.name for path in ignored} == {
        "notes.txt",
        f"{WHEEL.format('a')}.publish.attestation",
    }
    with copy_privately(["dist/*", "release/*/"]) as copies:
        assert [each.path.read_text() for each in copies.distributions] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("gone/*.whl", "Nothing matches gone/*.whl"),
        ("dist/*.tar.gz", "notes.txt"),
        ("dist/*.whl/", "Nothing matches"),
        ("*/nothing", "Nothing matches"),
        ("dist,release", "several paths in one line"),
        ("dist, release", "several paths in one line"),
        ("dist/*.whl,release/*.whl", "several paths in one line"),
        ("dist;release", "several paths in one line"),
        ("dist release", "several paths in one line"),
        ("dist/*.{whl,tar.gz}", "braces are not expanded"),
        ("{dist,release}", "braces are not expanded"),
        ("~/dist", "home directory"),
        ("~", "home directory"),
        ("$DIST", "variables are not replaced"),
        ("$HOME/dist", "variables are not replaced"),
        ("${DIST}/*.whl", "variables are not replaced"),
        ("%DIST%", "variables are not replaced"),
        ("$env:DIST", "variables are not replaced"),
        ("${{ inputs.dist }}", "has not been evaluated"),
        ("- dist", "item of a YAML list"),
        ("* dist", "item of a YAML list"),
        ('"dist"', "Write dist without quotes"),
        ("'dist'", "Write dist without quotes"),
        ("`dist/*`", "Write dist/* without quotes"),
        ("'dist", "Write dist without quotes"),
        ("!dist/b*", "left out"),
        ("https://example.org/dist", "an address"),
        ("file:///dist", "an address"),
        ("/dist", "Write dist, which exists"),
        ("[dist]", "written like a list"),
        ('["dist", "release"]', "written like a list"),
        ("dist|release", "several paths in one line"),
        ("dists", "the working directory contains dist/"),
        ("release/nothing", "y/, .hidden/."),
        ("wheelhouse/*.whl", "wheelhouse does not exist"),
        ("wheelhouse/linux", "wheelhouse does not exist"),
        ("empty/*.whl", "empty is empty"),
        pytest.param(".\\dist", "Write ./dist", marks=posix),
        pytest.param("dist\\*.whl", "Write dist/*.whl", marks=posix),
        pytest.param("dist:release", "several paths in one line", marks=posix),
    ],
)
def test_what_is_not_there_as_it_is_written(written: str, words: str) -> None:
    with pytest.raises(FilesProblem) as caught:
        find(["release/x", written])
    problem = caught.value
    assert words in f"{problem.title}\n{problem.detail}\n{problem.remedy}"
    assert len(problem.detail.splitlines()) == 1


@posix
@pytest.mark.parametrize(
    "name",
    [
        "dist,release",
        "a b",
        "~x",
        "$DIST",
        "${{ x }}",
        "- dist",
        '"dist"',
        ".\\dist",
        "!dist",
        "{a,b}",
        "*",
        "di?t",
    ],
)
def test_a_folder_that_is_really_named_so(name: str, tree: Path) -> None:
    (tree / "in").mkdir()
    (tree / "in" / name).mkdir()
    (tree / "in" / name / WHEEL.format("g")).touch()
    os.chdir(tree / "in")
    assert found(name) == "g"


def test_everything_that_is_not_there_is_told_at_once() -> None:
    with pytest.raises(FilesProblem) as caught:
        find(["gone", "dist", "dist,x", "gone/*.whl"])
    assert len(caught.value.detail.splitlines()) == 3
    assert "3 of the given paths" in caught.value.title


def test_a_pattern_without_distributions() -> None:
    with pytest.raises(FilesProblem, match="nothing to publish") as caught:
        find(["dist/*.txt"])
    assert "dist/*.txt" in caught.value.detail


def outside(tree: Path) -> None:
    (tree / "release" / "link").symlink_to(tree / "dist")


def outside_file(tree: Path) -> None:
    (tree / "release" / "z-1.0-py3-none-any.whl").symlink_to(tree / "dist" / WHEEL.format("a"))


def wheel_as_a_folder(tree: Path) -> None:
    (tree / "release" / "z-1.0-py3-none-any.whl").mkdir()


def foreign(tree: Path) -> None:
    (tree / "release" / "docs.tar.bz2").touch()


@posix
@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (outside, "link to a folder outside"),
        (outside_file, "link to a file outside"),
        (wheel_as_a_folder, "is a folder, not a file"),
        (foreign, "docs.tar.bz2 is not a distribution"),
    ],
)
def test_a_pattern_is_no_way_around_the_rules_for_folders(
    prepare: Callable[[Path], None], words: str, tree: Path
) -> None:
    prepare(tree)
    for packages in (["release"], ["release/*"]):
        with pytest.raises(FilesProblem) as caught:
            find(packages)
        assert words in caught.value.detail


@posix
def test_links_that_lead_in_circles(tree: Path) -> None:
    (tree / "release" / "x" / "up").symlink_to(tree / "release")
    (tree / "release" / "x" / "self").symlink_to(tree / "release" / "x" / "self")
    assert found("release/**/*.whl") == "cds"
    assert found("release/*/*/*/*/*/*.whl") == "c"


def test_a_tree_of_many_entries_is_searched_within_bounds(tree: Path) -> None:
    for number in range(10_001):
        (tree / "release" / f"{number}.txt").touch()
    assert found("release/**/*.whl") == "cds", "these are looked at, but do not match"
    with pytest.raises(FilesProblem, match="too many files") as caught:
        find(["release/*"])
    assert "10,000" in caught.value.detail
    for pattern in ("**/*.whl", "release/*.whl", "*/*.whl"):
        with pytest.raises(TooManyExamined):
            matches(pattern, most=10_000)


@posix
def test_a_deep_tree_is_searched_without_recursion(tree: Path) -> None:
    deep = tree / "release" / "y"
    os.chdir(deep)
    for _ in range(1200):
        Path("n").mkdir()
        os.chdir("n")
    os.chdir(tree)
    try:
        started = time.monotonic()
        assert found("release/**/*.whl") == "cds"
        assert time.monotonic() - started < 10
    finally:
        # pytest removes folders with recursion.
        os.chdir(deep.joinpath(*["n"] * 1200))
        for _ in range(1200):
            os.chdir("..")
            Path("n").rmdir()
