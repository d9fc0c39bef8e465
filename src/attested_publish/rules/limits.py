"""How much of a file is looked at, far above what real ones have.

The largest that were found (November 2026, among the wheels with most members and most metadata
on PyPI) are named beside each bound. What goes on beyond a bound is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.rules.wording import doubtful

if TYPE_CHECKING:
    from attested_publish.findings import Finding


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one look into one archive; all but `members` in bytes.

    `members`: entries (homeassistant: 36,487). `names`: all their names together (1.9 MB).
    `unpacked`: what is decompressed to be scanned, or to get past it. `header`: the headers
    of one tar member with its long name, records and the like; `headers`: what all members may have
    of these beyond 4 KiB each. `metadata`: METADATA or PKG-INFO (types-boto3:
    161 kB). `record`: RECORD (homeassistant: 4.0 MB). `entry_points`: entry_points.txt (a few
    hundred bytes).
    """

    members: int = 80_000
    names: int = 16 << 20
    unpacked: int = 1 << 30
    header: int = 256 << 10
    headers: int = 2 << 20
    metadata: int = 4 << 20
    record: int = 16 << 20
    entry_points: int = 256 << 10


STRAY_LINES = 1000
"""Lines of entry_points.txt without an equals sign, besides headings and comments."""

FIELDS = 200
"""Different fields in the metadata; the specification knows 35."""

VALUES = 10_000
"""Values of one metadata field (boto3-stubs requires 882 distributions)."""

VALUE = 16 << 10
"""Characters of one value that is parsed: an address, a requirement, a classifier."""

CONTENT_TYPE = 500
"""Characters of a Description-Content-Type; real ones have 40. Parsing one takes quadratic time."""

NESTED = 50
"""Brackets of a licence expression within each other; in real ones it is two. At some 100 Python's
own parser, which packaging uses for it, says that it has no memory."""


def too_much(what: str) -> Finding:
    """Report that an archive was not judged to its end because of `what`."""
    return doubtful(
        "archive-not-judged",
        f"The archive was not looked at to its end: {what}.",
        "Check that everything in it is meant to be there; PyPI may refuse it.",
    )
