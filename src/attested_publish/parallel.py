"""Do the same with many things at once, and end well when one fails or the run is stopped."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, as_completed
from typing import Protocol, TypeVar

from attested_publish.stopping import is_stopped

Item = TypeVar("Item")
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)


def in_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    threads: int,
    begin: Callable[[], None] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with the result of `work` on it, as they come.

    After the first failure no further item is begun; those in flight are finished and
    yielded, then the failure is raised (of several, one that cannot pass). When the
    caller stops asking, nothing is waited for. `begin` is called once in every thread.
    """
    if not items:
        return

    def unless_stopped(item: Item) -> Result:
        if is_stopped():
            raise CancelledError
        return work(item)

    pool = ThreadPoolExecutor(min(threads, len(items)), initializer=begin)
    try:
        futures = {pool.submit(unless_stopped, item): item for item in items}
        failures: list[BaseException] = []
        for future in as_completed(futures):
            if future.cancelled():
                continue
            error = future.exception()
            if error is None:
                yield futures[future], future.result()
            else:
                failures.append(error)
                for other in futures:
                    other.cancel()
        if failures:
            raise min(failures, key=lambda error: getattr(error, "may_pass", False))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Outcome(Protocol[Result_co]):
    """Gives what became of work in the background, or its error."""

    def __call__(self, timeout: float | None = None) -> Result_co:
        """Wait for it; raises `TimeoutError` after `timeout` seconds."""


def meanwhile(work: Callable[[], Result]) -> Outcome[Result]:
    """Begin `work` now, in the background; the function returned gives its result or its error.

    Nobody waits for it who does not ask.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result


class Pace:
    """Lets through `most` a `period` (seconds), and makes the rest wait. Threads may share it."""

    def __init__(self, most: int, period: float) -> None:
        self._period = period
        self._let_through: deque[float] = deque(maxlen=most)
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next one may go."""
        with self._lock:
            now = time.monotonic()
            is_full = len(self._let_through) == self._let_through.maxlen
            turn = max(now, self._let_through[0] + self._period) if is_full else now
            self._let_through.append(turn)
        time.sleep(turn - now)
