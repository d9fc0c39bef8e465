"""Read a project page (PEP 691) one file at a time, to limit the memory it needs.

Parsing JSON as a whole takes up to thirty times its size. Real pages are large: the largest found
on PyPI (pydantic-core, November 2026) lists 15,000 files in 7 MB.
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
"""Bytes of a page's entry for one file: usually, nearly always, and at most."""

_VALUE_SIZES = (1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20)
"""Bytes of any other top-level member of a page, such as the list of versions."""

_MEMBERS = 100
"""Members of a page; the specifications define six."""

_LOOKS = 128 << 20
"""Bytes that are read in total; some are read more than once, if the first part was too short."""

_BLANKS = re.compile(rb"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class NotAPage(ValueError):
    """It is not a JSON object, or a part of it is too large; the text says which."""


def entries(page: bytes) -> Iterator[tuple[str, Any]]:
    """Yield the members of a page by name: `files` once for each file, the others once.

    A page with an empty list of files yields `("files", None)`. Raises `NotAPage`.
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
    """Walks through JSON; each value is parsed separately, from as few bytes as possible."""

    def __init__(self, text: bytes) -> None:
        self._text = text
        self._left = _LOOKS
        # A byte order mark is not valid JSON, but some servers write one.
        self._at = len(codecs.BOM_UTF8) if text.startswith(codecs.BOM_UTF8) else 0

    def members(self) -> Iterator[str]:
        """Yield the names of an object's members; the caller must read each value."""
        self._take(b"{")
        for _ in self._separated(b"}"):
            name = self.value(_ENTRY_SIZES)
            if not isinstance(name, str):
                raise NotAPage("it is not JSON")
            self._take(b":")
            yield name

    def items(self) -> Iterator[None]:
        """Step through a list; the caller must read each item."""
        self._take(b"[")
        yield from self._separated(b"]")

    def value(self, sizes: tuple[int, ...]) -> Any:  # noqa: ANN401 - any JSON
        """Parse the next value from `sizes` bytes of text, the first size that is sufficient."""
        self._skip_blanks()
        for size in sizes:
            piece = self._text[self._at : self._at + size]
            self._left -= len(piece)
            if self._left < 0:
                raise NotAPage("it takes too long to read")
            try:
                # The last character may be incomplete.
                text, _ = codecs.utf_8_decode(piece, "strict", self._at + size >= len(self._text))
                value, end = _DECODER.raw_decode(text)
            except (ValueError, RecursionError):
                continue
            if end == len(text) and self._at + size < len(self._text):
                # A number may continue after the end of the piece.
                continue
            self._at += len(text[:end].encode())
            return value
        is_cut = self._at + sizes[-1] < len(self._text)
        raise NotAPage(
            f"a part of it has more than {sizes[-1]} bytes" if is_cut else "it is not JSON"
        )

    def is_next(self, mark: bytes) -> bool:
        """Whether the next token begins with `mark`."""
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
