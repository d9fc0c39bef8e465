"""Record which requests the embedded services answered, and when each began and ended."""

from __future__ import annotations

import json
import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from werkzeug.wsgi import ClosingIterator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answered:
    """A request, or a part of an upload: the wait for the locks of its project, or its storage.

    `stage` is one of `world.STAGES`, or ``locks`` for that wait; `endpoint` is one of
    `faults.ENDPOINTS`, or `None` for another address of the index. `status` is that of the answer,
    `None` if there was none, and for a part of an upload. `start` and `end` are in seconds since
    the epoch.
    """

    stage: str
    endpoint: str | None
    status: int | None
    start: float
    end: float


class RequestLog:
    """Writes a line of JSON for everything recorded: an `Answered`. Thread-safe.

    Lines are in the order in which requests ended. If a line cannot be written, that is logged
    once, and there are no more lines.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._is_broken = False

    def __call__(self, answered: Answered) -> None:
        """Record a request."""
        line = json.dumps(asdict(answered)) + "\n"
        with self._lock:
            # It is closed while the services stop, with requests in progress.
            if self._is_broken or self._file.closed:
                return
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                self._is_broken = True
                _log.error("The log of the requests cannot be written: %s", error.strerror)


def record_nothing(_: Answered) -> None:
    """Where nobody wants to know."""


def recorded(
    app: WSGIApplication,
    stage_of: Callable[[WSGIEnvironment], str | None],
    endpoint_of: Callable[[WSGIEnvironment], str | None],
    record: Callable[[Answered], None],
) -> WSGIApplication:
    """Record each request to `app` that has a stage, when its answer has been sent."""

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        stage, endpoint = stage_of(environ), endpoint_of(environ)
        if stage is None:
            return app(environ, start_response)
        status: int | None = None
        start = time.time()

        def start_and_note(
            line: str, headers: list[tuple[str, str]], error: OptExcInfo | None = None, /
        ) -> Callable[[bytes], object]:
            nonlocal status
            status = int(line[:3])
            return start_response(line, headers, error)

        def end() -> None:
            record(Answered(stage, endpoint, status, start, time.time()))

        try:
            answer = app(environ, start_and_note)
        except BaseException:
            end()
            raise
        return ClosingIterator(answer, end)

    return respond


@contextmanager
def recorded_part(record: Callable[[Answered], None], stage: str) -> Iterator[None]:
    """Record a part of an upload, ``locks`` or ``store``, which lasts as long as this context."""
    start = time.time()
    try:
        yield
    finally:
        record(Answered(stage, "upload", None, start, time.time()))
