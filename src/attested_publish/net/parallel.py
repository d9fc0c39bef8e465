"""Process many items in parallel, and end cleanly if one fails or the run is stopped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from attested_publish.net.stopping import Stopped, is_stopped

Item = TypeVar("Item")
Result = TypeVar("Result")
Item_co = TypeVar("Item_co", covariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class Source(Protocol[Item_co]):
    """Items that several threads take; which one may be started can depend on those in progress."""

    def take(self) -> Item_co | None:
        """Return the next item, once it may be started; `None` if none will be started any more."""

    @property
    def is_empty(self) -> bool:
        """Whether every item has been taken."""


def in_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item] | Source[Item],
    *,
    threads: int,
    begin: Callable[[], None] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with the result of `work` on it, in order of completion.

    After the first failure no further item is started; those in progress are finished and
    yielded, then the failure is raised (of several, one that cannot pass). If the caller stops
    iterating, nothing is waited for. `begin` is called once in every thread.

    If the machine provides fewer threads than requested, those do everything; if it provides
    none, the caller's thread does: so a `Source` must not let a thread wait while nothing is in
    progress. Raises `Stopped` if not everything was started because the
    run was told to stop.
    """
    if isinstance(items, Sequence):
        threads = min(threads, len(items))
        items = _InTurn(deque(items))
    shared = _Shared(work, items, begin)
    failures: list[BaseException] = []
    try:
        running = _start(shared.serve, threads)
        while running:
            outcome = shared.outcomes.get()
            if outcome is None:
                running -= 1
            elif isinstance(outcome, BaseException):
                failures.append(outcome)
            else:
                yield outcome
    finally:
        shared.is_over.set()
    if real := [error for error in failures if not isinstance(error, Stopped)]:
        raise min(real, key=lambda error: getattr(error, "may_pass", False))
    if failures or not items.is_empty:
        raise Stopped("not everything was started")


@dataclass(frozen=True)
class _InTurn(Generic[Item]):
    """Items that may be started at any time, one after the other."""

    waiting: deque[Item]

    def take(self) -> Item | None:
        """See `Source`."""
        try:
            return self.waiting.popleft()
        except IndexError:
            return None

    @property
    def is_empty(self) -> bool:
        """See `Source`."""
        return not self.waiting


@dataclass
class _Shared(Generic[Item, Result]):
    """What the threads of `in_parallel` share; a thread that ends adds the outcome `None`."""

    work: Callable[[Item], Result]
    items: Source[Item]
    begin: Callable[[], None] | None
    is_over: threading.Event = field(default_factory=threading.Event)
    outcomes: SimpleQueue[tuple[Item, Result] | BaseException | None] = field(
        default_factory=SimpleQueue
    )

    def serve(self) -> None:
        """Work in this thread until nothing is left, something fails, or the run is stopped."""
        try:
            if self.begin is not None:
                self.begin()
            for item in self._taken():
                self.outcomes.put((item, self.work(item)))
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            self.is_over.set()
            self.outcomes.put(error)
        self.outcomes.put(None)

    def _taken(self) -> Iterator[Item]:
        while not self.is_over.is_set() and not is_stopped():
            item = self.items.take()
            if item is None:
                return
            yield item


def _start(serve: Callable[[], None], threads: int) -> int:
    """Run `serve` in that many threads, or as many as possible; return how many."""
    for number in range(threads):
        try:
            threading.Thread(target=serve, daemon=True).start()
        except RuntimeError:
            if number:
                return number
            serve()
            return 1
    return threads


class Outcome(Protocol[Result_co]):
    """Returns the result of work in the background, or raises its error."""

    def __call__(self, timeout: float | None = None) -> Result_co:
        """Wait for it; raises `TimeoutError` after `timeout` seconds."""


def meanwhile(work: Callable[[], Result]) -> Outcome[Result]:
    """Start `work` in the background; the returned function gives its result or raises its error.

    Only a call of that function waits for it. If no thread can be started, the work is done at
    once.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is requested
            future.set_exception(error)

    try:
        threading.Thread(target=run, daemon=True).start()
    except RuntimeError:
        run()
    return future.result


class Pace:
    """Allows `most` calls in each `period` (seconds); the rest wait. Threads may share it."""

    def __init__(self, most: int, period: float) -> None:
        self._period = period
        self._let_through: deque[float] = deque(maxlen=most)
        self._lock = threading.Lock()

    def wait(self, sleep: Callable[[float], None]) -> None:
        """Return once the next call is allowed, or once `sleep` (called with seconds) returns."""
        with self._lock:
            now = time.monotonic()
            is_full = len(self._let_through) == self._let_through.maxlen
            turn = max(now, self._let_through[0] + self._period) if is_full else now
            self._let_through.append(turn)
        sleep(turn - now)
