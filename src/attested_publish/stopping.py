"""Being told to stop: end what has to be ended, from the outside, at any moment.

A signal's handler that raises where the program just is can break anything that holds a
lock, an import among them. So the work runs in a thread of its own, and the main thread
only waits: told to stop, it ends what was begun and leaves, wherever the work is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)
_LOOK_AGAIN = 0.05
_SLICE = 0.2

_stopped = threading.Event()
_to_be_ended: list[contextlib.ExitStack] = []


def done_or_stopped(work: Callable[[], None]) -> str | None:
    """Do the work; return `None`, or the name of the signal that stopped it.

    When it is stopped, what it entered with `ended_when_stopped` is ended here. Raises
    what the work raises.
    """
    if threading.current_thread() is not threading.main_thread():
        work()
        return None
    received: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: received.append(number))
        for number in _SIGNALS
    }
    errors: list[BaseException] = []
    worker = threading.Thread(target=_run, args=(work, errors), daemon=True)
    try:
        worker.start()
        while worker.is_alive() and not received:
            worker.join(_LOOK_AGAIN)
        if not received:
            if errors:
                raise errors[0]
            return None
        _stopped.set()
        for stack in reversed(_to_be_ended.copy()):
            stack.close()
        return signal.Signals(received[0]).name
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ended_when_stopped() -> Iterator[contextlib.ExitStack]:
    """Hold a stack that is closed once: on leaving, or when the run is told to stop."""
    with contextlib.ExitStack() as stack:
        _to_be_ended.append(stack)
        try:
            yield stack
        finally:
            if stack in _to_be_ended:
                _to_be_ended.remove(stack)


def is_stopped() -> bool:
    """Say whether nothing new should be begun."""
    return _stopped.is_set()


def wait(seconds: float, event: threading.Event) -> None:
    """Wait so long, until the event, or until the run is told to stop."""
    left = seconds
    while left > 0 and not _stopped.is_set() and not event.wait(min(left, _SLICE)):
        left -= _SLICE


def leave(status: int) -> None:
    """End the process now, also when a thread still waits for an answer nobody needs."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            # Nobody can be told any more; Python would try again, and end with a status of its own.
            os._exit(status)
    if any(thread is not threading.main_thread() for thread in threading.enumerate()):
        os._exit(status)
    sys.exit(status)


def _run(work: Callable[[], None], errors: list[BaseException]) -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - raised by the one who waits
        errors.append(error)
