"""Clocks that are ahead of the real one, in time zones far from Greenwich."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

ZONES = ("Pacific/Kiritimati", "America/St_Johns")
"""14 hours ahead, and three and a half behind."""


@dataclass(frozen=True)
class Clock:
    """A clock that runs like the real one, `ahead` seconds before it."""

    ahead: int

    def described(self) -> str:
        """Return the present moment, as this clock shows it."""
        return f"{datetime.now(UTC) + timedelta(seconds=self.ahead):%Y-%m-%d %H:%M} UTC"


NOW = Clock(0)


def clock(text: str) -> Clock:
    """Read a number of days from now (`+400d`), or a date, of which it is noon. Raises ValueError.

    The distance is fixed here, once, so that all processes of a run agree.
    """
    if text.startswith("+") and text.endswith("d"):
        return Clock(int(text[1:-1]) * 24 * 3600)
    noon = datetime.fromisoformat(text).replace(hour=12, tzinfo=UTC)
    return Clock(round((noon - datetime.now(UTC)).total_seconds()))
