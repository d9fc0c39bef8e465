"""Clocks that are ahead of the real one, in time zones far from Greenwich."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_ZONES = ("Pacific/Kiritimati", "America/St_Johns")
"""14 hours ahead, and three and a half behind."""


@dataclass(frozen=True)
class Clock:
    """A clock that runs like the real one, `ahead` seconds before it."""

    ahead: int

    def described(self, number: int) -> str:
        """Return the present moment, as the tests know it in their `number`th run."""
        now = datetime.now(UTC) + timedelta(seconds=self.ahead)
        return f"{now:%Y-%m-%d %H:%M} UTC, {self._zone(number)}"

    def variables(self, number: int) -> dict[str, str]:
        """Return what programs have to be told besides."""
        if not self.ahead:
            return {}
        # What waits compares with the kernel's clock, of which there is but one.
        return {"TZ": self._zone(number), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def _zone(self, number: int) -> str:
        return _ZONES[number % len(_ZONES)] if self.ahead else "UTC"


NOW = Clock(0)


def clock(text: str) -> Clock:
    """Read a number of days from now (`+400d`), or a date, of which it is noon. Raises ValueError.

    The distance is fixed here, once, so that all processes of a run agree.
    """
    if text.startswith("+") and text.endswith("d"):
        return Clock(int(text[1:-1]) * 24 * 3600)
    noon = datetime.fromisoformat(text).replace(hour=12, tzinfo=UTC)
    return Clock(round((noon - datetime.now(UTC)).total_seconds()))
