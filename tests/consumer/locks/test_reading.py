"""Honest locks of six formats, by real tools and by hand, are read as they are meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.utils import (
    parse_sdist_filename,
    parse_wheel_filename,
)

from attested_publish.consumer.locks import (
    Format,
    Lock,
    Source,
    parse_lock,
    read_lock,
)
from support.lock_files import MADE, hashes, lay_out, lock_paths

LOCKS = [path.relative_to(MADE.parent) for path in lock_paths() if "included" not in path.name]
REAL = {
    "pdm-plain": "aperture 1.1, brightness 1.2, contrast 1.0, dark-room 2.3, emulsion 3.1, "
    "fixer 1.0.post1",
    "pdm-pylock": "aperture 1.1, brightness 1.2, contrast 1.0, dark-room 2.3, emulsion 3.1, "
    "fixer 1.0.post1",
    "pdm-static": "aperture 1.1, brightness 1.2, contrast 1.0, dark-room 2.3, emulsion 3.1, "
    "fixer 1.0.post1",
    "pip-compile/dev.txt": "brightness 1.2, fixer 1.0.post1",
    "pip-compile/requirements.txt": "aperture 1.1, brightness 1.2, contrast 1.0, dark-room 2.3, "
    "emulsion 3.1",
    "pipenv/": "aperture 2.0, brightness 1.2, contrast 0.9, dark-room 2.3, fixer 1.0.post1, "
    "halo 0.1",
    "pipenv-two": "aperture 1.1, brightness 1.2, contrast 1.0, emulsion 3.1",
    "poetry/": "aperture 1.1, brightness 1.2, contrast 1.0, dark-room 2.3, emulsion 3.1, "
    "fixer 1.0.post1",
    "poetry-groups": "aperture 1.1, brightness 1.2, contrast 1.0, fixer 1.0.post1, halo 0.1",
    "uv/": "aperture 2.0, brightness 1.2, contrast 0.9, dark-room 2.3, emulsion 3.1, "
    "fixer 1.0.post1",
    "uv-compile/pylock": "aperture 1.1, brightness 1.2, contrast 1.0, fixer 1.0, grain 1.5, "
    "halo 0.1",
    "uv-compile/requirements": "aperture 1.1, brightness 1.2, contrast 1.0, fixer 1.0, grain 1.5, "
    "halo 0.1",
    "uv-export/pylock": "aperture 2.0, brightness 1.2, contrast 0.9, dark-room 2.3, "
    "emulsion 3.1, fixer 1.0.post1",
    "uv-export/requirements": "aperture 2.0, brightness 1.2, contrast 0.9, dark-room 2.3, "
    "emulsion 3.1, fixer 1.0.post1",
    "uv-workspace": "aperture 1.1, brightness 1.2, contrast 1.0, halo 0.1, lens 3",
}
"""What the tools chose from the packages there are."""


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("locks")
    lay_out(folder, 4242)
    return folder


def of(lock: Lock) -> str:
    return ", ".join(sorted(f"{each.name} {each.version}" for each in lock.packages))


@pytest.mark.parametrize("path", LOCKS, ids=str)
def test_every_hash_is_one_of_a_file_of_its_release_and_in_its_line(laid: Path, path: Path):
    lock = read_lock(laid / path)
    by_hash = {sha256: name for name, sha256 in hashes().items()}
    for package in lock.packages:
        lines = Path(package.path).read_text(encoding="utf-8-sig").split("\n")
        entry = "\n".join(lines[package.line - 1 : package.line + 3]).lower()
        spelled = package.name.replace("-", "[-_.]")
        assert (
            any(name in entry for name in (package.name, spelled, package.name.replace("-", "_")))
            or package.name.replace("-", ".") in entry
        )
        for file in package.files:
            name = by_hash[file.sha256]
            project, version = (
                parse_wheel_filename(name)[:2]
                if name.endswith("whl")
                else parse_sdist_filename(name)
            )
            assert project == package.name
            assert package.version in {None, str(version)}
            assert file.filename in {None, name}
            assert file.url is None or file.url.endswith(f"/{name}")
            assert file.sha256 in lines[file.line - 1]
        if package.source is Source.INDEX:
            assert package.files or package.remarks
            assert package.origin is None
        assert "secret" not in repr(package)


@pytest.mark.parametrize(("start", "packages"), REAL.items(), ids=list(REAL))
def test_what_real_tools_lock(laid: Path, start: str, packages: str):
    (path,) = (each for each in LOCKS if str(each).startswith(f"made/{start}"))
    lock = read_lock(laid / path)
    assert of(lock) == packages
    outside = [each.name for each in lock.packages if each.source is not Source.INDEX]
    assert outside == (["lens"] if start == "uv-workspace" else [])
    named = {url for each in lock.packages for url in each.index_urls}
    names_none = start.startswith(("pdm", "uv-export/requirements", "uv-compile/pylock"))
    assert named == (set() if names_none else {"http://127.0.0.1:4242/simple"})
    assert not [each.remarks for each in lock.packages if each.remarks and each.name != "lens"]


def test_there_are_forty_of_six_formats(laid: Path):
    formats = [read_lock(laid / path).format for path in LOCKS]
    assert len(LOCKS) >= 40
    assert {kind: formats.count(kind) >= 4 for kind in Format} == dict.fromkeys(Format, True)


def summary(laid: Path, name: str) -> list[tuple[str, str | None, str, str | None]]:
    path = next(each for each in LOCKS if str(each).startswith(f"by_hand/{name}/"))
    return [
        (each.name, each.version, str(each.source), each.origin)
        for each in read_lock(laid / path).packages
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "pylock-sources",
            [
                ("lens", None, "path", "./lens"),
                ("aperture", None, "git", "https://git.example.org/aperture.git"),
                ("brightness", None, "url", "https://files.example.org/brightness-1.2.tar.gz"),
                ("grain", "1.5", "index", None),
            ],
        ),
        (
            "uv-sources",
            [
                ("lens", "3", "path", "lens"),
                ("aperture", "1.1", "git", "https://git.example.org/aperture"),
                (
                    "contrast",
                    "1.0",
                    "url",
                    "https://files.example.org/contrast-1.0-py3-none-any.whl",
                ),
                ("emulsion", "3.1", "path", "dist/emulsion-3.1.tar.gz"),
                ("grain", "1.5", "path", "wheels"),
                ("fixer", "1.0", "path", "vendor/fixer"),
            ],
        ),
        (
            "poetry-sources",
            [
                ("fixer", "1.0", "index", None),
                ("aperture", "1.1", "git", "https://git.example.org/aperture.git"),
                ("brightness", "1.2", "url", "https://files.example.org/brightness-1.2.tar.gz"),
                ("lens", "3", "path", "lens"),
            ],
        ),
        (
            "pdm-extras",
            [
                ("dark-room", "2.3", "index", None),
                ("aperture", "1.1", "git", "https://git.example.org/aperture.git"),
                ("lens", "3", "path", "./lens"),
                ("fixer", "1.0", "url", "https://files.example.org/fixer-1.0.tar.gz"),
            ],
        ),
        (
            "pipenv-sources",
            [
                ("aperture", None, "git", "https://git.example.org/aperture.git"),
                ("brightness", "1.2", "index", None),
                (
                    "contrast",
                    None,
                    "url",
                    "https://files.example.org/contrast-1.0-py3-none-any.whl",
                ),
                ("dark-room", "2.3", "index", None),
                ("lens", None, "path", "./lens"),
                ("brightness", "1.2", "index", None),
            ],
        ),
        (
            "requirements-sources",
            [
                ("lens", None, "path", "./lens"),
                ("aperture", None, "git", "git+https://git.example.org/aperture.git@main"),
                ("brightness", None, "url", "https://files.example.org/brightness-1.2.tar.gz"),
                ("contrast", None, "git", "git+https://git.example.org/contrast.git@0123456"),
                (
                    "dark-room",
                    None,
                    "url",
                    "https://files.example.org/dark_room-2.3-py3-none-any.whl",
                ),
                ("emulsion", None, "path", "./dist/emulsion-3.1.tar.gz"),
                ("fixer", None, "path", "fixer-1.0.tar.gz"),
                ("grain", None, "path", "file:///srv/grain-1.5-py3-none-any.whl"),
                ("halo", "0.1", "index", None),
            ],
        ),
        (
            "requirements-included",
            [
                ("brightness", "1.2", "index", None),
                ("aperture", "1.1", "index", None),
                ("fixer", "1.0", "index", None),
            ],
        ),
        (
            "requirements-styles",
            [
                ("aperture", "1.1", "index", None),
                ("brightness", "1.2", "index", None),
                ("contrast", "1.0", "index", None),
                ("dark-room", "2.3", "index", None),
                ("dark-room", "2.3", "index", None),
            ],
        ),
        ("poetry-1.0", [("aperture", "1.1", "index", None), ("brightness", "1.2", "index", None)]),
        ("pdm-4.0", [("aperture", "1.1", "index", None)]),
        ("pylock-empty", []),
        ("uv-empty", []),
        ("poetry-empty", []),
        ("pipenv-empty", []),
        ("requirements-empty", []),
    ],
)
def test_what_no_tool_here_writes(laid: Path, name: str, expected: list[tuple[str, ...]]):
    assert summary(laid, name) == expected


def test_identities_of_a_lock(laid: Path):
    (package,) = read_lock(laid / "by_hand/pylock-identities/pylock.toml").packages
    assert [dict(each) for each in package.identities] == [
        {
            "kind": "GitHub",
            "repository": "octo-org/sample-project",
            "workflow": "release.yml",
            "environment": "pypi",
        },
        {
            "kind": "GitLab",
            "repository": "octo-org/sample-project",
            "workflow_filepath": ".gitlab-ci.yml",
        },
    ]


def test_an_installer_may_choose_between_indexes(laid: Path):
    packages = read_lock(laid / "by_hand/pipenv-sources/Pipfile.lock").packages
    urls = {each.name: each.index_urls for each in packages if each.source is Source.INDEX}
    own = "https://packages.example.org/simple"
    assert urls == {"brightness": ("http://127.0.0.1:4242/simple", own), "dark-room": (own,)}
    packages = read_lock(laid / "by_hand/requirements-included/requirements.txt").packages
    assert {each.index_urls for each in packages} == {("http://127.0.0.1:4242/simple", own)}


@pytest.mark.parametrize(
    ("address", "index"),
    [
        ("https://own.example.org@evil.example.org/simple/", "https://evil.example.org/simple"),
        ("https://a:b@own.example.org/simple", "https://own.example.org/simple"),
        (r"https://evil.example.org\\@own.example.org/simple", None),
        ("https://own.example.org/simple?of=evil", "https://own.example.org/simple?of=evil"),
        ("https://own.example.org/simple/#x", "https://own.example.org/simple"),
    ],
)
def test_an_index_is_the_one_that_is_asked(address: str, index: str | None):
    entry = f'name = "a"\nversion = "1"\nsource = {{ registry = "{address}" }}\n'
    text = f"version = 1\n[[package]]\n{entry}"
    (package,) = parse_lock(text.encode(), "uv.lock").packages
    (found,) = package.index_urls
    assert found == index if index else found != "https://own.example.org/simple"


def test_a_hash_that_cannot_be_compared_is_said():
    digest = "0" * 64
    for hash_, says in (
        ('hash = "md5:0123"', "a-1.tar.gz has only md5 as its hash; only SHA-256 can be compared."),
        ("", "a-1.tar.gz has no hash; only SHA-256 can be compared."),
    ):
        text = (
            '[[package]]\nname = "a"\nversion = "1"\nfiles = [\n'
            f'{{file = "a-1.whl", hash = "sha256:{digest}"}},\n'
            f'{{file = "a-1.tar.gz"{", " if hash_ else ""}{hash_}}},\n]\n'
            '[metadata]\nlock-version = "2.1"\n'
        )
        (package,) = parse_lock(text.encode(), "poetry.lock").packages
        assert [each.message for each in package.remarks] == [says]
        assert len(package.files) == 1
    (package,) = parse_lock(b"a>=1\n", "requirements.txt").packages
    assert [each.message for each in package.remarks] == [
        "The lock has no hash for it.",
        "It is not pinned to one version.",
    ]


@pytest.mark.parametrize("path", LOCKS, ids=str)
def test_a_lock_is_recognized_by_its_content(laid: Path, path: Path):
    original = laid / path
    if "included" in str(path) or original.suffix == ".in" or "empty" in str(path):
        pytest.skip("recognized by its name, or includes others by theirs")
    again = parse_lock(original.read_bytes(), "something.lock", beside=lambda _: None)
    assert again.format is read_lock(original).format
    assert of(again) == of(read_lock(original))


@pytest.mark.parametrize("path", LOCKS, ids=str)
def test_windows_writes_it_otherwise(laid: Path, path: Path):
    content = (laid / path).read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    changed = b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n")

    def beside(name: str) -> bytes:
        return ((laid / path).parent / name).read_bytes()

    whole = read_lock(laid / path).packages
    again = parse_lock(changed, path.name, beside=beside).packages
    assert [(each.name, each.line, each.files) for each in again] == [
        (each.name, each.line, each.files) for each in whole
    ]


def test_powershell_writes_it_otherwise():
    text = f"halo==0.1 --hash=sha256:{'a' * 64}\r\n"
    (package,) = parse_lock(text.encode("utf-16"), "requirements.txt").packages
    assert (package.name, package.files[0].sha256) == ("halo", "a" * 64)


@pytest.mark.parametrize("quoted", ['"', "'", ""])
def test_options_are_split_as_a_shell_does(quoted: str):
    digest = f"{quoted}{'a' * 64}{quoted}"
    text = f"-i 'https://x.example/s imple'\na==1 --{quoted}hash{quoted}=s\\ha256:{digest}"
    (package,) = parse_lock(text.encode(), "requirements.txt").packages
    assert package.files[0].sha256 == "a" * 64
    assert package.index_urls == ("https://x.example/s imple",)


def test_a_comment_ends_a_requirement_that_went_on():
    digest = "a" * 64
    text = (
        f"a==1\\\n# why\nb==1 --hash=sha256:{digest}\\\n   # why\nc==1 # --hash=sha256:{digest}\n"
    )
    packages = parse_lock(text.encode(), "requirements.txt").packages
    assert [(each.name, each.line, len(each.files)) for each in packages] == [
        ("a", 1, 0),
        ("b", 3, 1),
        ("c", 5, 0),
    ]


def test_a_hash_that_occurs_twice_has_the_line_of_its_own_entry():
    entry = (
        '[[package]]\nname = "{0}"\nversion = "1"\nsource = {{ registry = "https://x" }}\n'
        f'sdist = {{{{ url = "https://x/{{0}}-1.tar.gz", hash = "sha256:{"a" * 64}" }}}}\n'
    )
    text = "version = 1\n" + entry.format("a") + entry.format("b")
    packages = parse_lock(text.encode(), "uv.lock").packages
    assert [(each.line, each.files[0].line) for each in packages] == [(2, 6), (7, 11)]
