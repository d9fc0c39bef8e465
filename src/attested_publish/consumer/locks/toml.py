"""Read TOML within bounds, get values of the right type, and find the lines they are in.

Errors name the path to what is wrong, as packaging's `pylock` does.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from attested_publish.net.untrusted import shown

MOST_PARTS: Final = 32
"""Of a dotted key: tomllib takes quadratic time for a key of many parts."""
_FEW_PARTS: Final = 8
_MOST_STEPS: Final = 1_000_000
"""Of all keys of more than a few parts: the squares of their numbers of parts, added up."""

_SHA256 = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{64}(?![0-9A-Za-z])")
_TOKEN = re.compile(r'"""|\'\'\'|"[^"\\]*(?:\\.[^"\\]*)*"|\'[^\']*\'|#.*')
_ESCAPE_OR_END = re.compile(r'\\.|"""')
_PART = re.compile(r'"[^"]*"|\'[^\']*\'|[^."\']+')
_BETWEEN_KEYS = re.compile(r"[^\w. \t-]")
_WHERE = re.compile(r" \(at line (\d+), column \d+\)$| \(at end of document\)$")
_TYPES: Final = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "an array",
    dict: "a table",
}


class Broken(Exception):
    """A file is not what it should be: one sentence, and the line, if it is known."""

    def __init__(self, why: str, line: int | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


@dataclass(frozen=True, slots=True)
class Table:
    """A table or object, and the path to it; every getter raises `Broken` for another type."""

    values: Mapping[str, object]
    path: str = ""

    def text(self, key: str) -> str | None:
        """Return a text, or `None` if there is none."""
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(key, value, "text")

    def required_text(self, key: str) -> str:
        """Return a text that has to be there and to have characters."""
        value = self.text(key)
        if not value:
            raise Broken(f"{shown(self._at(key), 200)} is missing or empty.")
        return value

    def number(self, key: str) -> int | None:
        """Return a whole number, or `None` if there is none."""
        value = self.values.get(key)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        raise self._wrong(key, value, "a number")

    def table(self, key: str) -> Table:
        """Return a table, an empty one if there is none."""
        return self._table(self.values.get(key, {}), key)

    def tables(self, key: str) -> list[Table]:
        """Return an array's tables; none if there is no array."""
        return [
            self._table(value, f"{key}[{number}]") for number, value in enumerate(self._array(key))
        ]

    def texts(self, key: str) -> list[str]:
        """Return an array's texts; none if there is no array."""
        array = self._array(key)
        for number, value in enumerate(array):
            if not isinstance(value, str):
                raise self._wrong(f"{key}[{number}]", value, "text")
        return [value for value in array if isinstance(value, str)]

    def wrong(self, key: str, why: str) -> Broken:
        """Return an error about one value; `why` goes on after its path, without a full stop."""
        return Broken(f"{shown(self._at(key), 200)} {why}.")

    def _array(self, key: str) -> list[object]:
        value = self.values.get(key, [])
        if not isinstance(value, list):
            raise self._wrong(key, value, "an array")
        return value

    def _table(self, value: object, key: str) -> Table:
        if not isinstance(value, dict):
            raise self._wrong(key, value, "a table")
        return Table(value, self._at(key))

    def _wrong(self, key: str, value: object, expected: str) -> Broken:
        kind = _TYPES.get(type(value), type(value).__name__)
        return self.wrong(key, f"is {kind}, not {expected}")

    def _at(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def parsed(text: str) -> dict[str, Any]:
    """Parse TOML. Raises `Broken`, with the line, for what is none."""
    steps = 0
    for number, line in _outside_strings(text):
        if line.count(".") < _FEW_PARTS:
            continue
        parts = _parts(line)
        if max(parts, default=0) > MOST_PARTS:
            raise Broken(f"Line {number} has a key of more than {MOST_PARTS} parts.", number)
        steps += sum(each * each for each in parts)
        if steps > _MOST_STEPS:
            raise Broken("It has too many keys of many parts.", number)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        where = _WHERE.search(said)
        at = int(where[1]) if where and where[1] else None
        raise Broken(f"It is not valid TOML: {shown(said, 200)}.", at) from error
    except RecursionError as error:
        raise Broken("It is nested too deeply.") from error
    except ValueError as error:  # a number or a date that Python does not accept
        raise Broken(f"It has a value that cannot be read: {shown(error, 200)}.") from error


def _parts(line: str) -> list[int]:
    """Return how many parts the dotted keys in a line have that have more than a few, or more."""
    pieces = _BETWEEN_KEYS.split(_TOKEN.sub("s", line))
    return [dots + 1 for piece in pieces if (dots := piece.count(".")) >= _FEW_PARTS]


class Lines:
    """The lines of an array's tables (`[[name]]`), and of the hashes in each of them."""

    def __init__(self, text: str, array: str) -> None:
        header = re.compile(rf"[ \t]*\[\[[ \t]*[\"']?{re.escape(array)}[\"']?[ \t]*\]\]")
        self._headers: list[int] = []
        self._hashes: dict[tuple[int, str], int] = {}
        self._anywhere: dict[str, int] = {}
        for number, line in _outside_strings(text):
            if header.match(line):
                self._headers.append(number)
            for found in _SHA256.finditer(line):
                self._hashes.setdefault((len(self._headers) - 1, found[0].lower()), number)
                self._anywhere.setdefault(found[0].lower(), number)

    def of_entry(self, index: int) -> int:
        """Return the line of the header of the array's table with this index."""
        return self._headers[index] if index < len(self._headers) else 1

    def of_hash(self, index: int, sha256: str) -> int:
        """Return the line of a hash in a table, else anywhere, else that of the table's header."""
        found = self._hashes.get((index, sha256)) or self._anywhere.get(sha256)
        return found or self.of_entry(index)


def headers(text: str) -> Iterator[tuple[int, str]]:
    """Return the lines of all headers of tables and arrays of tables: `project.foo`, unquoted."""
    for number, line in _outside_strings(text):
        if line.lstrip().startswith("["):
            name = line.partition("#")[0].strip().strip("[]")
            yield number, ".".join(part.strip(" \t\"'") for part in _PART.findall(name))


def _outside_strings(text: str) -> Iterator[tuple[int, str]]:
    """Return the lines that do not begin inside a multi-line string, with their numbers."""
    lines = enumerate(text.split("\n"), 1)
    if '"""' not in text and "'''" not in text:
        yield from lines
        return
    inside = ""
    for number, line in lines:
        if not inside:
            yield number, line
        inside = _still_inside(line, inside)


def _still_inside(line: str, inside: str) -> str:
    """Return the delimiter of the multi-line string that goes on after a line, else nothing."""
    position = 0
    while position < len(line):
        if inside:
            end = _end_of_string(line, position, inside)
            if end < 0:
                return inside
            inside, position = "", end
        else:
            found = _TOKEN.search(line, position)
            if found is None:
                return ""
            position = found.end()
            inside = found[0] if found[0] in {'"""', "'''"} else ""
    return inside


def _end_of_string(line: str, position: int, delimiter: str) -> int:
    if delimiter == "'''":
        found = line.find(delimiter, position)
        return found + 3 if found >= 0 else -1
    for each in _ESCAPE_OR_END.finditer(line, position):
        if each[0] == delimiter:
            return each.end()
    return -1
