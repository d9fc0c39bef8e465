"""`attested-publish services`: keep the embedded services running for any client."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.fronts.running import opened_for_writing
from attested_publish.net.untrusted import shown
from attested_publish.rehearsal.faults import Fault, parse_fault
from attested_publish.rehearsal.history.reading import read_history
from attested_publish.rehearsal.json_file import JsonFileError
from attested_publish.rehearsal.pypi.uploads import warm_up
from attested_publish.rehearsal.rehearse import read_world
from attested_publish.rehearsal.request_log import RequestLog, record_nothing
from attested_publish.rehearsal.serving import NoLoopback
from attested_publish.rehearsal.world import NO_HISTORY, STAGES, World
from attested_publish.settings import WrongUsage, gathering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from attested_publish.rehearsal.history.model import History
    from attested_publish.rehearsal.request_log import Answered

_DIGITS = 5
_LARGEST_PORT = 65535


@dataclass(frozen=True)
class WorldOptions:
    """The options for the embedded services, as texts."""

    port: str
    registry: Path | None
    history: Path | None
    claims: Sequence[str]
    job: str | None
    latency: Sequence[str]
    faults: Sequence[str]
    export: Path | None
    log: Path | None


def serve(options: WorldOptions) -> None:
    """Run the embedded services until a signal (SIGTERM, SIGINT) ends them.

    Prints one JSON line: `index_url`, `upload_url`, the `claims` of the simulated job,
    and its `env`. Raises `WrongUsage` for invalid options.
    """
    ended = threading.Event()
    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: ended.set())
    with contextlib.ExitStack() as until_ended:
        world = until_ended.enter_context(_world(options, until_ended))
        if options.export is not None:
            try:
                world.export(options.export)
            except OSError as error:
                raise WrongUsage(f"--export cannot be written: {error.strerror}.") from error
        warm_up()
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


@contextlib.contextmanager
def _request_log(path: Path | None) -> Iterator[Callable[[Answered], None]]:
    """Give what records requests in a new file, or nowhere."""
    if path is None:
        yield record_nothing
        return
    try:
        # What is there is replaced; a link, such as to /dev/stderr, is followed.
        file = opened_for_writing(path)
    except OSError as error:
        raise WrongUsage(f"--log cannot be written: {error.strerror}.") from error
    with file:
        yield RequestLog(file)


def _world(options: WorldOptions, until_ended: contextlib.ExitStack) -> World:
    """Make the services, whose log `until_ended` closes.

    Raises one `WrongUsage` for all invalid options.
    """
    wrong: list[str] = []
    port, history = 0, NO_HISTORY
    with gathering(wrong):
        history = _history(options.history)
    with gathering(wrong):
        registry, claims, job = read_world(options.registry, options.claims, options.job)
    with gathering(wrong):
        port = _port(options.port)
    latency = {}
    for text in options.latency:
        with gathering(wrong):
            stage, seconds = _latency(text)
            latency[stage] = seconds
    faults = []
    for text in options.faults:
        with gathering(wrong):
            faults.append(_fault(text))
    with gathering(wrong):
        record = until_ended.enter_context(_request_log(options.log))
    if wrong:
        raise WrongUsage(*wrong)
    try:
        return World(
            claims=job.claims(os.environ, claims),
            job=job,
            registry=registry,
            port=port,
            latency=latency,
            faults=faults,
            record=record,
            history=history,
        )
    except NoLoopback:
        raise
    except OSError as error:
        raise WrongUsage(f"--port {port} cannot be used: {error.strerror}.") from error


def _history(path: Path | None) -> History:
    try:
        return NO_HISTORY if path is None else read_history(path)
    except JsonFileError as error:
        raise WrongUsage(f"--history: {error}") from error


def _port(text: str) -> int:
    is_number = text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    if not is_number or int(text) > _LARGEST_PORT:
        raise WrongUsage(f"--port is {shown(text, 80)!r}; it must be 0 to {_LARGEST_PORT}.")
    return int(text)


def _latency(text: str) -> tuple[str, float]:
    stage, _, seconds = text.partition("=")
    try:
        delay = float(seconds)
    except ValueError:
        delay = -1.0
    if not 0 <= delay < float("inf"):
        raise WrongUsage(f"--latency is {shown(text, 80)!r}; it must have the form STAGE=SECONDS.")
    if stage.strip() not in STAGES:
        raise WrongUsage(f"--latency is {shown(text, 80)!r}; the stage can be {', '.join(STAGES)}.")
    return stage.strip(), delay


def _fault(text: str) -> Fault:
    try:
        return parse_fault(text)
    except ValueError as error:
        raise WrongUsage(f"--fault: {error}") from error
