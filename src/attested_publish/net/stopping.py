"""Stop the run on a signal: clean up from outside, at any moment.

A signal handler that raises an exception can break any code that holds a lock, such as an
import. So the work runs in a thread of its own, and the main thread only waits: on a signal, it
ends what was started and exits, whatever the work is doing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)
_LOOK_AGAIN = 0.05
_SLICE = 0.2
_ENDING_SECONDS = 1.5
"""How long a run continues after a signal: a cancelled job is killed soon afterwards."""

_stopped = threading.Event()
_to_be_ended: list[tuple[contextlib.ExitStack, threading.Lock]] = []
"""With a lock that is held while it is being closed."""
_at_the_end: list[Callable[[], None]] = []
_received: list[int] = []
_is_listening = threading.Event()


class Stopped(Exception):
    """Something was not started, because the run was told to stop or has failed elsewhere."""


def let_interrupts_end() -> None:
    """Let Ctrl-C end this process without a traceback, while nothing listens for it.

    A program takes a moment to load, and Python would raise `KeyboardInterrupt` wherever it is.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Catch the signals that ask the run to stop, until it has written its results.

    A caught signal stops `done_or_stopped` and nothing else: no signal ends the process while
    it writes its report. A signal that the process was started to ignore, as by `nohup`, stays
    ignored.
    """
    if _is_listening.is_set() or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number for number in _SIGNALS if before[number] is not signal.SIG_IGN]
    _is_listening.set()
    for number in heard:
        signal.signal(number, lambda number, _frame: _received.append(number))
    try:
        yield
    finally:
        _is_listening.clear()
        for number in heard:
            signal.signal(number, before[number] or signal.SIG_DFL)
        _received.clear()


def done_or_stopped(work: Callable[[], None]) -> str | None:
    """Do the work; return `None`, or the name of the signal that stopped it.

    If it is stopped, what it entered with `ended_when_stopped` is closed here, within a second
    or two; further signals have no effect. Raises what the work raises, and `RuntimeError` if no
    thread can be started.
    """
    if threading.current_thread() is not threading.main_thread():
        work()
        return None
    errors: list[BaseException] = []
    worker = threading.Thread(target=_run, args=(work, errors), daemon=True)
    with listening():
        if not _received:
            worker.start()
        while worker.is_alive() and not _received:
            worker.join(_LOOK_AGAIN)
        if _received and (worker.ident is None or worker.is_alive()):
            _stopped.set()
            with contextlib.suppress(Stopped):
                see_through(lambda: _end_everything(in_turn=True))
            # The work starts nothing new, so it soon stops interfering with the final report.
            if worker.ident is not None:
                worker.join(_SLICE)
            # What it was just about to enter, and what waited for an ending that does not end.
            with contextlib.suppress(Stopped):
                see_through(lambda: _end_everything(in_turn=False))
            return signal.Signals(_received[0]).name
    if errors:
        raise errors[0]
    return None


def see_through(work: Callable[[], None]) -> None:
    """Do the work, which no signal ends; after a signal, it has a second or two left.

    Raises what the work raises, and `Stopped` if it takes longer.
    """
    errors: list[BaseException] = []
    worker = threading.Thread(target=_run, args=(work, errors), daemon=True)
    try:
        worker.start()
    except RuntimeError:
        # No thread can be started.
        work()
        return
    until: float | None = None
    while worker.is_alive():
        if until is None and _received:
            until = time.monotonic() + _ENDING_SECONDS
        if until is not None and time.monotonic() > until:
            raise Stopped("it took too long")
        worker.join(_LOOK_AGAIN)
    if errors:
        raise errors[0]


def _end_everything(*, in_turn: bool) -> None:
    for stack, closing in reversed(_to_be_ended.copy()):
        # A failure must not prevent the others from being closed.
        with contextlib.suppress(Exception), closing if in_turn else contextlib.nullcontext():
            stack.close()


@contextlib.contextmanager
def ended_when_stopped() -> Iterator[contextlib.ExitStack]:
    """Provide a stack that is closed once: on exit, or when the run is told to stop.

    A stop waits for what is being closed on exit. Raises `Stopped` if the run has been told.
    """
    stack = contextlib.ExitStack()
    closing = threading.Lock()
    entry = stack, closing
    is_ours = False
    _to_be_ended.append(entry)
    try:
        with stack:
            try:
                if _stopped.is_set():
                    raise Stopped("the run was told to stop")
                yield stack
            finally:
                is_ours = closing.acquire(blocking=False)
    finally:
        if is_ours:
            closing.release()
        _to_be_ended.remove(entry)


def is_stopped() -> bool:
    """Whether the run has been told to stop, so that nothing new should be started."""
    return _stopped.is_set()


def wait(seconds: float, event: threading.Event) -> None:
    """Wait for that time, for the event, or until the run is told to stop."""
    left = seconds
    while left > 0 and not _stopped.is_set() and not event.wait(min(left, _SLICE)):
        left -= _SLICE


def at_the_end(end: Callable[[], None]) -> None:
    """Register a function to call when the process exits by itself."""
    _at_the_end.append(end)


def leave(status: int) -> NoReturn:
    """End the process now, even if a thread is still waiting for an answer that nobody needs."""
    for end in _at_the_end:
        with contextlib.suppress(Exception):
            end()
    if threading.current_thread() is threading.main_thread():
        # From here on, a signal must not change the exit status of a finished run.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    for stream in (sys.stdout, sys.stderr):
        # Where nobody reads the output, there is nothing more to do about it.
        with contextlib.suppress(OSError, ValueError):
            if stream is not None:
                stream.flush()
    # Without taking all modules apart, which takes Python a quarter of a second.
    os._exit(status)


def _run(work: Callable[[], None], errors: list[BaseException]) -> None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - raised in the waiting thread
        errors.append(error)
