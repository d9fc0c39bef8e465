"""What a file is that should be an archive and is not, recognized by its first bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

_START: Final = 512
_TAR_MAGIC: Final = slice(257, 262)
_LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/"
_BLANKS: Final = b"\xef\xbb\xbf \t\r\n"
_PAGES: Final = (b"<!doctype html", b"<html")
_ARCHIVES: Final = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file, such as a .tar.gz",
    b"BZh": "a bzip2 file, such as a .tar.bz2",
    b"\xfd7zXZ\x00": "an xz file, such as a .tar.xz",
    b"\x28\xb5\x2f\xfd": "a zstandard file, such as a .tar.zst",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
}
_RENAMED: Final = (
    "Build it again: a wheel is a zip archive, an sdist is a gzipped tar archive, and renaming a "
    "file does not make it one."
)
_DOWNLOADED: Final = (
    "It was probably downloaded from an address that answered with an error or a login page: look "
    "into the file, and correct the step that fetches it."
)


@dataclass(frozen=True, slots=True)
class Mistaken:
    """What the file is, as the end of a sentence; and what to do."""

    what: str
    remedy: str


def recognized(path: Path, *, expected: bytes) -> Mistaken | None:
    """Say what the file at `path` is instead of one that starts with the bytes `expected`.

    None: it starts like that, or with nothing that is known here.
    """
    with path.open("rb") as file:
        start = file.read(_START)
    if not start:
        return Mistaken("empty", "Build or download it again; something cut that short.")
    if start.startswith(expected):
        return None
    if start.startswith(_LFS_POINTER):
        return Mistaken(
            "a Git LFS pointer, which stands for the file",
            "Fetch the file itself: `git lfs pull`, or actions/checkout with `lfs: true`.",
        )
    for magic, what in _ARCHIVES.items():
        if start.startswith(magic):
            return Mistaken(what, _RENAMED)
    if start[_TAR_MAGIC] == b"ustar":
        return Mistaken("a tar archive that is not compressed", _RENAMED)
    text = start.lstrip(_BLANKS).lower()
    if text.startswith(_PAGES):
        return Mistaken("an HTML page", _DOWNLOADED)
    if text.startswith(b"<?xml"):
        return Mistaken("an XML document", _DOWNLOADED)
    if text.startswith((b'{"', b"{\n", b"{\r")):
        return Mistaken("a JSON document", _DOWNLOADED)
    return None
