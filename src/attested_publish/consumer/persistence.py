"""Ask one index about many projects: patiently at first, and not for hours if it is down."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from attested_publish.net.retry import Tell, persistently
from attested_publish.problems import IndexProblem, Topic

if TYPE_CHECKING:
    from attested_publish.net.patience import Patience

Result = TypeVar("Result")

_PATIENT = 3
"""Requests that fail after several tries, until each of the others gets one try only."""

_HOPELESS = 8
"""Requests that fail without a single answer, until nothing more is asked."""


@dataclass
class Persistence:
    """Retries requests, as `persistently` does. Threads may share it."""

    index_name: str
    patience: Patience
    tell: Tell
    _failed: int = 0
    _answered: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns. Raises `Problem`: its own, or that nothing is asked now."""
        if self._failed >= _HOPELESS and not self._answered:
            raise IndexProblem(
                f"{self.index_name} could not be reached",
                topic=Topic.INDEX_UNREACHABLE,
                detail=f"It was not asked, after {self._failed} requests without an answer.",
                remedy="Run again once the index answers.",
            )
        patience = replace(self.patience, seconds=0) if self._failed >= _PATIENT else self.patience
        try:
            result = persistently(work, patience, self.tell)
        except IndexProblem as problem:
            with self._lock:
                self._failed += problem.may_pass
                self._answered = self._answered or not problem.may_pass
            raise
        self._answered = True
        return result
