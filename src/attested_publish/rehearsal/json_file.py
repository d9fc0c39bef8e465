"""JSON files that people write for the embedded services: read strictly, with clear messages."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LARGEST = 10 * 1024 * 1024
_LONGEST_TEXT = 1000
"""Characters of a text that has no form of its own."""

_LINE = f"a line of text, of at most {_LONGEST_TEXT} characters"


class JsonFileError(ValueError):
    """A file is invalid; the text is one sentence that says where and why."""


def read_text(path: Path, what: str) -> bytes:
    """Return the content of a file, which is a `what`; raises `JsonFileError`."""
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        raise JsonFileError(f"The {what} {path} cannot be read: {error.strerror}.") from error
    if len(content) > _LARGEST:
        raise JsonFileError(f"The {what} {path} is larger than {_LARGEST} bytes.")
    return content


def parse_object(content: str | bytes, with_what: str) -> dict[str, Any]:
    """Parse a JSON object, in which no key occurs twice; `with_what` names what it should have."""
    try:
        document = json.loads(content, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        if isinstance(error, JsonFileError):
            raise
        raise JsonFileError(f"it is not JSON ({shown(error)}).") from error
    if not isinstance(document, dict):
        raise JsonFileError(f"it is not a JSON object with {with_what}.")
    return document


def check_keys(
    entry: Mapping[str, object], where: str, *, required: Sequence[str], optional: Sequence[str]
) -> None:
    """Raise `JsonFileError` if a required key is missing, or another one is there."""
    for key in required:
        if key not in entry:
            raise JsonFileError(f"{where} has no {key!r}.")
    for key in entry:
        if key not in (*required, *optional):
            names = ", ".join((*required, *optional))
            raise JsonFileError(f"{where} has the unknown key {quoted(key)}; it can have {names}.")


def objects_in(document: Mapping[str, object], key: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the objects of a list, which may be missing, each with its place."""
    entries = document.get(key, [])
    if not isinstance(entries, list):
        raise JsonFileError(f"{key!r} is not a list.")
    named = [(f"{key}[{number}]", entry) for number, entry in enumerate(entries)]
    for where, entry in named:
        if not isinstance(entry, dict):
            raise JsonFileError(f"{where} is not an object.")
    return named


def matching(pattern: re.Pattern[str], value: object, where: str, meaning: str) -> str:
    """Return a text of a given form; `meaning` says what it has to be."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise JsonFileError(f"{where} is {quoted(value)}; it must be {meaning}.")
    return value


def optional_text(entry: Mapping[str, object], key: str, where: str, meaning: str = "") -> str:
    """Return a line of text that may be missing; without it, it is empty."""
    text = entry.get(key)
    if text is None:
        return ""
    if not isinstance(text, str) or not is_line(text):
        raise JsonFileError(f"{key!r} of {where} is {quoted(text)}; it must be {meaning or _LINE}.")
    return text


def is_line(text: str) -> bool:
    """Return whether a text can be in a page or a certificate as it is, on one line.

    JSON can also have halves of characters (surrogates), which cannot be encoded.
    """
    return len(text) <= _LONGEST_TEXT and text.isprintable() and text == text.strip()


def quoted(value: object) -> str:
    """Return a value as it can be shown in a message."""
    return shown(repr(value), 80)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        repeated = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise JsonFileError(f"the key {quoted(repeated)} occurs twice in one object.")
    return document
