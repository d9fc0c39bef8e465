"""What PyPI refuses inside a Python file.

Based on the YARA rules in PyPI's `warehouse/utils/scanner_rules`, which it applies to `.py` and
`.pye` members of at most 5 MiB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attested_publish.rules.bounds import SCANNED_SIZE
from attested_publish.rules.wording import doubtful, refused, shown

if TYPE_CHECKING:
    from attested_publish.findings import Finding

# In pieces: PyPI scans this file, too, when this project is published.
_PYARMOR_NAME = b"__pyarmor_"
_PYARMOR = tuple(
    _PYARMOR_NAME + rest
    for rest in (b"_(__name__, __file__,", b"enter__", b"exit__", b"assert__", b"bcc__")
)
_SOURCEDEFENDER = tuple(b"---%s PYE FILE---" % word for word in (b"BEGIN", b"END"))
_TOKEN_START = b"pypi-AgEIcHlwaS5vcmcCJ"
_TOKEN = re.compile(re.escape(_TOKEN_START) + rb"[a-zA-Z0-9_-]{150,157}")


def is_scanned(name: str, size: int) -> bool:
    """Whether PyPI scans the member `name` of `size` bytes."""
    return size <= SCANNED_SIZE and name.lower().endswith((".py", ".pye"))


def content_findings(name: str, content: bytes) -> Iterator[Finding]:
    """Yield what PyPI refuses in the member `name`. A token found is not repeated."""
    encrypted = "Publish the source; PyPI's acceptable use policy excludes encrypted code."
    if _PYARMOR_NAME in content and any(mark in content for mark in _PYARMOR):
        yield refused(
            "content-encrypted",
            f"The member {shown(name)} is encrypted by PyArmor.",
            encrypted,
        )
    if all(mark in content for mark in _SOURCEDEFENDER):
        yield refused(
            "content-encrypted",
            f"The member {shown(name)} is encrypted by SourceDefender.",
            encrypted,
        )
    if _TOKEN_START in content and _TOKEN.search(content):
        yield doubtful(
            "content-token",
            f"The member {shown(name)} contains a PyPI API token; PyPI refuses or revokes it.",
            "Revoke the token on PyPI, remove it from the file, and rebuild.",
        )
