"""Being told to stop: unwind, but not in the middle of what has to be finished."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)


class Stopped(BaseException):
    """The run was told to stop; its text is the signal's name. Unwinding revokes the API token."""


def unwind_when_told_to_stop() -> None:
    """Turn the signals by which a job is cancelled into `Stopped`."""
    for number in _SIGNALS:
        signal.signal(number, _stop)


@contextlib.contextmanager
def not_now() -> Iterator[None]:
    """Hold signals back for the length of one request, and obey them after it.

    Between an index giving a token and our knowing it, a stop would leave the token
    behind unrevoked.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: held.append(number))
        for number in _SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])


def leave(status: int) -> None:
    """End the process now, also when a thread still waits for an answer nobody needs."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread is not threading.main_thread() for thread in threading.enumerate()):
        os._exit(status)
    sys.exit(status)


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(signal.Signals(number).name)
