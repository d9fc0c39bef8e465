"""Attestation files and bundles made to exhaust their reader: left aside, in time and memory."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from attested_publish.attestations.convert import FILE_LIMIT, NotConvertible, read_provenance
from attested_publish.attestations.found import QUESTIONS, found_in
from attested_publish.sandbox.pool import Sandbox
from support.action import ACTION, job
from support.makers import make_wheel
from support.measuring import watched
from support.releases import staged
from support.sidecars import attestation, bundle, put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.sample(3)


SECONDS = 10
USUAL = 1.5
"""Seconds that `check` takes without them, where nothing else runs."""

MEGABYTES = 300
WHEEL = "sample-1.0-py3-none-any.whl"

_MEDIA = '{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json",'
_ENTRY = (
    '{"kindVersion":{"kind":"dsse","version":"0.0.1"},'
    '"inclusionPromise":{"signedEntryTimestamp":"YQ=="}}'
)
_MATERIAL = f'"verificationMaterial":{{"tlogEntries":[{_ENTRY}]}}'


def bracketed(start: str, unit: str, end: str, size: int) -> str:
    return start + unit * ((size - len(start) - len(end)) // len(unit)) + end


MADE: dict[str, Callable[[int], str]] = {
    "brackets": lambda size: "[" * size,
    "lists": lambda size: bracketed('{"envelope":[', "[],", "0]}", size),
    "objects": lambda size: bracketed('{"envelope":[', "{},", "0]}", size),
    "keys": lambda size: "{" + ",".join(f'"{n:x}":0' for n in range(size // 9)) + "}",
    "a number": lambda size: bracketed('{"envelope":', "1", "}", size),
    "a text": lambda size: bracketed('{"envelope":"', "a", '"}', size),
    "blank lines": lambda size: "\n" * size,
    "lines": lambda size: "{}\n" * (size // 3),
    "log entries": lambda size: bracketed(
        f'{_MEDIA}"verificationMaterial":{{"tlogEntries":[{_ENTRY},', "{},", "{}]}}", size
    ),
    "signatures": lambda size: bracketed(
        f'{_MEDIA}{_MATERIAL},"dsseEnvelope":{{"signatures":[', "{},", "{}]}}", size
    ),
    "attestations": lambda size: bracketed(
        '{"attestation_bundles":[{"publisher":{"kind":"GitHub"},"attestations":[',
        "{},",
        "0]}]}",
        size,
    ),
    "lines of log entries": lambda size: (
        (
            bracketed(
                f'{_MEDIA}"verificationMaterial":{{"tlogEntries":[{_ENTRY},', "{},", "{}]}}", 2500
            )
            + "\n"
        )
        * min(999, size // 2501)
    ),
}
"""JSON that takes far more memory, or time, than it has bytes; made with about that many."""

SIZES = (2 << 10, 1 << 20, FILE_LIMIT - 9, 13 << 20)


def bombs(folder: Path) -> Iterator[Path]:
    """Put 48 of them into `folder`, under every name that is read."""
    number = 0
    for make in MADE.values():
        for size in SIZES:
            suffix = (".sigstore.json", ".sigstore", ".intoto.jsonl")[number % 3]
            path = folder / f"bomb-{number}{suffix}"
            path.write_text(make(size))
            number += 1
            yield path


@pytest.mark.slow
@pytest.mark.parametrize("attestations", ["auto", "true"])
def test_bombs_beside_the_files_are_left_aside(tmp_path: Path, attestations: str) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    wheels = [make_wheel(dist, tag=f"cp3{20 + n}-none-any") for n in range(3)]
    with staged(dist) as stage:
        environment = job(stage.world, dist, attestations=attestations)
        without = watched(ACTION, environment={**environment, "INPUT_MODE": "check"})
        count = len(list(bombs(dist)))
        for wheel, size in zip(wheels, SIZES[1:], strict=True):
            put_bomb = wheel.with_name(f"{wheel.name}.publish.attestation")
            put_bomb.write_text(MADE["log entries"](size))
        done = watched(ACTION, environment=environment)
    assert "Traceback" not in done.output
    if attestations == "auto":
        assert done.status == 0, done.output
        assert f"{count + 3 - 20} more files" in done.output
        assert "3 attestations will be made again" in done.output
    else:
        assert done.status == 1
        assert "3 ready-made attestations would not be accepted" in done.output
    # A machine with other things to do takes longer for everything.
    assert done.seconds < SECONDS * max(1.0, without.seconds / USUAL)
    assert done.megabytes < MEGABYTES


@pytest.mark.slow
def test_what_takes_long_to_verify_is_left_aside(tmp_path: Path) -> None:
    """Each of many bundles is sound, and about the file, but signed by somebody else."""
    dist = tmp_path / "dist"
    dist.mkdir()
    wheel = make_wheel(dist)
    with staged(dist) as stage:
        environment = job(stage.world, dist)
        made = bundle(stage.world, wheel, repository="octo-org/another")
        line = json.dumps(made)
        for number in range(10):
            bundles = dist / f"bombs-{number}.intoto.jsonl"
            bundles.write_text("\n".join([line] * (FILE_LIMIT // (len(line) + 1))))
        own = put(stage.world, wheel)
        done = watched(ACTION, environment=environment)
    assert done.status == 0, done.output
    assert f"{own.name}  valid for {WHEEL}" in done.output
    assert "bombs-0.intoto.jsonl is not converted" in done.output
    assert "bombs-9.intoto.jsonl is not converted: The files of this kind take more" in done.output
    assert done.megabytes < MEGABYTES


needs_links = pytest.mark.skipif(os.name == "nt", reason="links and pipes are others there")


def leads_out(folder: Path) -> Path:
    outside = folder.parent / "outside.json"
    outside.write_text("{}")
    return link(folder, outside)


def link(folder: Path, target: Path) -> Path:
    path = folder / "it.sigstore.json"
    path.symlink_to(target)
    return path


def leads_to_itself(folder: Path) -> Path:
    return link(folder, folder / "it.sigstore.json")


def pipe(folder: Path) -> Path:
    path = folder / "it.sigstore.json"
    os.mkfifo(path)
    return path


def a_folder(folder: Path) -> Path:
    path = folder / "it.sigstore.json"
    path.mkdir()
    return path


@pytest.mark.sample(2)
@needs_links
@pytest.mark.parametrize(
    ("make", "why"),
    [
        (leads_out, "It points outside its folder."),
        (leads_to_itself, "It cannot be read"),
        (pipe, "It is not a regular file."),
        (a_folder, "It cannot be read: Is a directory"),
        (lambda folder: folder / "gone", "It cannot be read: No such file"),
    ],
)
def test_nothing_but_a_file_of_the_folder_is_read(
    tmp_path: Path, make: Callable[[Path], Path], why: str
) -> None:
    folder = tmp_path / "dist"
    folder.mkdir()
    path = make(folder)
    sandbox = Sandbox()
    try:
        sandbox.load(QUESTIONS)
        started = time.monotonic()
        with pytest.raises(NotConvertible, match=why):
            found_in(path, sandbox)
        assert time.monotonic() - started < 2
    finally:
        sandbox.close()


@needs_links
def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text('{"envelope": 1}')
    sandbox = Sandbox()
    try:
        (found,) = found_in(link(tmp_path, tmp_path / "real"), sandbox)
    finally:
        sandbox.close()
    assert "not a PEP 740 attestation" in found.why_not


@needs_links
def test_a_file_without_an_end_is_read_in_part(tmp_path: Path) -> None:
    """What grows while it is read, or says nothing of its size, is read up to the limit."""
    path = tmp_path / "it.sigstore.json"
    path.write_bytes(b"")
    is_over = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            while not is_over.is_set():
                file.write(b" " * (1 << 16))
                if file.tell() > FILE_LIMIT * 10:
                    file.truncate(0)

    growing = threading.Thread(target=grow, daemon=True)
    growing.start()
    sandbox = Sandbox()
    try:
        for _ in range(10):
            with pytest.raises(NotConvertible, match=r"more than 4 MiB|neither JSON"):
                found_in(path, sandbox)
    finally:
        is_over.set()
        growing.join()
        sandbox.close()


def test_a_child_that_is_ended_is_a_reason(tmp_path: Path) -> None:
    path = tmp_path / "it.sigstore.json"
    path.write_text(MADE["lines of log entries"](1 << 20))
    sandbox = Sandbox()
    try:
        sandbox.load(QUESTIONS)
        with pytest.raises(
            NotConvertible, match=r"It cannot be read: it exceeded 0 seconds, with 90 MB of memory"
        ):
            found_in(path, sandbox, seconds=0.01)
        path.write_text("{}")
        (found,) = found_in(path, sandbox)
    finally:
        sandbox.close()
    assert "neither a Sigstore bundle nor" in found.why_not


@pytest.mark.parametrize(
    "unit", ["{}", "0", "[]", '{"publisher":{"kind":"GitHub"},"attestations":[]}']
)
@pytest.mark.parametrize("place", ["attestation_bundles", "attestations"])
def test_the_provenance_of_an_index_is_not_read_beyond_reason(unit: str, place: str) -> None:
    many = [json.loads(unit)] * 100_000
    provenance = {
        "version": 1,
        "attestation_bundles": many
        if place == "attestation_bundles"
        else [{"publisher": {"kind": "GitHub"}, "attestations": many}],
    }
    started = time.process_time()
    with pytest.raises(NotConvertible, match="more than 2,000 values"):
        read_provenance(provenance)
    assert time.process_time() - started < 1


def test_a_statement_has_its_own_bound(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    with staged(tmp_path) as stage:
        many = json.loads(attestation(stage.world, wheel).model_dump_json())
        statement = json.dumps({"subject": [{"name": "x"}] * 10_001}).encode()
        many["envelope"]["statement"] = base64.b64encode(statement).decode()
        path = tmp_path / "it.sigstore.json"
        path.write_text(json.dumps(many))
        largest = bundle(
            stage.world,
            subjects=[
                {"name": f"sample-{n}.whl", "digest": {"sha256": f"{n:064}"}} for n in range(1024)
            ],
        )
        (tmp_path / "largest.sigstore.json").write_text(json.dumps(largest))
    sandbox = Sandbox()
    try:
        (found,) = found_in(path, sandbox)
        assert "Its statement has more than 20,000 values" in found.why_not
        (found,) = found_in(tmp_path / "largest.sigstore.json", sandbox, [f"{5:064}", "f" * 64])
        assert found.about == [f"{5:064}"]
        assert "about 1024 files" in found.why_not
    finally:
        sandbox.close()
