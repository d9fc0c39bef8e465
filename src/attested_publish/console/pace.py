"""How long something still takes, from how fast it went in the last seconds."""

from __future__ import annotations

import math

_MEMORY = 20.0
"""Seconds: what was so long ago counts about a third of what is now."""

_TOO_EARLY = 5.0
_STEP = 0.25
_MINUTE = 60
_HOUR = 3600
_IN_SECONDS = 90
_IN_MINUTES = 90 * _MINUTE
_NOBODY_KNOWS = 48 * _HOUR


class Pace:
    """How fast something goes, in units (such as bytes) a second, smoothed. Not for threads.

    The time `now` is in seconds, of any clock that does not go back.
    """

    def __init__(self, now: float) -> None:
        self._started = self._seen = now
        self._fresh = 0.0
        self._rate = 0.0

    def add(self, moved: float, now: float) -> None:
        """Count `moved` units that went since the last time."""
        self._fresh += moved
        passed = now - self._seen
        if passed >= _STEP:
            self._rate += -math.expm1(-passed / _MEMORY) * (self._fresh / passed - self._rate)
            self._fresh = 0.0
            self._seen = now

    def seconds_for(self, left: float, now: float) -> float | None:
        """Return how long so many units would take; `None` as long as nobody knows."""
        self.add(0, now)
        passed = self._seen - self._started
        if now - self._started < _TOO_EARLY or left <= 0 or self._rate <= 0:
            return None
        # In the beginning the past that it remembers is shorter than its memory.
        seconds = left * -math.expm1(-passed / _MEMORY) / self._rate
        return seconds if seconds < _NOBODY_KNOWS else None


def about(seconds: float) -> str:
    """Return a duration in words, in steps that do not jump with every small change."""
    if seconds < _IN_SECONDS:
        return f"about {max(5 * math.ceil(seconds / 5), 5)} s"
    if seconds < _IN_MINUTES:
        return f"about {math.ceil(seconds / _MINUTE)} min"
    return f"about {math.ceil(seconds / _HOUR)} h"
