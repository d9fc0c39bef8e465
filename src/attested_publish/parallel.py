"""Do the same with many things at once, and end well when one fails or the run is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    threads: int,
    begin: Callable[[], None] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield each item with the result of `work` on it, as they come.

    After the first failure no further item is begun; those in flight are finished and
    yielded, then the failure is raised. When the caller stops asking, nothing is waited
    for. `begin` is called once in every thread.
    """
    if not items:
        return
    pool = ThreadPoolExecutor(min(threads, len(items)), initializer=begin)
    try:
        futures = {pool.submit(work, item): item for item in items}
        failure: Exception | None = None
        for future in as_completed(futures):
            if future.cancelled():
                continue
            error = future.exception()
            if error is None:
                yield futures[future], future.result()
            elif failure is None and isinstance(error, Exception):
                failure = error
                for other in futures:
                    other.cancel()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
