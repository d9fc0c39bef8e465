"""Locks, policies and pages that are made to take long, or to end the run: these once did."""

from __future__ import annotations

import resource
import sys
import time
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from attested_publish.consumer.earlier_entries import EarlierEntries
from attested_publish.consumer.lock_judgement import version_of
from attested_publish.consumer.locks import LockError, parse_lock
from attested_publish.consumer.locks.bounded import read_policy
from attested_publish.consumer.locks.expectations import parse_policy
from attested_publish.consumer.locks.pylock import MOST_IDENTITIES
from attested_publish.consumer.locks.writing import write_identities
from attested_publish.consumer.served_releases import releases_on
from attested_publish.index.pages import IndexFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TAGS = ".".join(f"p{number}" for number in range(100))
MANY_TAGS = f"alpha-1.0-{TAGS}-{TAGS}-{TAGS}.whl"
DIGITS = "9" * 5000
SHA256 = "a" * 64
HEAD = 'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "alpha"\nversion = "1.0"\n'
IDENTITY = {"kind": "GitHub", "repository": "octo-org/alpha", "workflow": "release.yml"}


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    started = time.process_time()
    yield
    assert time.process_time() - started < seconds


def wheel(name: str, place: str) -> str:
    hashes = f'hashes = {{ sha256 = "{SHA256}" }}'
    given = {
        "name": f'name = "{name}"\nurl = "https://files.example/x"',
        "url": f'url = "https://files.example/a%20b/{name}?x=1#y"',
        "path": f'path = "wheels/{name}"',
    }[place]
    return f"{HEAD}[[packages.wheels]]\n{given}\n{hashes}\n"


@pytest.mark.parametrize("place", ["name", "url", "path"])
def test_a_wheel_of_many_tags_in_a_pylock(place: str) -> None:
    """All of its tags together are a million."""
    with at_most(1):
        (package,) = parse_lock(wheel(MANY_TAGS, place).encode(), "pylock.toml").packages
    (file,) = package.files
    assert file.filename == MANY_TAGS


@pytest.mark.parametrize(
    "name", ["alpha-1.0-py3-none-any", "beta-1.0-py3-none-any.whl", "alpha.whl"]
)
def test_a_wheel_of_another_name_is_refused_all_the_same(name: str) -> None:
    with pytest.raises(LockError, match=r"pylock\.toml"):
        parse_lock(wheel(name, "name").encode(), "pylock.toml")


def test_a_wheel_of_many_tags_in_requirements() -> None:
    with at_most(1):
        (package,) = parse_lock(f"./{MANY_TAGS}\n".encode(), "requirements.txt").packages
    assert package.name == "alpha"


@pytest.mark.parametrize(
    "line",
    [
        f"./alpha-{DIGITS}-py3-none-any.whl",
        f"./alpha-{DIGITS}.tar.gz",
        f"https://files.example/alpha-{DIGITS}.tar.gz",
        f"alpha=={DIGITS} --hash=sha256:{SHA256}",
        f"alpha==1.{DIGITS} --hash=sha256:{SHA256}",
        f"alpha=={DIGITS}!1 --hash=sha256:{SHA256}",
    ],
    ids=lambda line: line[:20] + line[-10:],
)
def test_a_version_of_more_digits_than_python_converts(line: str) -> None:
    lock = parse_lock(line.encode(), "requirements.txt")
    (package,) = lock.packages
    assert version_of(package) is None
    assert EarlierEntries(lock).nearest(package.name, Version("1")) is not None or (
        package.version is None
    )


def test_such_a_version_on_a_page_and_in_a_policy() -> None:
    files = [
        IndexFile(name, sha256=SHA256, url="", provenance_url=None, yanked=None)
        for name in (f"alpha-{DIGITS}.tar.gz", "alpha-1.0.tar.gz")
    ]
    assert list(releases_on(files, "alpha")) == [Version("1.0")]
    with pytest.raises(LockError) as refused:
        parse_policy(f'[project.alpha]\nsince = "{DIGITS}"\n'.encode(), "publishers.toml")
    assert "since is not a version" in refused.value.detail


