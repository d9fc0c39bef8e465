"""What `make test-pythons` and `make test-clocks` run, apart from the Debian they need."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from wheels import PYTHONS

from platforms import debian
from platforms.clocks import clock


def test_the_newest_promised_python_is_among_those_of_debian() -> None:
    assert set(debian.PYTHONS) <= set(PYTHONS)
    assert PYTHONS[-1] in debian.PYTHONS


def test_a_clock_is_some_days_ahead_or_at_noon_of_a_date() -> None:
    assert clock("+400d").ahead == 400 * 24 * 3600
    shown = datetime.now(UTC) + timedelta(seconds=clock("2028-02-29").ahead)
    assert abs(shown - datetime(2028, 2, 29, 12, tzinfo=UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize("text", ["400d", "+d", "2027-02-29", "tomorrow"])
def test_any_other_clock_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid|Invalid|out of range|day"):
        clock(text)
