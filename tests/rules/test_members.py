"""Members are read fast where they are plain, and as `zipfile` reads them where they are not."""

from __future__ import annotations

import random
import zipfile
from typing import TYPE_CHECKING

import pytest

from attested_publish.rules import checks, zips
from attested_publish.rules.bounds import SCANNED_SIZE
from support.hostile_files import ARCHIVES
from support.makers import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

_ENCRYPTED = b"__pyarmor__(__name__, __file__,"
_CLEAN = b"# nothing to see here, really.\n"


def rules_of(path: Path) -> set[str]:
    return {one.rule for one in checks.check_file(path, path.name, path.stat().st_size)}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_what_is_read_fast_is_what_zipfile_reads(method: int, tmp_path: Path) -> None:
    sources = {f"sample/ä{n}.py": f"x = {n}\n".encode() * 50 for n in range(5)}
    path = make_wheel(tmp_path, extra_files=sources, compression=method)
    sound = path.read_bytes()
    chance = random.Random(20261128)
    read = refused = 0
    for attempt in range(1500):
        damaged = bytearray(sound)
        for _ in range(chance.randrange(4) if attempt else 0):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        try:
            archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            continue
        with archive, path.open("rb", buffering=0) as file:
            members = zips.Members(file, archive)
            for entry in archive.infolist():
                record = members.record(entry, SCANNED_SIZE)
                content = None if record is None else members.content(entry, record)
                try:
                    expected = zips.read_entry(archive, entry, SCANNED_SIZE)
                except zips.NotRead:
                    refused += 1
                    assert content is None
                else:
                    assert content in {None, expected}
                    read += content is not None
                    assert attempt or content is not None
    assert read > 1000
    assert refused > 100


def test_each_part_of_an_archive_is_read_once(tmp_path: Path) -> None:
    """Whatever its directory makes of it: a hostile one names the same place thousands of times."""
    path = ARCHIVES["shared_header"](tmp_path)
    with zipfile.ZipFile(path) as archive, path.open("rb", buffering=0) as file:
        members = zips.Members(file, archive)
        entries = archive.infolist()
        assert len(entries) == 5000
        assert all(members.record(each, SCANNED_SIZE) is None for each in entries)
    assert "zip-duplicate" in rules_of(path)
    sound = make_wheel(tmp_path)
    with zipfile.ZipFile(sound) as archive, sound.open("rb", buffering=0) as file:
        members = zips.Members(file, archive)
        first = archive.infolist()[0]
        assert members.record(first, SCANNED_SIZE) is not None
        assert members.record(first, SCANNED_SIZE) is None


def test_another_member_of_the_same_name_is_scanned_again(tmp_path: Path) -> None:
    name = "sample/remembered.py"
    assert len(_CLEAN) == len(_ENCRYPTED)
    for content, expected in ((_CLEAN, set()), (_ENCRYPTED, {"content-encrypted"})) * 2:
        path = make_wheel(tmp_path, extra_files={name: content}, compression=zipfile.ZIP_STORED)
        assert rules_of(path) == expected


def test_what_a_forged_checksum_hides_is_scanned_again(tmp_path: Path) -> None:
    """CRC-32 can be forged, so that the directory and the headers say the same of both."""
    files = {"sample/forged.py": _CLEAN}
    path = make_wheel(tmp_path, extra_files=files, compression=zipfile.ZIP_STORED)
    assert rules_of(path) == set()
    sound = path.read_bytes()
    path.write_bytes(sound.replace(_CLEAN, _ENCRYPTED))
    assert rules_of(path) == {"zip-member-unreadable"}
    path.write_bytes(sound)
    assert rules_of(path) == set()