def test_a_policy_of_5_megabytes(tmp_path: Path) -> None:
    """It may be valid TOML: that would take tomlkit minutes, for `--write`."""
    path = tmp_path / "publishers.toml"
    path.write_text("[project.alpha]\nkind = [" + "[]," * (5 << 18) * 2 + "]\n")
    for use in (lambda: read_policy(path), lambda: write_identities(path, {"beta": [IDENTITY]})):
        with at_most(2), pytest.raises(LockError) as refused:
            use()
        assert refused.value.detail == "It is larger than 4 MiB."


def test_more_pinned_identities_than_anybody_has() -> None:
    pinned = '[[packages.attestation-identities]]\nkind = "GitHub"\n'
    sdist = (
        f'sdist = {{ name = "alpha-1.0.tar.gz", path = "x", hashes = {{ sha256 = "{SHA256}" }} }}\n'
    )
    assert parse_lock((HEAD + sdist + pinned * MOST_IDENTITIES).encode(), "pylock.toml").packages
    with pytest.raises(LockError) as refused:
        parse_lock((HEAD + sdist + pinned * (MOST_IDENTITIES + 1)).encode(), "pylock.toml")
    assert "at most 100" in refused.value.detail


def test_earlier_entries() -> None:
    listed = ("1.0", "1.10", "1.9", "2.0", "not-a-version")
    lines = [f"alpha==={version} --hash=sha256:{SHA256}" for version in listed]
    entries = EarlierEntries(parse_lock("\n".join(lines).encode(), "requirements.txt"))

    def nearest(version: str | None) -> str | None:
        found = entries.nearest("alpha", None if version is None else Version(version))
        return found and found.label

    assert nearest("1.10") == "1.9"
    assert nearest("1.5") == "1.0"
    assert nearest("9") == "2.0"
    # Nothing is below them.
    assert nearest("0.1") == nearest("1.0") == nearest(None) == "2.0"
    assert entries.nearest("beta", Version("1")) is None
    assert entries.release("alpha", None).label == "not-a-version"
    assert EarlierEntries().of("alpha") == []


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_the_memory_of_this_process_is_small() -> None:
    """Of what is above, one lock alone took 700 MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for place in ("name", "url"):
        parse_lock(wheel(MANY_TAGS, place).encode(), "pylock.toml")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 50_000


@pytest.mark.parametrize(
    "policy",
    [
        "project = {}\n",
        "# kept\nproject = { beta = { kind = 'GitHub' } }\n",
        "project = { alpha = { since = '1.0' } }\n",
        "project.alpha.since = '1.0'\n",
        "[[project.alpha.exceptions]]\nrule = 'yanked'\nreason = 'x'\nuntil = 2099-01-01\n",
    ],
)
def test_a_policy_in_any_form_is_written(tmp_path: Path, policy: str) -> None:
    path = tmp_path / "publishers.toml"
    path.write_text(policy)
    assert write_identities(path, {"alpha": [IDENTITY]})
    found = tomllib.loads(path.read_text())["project"]
    assert found["alpha"].items() >= IDENTITY.items()
    assert found.keys() >= tomllib.loads(policy)["project"].keys()
    assert "# kept" not in policy or "# kept" in path.read_text()


def test_a_pylock_of_inline_tables_is_written(tmp_path: Path) -> None:
    path = tmp_path / "pylock.toml"
    sdist = f'{{ name = "alpha-1.0.tar.gz", path = "x", hashes = {{ sha256 = "{SHA256}" }} }}'
    path.write_text(
        'lock-version = "1.0"\ncreated-by = "x"\n'
        f'packages = [{{ name = "alpha", version = "1.0", sdist = {sdist} }}]\n'
    )
    assert write_identities(path, {"alpha": [IDENTITY]})
    (package,) = tomllib.loads(path.read_text())["packages"]
    assert package["attestation-identities"] == [IDENTITY]
