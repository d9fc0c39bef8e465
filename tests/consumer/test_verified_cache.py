"""The cache of verified publishers: it saves requests, and nothing in it can deceive or harm."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attested_publish.consumer import verified_cache
from attested_publish.consumer.identities import Identity
from attested_publish.consumer.verified_cache import Proven, VerifiedCache, key_of
from support.dependencies import pylock
from support.filled import filled_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.dependencies import Releases
    from support.filled import Filled


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    releases.publish("alpha", "1.0")
    releases.publish("alpha", "1.1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "attested-publish" / "verified-1"


def provenances(filled: Filled, tmp_path: Path, *options: str) -> int:
    """Verify a lock; give how often a provenance was fetched for it."""
    with filled.changed() as proxy:
        status, report = filled.verify(tmp_path, *options, lock=pylock([filled.of("alpha", "1.1")]))
        assert status == 0
        assert report["packages"][0]["publisher"]["repository"] == "octo-org/alpha"
        return sum(path.endswith("/provenance") for path in proxy.requests)


def test_what_was_verified_is_not_fetched_again(
    filled: Filled, tmp_path: Path, folder: Path
) -> None:
    assert provenances(filled, tmp_path) == 2
    assert provenances(filled, tmp_path) == 0
    assert provenances(filled, tmp_path, "--no-cache") == 2
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_does_not_verify_is_not_stored(filled: Filled, tmp_path: Path) -> None:
    lock = pylock([filled.of("alpha", "1.1")])
    with filled.changed() as proxy:
        proxy.answer("alpha-1.1-py3-none-any.whl/provenance", b"{}")
        assert filled.verify(tmp_path, lock=lock)[0] == 1
    assert filled.verify(tmp_path, lock=lock)[0] == 0


def test_a_page_without_provenance_is_believed_over_the_cache(
    filled: Filled, tmp_path: Path
) -> None:
    lock = pylock([filled.of("alpha", "1.1")])
    assert filled.verify(tmp_path, lock=lock)[0] == 0

    def lose(document: dict[str, list[dict[str, object]]]) -> None:
        for file in document["files"]:
            if "1.1" in str(file["filename"]):
                file["provenance"] = None

    with filled.changed() as proxy:
        proxy.edit("/simple/alpha/", lose)
        status, report = filled.verify(tmp_path, lock=lock)
    assert status == 1
    assert [each["rule"] for each in report["packages"][0]["findings"]] == ["provenance-lost"]


def edited(content: str) -> str:
    return content.replace("octo-org/alpha", "octo-org/evil0")


@pytest.mark.parametrize(
    "edit",
    [
        edited,
        lambda content: content[:-20],
        lambda _: "",
        lambda _: "[[]]",
        lambda _: '[{"key": 1}]',
        lambda _: "[" * 100_000,
        lambda content: content + " " * (2 << 20),
    ],
    ids=["another publisher", "cut", "empty", "lists", "half", "deep", "long"],
)
def test_a_damaged_entry_is_ignored(
    filled: Filled, tmp_path: Path, folder: Path, edit: object
) -> None:
    assert provenances(filled, tmp_path) == 2
    (path,) = folder.glob("*.json")
    before = path.read_text()
    assert callable(edit)
    path.write_text(edit(before))
    assert provenances(filled, tmp_path) == 2
    assert json.loads(path.read_text())
    assert provenances(filled, tmp_path) == 0


def test_an_entry_of_another_file_does_not_answer(
    filled: Filled, tmp_path: Path, folder: Path
) -> None:
    """What is stored for one key is no answer to another: root of trust, address, name, bytes."""
    assert provenances(filled, tmp_path) == 2
    (path,) = folder.glob("*.json")
    entries = json.loads(path.read_text())
    for entry in entries:
        entry["key"] = key_of("another")
    path.write_text(json.dumps(entries))
    assert provenances(filled, tmp_path) == 2


def test_another_root_of_trust_verifies_again(
    filled: Filled, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the root of another world, the same answers prove nothing, cache or not."""
    assert provenances(filled, tmp_path) == 2
    with filled_world(tmp_path_factory.mktemp("other"), lambda _: None) as other:
        mine, filled.trust = filled.trust, other.trust
        try:
            status, report = filled.verify(tmp_path, lock=pylock([filled.of("alpha", "1.1")]))
        finally:
            filled.trust = mine
    assert status == 1
    assert report["packages"][0]["findings"][0]["rule"] == "provenance-invalid"


@pytest.mark.skipif(os.name == "nt", reason="other permissions")
@pytest.mark.parametrize("kind", ["a file", "a link", "for everybody"])
def test_a_folder_that_is_not_ours_is_not_used(
    filled: Filled, tmp_path: Path, folder: Path, kind: str
) -> None:
    folder.parent.mkdir(parents=True)
    match kind:
        case "a file":
            folder.write_text("")
        case "a link":
            (tmp_path / "elsewhere").mkdir()
            folder.symlink_to(tmp_path / "elsewhere")
        case _:
            folder.mkdir()
            folder.chmod(0o777)
    assert provenances(filled, tmp_path) == 2
    assert provenances(filled, tmp_path) == 2
    assert not list((tmp_path).glob("elsewhere/*"))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    cache = VerifiedCache.at(Path("/proc/attested-publish"))
    cache.put("shelf", "key", PROVEN)
    cache.write()
    assert cache.get("shelf", "key") is None


PROVEN = Proven((Identity.of({"kind": "GitHub", "repository": "a/b"}),), ("0" * 64,), "c", "r")


def store(folder: Path, number: int) -> None:
    for turn in range(20):
        cache = VerifiedCache.at(folder)
        cache.put("shelf", key_of("one", str(number), str(turn)), PROVEN)
        cache.write()
        assert VerifiedCache.at(folder).get("shelf", "nothing") is None


def test_several_processes(tmp_path: Path) -> None:
    """Whatever they overwrite of each other, what is read is intact."""
    folder = tmp_path / "shared"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=store, args=(folder, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    (path,) = folder.iterdir()
    entries = json.loads(path.read_text())
    assert 20 <= len(entries) <= 60
    cache = VerifiedCache.at(folder)
    assert all(cache.get("shelf", entry["key"]) == PROVEN for entry in entries)


def test_its_size_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_cache, "MOST_FILES", 5)
    monkeypatch.setattr(verified_cache, "MOST_BYTES", 2000)
    for number in range(8):
        cache = VerifiedCache.at(tmp_path / "cache")
        cache.put(f"shelf{number}", "key", PROVEN)
        cache.write()
    files = list((tmp_path / "cache").iterdir())
    assert 0 < len(files) <= 5
    assert sum(file.stat().st_size for file in files) <= 2000
    assert VerifiedCache.at(tmp_path / "cache").get("shelf7", "key") == PROVEN
