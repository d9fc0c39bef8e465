"""Versions from untrusted sources."""

from __future__ import annotations

from packaging.version import Version


def parsed_version(text: str) -> Version | None:
    """Parse a version (PEP 440); None if it is invalid.

    InvalidVersion is not the only exception: Python does not convert numbers of more than 4300
    digits.
    """
    try:
        return Version(text)
    except ValueError:
        return None
