"""Read a project's page (PEP 691) one file at a time, so that its memory has a bound.

JSON takes up to thirty times its size once it is parsed whole. Real pages are large: the
largest found on PyPI (pydantic-core, November 2026) lists 15,000 files in 7 MB.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE_LIMIT = 32 << 20
"""Bytes of a page that are read."""

FILES_LIMIT = 100_000
_ENTRY_SIZES = (1 << 10, 1 << 12, 1 << 14, 1 << 16)
"""Bytes of what a page says of one file: often, nearly always, and at most."""

_VALUE_SIZES = (1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20)
"""Bytes of anything else at the top of a page, such as the list of versions."""

_MEMBERS = 100
"""Members of a page; the specifications know six."""

_LOOKS = 128 << 20
"""Bytes that are looked at in all: more than once, where what was looked at was too little."""

_BLANKS = re.compile(rb"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class NotAPage(ValueError):
    """It is no JSON object, or larger in a part than is read; the text says which."""


def entries(page: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the members of a page by name: `files` once for each file, the rest as they are.

    A page without files yields `("files", None)` where it has such a list. Raises `NotAPage`.
    """
    reader = _Reader(page)
    for number, name in enumerate(reader.members(), 1):
        if number > _MEMBERS:
            raise NotAPage(f"it has more than {_MEMBERS} members")
        if name == "files" and reader.is_next(b"["):
            yield name, None
            for count, _ in enumerate(reader.items(), 1):
                if count > FILES_LIMIT:
                    raise NotAPage(f"it lists more than {FILES_LIMIT} files")
                yield name, reader.value(_ENTRY_SIZES)
        else:
            yield name, reader.value(_VALUE_SIZES)
    reader.expect_end()


class _Reader:
    """Walks through JSON; each value is parsed alone, from as few bytes as hold it."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._left = _LOOKS
        # A mark of the byte order is no JSON, but some write one.
        self._at = len(codecs.BOM_UTF8) if text.startswith(codecs.BOM_UTF8) else 0

    def members(self) -> Iterator[str]:
        """Yield the names of an object's members; each value has to be read meanwhile."""
        self._take(b"{")
        for _ in self._separated(b"}"):
            name = self.value(_ENTRY_SIZES)
            if not isinstance(name, str):
                raise NotAPage("it is not JSON")
            self._take(b":")
            yield name

    def items(self) -> Iterator[None]:
        """Go through a list; each item has to be read meanwhile."""
        self._take(b"[")
        yield from self._separated(b"]")

    def value(self, sizes: tuple[int, ...]) -> Any:  # noqa: ANN401 - any JSON
        """Parse the next value, from `sizes` bytes of text: the first that is enough."""
        self._skip_blanks()
        for size in sizes:
            piece = self._text[self._at : self._at + size]
            self._left -= len(piece)
            if self._left < 0:
                raise NotAPage("it takes too long to read")
            try:
                # The last character may be cut in two.
                text, _ = codecs.utf_8_decode(piece, "strict", self._at + size >= len(self._text))
                value, end = _DECODER.raw_decode(text)
            except (ValueError, RecursionError):
                continue
            if end == len(text) and self._at + size < len(self._text):
                # A number may go on behind the cut.
                continue
            self._at += len(text[:end].encode())
            return value
        is_cut = self._at + sizes[-1] < len(self._text)
        raise NotAPage(
            f"a part of it has more than {sizes[-1]} bytes" if is_cut else "it is not JSON"
        )

    def is_next(self, mark: bytes) -> bool:
        """Say whether the next thing begins with `mark`."""
        self._skip_blanks()
        return self._text.startswith(mark, self._at)

    def expect_end(self) -> None:
        """Make sure that nothing follows."""
        self._skip_blanks()
        if self._at < len(self._text):
            raise NotAPage("it is not JSON")

    def _separated(self, end: bytes) -> Iterator[None]:
        if self.is_next(end):
            self._take(end)
            return
        while True:
            yield
            if self.is_next(end):
                self._take(end)
                return
            self._take(b",")

    def _take(self, mark: bytes) -> None:
        if not self.is_next(mark):
            raise NotAPage("it is not JSON")
        self._at += len(mark)

    def _skip_blanks(self) -> None:
        match = _BLANKS.match(self._text, self._at)
        self._at = match.end() if match else self._at
