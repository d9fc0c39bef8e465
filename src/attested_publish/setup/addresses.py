"""Which index an address or a name means: PyPI, TestPyPI, another one, or what a run will know."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from attested_publish.net.upload_addresses import PYPI, TESTPYPI, well_known
from attested_publish.setup.ini import parsed_ini
from attested_publish.setup.reading import NotRead

UNKNOWN_TEXT = "\ue000"
"""Stands in a text for what only a run will know."""

SECRET_TEXT = "\ue001"  # noqa: S105 - a mark
"""Stands in a text for a secret."""

MARKS = UNKNOWN_TEXT + SECRET_TEXT

_HOST = re.compile(rf"https?://(?:[^/@\s]*@)?[^/\s{MARKS}]+(?:/|$)", re.IGNORECASE)
_LARGEST_FILE = 1 << 16


class Place(StrEnum):
    """Where an upload goes. `unknown`: only a run will know."""

    PYPI = "pypi"
    TESTPYPI = "testpypi"
    OTHER = "other"
    UNKNOWN = "unknown"

    @property
    def is_public(self) -> bool:
        """Whether it is one of the two indexes that are set up here."""
        return self in {Place.PYPI, Place.TESTPYPI}


def may_be_public(places: Iterable[Place]) -> bool:
    """Whether one of several places is, or may be, PyPI or TestPyPI."""
    return any(place is not Place.OTHER for place in places)


def place_of(address: str) -> Place:
    """Return which index an address is of; an empty one is PyPI's."""
    text = address.strip()
    if not text:
        return Place.PYPI
    if any(mark in text for mark in MARKS) and not _HOST.match(text):
        return Place.UNKNOWN
    found = well_known(text) if "://" in text else None
    if found is None:
        return Place.OTHER
    return {PYPI: Place.PYPI, TESTPYPI: Place.TESTPYPI}[found]


def place_named(name: str, configured: Mapping[str, str]) -> Place:
    """Return which index a name means: by configuration, else as tools call the public two."""
    if any(mark in name for mark in MARKS):
        return Place.UNKNOWN
    if "://" in name:
        return place_of(name)
    if name in configured:
        return place_of(configured[name])
    return {"": Place.PYPI, "pypi": Place.PYPI, "testpypi": Place.TESTPYPI}.get(
        name.lower(), Place.OTHER
    )


def uv_indexes(tables: Mapping[str, Any]) -> dict[str, str]:
    """Return the upload addresses by name in `[[tool.uv.index]]`, or in uv.toml itself."""
    listed = tables.get("index")
    return {
        str(each["name"]): str(each["publish-url"])
        for each in (listed if isinstance(listed, list) else [])
        if isinstance(each, dict) and "name" in each and "publish-url" in each
    }


def named_urls(table: object, key: str = "url") -> dict[str, str]:
    """Return the addresses in tables by name: `[repositories.NAME] url = …` and the like."""
    if not isinstance(table, dict):
        return {}
    found = {}
    for name, value in table.items():
        url = value.get(key) if isinstance(value, dict) else value
        if isinstance(url, str):
            found[str(name)] = url
    return found


def pypirc(text: str) -> tuple[dict[str, str], bool]:
    """Return the addresses by name in a `.pypirc`, and whether it has a secret as password."""
    try:
        parser = parsed_ini(text[:_LARGEST_FILE])
    except NotRead:
        return {}, False
    urls = {
        name: parser.get(name, "repository")
        for name in parser.sections()
        if parser.has_option(name, "repository")
    }
    passwords = (parser.get(name, "password", fallback="") for name in parser.sections())
    has_secret = any(SECRET_TEXT in value or "$" in value for value in passwords)
    return urls, has_secret
