"""`attested-publish services`: keep the embedded services running for any client."""

from __future__ import annotations

import json
import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.net.untrusted import shown
from attested_publish.rehearsal.faults import Fault, parse_fault
from attested_publish.rehearsal.jobs.pretended import JOBS, job_here
from attested_publish.rehearsal.rehearse import read_claims, read_registry
from attested_publish.rehearsal.serving import NoLoopback
from attested_publish.rehearsal.world import World
from attested_publish.settings import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class WorldOptions:
    """The options for the embedded services, as texts."""

    port: int
    registry: Path | None
    claims: Sequence[str]
    job: str | None
    latency: Sequence[str]
    faults: Sequence[str]
    export: Path | None


def serve(options: WorldOptions) -> None:
    """Run the embedded services until a signal (SIGTERM, SIGINT) ends them.

    Prints one JSON line: `index_url`, `upload_url`, the `claims` of the simulated job,
    and its `env`. Raises `WrongUsage` for invalid options.
    """
    ended = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: ended.set())
    with _world(options) as world:
        if options.export is not None:
            try:
                world.export(options.export)
            except OSError as error:
                raise WrongUsage(f"--export cannot be written: {error.strerror}.") from error
        line = {
            "index_url": world.index_url,
            "upload_url": world.upload_url,
            "claims": world.claims,
            "env": world.environment,
        }
        print(json.dumps(line), flush=True)
        # In steps, because on Windows an endless wait cannot be interrupted by signals.
        while not ended.wait(1.0):
            pass


def _world(options: WorldOptions) -> World:
    job = job_here(os.environ) if options.job is None else JOBS[options.job]
    try:
        return World(
            claims=job.claims(os.environ, read_claims(options.claims)),
            job=job,
            registry=read_registry(options.registry),
            port=options.port,
            latency=dict(_latency(text) for text in options.latency),
            faults=[_fault(text) for text in options.faults],
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from error
    except NoLoopback:
        raise
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "not a port"
        raise WrongUsage(f"--port {options.port} cannot be used: {why}.") from error


def _latency(text: str) -> tuple[str, float]:
    stage, _, seconds = text.partition("=")
    try:
        delay = float(seconds)
    except ValueError:
        delay = -1.0
    if not 0 <= delay < float("inf"):
        raise WrongUsage(f"--latency is {shown(text, 80)!r}; it must have the form STAGE=SECONDS.")
    return stage.strip(), delay


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except ValueError as error:
        raise WrongUsage(f"--fault: {error}") from error
