"""Read the files of a repository: regular ones within it, of a bounded size."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

LARGEST = 1 << 19
"""Bytes of a file that are read. GitHub's own limit for a workflow is about this."""

MOST_FILES = 1500
"""Workflows that are read."""

_MOST_ENTRIES = 20_000


_SECONDS = 30.0


class NotRead(Exception):
    """A file is there, but is not read; the text says why ("it …")."""


class Deadline:
    """Until when a survey may go on: small files can describe more than can be worked out."""

    def __init__(self, seconds: float = _SECONDS) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() > self._until

    def part(self, share: float) -> Deadline:
        """Return an earlier one: for work that has to leave time for other work."""
        left = max(0.0, self._until - time.monotonic())
        return Deadline(min(self.seconds * share, left))


def is_utf8(name: str) -> bool:
    """Whether a name from the file system, or from a file, can be written as UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def legible(name: str) -> str:
    """Return a name that is not UTF-8 with escapes for the bytes that are not."""
    return name.encode("utf-8", "backslashreplace").decode()


def is_linked(root: Path, name: str) -> bool:
    """Whether a file or folder is a link, or below one, in a repository."""
    return (root / name).resolve() != root.resolve() / name


@dataclass(frozen=True)
class Tree:
    """The folder of a repository; files in it are named by their path, with slashes.

    `changed` are texts to read instead of those of the files, by name.
    """

    root: Path
    changed: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """Return the text of a file; `None` if there is none. Raises `NotRead`."""
        if name in self.changed:
            return self.changed[name]
        path = self._place(name)
        if path is None:
            return None
        try:
            # Neither a link at its end nor a pipe without a writer is followed or waited for.
            flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
            with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise NotRead("it is not a regular file")
                content = file.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise NotRead(f"it cannot be read ({error.strerror})") from error
        if len(content) > LARGEST:
            raise NotRead(f"it is larger than {LARGEST >> 10} KB")
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise NotRead("it is not UTF-8") from error

    def has(self, name: str) -> bool:
        """Whether there is a file of this name, of any kind."""
        return os.path.lexists(self.root / name)

    def files(self, folder: str) -> Iterator[str]:
        """Yield the names of what is directly in a folder, in order; nothing if it has none."""
        place = self._place(folder) if folder else self.root
        if place is None or not place.is_dir():
            return
        try:
            with os.scandir(place) as entries:
                names = sorted(entry.name for _, entry in zip(range(_MOST_ENTRIES), entries))  # noqa: B905 - the first ones
        except OSError:
            return
        for name in names:
            yield f"{folder}/{name}" if folder else name

    def _place(self, name: str) -> Path | None:
        """Return where a file is; `None` where a link leads out of the repository."""
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or "\0" in name or not is_utf8(name):
            return None
        path = self.root / pure
        try:
            parent = path.parent.resolve()
        except (OSError, RuntimeError):
            return None
        if not parent.is_relative_to(self.root.resolve()):
            return None
        return parent / path.name
