"""Every bound: what PyPI takes, and how much of a file is looked at.

PyPI's server compares bytes with binary units, whatever its texts say: "100 MB" and "10 GB" are
100 MiB and 10 GiB (warehouse, `constants.py`).

How much is looked at is far above what real files have. The largest that were found (November
2026, among the wheels with most members and most metadata on PyPI) are named beside each bound.
What goes on beyond a bound is not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from attested_publish.rules.wording import doubtful, refused

if TYPE_CHECKING:
    from attested_publish.findings import Finding

MIB = 1 << 20
GIB = 1 << 30

DISTRIBUTION_LIMIT = 100 * MIB
"""Bytes in a file that every project may upload."""

DISTRIBUTION_CAP = 1024 * MIB
"""Bytes in a file that PyPI's administrators can allow a project at most."""

PROJECT_LIMIT = 10 * GIB
"""Bytes that all files of a project may have together, unless it was raised."""

CLOSED_AFTER = timedelta(days=14)
"""PyPI takes no new files for a release older than this (since July 2026)."""

SCANNED_SIZE = 5 * MIB
"""Bytes of the largest member of an archive that PyPI scans."""

METADATA_VERSIONS = ("1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5")
"""The metadata versions that PyPI takes as of August 2026; 2.0 was withdrawn."""


@dataclass(frozen=True, slots=True)
class ArchiveBounds:
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

DESCRIPTION = 1 << 20
"""Characters of a description that are rendered here; docutils needs seconds for more."""

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


def is_beyond(size: int, limit: int) -> bool:
    """Whether PyPI refuses `size` bytes under a limit; exactly as many it takes."""
    return size > limit


def size_findings(size: int) -> Iterator[Finding]:
    """Judge a file of `size` bytes; over DISTRIBUTION_CAP nothing else about it matters."""
    if is_beyond(size, DISTRIBUTION_CAP):
        yield refused(
            "file-beyond-cap",
            f"The file has {size / MIB:,.0f} MiB; PyPI allows no project more than "
            f"{DISTRIBUTION_CAP // MIB:,} MiB a file.",
            "Leave out what can be downloaded later, or split the project.",
        )
    elif is_beyond(size, DISTRIBUTION_LIMIT):
        yield doubtful(
            "file-over-limit",
            f"The file has {size / MIB:,.1f} MiB; PyPI takes {DISTRIBUTION_LIMIT // MIB} MiB "
            f"unless the project's limit was raised.",
            "Make it smaller, or ask PyPI for a higher limit before releasing.",
        )
