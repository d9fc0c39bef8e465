"""Read a lock: recognize its format, and leave the rest to that format's reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attested_publish.consumer.locks.model import Lock


def read_lock(path: Path) -> Lock:
    """Read a lock from a file, and the files of requirements that it includes.

    Raises `LockError`.
    """
    raise NotImplementedError


def parse_lock(
    content: bytes, name: str, *, beside: Callable[[str], bytes | None] = lambda _: None
) -> Lock:
    """Read a lock from its bytes, such as those in another revision; `name` is its path.

    `beside` returns the content of a file whose path is relative to the lock's folder, or `None`
    if there is none: files of requirements may include others. Raises `LockError`.
    """
    raise NotImplementedError
