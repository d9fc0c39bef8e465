"""What PyPI refuses because of its size: every limit, as the server counts it.

The server uses binary units, whatever its texts say: "100 MB" and "10 GB" are 100 MiB and 10 GiB
(warehouse, `constants.py`).
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
"""Bytes of a file that every project may upload."""
FILE_CAP = 1024 * MIB
"""Bytes of the largest file that PyPI's administrators can allow a project."""
PROJECT_LIMIT = 10 * GIB
"""Bytes of all files of a project together, unless the limit was raised."""


def size_findings(size: int) -> Iterator[Finding]:
    """Check a file of `size` bytes; over FILE_CAP, nothing else about it matters."""
    if size > FILE_CAP:
        yield refused(
            "file-beyond-cap",
            f"The file has {size / MIB:,.0f} MiB; PyPI allows no project more than "
            f"{FILE_CAP // MIB:,} MiB a file.",
            "Leave out what can be downloaded later, or split the project.",
        )
    elif size > FILE_LIMIT:
        yield doubtful(
            "file-over-limit",
            f"The file has {size / MIB:,.1f} MiB; the limit is {FILE_LIMIT // MIB} MiB, unless "
            f"it was raised for the project.",
            "Make it smaller, or ask PyPI for a higher limit before releasing.",
        )
