"""Patterns for paths, such as `dist/*.whl` and `release/*/`, as `glob` reads them.

`*`, `?` and `[…]` match within one name, `**` any number of folders, and a slash at the end folders
only. Names that begin with a dot are matched only by a part that begins with one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

MOST_EXAMINED = 100_000
"""Entries of folders that are looked at for one pattern."""

_MAGIC = frozenset("*?[")
_ANY_FOLDERS = "**"


class TooManyExamined(Exception):
    """A pattern leads to too many entries; the text is the folder that it starts in."""


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern: it has a wildcard, and nothing is at a path of that name."""
    return has_wildcards(text) and not os.path.lexists(text)


def has_wildcards(text: str) -> bool:
    """Whether a text has a character with a meaning in patterns."""
    return not _MAGIC.isdisjoint(text)


def start_of(pattern: str) -> Path:
    """Return the folder in which a pattern starts: its parts before the first wildcard."""
    return Path(*_split(pattern)[0])


def matches(pattern: str, most: int = MOST_EXAMINED) -> list[Path]:
    """Return what a pattern matches, sorted.

    Links to folders are followed where a part of the pattern matches them by name, but not by
    `**`. Raises `TooManyExamined` if more than `most` entries would have to be looked at, and
    `OSError` for a folder that cannot be read.
    """
    _, parts = _split(pattern)
    start = start_of(pattern)
    search = _Search(start, most)
    found = [start]
    for number, part in enumerate(parts):
        if part == _ANY_FOLDERS and parts[number - 1 : number] == (_ANY_FOLDERS,):
            continue
        found = list(dict.fromkeys(search.step(found, part)))
    if pattern.endswith(("/", os.sep)):
        found = [path for path in found if path.is_dir()]
    return sorted(found)


@dataclass
class _Search:
    """One search, with the entries of folders that it has looked at."""

    start: Path
    most: int
    examined: int = 0

    def step(self, folders: Iterable[Path], part: str) -> Iterator[Path]:
        """Yield what one part of a pattern matches in the folders."""
        for folder in folders:
            if part == _ANY_FOLDERS:
                yield from self._tree(folder)
            elif has_wildcards(part):
                for entry in self._entries(folder):
                    is_hidden = entry.name.startswith(".") and not part.startswith(".")
                    if not is_hidden and fnmatch(entry.name, part):
                        yield folder / entry.name
            elif os.path.lexists(folder / part):
                yield folder / part

    def _tree(self, folder: Path) -> Iterator[Path]:
        """Yield a folder and all folders below, without following links."""
        due = [folder]
        while due:
            inner = due.pop()
            yield inner
            due += [
                inner / entry.name
                for entry in self._entries(inner)
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        if not folder.is_dir():
            return
        with os.scandir(folder) as entries:
            for entry in entries:
                self.examined += 1
                if self.examined > self.most:
                    raise TooManyExamined(self.start)
                yield entry


def _split(pattern: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the parts of a pattern before its first wildcard, and those from there on."""
    parts = Path(pattern).parts
    first = next(number for number, part in enumerate(parts) if has_wildcards(part))
    return parts[:first], parts[first:]
