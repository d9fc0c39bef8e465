"""Write verified identities into `pylock.toml` or `publishers.toml`, which is replaced at once."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from attested_publish.consumer.locks.bounded import asking
from attested_publish.consumer.locks.model import LockError
from attested_publish.consumer.locks.pinning import Identities, pinned
from attested_publish.consumer.locks.reading import content_of, is_pylock, why_unread
from attested_publish.net.untrusted import shown

_BOM = "\ufeff"

MOST_HERE: Final = 32 << 10
"""Bytes of a file that is changed in this process: at worst that takes less than a second."""

_SECONDS = 40.0
_MEMORY = 500 << 20
"""A lock of 10 MB takes half of both: tomlkit has an object for each space and comma."""

_PIN = "attested_publish.consumer.locks.pinning:pin"


def write_identities(path: Path, verified: Identities) -> bool:
    """Pin verified identities in a lock or a policy; returns whether the file has changed.

    In a `pylock.toml` the `attestation-identities` of the projects in `verified` are replaced, and
    those of others stay. Any other TOML file is a policy, which is made if there is none: a
    project that has fields there already is left alone, and so is one with several identities,
    because a policy expects one.

    The file is replaced at once, with its permissions; what a link leads to is replaced, not the
    link. Raises `LockError`: the file cannot be written or is broken, or tomlkit is missing.
    """
    name = shown(path, 200)
    if not is_pylock(path.name) and path.suffix != ".toml":
        raise LockError(
            name,
            "Only pylock.toml has a place for identities.",
            remedy="Write them into a file of expectations (publishers.toml).",
        )
    is_there = is_pylock(path.name) or path.exists() or path.is_symlink()
    old = _text_of(path, name) if is_there else ""
    text = old.removeprefix(_BOM)
    new = _changed(text, path, verified)
    if new is None:
        return False
    try:
        start = old.removesuffix(text)
        _write(path.resolve(), (start + new).encode("utf-8"))
    except (OSError, RuntimeError) as error:
        raise LockError(name, f"It could not be written: {why_unread(error)}.") from error
    return True


def _changed(old: str, path: Path, verified: Identities) -> str | None:
    content = old.encode()
    if len(content) <= MOST_HERE:
        return pinned(old, path, verified)
    with asking(str(path), _SECONDS, _MEMORY) as ask:
        text: str | None = ask(_PIN, content, verified=verified)["text"]
    return text


def _text_of(path: Path, name: str) -> str:
    try:
        return content_of(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise LockError(name, "It is not UTF-8.") from error


def _write(target: Path, content: bytes) -> None:
    """Replace a file, which links lead to, by one with the same permissions. Raises `OSError`."""
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    created = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(created, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
