"""Insert, storage and commit of uploads, one after another as in PyPI's database.

PyPI's server inserts a file's row, writes the file to storage, and commits. Triggers on that row
also update all rows of its release and the row of its project, so that these are locked from the
insert until the commit: transfer and checks of uploads overlap, this does not. Three or more of
one release deadlock, where storage takes time; PostgreSQL ends one of them after its
`deadlock_timeout`, and the server answers 500 and does not try again. Until then nothing of the
project is committed.

The chances are those of 30 files uploaded to a running copy of the server (pypi/warehouse at
6b6215712, PostgreSQL 15 and 18, 2026-11-27): no 500 at one and two in flight, nor without a
delay of the storage at up to four; with one, about 2 of 30 at three, 4 of 30 at four, 10 of 30 at
six and more.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from attested_publish.rehearsal.pypi.answers import ServerFailed
from attested_publish.rehearsal.request_log import record_nothing, recorded_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from packaging.utils import NormalizedName

    from attested_publish.rehearsal.request_log import Answered

DEADLOCK_SECONDS = 1.0
"""PostgreSQL's default `deadlock_timeout`."""

_CHANCES = {1: 0.0, 2: 0.0, 3: 2 / 30, 4: 4 / 30, 5: 7 / 30}
_HIGHEST_CHANCE = 10 / 30


@dataclass(slots=True)
class _Project:
    """The uploads that wait for the locks of a project; the first one has them."""

    queue: deque[Turn] = field(default_factory=deque)
    in_flight: Counter[str] = field(default_factory=Counter)
    """By version, those that are to be ended included."""
    stalled_until: float = 0.0
    """On the monotonic clock: nothing is committed before a deadlock has been resolved."""


@dataclass(frozen=True, eq=False)
class Turn:
    """What an upload has while it has the locks of its project.

    `seconds` is how long its storage takes; `store` waits for that.
    """

    seconds: float
    store: Callable[[], None]


class Commits:
    """Lets the uploads of a project commit one after another. Thread-safe.

    `store_seconds` returns how long a file's storage takes. `pause` waits for seconds and returns
    whether the services are being stopped. Which uploads deadlock follows from `seed` and from the
    order in which the uploads of a release come. `record` is told when each one waited
    for the locks, and when it had them.
    """

    def __init__(
        self,
        *,
        store_seconds: Callable[[], float],
        pause: Callable[[float], bool],
        seed: int,
        record: Callable[[Answered], None] = record_nothing,
    ) -> None:
        self._store_seconds = store_seconds
        self._pause = pause
        self._seed = seed
        self._record = record
        self._changed = threading.Condition()
        self._projects: dict[NormalizedName, _Project] = {}
        self._numbers: defaultdict[tuple[NormalizedName, str], count[int]] = defaultdict(count)

    @contextmanager
    def turn(self, project: NormalizedName, version: str) -> Iterator[Turn]:
        """Wait for the locks of `project`, and keep them until the context ends.

        Raises `ServerFailed` for an upload that is ended in a deadlock, and
        `ConnectionAbortedError` when the services stop.
        """
        seconds = self._store_seconds()
        with self._changed:
            locks = self._projects.setdefault(project, _Project())
            locks.in_flight[version] += 1
            own = Turn(seconds, lambda: self._store(locks, seconds))
            place = f"{project}/{version}/{next(self._numbers[project, version])}"
            is_deadlocked = seconds > 0 and deadlocks(self._seed, place, locks.in_flight[version])
            if is_deadlocked:
                locks.stalled_until = time.monotonic() + DEADLOCK_SECONDS
            else:
                locks.queue.append(own)
        try:
            if is_deadlocked:
                self._wait(DEADLOCK_SECONDS)
                raise ServerFailed("deadlock detected")
            with recorded_part(self._record, "locks"), self._changed:
                self._changed.wait_for(lambda: locks.queue[0] is own)
            with recorded_part(self._record, "store"):
                yield own
        finally:
            with self._changed:
                if not is_deadlocked:
                    locks.queue.remove(own)
                locks.in_flight[version] -= 1
                if not locks.in_flight.total():
                    del self._projects[project]
                self._changed.notify_all()

    def _store(self, locks: _Project, seconds: float) -> None:
        """Wait until a file is in storage, and until no deadlock prevents its commit."""
        left = seconds
        while left > 0:
            self._wait(left)
            with self._changed:
                left = locks.stalled_until - time.monotonic()

    def _wait(self, seconds: float) -> None:
        if self._pause(seconds):
            raise ConnectionAbortedError


def deadlocks(seed: int, place: str, in_flight: int) -> bool:
    """Decide whether an upload, the last of so many in flight of one release, is ended.

    `place` identifies the upload: its release, and how many of that there were before.
    """
    chance = _CHANCES.get(in_flight, _HIGHEST_CHANCE)
    return random.Random(f"{seed}/{place}").random() < chance  # noqa: S311 - no secret
