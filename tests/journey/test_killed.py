"""Told to stop at any moment and run again: complete, nothing twice, no token left behind."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.action import ACTION, job, outputs, run_action
from support.makers import make_wheel
from support.releases import staged

LATENCY = {"identity": 0.05, "certificate": 0.1, "log": 0.15, "upload": 0.15, "index": 0.05}
LONGEST = 1.8
"""Seconds that an undisturbed run takes here, about."""


@pytest.mark.parametrize(
    "seed", [*range(6), *(pytest.param(n, marks=pytest.mark.slow) for n in range(6, 20))]
)
def test_stopped_at_a_random_moment_and_run_again(dist: Path, seed: int) -> None:
    make_wheel(dist, tag="cp312-cp312-win_amd64")
    moment = random.Random(seed).uniform(0.1, LONGEST)
    with staged(dist, latency=LATENCY) as stage:
        environment = job(stage.world, dist)
        with subprocess.Popen(
            ACTION,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        ) as process:
            time.sleep(moment)
            process.terminate()
            printed, _ = process.communicate(timeout=30)
        assert "Traceback" not in printed.replace("KeyboardInterrupt", "")
        before = stage.served()
        tell_what_is_there(environment, before)
        wait_for_late_arrivals()
        assert all(token.is_revoked for token in stage.world.index.issued_tokens), printed

        done = run_action(environment)
        assert done.returncode == 0, done.stdout
        served = stage.served()
        for path in dist.iterdir():
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            assert served[path.name]["hashes"]["sha256"] == digest
            assert served[path.name]["provenance"], "no attestation was lost"
        for name, file in before.items():
            assert served[name]["upload-time"] == file["upload-time"], "nothing was sent twice"
        assert all(token.is_revoked for token in stage.world.index.issued_tokens)


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
        deadline = time.monotonic() + 20
        while not list(temp.glob("attested-publish-*/*")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        printed, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "It received SIGTERM" in printed
    assert list(temp.iterdir()) == []
