"""How much of a file is read: limits far above what real files have.

Each limit names the largest value that was found (November 2026, among the wheels on PyPI with the
most members and the most metadata). Nothing beyond a limit is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.rules.wording import doubtful

if TYPE_CHECKING:
    from attested_publish.findings import Finding


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits for reading one archive; all except `members` in bytes.

    `members`: entries (homeassistant: 36,487). `names`: all their names together (1.9 MB).
    `unpacked`: what is decompressed to scan it, or to skip it. `header`: the headers of one tar
    member with its long name, records and the like; `headers`: the headers of all members
    together, beyond 4 KiB each. `metadata`: METADATA or PKG-INFO (types-boto3:
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
"""Lines of entry_points.txt without an equals sign, except headings and comments."""

FIELDS = 200
"""Different fields in the metadata; the specification defines 35."""

VALUES = 10_000
"""Values of one metadata field (boto3-stubs requires 882 distributions)."""

VALUE = 16 << 10
"""Characters of one value that is parsed: an address, a requirement, a classifier."""

CONTENT_TYPE = 500
"""Characters of a Description-Content-Type; real ones have 40. Parsing takes quadratic time."""

NESTED = 50
"""Nested brackets of a licence expression; real ones have two. At about 100, Python's own parser,
which packaging uses for it, raises MemoryError."""


def too_much(what: str) -> Finding:
    """Report that an archive was not read completely because of `what`."""
    return doubtful(
        "archive-not-judged",
        f"The archive was not read completely: {what}.",
        "Check that everything in it is meant to be there; PyPI may refuse it.",
    )
