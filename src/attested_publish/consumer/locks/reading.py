"""Parse a lock: recognize its format, and leave the rest to that format's reader."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attested_publish.consumer.locks.model import Format, Lock, LockedPackage, LockError
from attested_publish.consumer.locks.pdm_lock import read_pdm
from attested_publish.consumer.locks.pipfile_lock import parsed_json, read_pipfile
from attested_publish.consumer.locks.poetry_lock import read_poetry
from attested_publish.consumer.locks.pylock import read_pylock
from attested_publish.consumer.locks.requirements import Beside, decoded, read_requirements
from attested_publish.consumer.locks.toml import Broken, parsed
from attested_publish.consumer.locks.uv_lock import read_uv
from attested_publish.net.untrusted import shown

MOST_BYTES: Final = 32 << 20
MOST_LINES: Final = 2_000_000
"""Each hash may be a table of its own, with a line for each value."""
MOST_PACKAGES: Final = 10_000
MOST_HASHES: Final = 200_000

_PYLOCK = re.compile(r"pylock(\.[^.]+)?\.toml")
_NAMES: Final = {
    "uv.lock": Format.UV,
    "poetry.lock": Format.POETRY,
    "pdm.lock": Format.PDM,
    "Pipfile.lock": Format.PIPFILE,
}
_READERS: Final[Mapping[Format, Callable[[Mapping[str, Any], str, str], list[LockedPackage]]]] = {
    Format.PYLOCK: read_pylock,
    Format.UV: read_uv,
    Format.POETRY: read_poetry,
    Format.PDM: read_pdm,
    Format.PIPFILE: read_pipfile,
}


def parse_lock(content: bytes, name: str, *, beside: Beside = lambda _: None) -> Lock:
    """Read a lock from its bytes, in this process; `name` is its path.

    `beside` returns the content of a file whose path is relative to the lock's folder, or `None`
    if there is none: files of requirements may include others. Raises `LockError`.
    """
    path = shown(name, 200)
    try:
        format_, packages = _packages(content, Path(name).name, path, beside)
        _count(packages)
    except Broken as error:
        raise LockError(path, error.why, line=error.line) from error
    return Lock(path, format_, tuple(packages))


def bounded_content(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a regular file. Raises `OSError`, `Broken` if it is too large or none."""
    # Without O_NONBLOCK, opening a pipe waits for somebody who writes to it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Broken("It is not a regular file.")
        content = file.read(most + 1)
    within_bounds(content, most)
    return content


def content_of(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of a file that the user named. Raises `LockError`."""
    name = shown(path, 200)
    try:
        return bounded_content(path, most)
    except Broken as error:
        raise LockError(name, error.why) from error
    except FileNotFoundError as error:
        remedy = "Check its path, which is relative to the working directory."
        raise LockError(name, "There is no such file.", remedy=remedy) from error
    except (OSError, ValueError) as error:
        raise LockError(name, f"It could not be read: {why_unread(error)}.") from error


def is_pylock(name: str) -> bool:
    """Whether PEP 751 reserves a filename for locks: `pylock.toml`, `pylock.NAME.toml`."""
    return _PYLOCK.fullmatch(name) is not None


def within_bounds(content: bytes, most: int = MOST_BYTES) -> None:
    """Raise `Broken` if a file is too large to be read."""
    if len(content) > most:
        raise Broken(f"It is larger than {most >> 20} MiB.")
    if content.count(b"\n") > MOST_LINES:
        raise Broken(f"It has more than {MOST_LINES:,} lines.")


def decoded_utf8(content: bytes) -> str:
    """Decode TOML or JSON. Raises `Broken` for what is empty, no UTF-8 or has NUL bytes."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Broken(f"Line {line} is not UTF-8.", line) from error
    if not text.strip():
        raise Broken("It is empty.")
    return text


def _count(packages: Sequence[LockedPackage]) -> None:
    if len(packages) > MOST_PACKAGES:
        raise Broken(f"It has {len(packages):,} packages; at most {MOST_PACKAGES:,} are read.")
    # A hash that is not compared leaves a remark.
    hashes = sum(len(package.files) + len(package.remarks) for package in packages)
    if hashes > MOST_HASHES:
        raise Broken(f"It has {hashes:,} hashes; at most {MOST_HASHES:,} are read.")


def _packages(
    content: bytes, name: str, path: str, beside: Beside
) -> tuple[Format, list[LockedPackage]]:
    within_bounds(content)
    format_ = _NAMES.get(name) or (Format.PYLOCK if is_pylock(name) else None)
    if format_ is None and Path(name).suffix in {".txt", ".in"}:
        format_ = Format.REQUIREMENTS
    if format_ is Format.REQUIREMENTS:
        text = decoded(content)
        if not text.strip():
            raise Broken("It is empty.")
        return format_, read_requirements(text, path, beside)
    text = decoded_utf8(content)
    if format_ is None:
        format_, values = _recognized(text)
    else:
        values = parsed_json(text) if format_ is Format.PIPFILE else parsed(text)
    if format_ is Format.REQUIREMENTS:
        return format_, read_requirements(decoded(content), path, beside)
    return format_, _READERS[format_](values, text, path)


def _recognized(text: str) -> tuple[Format, dict[str, Any]]:
    """Recognize the format of a file by its content, if its name is none of the well-known."""
    if text.lstrip().startswith("{"):
        return Format.PIPFILE, parsed_json(text)
    try:
        values = parsed(text)
    except Broken:
        return Format.REQUIREMENTS, {}
    metadata = values.get("metadata")
    match values:
        case {"lock-version": _}:
            return Format.PYLOCK, values
        case {"version": int()}:
            return Format.UV, values
        case {"metadata": {"lock-version": _}}:
            return Format.POETRY, values
        case {"metadata": {"lock_version": _}}:
            return Format.PDM, values
        case _ if not values and metadata is None:
            return Format.REQUIREMENTS, {}
        case _:
            raise Broken("It is none of the formats that can be read: " + ", ".join(Format) + ".")


def why_unread(error: Exception) -> str:
    """Return why a file could not be opened, read or written, without a full stop."""
    text = error.strerror if isinstance(error, OSError) else str(error)
    return shown(text or type(error).__name__, 100)
