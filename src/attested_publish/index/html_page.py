"""Read a project page in HTML (PEP 503): its links, in one pass over at most a page's bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import unescape
from itertools import islice
from typing import NamedTuple

from attested_publish.index.project_page import FILES_LIMIT

_TAG_LIMIT = 64 << 10
"""Characters of one tag; the longest have some hundred."""

# Every part takes what it can and gives nothing back, so that no page is read twice: an
# unfinished comment, tag or quotation ends with the page.
_TAGS = re.compile(
    r"""<!--(?:(?!-->).)*+
      | <(?P<name>a|base|meta)(?=[\s/>])
        (?P<attributes>(?:[^>"']++ | "[^"]*+(?:"|\Z) | '[^']*+(?:'|\Z))*+)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_ATTRIBUTES = re.compile(
    r"""(?P<name>[^\s=/"'>]++)
        (?:\s*+=\s*+(?:"(?P<double>[^"]*+)" | '(?P<single>[^']*+)' | (?P<bare>[^\s"'>]++)))?""",
    re.VERBOSE,
)

_READ = frozenset({"href", "data-provenance", "name", "content"})
"""The attributes that are read."""

_ATTRIBUTES_LIMIT = 16
"""Attributes of one tag that are looked at; links have up to eight."""


class Tag(NamedTuple):
    """A link (`a`), a `base` or a `meta` tag, with the attributes that matter (lower case)."""

    name: str
    attributes: Mapping[str, str]


class TooManyLinks(ValueError):
    """The page has more links than any project has files."""


def tags(page: bytes) -> Iterator[Tag]:
    """Yield the links, `base` and `meta` tags of a page; tags too long to be real ones are skipped.

    Raises `TooManyLinks`.
    """
    text = page.decode("utf-8", "replace")
    links = 0
    for match in _TAGS.finditer(text):
        if match["name"] is None or match.end() - match.start() > _TAG_LIMIT:
            continue
        links += 1
        if links > FILES_LIMIT:
            raise TooManyLinks(f"it has more than {FILES_LIMIT} links")
        attributes: dict[str, str] = {}
        for each in islice(_ATTRIBUTES.finditer(match["attributes"]), _ATTRIBUTES_LIMIT):
            name = each["name"].lower()
            # Of a repeated attribute, browsers take the first.
            if name in _READ and name not in attributes:
                value = each["double"] or each["single"] or each["bare"] or ""
                attributes[name] = unescape(value).strip()
        yield Tag(match["name"].lower(), attributes)
