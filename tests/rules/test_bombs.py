"""Hostile archives are judged in words, within seconds and little memory."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from attested_publish.rules import checks
from attested_publish.rules.bounds import ArchiveBounds
from support.makers import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 10
"""Of processor time, which others on the same machine do not lengthen."""
MEGABYTES = 300

_LOOK = """
import json, pathlib, sys, time
started = time.process_time()
from attested_publish.rules.checks import check_file
path = pathlib.Path(sys.argv[1])
found = check_file(path, path.name, path.stat().st_size)
print(json.dumps({
    "seconds": time.process_time() - started,
    "rules": [one.rule for one in found],
    "messages": [one.message for one in found],
}))
status = pathlib.Path("/proc/self/status")
# `ru_maxrss` would count what the process that started this one had.
peak = int(status.read_text().partition("VmHWM:")[2].split()[0]) / 2**10 if status.exists() else 0
print(peak)
"""


def look(path: Path) -> tuple[dict[str, Any], float]:
    """Judge `path` in a process of its own; give what was said and the megabytes it took."""
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, str(path)], capture_output=True, text=True, check=True
    )
    said, peak = done.stdout.splitlines()
    return json.loads(said), float(peak)


def gzipped(folder: Path, start: bytes, repeated: bytes, times: int) -> Path:
    """Write an sdist that unpacks to `start`, `repeated` so many times, and a tar's end.

    What is repeated is compressed once: a gzip file can consist of several.
    """
    path = folder / "sample-1.0.tar.gz"
    with path.open("wb") as file:
        file.write(gzip.compress(start, 1))
        block = gzip.compress(repeated, 1)
        for _ in range(times):
            file.write(block)
        file.write(gzip.compress(bytes(1024), 1))
    return path


def million_members(folder: Path) -> Path:
    thousand = b"".join(tarfile.TarInfo(f"sample-1.0/{n}").tobuf() for n in range(1000))
    return gzipped(folder, b"", thousand, 1000)


def endless_header(folder: Path) -> Path:
    """A member whose extended header alone has hundreds of megabytes."""
    header = tarfile.TarInfo("sample-1.0/x")
    header.type, header.size = tarfile.XHDTYPE, 800 << 20
    return gzipped(folder, header.tobuf(), bytes(1 << 24), header.size >> 24)


def endless_member(folder: Path) -> Path:
    member = tarfile.TarInfo("sample-1.0/zeros")
    member.size = 3 << 30
    return gzipped(folder, member.tobuf(), bytes(1 << 24), member.size >> 24)


def endless_metadata(folder: Path) -> Path:
    return make_sdist(folder, extra_files={"sample-1.0/PKG-INFO": bytes(40 << 20)})


def deflated_zeros(folder: Path) -> Path:
    return make_wheel(folder, extra_files={f"sample/{n}": bytes(50 << 20) for n in range(4)})


def crowded_zip(folder: Path) -> Path:
    path = folder / "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(110_000):
            archive.writestr(f"sample/{number}", b"")
    return path


def overlapping_zip(folder: Path) -> Path:
    """Many directory entries that share one compressed member."""
    path = make_wheel(folder, extra_files={"sample/0": bytes(30 << 20)})
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    directory = data[start:-22]
    entry = directory.index(b"sample/0") - 46
    one = directory[entry : entry + 54]
    many = b"".join(one[:-1] + str(n % 10).encode() for n in range(5000))
    end = bytearray(data[-22:])
    end[12:16] = len(directory + many).to_bytes(4, "little")
    path.write_bytes(data[:start] + directory + many + bytes(end))
    return path


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (million_members, "archive-not-judged"),
        (endless_member, "archive-not-judged"),
        (endless_header, "archive-not-judged"),
        (endless_metadata, "archive-not-judged"),
        (crowded_zip, "archive-not-judged"),
        (deflated_zeros, "zip-ratio"),
        (overlapping_zip, "zip-ratio"),
    ],
)
def test_a_bomb_is_judged_in_seconds(
    make: Callable[[Path], Path], rule: str, tmp_path: Path
) -> None:
    said, megabytes = look(make(tmp_path))
    assert said["rules"] == [rule]
    assert said["seconds"] < SECONDS
    assert megabytes < MEGABYTES


def test_a_file_of_two_gigabytes_is_refused_by_its_size(tmp_path: Path) -> None:
    path = tmp_path / "sample-1.0-py3-none-any.whl"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    said, _ = look(path)
    assert said["rules"] == ["file-beyond-cap"]
    assert "2,048 MiB" in said["messages"][0]
    # It was not opened: for what is not there the same is said.
    path.unlink()
    assert [one.rule for one in checks.check_file(path, path.name, 2 << 30)] == ["file-beyond-cap"]


def test_the_limits_are_the_callers(tmp_path: Path) -> None:
    sources = {f"sample/{n}.py": bytes(100) for n in range(10)}
    wheel = make_wheel(tmp_path, extra_files=sources)
    for bounds in (ArchiveBounds(members=5), ArchiveBounds(unpacked=500)):
        found = checks.check_file(wheel, wheel.name, wheel.stat().st_size, bounds)
        assert [one.rule for one in found] == ["archive-not-judged"]
    enough = ArchiveBounds(members=20)
    assert checks.check_file(wheel, wheel.name, wheel.stat().st_size, enough) == []


def test_the_name_is_judged_even_where_the_content_cannot_be(tmp_path: Path) -> None:
    path = make_sdist(tmp_path, filename="Sample-1.0.tar.gz")
    found = checks.check_file(path, path.name, path.stat().st_size, ArchiveBounds(members=2))
    assert {one.rule for one in found} == {"sdist-filename", "archive-not-judged"}


@pytest.mark.parametrize("filename", ["sample-1.0-py3-none-any.whl", "sample-1.0.zip"])
def test_an_archive_with_nothing_in_it_is_judged(filename: str, tmp_path: Path) -> None:
    path = tmp_path / filename
    zipfile.ZipFile(path, "w").close()
    rules = {one.rule for one in checks.check_file(path, path.name, path.stat().st_size)}
    assert rules & {"wheel-file-missing", "sdist-top-folder"}


@pytest.mark.parametrize("make", [make_wheel, make_sdist], ids=["wheel", "sdist"])
def test_damage_never_ends_in_a_traceback(make: Callable[[Path], Path], tmp_path: Path) -> None:
    path = make(tmp_path)
    sound = path.read_bytes()
    if path.suffix == ".gz":
        sound = gzip.decompress(sound)
    chance = random.Random(20260821)
    for _ in range(400):
        damaged = bytearray(sound)
        for _ in range(chance.randrange(1, 12)):
            place = chance.randrange(len(damaged))
            damaged[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        data = bytes(damaged)
        path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
        for finding in checks.check_file(path, path.name, len(data)):
            assert finding.message.isprintable()
            assert len(finding.message) < 700
