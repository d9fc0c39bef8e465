"""Verifying locks where something is wrong: bad input, an index that fails or is slow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from attested_publish.fronts import cli
from support.dependencies import pylock
from support.filled import filled_world, rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.dependencies import Releases
    from support.filled import Filled


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    for version in ("1.0", "1.1"):
        for name in ("alpha", "beta", "gamma"):
            releases.publish(name, version)


def three(filled: Filled) -> str:
    return pylock([filled.of(name, "1.1") for name in ("alpha", "beta", "gamma")])


def attested(report: dict[str, Any]) -> dict[str, int]:
    return {package["name"]: package["attested"] for package in report["packages"]}


def test_a_page_that_is_an_error_is_a_problem_and_the_others_go_on(
    filled: Filled, tmp_path: Path
) -> None:
    with filled.changed() as proxy:
        proxy.answer("/simple/beta/", b"no", 403)
        status, report = filled.verify(tmp_path, lock=three(filled))
    assert status == 1
    assert report["result"] == "failed"
    assert attested(report) == {"alpha": 1, "beta": 0, "gamma": 1}
    (problem,) = report["problems"]
    assert problem["title"] == "beta could not be verified"
    assert "403" in problem["detail"]
    assert not any(rules(report).values())


def test_a_provenance_that_is_an_error_is_a_problem(filled: Filled, tmp_path: Path) -> None:
    with filled.changed() as proxy:
        proxy.answer("beta-1.1-py3-none-any.whl/provenance", b'{"message": "off"}', 403)
        status, report = filled.verify(tmp_path, lock=three(filled))
    assert (status, report["result"]) == (1, "failed")
    assert attested(report) == {"alpha": 1, "beta": 0, "gamma": 1}
    assert not rules(report)["beta"] & {"provenance-invalid", "unattested"}


def test_slow_for_one_project(filled: Filled, tmp_path: Path) -> None:
    with filled.changed() as proxy:
        proxy.answer("/simple/beta/", b"{}", 404, after=3)
        began = time.monotonic()
        status, report = filled.verify(tmp_path, lock=three(filled))
        spent = time.monotonic() - began
    assert status == 1
    assert rules(report)["beta"] == {"version-not-served"}
    assert attested(report)["gamma"] == 1
    assert spent < 12


@pytest.mark.parametrize("broken", ["lock-version = ", "", 'lock-version = "9.0"\n', "\x00"])
def test_a_broken_lock_is_a_problem_and_the_other_is_verified(
    filled: Filled, tmp_path: Path, broken: str
) -> None:
    bad = tmp_path / "pylock.bad.toml"
    bad.write_text(broken)
    status, report = filled.verify(tmp_path, "--lock", bad, lock=three(filled))
    assert (status, report["result"]) == (1, "failed")
    assert attested(report) == {"alpha": 1, "beta": 1, "gamma": 1}
    (problem,) = report["problems"]
    assert str(bad) in problem["title"]


@pytest.mark.parametrize("option", ["against", "policy"])
def test_what_is_compared_with_is_broken(filled: Filled, tmp_path: Path, option: str) -> None:
    status, report = filled.verify(tmp_path, lock=three(filled), **{option: "x = ["})
    assert (status, report["result"]) == (1, "failed")
    assert attested(report) == {"alpha": 1, "beta": 1, "gamma": 1}
    assert len(report["problems"]) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--lock", "x.lock", "--repository", "a/b"], "--repository is not for locks"),
        (["sample", "--policy", "x"], "--policy is for locks"),
        (["sample", "--against-git", "main"], "--against-git is for locks"),
        (["sample", "--write"], "--write is for locks"),
        (["--lock", "x.lock", "--against-git=--output=x"], "--against-git is '--output=x'"),
        ([], "Name what to verify"),
        (["sample", "--watch-since", "x"], "name a version"),
        (["sample==1", "--watch-since", "1"], "needs one PROJECT"),
        (["--lock", "x.lock", "--watch-since", "1"], "neither --lock"),
    ],
)
def test_wrong_usage(options: list[str], said: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", *options])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_projects_beside_a_lock(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", "sample", "--lock", str(tmp_path / "uv.lock")])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "name no projects or files" in line


def test_watching(filled: Filled, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["verify", "alpha", "--watch-since", "1.0", *filled.options]) == 0
    assert "2 of 2 files in 2 releases" in capsys.readouterr().out
    right = ("--repository", "octo-org/alpha", "--workflow", "release.yml")
    assert cli.main(["verify", "alpha", "--watch-since", "1.1", *right, *filled.options]) == 0
    wrong = ("--repository", "octo-org/other")
    assert cli.main(["verify", "alpha", "--watch-since", "1.0", *wrong, *filled.options]) == 1
    assert "repository octo-org/alpha, not octo-org/other" in capsys.readouterr().out
    assert cli.main(["verify", "alpha", "--watch-since", "9", *filled.options]) == 1


def test_watching_a_stranger(filled: Filled, capsys: pytest.CaptureFixture) -> None:
    filled.releases.publish("watched", "1.0")
    filled.releases.publish("watched", "1.1", "evil-org/watched")
    filled.releases.publish("watched", "1.2", attested=False)
    assert cli.main(["verify", "watched", "--watch-since", "1.0", *filled.options]) == 1
    printed = capsys.readouterr().out
    assert "1 of 3 files in 3 releases" in printed
    assert "evil-org/watched" in printed
    assert "has no attestations" in printed
