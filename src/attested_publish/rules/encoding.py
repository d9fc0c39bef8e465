"""Metadata that nobody can parse because of how it is written, whatever it says."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attested_publish.rules.wording import doubtful, first, refused, shown

if TYPE_CHECKING:
    from attested_publish.findings import Finding

_REBUILD: Final = "Rebuild with a current build backend."
_AS_UTF8: Final = (
    'Write it in UTF-8 without a byte order mark: in Python `encoding="utf-8"` (not '
    "`utf-8-sig`), in PowerShell `-Encoding utf8NoBOM`. A build backend does; look for a step that "
    "rewrites the file afterwards."
)
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
_FIRST_FIELD: Final = "Metadata-Version"
# As the email parser reads them: what ends the headers is the first line that is none.
_LINE: Final = re.compile(rb"\r\n|\r|\n")
_HEADER_LINE: Final = re.compile(rb"[\x21-\x39\x3b-\x7e]*:|[\t ]|From ")
_REQUIRED: Final = re.compile(rb"^(?:Metadata-Version|Name|Version)[ \t]*:", re.MULTILINE)


def nothing_to_send(name: str, content: bytes) -> Finding:
    """Say why a METADATA or PKG-INFO, as `name` has it, has no readable Metadata-Version."""
    if not content.strip():
        return refused(
            "metadata-empty", f"{name} is empty, so twine has nothing to send.", _REBUILD
        )
    if content.startswith(_UTF16) or _FIRST_FIELD.encode("utf-16-le") in content:
        return refused(
            "metadata-encoding",
            f"{name} is in UTF-16 or UTF-32, so that its fields cannot be read; metadata has to be "
            f"in UTF-8.",
            _AS_UTF8,
        )
    return refused(
        "metadata-empty", f"{name} has no Metadata-Version, so twine has nothing to send.", _REBUILD
    )


def byte_order_mark(metadata: bytes) -> Finding | None:
    """Report a UTF-8 byte order mark, which becomes a part of the first field's name."""
    if not metadata.startswith(codecs.BOM_UTF8):
        return None
    return refused(
        "metadata-encoding",
        "The metadata begins with a UTF-8 byte order mark (the bytes EF BB BF), which makes the "
        "name of its first field unreadable.",
        _AS_UTF8,
    )


def not_utf8(metadata: bytes, fields: Sequence[str]) -> Finding | None:
    """Report metadata in another encoding, which is why `fields` cannot be read."""
    try:
        metadata.decode()
    except UnicodeDecodeError as bad:
        return refused(
            "metadata-encoding",
            f"The metadata is not in UTF-8 (byte {metadata[bad.start]:02X} at {bad.start:,}), so "
            f"that twine does not send it: {first(fields)}.",
            _AS_UTF8,
        )
    return None


def nul_characters(metadata: bytes) -> Iterator[Finding]:
    """Report NUL characters, which PostgreSQL, and so PyPI's database, cannot store as text."""
    if (place := metadata.find(b"\0")) >= 0:
        yield doubtful(
            "metadata-nul",
            f"The metadata has a NUL character (at {place:,}), which PyPI's database cannot store: "
            f"the upload may fail with a server error.",
            "Remove it from the readme or the field that it is in.",
        )


def headers_cut_short(metadata: bytes) -> Finding | None:
    """Report a line that ends the fields although required ones follow it.

    All that follows such a line is the description. Call it where required fields are missing.
    """
    found = _first_other_line(metadata)
    if found is None:
        return None
    number, line, rest = found
    if not _REQUIRED.search(metadata, rest):
        return None
    text = line.decode("utf-8", "backslashreplace")
    return refused(
        "metadata-cut-short",
        f"The fields of the metadata end at line {number}, which is "
        f"{f'{shown(text)} and no field' if text else 'blank'}; the required ones that follow it "
        f"are taken for the description.",
        "Remove that line, or indent it if it continues the value above it; then rebuild.",
    )


def _first_other_line(metadata: bytes) -> tuple[int, bytes, int] | None:
    """Return the first line that is no part of a header: its number, it, and where it ends."""
    at = 0
    for number, end in enumerate(_LINE.finditer(metadata), 1):
        line, at = metadata[at : end.start()], end.end()
        if not _HEADER_LINE.match(line):
            return number, line, at
    return None
