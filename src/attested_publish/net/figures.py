"""Parse untrusted numbers and dates: in a range that can be calculated with, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

_LONGEST = 1e12
"""Seconds: thirty thousand years, more than any plausible value."""

_LARGEST = (1 << 63) - 1


def seconds(value: object) -> float | None:
    """Return a JSON number of seconds; `None` if it is not a number, not finite, or absurd.

    JSON as Python reads it has NaN, Infinity, and integers of any length; `true` is not a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared before conversion, which fails for the largest integers. NaN is in no range.
    return float(value) if -_LONGEST <= value <= _LONGEST else None


def count(value: object) -> int | None:
    """Return a JSON number of things or bytes; `None` if it cannot be one."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _LARGEST else None


def moment(text: object) -> datetime | None:
    """Return an ISO 8601 time in UTC; `None` if it is invalid, or outside the calendar's range."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
