"""What PyPI refuses for its size: every limit, as its server counts it.

The server compares bytes with binary units, whatever its texts say: "100 MB" and "10 GB" are
100 MiB and 10 GiB (warehouse, `constants.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attested_publish.rules.wording import doubtful, refused

if TYPE_CHECKING:
    from attested_publish.findings import Finding

MIB = 1 << 20
GIB = 1 << 30
FILE_LIMIT = 100 * MIB
"""Bytes in a file that every project may upload."""
FILE_CAP = 1024 * MIB
"""Bytes in a file that PyPI's administrators can allow a project at most."""
PROJECT_LIMIT = 10 * GIB
"""Bytes that all files of a project may have together, unless it was raised."""


def is_beyond(size: int, limit: int) -> bool:
    """Whether PyPI refuses `size` bytes under a limit; exactly as many it takes."""
    return size > limit


def size_findings(size: int) -> Iterator[Finding]:
    """Judge a file of `size` bytes; over FILE_CAP nothing else about it matters."""
    if is_beyond(size, FILE_CAP):
        yield refused(
            "file-beyond-cap",
            f"The file has {size / MIB:,.0f} MiB; PyPI allows no project more than "
            f"{FILE_CAP // MIB:,} MiB a file.",
            "Leave out what can be downloaded later, or split the project.",
        )
    elif is_beyond(size, FILE_LIMIT):
        yield doubtful(
            "file-over-limit",
            f"The file has {size / MIB:,.1f} MiB; PyPI takes {FILE_LIMIT // MIB} MiB unless the "
            f"project's limit was raised.",
            "Make it smaller, or ask PyPI for a higher limit before releasing.",
        )
