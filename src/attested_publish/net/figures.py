"""Numbers and dates from others: in a range that can be reckoned with, or none."""

from __future__ import annotations

from datetime import UTC, datetime

_LONGEST = 1e12
"""Seconds: thirty thousand years, and whatever anybody measures in seconds is less."""

_LARGEST = (1 << 63) - 1


def seconds(value: object) -> float | None:
    """Return a JSON number of seconds; `None` for what is no number, is not finite, or is absurd.

    JSON as Python reads it has NaN, Infinity, and integers of any length; `true` is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared before it is converted, which the largest integers cannot be. NaN is in no range.
    return float(value) if -_LONGEST <= value <= _LONGEST else None


def count(value: object) -> int | None:
    """Return a JSON number of things or bytes; `None` for what cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _LARGEST else None


def moment(text: object) -> datetime | None:
    """Return an ISO 8601 time in UTC; `None` for what is none, or before or after all calendars."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
