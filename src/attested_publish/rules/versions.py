"""Versions from untrusted sources."""

from __future__ import annotations

from packaging.version import Version

METADATA_VERSIONS = ("1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5")
"""The metadata versions that PyPI accepts as of August 2026; 2.0 was withdrawn."""


def parsed_version(text: str) -> Version | None:
    """Parse a version (PEP 440); None if it is invalid.

    InvalidVersion is not the only exception: Python does not convert numbers of more than 4300
    digits.
    """
    try:
        return Version(text)
    except ValueError:
        return None
