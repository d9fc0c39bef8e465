"""Open files in the user's folders, whatever takes their place meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class Changed(Exception):
    """A file is not, or no longer, what it has to be; the text says in which respect."""


@contextlib.contextmanager
def opened(source: Path, folders: Sequence[Path]) -> Iterator[io.BufferedReader]:
    """Open a regular file in one of `folders` for reading.

    The path may be replaced at any time: by a pipe, which would block until somebody writes to
    it, a device, or a link to another place. So the link is resolved first, no other link is
    followed, opening does not block, and the opened file is examined.

    Raises `OSError`, and `Changed` if it is not a regular file in one of them.
    """
    try:
        real = source.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
    roots = (folder.resolve() for folder in folders)
    root = next((root for root in roots if real.is_relative_to(root) and real != root), None)
    if root is None:
        raise Changed("it points outside its folder")
    with open(_opened_below(root, real.relative_to(root)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Changed("it is not a regular file")
        yield file


def _opened_below(root: Path, path: Path) -> int:
    """Open `path`, relative to `root`, without following links (if the system supports that)."""
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
        return os.open(root / path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    *folders, name = path.parts
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for inner in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            outer, folder = folder, os.open(inner, flags, dir_fd=folder)
            os.close(outer)
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
