"""Peers that mean harm: whatever one does, a run ends in time, in bounds, and says why.

The faults are those of the embedded world (`rehearsal.hostile`), at each place that a release
asks. Time and memory are those of a process of its own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from attested_publish.rehearsal.hostile import KINDS
from support.action import ACTION, job
from support.environment import without_a_job
from support.hostile_peers import Silent, SlowReader
from support.makers import make_wheel
from support.paths import TESTS
from support.releases import problem, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.releases import Stage

BUDGET_SECONDS = 15.0
"""Ten alone; other tests run beside."""

BUDGET_BYTES = 300 << 20

PLACES = (
    "simple",
    "audience",
    "identity",
    "mint",
    "certificate",
    "log",
    "upload",
    "integrity",
    "burn",
)
FORGED = ("\r", "\x1b", "\u202e")
STAGES = {
    "audience": "token",
    "identity": "identity",
    "mint": "token",
    "certificate": "signatures",
    "log": "signatures",
    "upload": "upload",
}


def slow(*values: str) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)


def run_apart(stage: Stage, *, seconds: float = 1.0, provider_seconds: float) -> dict[str, Any]:
    """Publish in a process of its own, with patience and answers of so many seconds."""
    config = stage.folder.parent / "trust_config.json"
    config.write_text(stage.world.trust_config)
    asked = {
        "folder": str(stage.folder),
        "upload_url": stage.world.upload_url,
        "trust_config": str(config),
        "seconds": seconds,
        "provider_seconds": provider_seconds,
    }
    done = subprocess.run(
        [sys.executable, "-m", "support.bounded_run", json.dumps(asked)],
        env={
            **without_a_job(),
            **stage.world.environment,
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(TESTS),
        },
        capture_output=True,
        timeout=60,
        check=True,
    )
    printed = done.stdout.decode()
    record: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return {**record, "printed": printed, "stderr": done.stderr.decode()}


def _pairs() -> Iterator[Any]:
    """Each kind at one place, and each at every other in the slow tests."""
    for number, kind in enumerate(KINDS):
        for place in PLACES:
            is_quick = number % 2 == 0 and place == PLACES[number % len(PLACES)]
            yield pytest.param(place, kind, marks=[] if is_quick else pytest.mark.slow)


@pytest.mark.sample(2)
@pytest.mark.parametrize(("place", "kind"), [*_pairs()])
def test_a_run_ends_in_time_and_in_bounds(dist: Path, place: str, kind: str) -> None:
    paced = ":0.2" if kind in {"trickle", "drip"} else ""
    with staged(dist) as stage:
        stage.fault(f"{place}={kind}{paced}")
        done = run_apart(stage, provider_seconds=1.0 if place == "identity" else 20.0)
        assert done["seconds"] < BUDGET_SECONDS, done["printed"]
        assert done["peak"] < BUDGET_BYTES, done["printed"]
        assert not done["stderr"]
        assert "unexpected happened" not in done["printed"]
        assert not any(forged in done["printed"] for forged in FORGED)
        if place in STAGES:
            assert done["result"] != "done", done["printed"]
            # A success in no words of its own is looked into afterwards.
            expected = {STAGES[place], "confirmation" if place == "upload" else STAGES[place]}
            assert done["problems"][0]["stage"] in expected, done["printed"]
        if place != "burn":
            assert all(token.is_revoked for token in stage.world.index.issued_tokens)


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("trickle", "did not arrive in time"),
        slow("drip", "did not arrive in time"),
        slow("continue", "the headers of its answer never end"),
        ("headers", "the headers of its answer never end"),
        ("endless", "its answer is too large"),
        ("bomb", "its answer is too large"),
    ],
)
def test_it_is_told_what_the_peer_did(dist: Path, kind: str, words: str) -> None:
    with staged(dist) as stage:
        stage.fault(f"upload={kind}{':0.2' if kind in {'trickle', 'drip'} else ''}")
        assert words in problem(stage.run())


class TestStopped:
    """Told to stop while a peer does its worst: ended within two seconds, the token revoked."""

    LIMIT = 3.5
    """Two seconds, and what it takes that other tests run beside."""

    @pytest.mark.sample(1)
    @pytest.mark.parametrize(
        ("place", "kind"),
        [
            ("simple", "hang"),
            ("mint", "hang"),
            ("log", "hang"),
            ("upload", "drip"),
            *(slow(place, "hang") for place in PLACES if place not in {"simple", "mint", "log"}),
            *(slow("log", kind) for kind in ("trickle", "drip")),
            slow("upload", "trickle"),
            slow("mint", "trickle"),
            slow("burn", "trickle"),
            slow("integrity", "drip"),
        ],
    )
    def test_whatever_it_waits_for(self, dist: Path, place: str, kind: str) -> None:
        with staged(dist) as stage, begun(job(stage.world, dist)) as process:
            stage.fault(f"{place}={kind}")
            wait_for_hit(stage, process)
            self.stop(process)
            if place != "burn":
                assert all(token.is_revoked for token in stage.world.index.issued_tokens)

    @pytest.mark.sample(1)
    @pytest.mark.parametrize("peer", [Silent, SlowReader])
    def test_while_an_upload_is_not_read(self, tmp_path: Path, peer: type[Silent]) -> None:
        dist = tmp_path / "dist"
        make_wheel(dist, extra_files={"sample/data.bin": os.urandom(6_000_000)})
        with staged(dist) as stage, peer() as deaf, beside(stage, deaf.port) as url:
            with begun({**job(stage.world, dist), "INPUT_REPOSITORY-URL": url}) as process:
                deadline = time.monotonic() + 20
                while not stage.world.index.issued_tokens or not deaf._open:
                    assert process.poll() is None, process.communicate()
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                time.sleep(0.3)
                self.stop(process)
            assert all(token.is_revoked for token in stage.world.index.issued_tokens)

    def stop(self, process: subprocess.Popen[str]) -> None:
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        printed, _ = process.communicate(timeout=30)
        assert time.monotonic() - started < self.LIMIT, printed
        assert "It received SIGTERM" in printed


@contextmanager
def begun(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        ACTION,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_hit(stage: Stage, process: subprocess.Popen[str]) -> None:
    """Wait until a fault has begun to happen."""
    deadline = time.monotonic() + 20
    while not stage.world.faults.met:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.2)


@contextmanager
def beside(stage: Stage, upload_port: int) -> Iterator[str]:
    """Serve a world's index at another address, its uploads sent on to a port as they are."""
    world = urlsplit(stage.world.upload_url).port

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while piece := source.recv(1 << 12):
                sink.sendall(piece)
        except OSError:
            pass
        finally:
            sink.close()

    def treat(client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        first = client.recv(1 << 12)
        port = upload_port if first.startswith(b"POST /legacy/") else world
        server = socket.create_connection(("127.0.0.1", port))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 12)
        server.sendall(first)
        threading.Thread(target=pump, args=(server, client), daemon=True).start()
        pump(client, server)

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=treat, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/legacy/"
