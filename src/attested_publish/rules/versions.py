"""Versions as strangers spell them."""

from __future__ import annotations

from packaging.version import Version


def parsed_version(text: str) -> Version | None:
    """Read a version (PEP 440); None for what is none.

    Not only InvalidVersion says so: Python converts no number of more than 4300 digits.
    """
    try:
        return Version(text)
    except ValueError:
        return None
