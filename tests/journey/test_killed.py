"""Told to stop at any moment and run again: complete, nothing twice, no token left behind."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from support.action import ACTION, job, outputs, run_action
from support.makers import make_wheel
from support.releases import staged
from support.waiting import wait_for

if TYPE_CHECKING:
    from support.releases import Stage

LATENCY = {"identity": 0.05, "certificate": 0.1, "log": 0.15, "upload": 0.2, "index": 0.05}

STAGES = (
    *("files", "rules", "index", "identity", "token", "signatures", "verification"),
    *("upload", "confirmation"),
)
"""In their order; each begins with a line of its own, and has others for what is done."""

FILES = 3


@dataclass(frozen=True)
class Moment:
    """When so many things of a stage are done, as the log says."""

    stage: str
    done: int = 0

    def __str__(self) -> str:
        return f"{self.stage} {self.done}"

    def comes_before(self, stage: str) -> bool:
        return STAGES.index(self.stage) < STAGES.index(stage)


QUICK = (
    *(Moment("token"), Moment("signatures", 1), Moment("upload")),
    *(Moment("upload", 1), Moment("upload", 2), Moment("confirmation")),
)
OTHERS = (
    *(
        Moment(stage)
        for stage in ("files", "rules", "index", "identity", "signatures", "verification")
    ),
    *(Moment("token", 1), Moment("signatures", 2), Moment("signatures", 3), Moment("upload", 3)),
    *(Moment("verification", 1), *(Moment("confirmation", done) for done in (1, 2, 3))),
)


def read_until(moment: Moment, log: IO[str]) -> str:
    """Read a log up to the line that says that the moment has come."""
    read = []
    stage, done = "", 0
    for line in log:
        read.append(line)
        if line.startswith("::group::"):
            stage, done = line.removeprefix("::group::").partition(":")[0], 0
        elif line.startswith("  \N{CHECK MARK} "):
            done += 1
        if (stage, done) == (moment.stage, moment.done):
            return "".join(read)
    raise AssertionError(f"{moment} did not come:\n{''.join(read)}")


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "moment",
    [*QUICK, *(pytest.param(moment, marks=pytest.mark.slow) for moment in OTHERS)],
    ids=str,
)
def test_stopped_at_any_moment_and_run_again(dist: Path, moment: Moment) -> None:
    make_wheel(dist, tag="cp312-cp312-win_amd64")
    with staged(dist, latency=LATENCY) as stage:
        environment = job(stage.world, dist)
        with subprocess.Popen(
            ACTION,
            env={**environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        ) as process:
            printed = read_until(moment, process.stdout)
            process.terminate()
            printed += process.communicate(timeout=30)[0]
        assert "Traceback" not in printed
        before = stage.served()
        if moment.comes_before("upload"):
            assert not before, "nothing is public"
        if moment.stage == "upload":
            assert len(before) >= moment.done, "what is told to be up is up"
        if moment.comes_before("confirmation") and moment.done < FILES:
            assert process.returncode == 1
            assert "received SIGTERM" in printed
            assert outputs(environment)["result"] == "failed"
        tell_what_is_there(environment, before)
        wait_for_late_arrivals()
        are_revoked(stage, printed)

        done = run_action(environment)
        assert done.returncode == 0, done.stdout
        served = stage.served()
        for path in dist.iterdir():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert served[path.name]["hashes"]["sha256"] == digest
            assert served[path.name]["provenance"], "no attestation was lost"
        for name, file in before.items():
            assert served[name]["upload-time"] == file["upload-time"], "nothing was sent twice"
        are_revoked(stage, done.stdout)


def are_revoked(stage: Stage, printed: str) -> None:
    """Every API token that a run got is revoked.

    One that the index issued when the run had ended is known to nobody, and ends by itself.
    """
    masked = re.findall(r"^::add-mask::(pypi-\S+)$", printed, re.MULTILINE)
    digests = {hashlib.sha256(token.encode()).hexdigest() for token in masked}
    issued = {token.digest: token for token in stage.world.index.issued_tokens}
    assert digests <= issued.keys()
    assert all(issued[digest].is_revoked for digest in digests), printed


def tell_what_is_there(environment: dict[str, str], served: dict[str, object]) -> None:
    """Hold the report of the stopped run, where it came to writing one, against the index."""
    if not Path(environment["GITHUB_OUTPUT"]).exists():
        return
    report = json.loads(Path(outputs(environment)["report"]).read_text())
    for file in report["files"]:
        if file["status"] in {"uploaded", "already-there"}:
            assert file["filename"] in served
        if file["status"] == "not-attempted":
            assert file["filename"] not in served


def wait_for_late_arrivals() -> None:
    """A request that was under way when the run ended is still carried out by the index."""
    time.sleep(0.4)


def test_stopped_while_it_copies_it_leaves_nothing(tmp_path: Path) -> None:
    dist, temp = tmp_path / "dist", tmp_path / "temp"
    for folder in (dist, temp):
        folder.mkdir()
    for number in range(3):
        path = dist / f"sample-{number}.0-py3-none-any.whl"
        with path.open("wb") as file:
            file.truncate(80_000_000)
    with subprocess.Popen(
        [sys.executable, "-m", "attested_publish", "check", "--offline", str(dist)],
        env={**os.environ, "TMPDIR": str(temp)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: list(temp.glob("attested-publish-*/*")))
        process.terminate()
        printed, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "It received SIGTERM" in printed
    assert list(temp.iterdir()) == []
