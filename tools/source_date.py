"""SOURCE_DATE_EPOCH, from which flit takes the time of every file in an archive that it builds."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
from collections.abc import Iterator


@contextlib.contextmanager
def source_date(day: dt.date) -> Iterator[None]:
    """Let what is built within have the time at which a day begins in UTC.

    Afterwards, the variable is as it was before.
    """
    before = os.environ.get("SOURCE_DATE_EPOCH")
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    os.environ["SOURCE_DATE_EPOCH"] = str(int(midnight.timestamp()))
    try:
        yield
    finally:
        del os.environ["SOURCE_DATE_EPOCH"]
        if before is not None:
            os.environ["SOURCE_DATE_EPOCH"] = before
