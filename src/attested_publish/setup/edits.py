"""Change a YAML file in a few places and leave every other character as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from attested_publish.setup.documents import Document, List, Table, Text, Value

_COMMENT = re.compile(r"[ \t]+#[^\r\n]*")


_VERSION = re.compile(r"#\s*(?:tag=)?v?\d[\w.+-]*|#\s*(?:release/)?v\d+")


class NotChangeable(Exception):
    """A file cannot be changed safely; the text says why ("it …")."""


@dataclass
class Editor:
    """Collects changes of a document: what is between two positions becomes another text."""

    document: Document
    _edits: list[tuple[int, int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.document.has_aliases:
            raise NotChangeable("it has aliases, so that a change would be one in several places")
        if self.document.repeated:
            raise NotChangeable("a key occurs twice in a mapping")

    @property
    def _text(self) -> str:
        return self.document.source

    @property
    def newline(self) -> str:
        """How the file ends its lines."""
        return "\r\n" if "\r\n" in self._text else "\n"

    def result(self) -> str:
        """Return the changed text."""
        text = self._text
        end = len(text)
        for start, stop, new in sorted(self._edits, reverse=True):
            if stop > end:
                raise NotChangeable("two changes would overlap")
            text = text[:start] + new + text[stop:]
            end = start
        return text

    def replace(self, start: int, stop: int, new: str) -> None:
        """Replace a part of the text."""
        if (start, stop, new) not in self._edits:
            self._edits.append((start, stop, new))

    def set_value(self, value: Text, new: str) -> None:
        """Replace a scalar, and a comment behind it with the version of the old one."""
        comment = _COMMENT.match(self._text, value.end)
        is_version = comment is not None and _VERSION.fullmatch(comment[0].strip())
        self.replace(value.start, comment.end() if comment and is_version else value.end, new)

    def rewrite(self, key: Text, value: Text, new: str) -> None:
        """Replace an entry of a mapping, and a comment behind its value, but no blank lines."""
        end = len(self._text[: value.end].rstrip())
        comment = _COMMENT.match(self._text, end)
        self.replace(key.start, comment.end() if comment else end, new)

    def remove(self, table: Table, names: set[str]) -> bool:
        """Remove entries of a table, with their lines; return whether none is left."""
        gone = [(key, value) for key, value in table.pairs if key.text in names]
        if table.is_flow and gone:
            raise NotChangeable("it has what would be removed in braces")
        if len(gone) == len(table.pairs):
            return True
        for key, value in gone:
            if not self._text[self.line_start(key.start) : key.start].strip(" "):
                self.replace(self.line_start(key.start), self.line_end(last(key, value)), "")
            else:
                raise NotChangeable("an entry that would be removed begins a list's item")
        return False

    def remove_entry(self, table: Table, name: str) -> None:
        """Remove one entry of a table with all that is in it."""
        if self.remove(table, {name}):
            raise NotChangeable("nothing would be left of a mapping")

    def insert_before(self, key: Text, block: str) -> None:
        """Insert lines, indented like a key, before it."""
        start = self.line_start(key.start)
        indent = self._text[start : key.start]
        if indent.strip(" "):
            raise NotChangeable("a place for an entry begins a list's item")
        lines = "".join(f"{indent}{line}{self.newline}" for line in block.splitlines())
        self.replace(start, start, lines)

    def append(self, table: Table, line: str) -> None:
        """Add an entry at the end of a table."""
        key, value = table.pairs[-1]
        if table.is_flow:
            end = last(key, value)
            self.replace(end, end, f", {line.partition(' #')[0]}")
            return
        at = self.line_end(last(key, value))
        first = table.pairs[0][0]
        indent = " " * self.column(first)
        before = "" if self._text[:at].endswith("\n") else self.newline
        self.replace(at, at, f"{before}{indent}{line}{self.newline}")

    def column(self, key: Text) -> int:
        """Return how far a key is from the start of its line."""
        return key.start - self.line_start(key.start)

    def line_start(self, at: int) -> int:
        """Return where the line begins that a position is in."""
        return self._text.rfind("\n", 0, at) + 1

    def line_end(self, at: int) -> int:
        """Return where the line after a position begins."""
        end = self._text.find("\n", max(at - 1, 0))
        return len(self._text) if end < 0 else end + 1


def last(key: Text, value: Value) -> int:
    """Return where an entry ends: for a block of text, with the blank lines behind it."""
    match value:
        case Table(pairs=[*_, final]) if not value.is_flow:
            return last(*final)
        case List(values=[*_, final_value]) if not value.is_flow:
            return last(key, final_value)
        case Text(is_null=True) if value.end <= value.start:
            return key.end + 1
        case _:
            return value.end
