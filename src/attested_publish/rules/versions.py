"""Versions as strangers spell them."""

from __future__ import annotations

from packaging.version import Version

METADATA_VERSIONS = ("1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5")
"""The metadata versions that PyPI takes as of August 2026; 2.0 was withdrawn."""


def parsed_version(text: str) -> Version | None:
    """Read a version (PEP 440); None for what is none.

    Not only InvalidVersion says so: Python converts no number of more than 4300 digits.
    """
    try:
        return Version(text)
    except ValueError:
        return None
