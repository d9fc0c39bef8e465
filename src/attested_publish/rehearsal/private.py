"""Files that the embedded services write for other programs, including secrets."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BINARY = getattr(os, "O_BINARY", 0)


def write_private(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that nobody else can read, replacing what is there; see `write_in_place`."""
    write_in_place(path, content, mode=mode)


def write_in_place(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file atomically, replacing what is there.

    A link with that name is replaced, not followed, and the file has its `mode` (less the umask)
    from the beginning. Raises `OSError`.
    """
    written = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    # With O_EXCL a link is not followed, not even a dangling one.
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(content)
        written.replace(path)
    except OSError:
        written.unlink(missing_ok=True)
        raise


def make_folder(path: Path) -> None:
    """Create a folder if it does not exist; raises `OSError` if the path is a link."""
    path.mkdir(parents=True, exist_ok=True)
    if not stat.S_ISDIR(path.lstat().st_mode):
        raise OSError(0, "it is a link, which may point anywhere")
