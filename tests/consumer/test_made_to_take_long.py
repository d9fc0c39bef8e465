"""Locks and pages that are made to take long, or to show what is nobody's business."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from attested_publish.consumer.earlier_entries import EarlierEntries
from attested_publish.consumer.lock_judgement import version_of
from attested_publish.consumer.locks import LockError, parse_lock
from attested_publish.consumer.locks.model import Format, Lock, LockedFile, LockedPackage, Source
from attested_publish.consumer.locks.pylock import MOST_IDENTITIES
from attested_publish.consumer.verified_cache import VerifiedCache
from support.dependencies import pylock
from support.filled import filled_world, rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.dependencies import Releases
    from support.filled import Filled

SHA256 = "0" * 64
HEAD = 'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "sample"\n'
WHEEL = f'''{HEAD}version = "1.0"
[[packages.wheels]]
{{place}}
hashes = {{{{ sha256 = "{SHA256}" }}}}
'''
DIGITS = "9" * 5000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    releases.publish("alpha", "1.0")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def many_tags(parts: int) -> str:
    """A name that is combined to `parts` x `parts` x `parts` tags."""
    listed = [".".join(f"{kind}{number}" for number in range(parts)) for kind in ("p", "a", "o")]
    return f"sample-1.0-{'-'.join(listed)}.whl"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pylock.toml", WHEEL.format(place='name = "NAME"\nurl = "https://files.example/x.whl"')),
        ("pylock.toml", WHEEL.format(place='url = "https://files.example/NAME"')),
        ("requirements.txt", f"https://files.example/NAME --hash=sha256:{SHA256}\n"),
    ],
    ids=["name", "address", "requirement"],
)
def test_a_wheel_with_millions_of_tags(name: str, content: str) -> None:
    wheel = many_tags(130)
    started = time.process_time()
    lock = parse_lock(content.replace("NAME", wheel).encode(), name)
    assert time.process_time() - started < 2
    (package,) = lock.packages
    assert package.name == "sample"
    assert [each.filename for each in package.files] in ([wheel], [])


@pytest.mark.parametrize("option", ["lock", "policy"])
def test_a_version_with_more_digits_than_python_converts(
    filled: Filled, tmp_path: Path, option: str
) -> None:
    _, _, files = filled.of("alpha", "1.0")
    if option == "lock":
        status, report = filled.verify(tmp_path, lock=pylock([("alpha", DIGITS, files)]))
        assert (status, report["result"]) == (1, "failed")
        assert "packages[0].version" in report["problems"][0]["detail"]
        return
    policy = f'[project.alpha]\nkind = "GitHub"\nsince = "{DIGITS}"\n'
    status, report = filled.verify(tmp_path, lock=pylock([("alpha", "1.0", files)]), policy=policy)
    assert (status, report["result"]) == (1, "failed")
    assert "is not a version" in report["problems"][0]["detail"]


def test_a_page_with_such_a_version(filled: Filled, tmp_path: Path) -> None:
    def with_another(document: dict[str, Any]) -> None:
        name = f"alpha-{DIGITS}-py3-none-any.whl"
        document["files"].append({"filename": name, "url": "x", "hashes": {"sha256": SHA256}})

    with filled.changed() as proxy:
        proxy.edit("/simple/alpha/", with_another)
        status, _ = filled.verify(tmp_path, lock=pylock([filled.of("alpha", "1.0")]))
    assert status == 0


def entry(number: int) -> LockedPackage:
    file = LockedFile(f"{number:064x}", None, None, 1)
    return LockedPackage(
        name="sample", version=f"0.{number}", source=Source.INDEX, files=(file,), path="x", line=1
    )


def test_thousands_of_entries_of_a_project_are_compared_with_as_many() -> None:
    packages = tuple(map(entry, range(10_000)))
    started = time.process_time()
    before = EarlierEntries(Lock("old", Format.PYLOCK, packages))
    for package in packages:
        found = before.release("sample", version_of(package))
        assert found is not None
        assert found.hashes == {package.files[0].sha256}
        assert before.nearest("sample", version_of(package)) is not None
    assert time.process_time() - started < 5
    nearest = before.nearest("sample", version_of(entry(20_000)))
    assert nearest is not None
    assert nearest.label == "0.9999"
    assert before.nearest("other", version_of(entry(1))) is None


def test_many_identities_are_refused() -> None:
    identity = '[[packages.attestation-identities]]\nkind = "GitHub"\n'
    wheel = WHEEL.format(place='url = "https://files.example/sample-1.0-py3-none-any.whl"')
    assert parse_lock((wheel + identity * MOST_IDENTITIES).encode(), "pylock.toml").packages
    with pytest.raises(LockError) as caught:
        parse_lock((wheel + identity * (MOST_IDENTITIES + 1)).encode(), "pylock.toml")
    assert "101 attestation-identities" in caught.value.detail


def test_the_query_of_an_address_is_not_shown(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    index = "https://user:hunter2@index.example/simple/?token=hunter3"
    lock = pylock([filled.of("alpha", "1.0")], index=index)
    _, report = filled.verify(tmp_path, lock=lock)
    assert rules(report)["alpha"] == {"index-unexpected"}
    told = capsys.readouterr().out + str(report)
    assert "index.example/simple/?…" in told
    assert "hunter" not in told


def test_what_is_quarantined_is_not_served_whatever_is_listed(
    filled: Filled, tmp_path: Path
) -> None:
    def quarantined(document: dict[str, Any]) -> None:
        document["project-status"] = {"status": "quarantined", "reason": "malware"}

    with filled.changed() as proxy:
        proxy.edit("/simple/alpha/", quarantined)
        _, report = filled.verify(tmp_path, lock=pylock([filled.of("alpha", "1.0")]))
    assert rules(report)["alpha"] == {"version-not-served"}


def test_a_folder_that_is_relative_is_not_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    relative = tmp_path.relative_to(tmp_path) / "cache"
    assert VerifiedCache.at(relative).folder is None
    assert not relative.exists()
