"""Paths at which there is nothing because of how they are written."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from attested_publish.net.untrusted import shown

_QUOTES = "\"'`\u2018\u2019\u201c\u201d"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]\w*|\$env:|%[A-Za-z_]\w*%")
_LIST_ITEM = re.compile(r"[-*]\s+")
_SEPARATORS = re.compile(r"\s*[,;|]\s*")
_MOST_PIECES = 100


class Mistake(NamedTuple):
    """What is wrong with how a path is written, as a clause, and what to write instead."""

    why: str
    remedy: str


def mistake_in(text: str) -> Mistake | None:
    """Return what is wrong with a path that does not exist, if its writing explains that."""
    for explain in (_punctuation, _not_replaced, _several, _other_system):
        mistake = explain(text)
        if mistake is not None:
            return mistake
    return None


def _punctuation(text: str) -> Mistake | None:
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        bare = shown(text.strip(_QUOTES), 200)
        return Mistake("the quotes are part of the name", f"Write {bare} without quotes.")
    if item := _LIST_ITEM.match(text):
        bare = shown(text[item.end() :], 200)
        return Mistake(
            "it begins like an item of a YAML list, but packages-dir is a text",
            f"Write {bare}, with one folder on each line and no hyphens (packages-dir: |).",
        )
    if text[0] == "[" and text.find("]") == len(text) - 1:
        return Mistake(
            "it is written like a list, but packages-dir is a text",
            "Write each folder, file or pattern on a line of its own, without brackets, quotes and "
            "commas (packages-dir: |).",
        )
    if text.startswith("!"):
        return Mistake(
            "nothing can be left out with an exclamation mark",
            "Name the folders, files and patterns that belong to the release.",
        )
    if _ADDRESS.match(text):
        return Mistake(
            "it is an address, not a path",
            "Download the distributions first, and name the folder they are in.",
        )
    return None


def _not_replaced(text: str) -> Mistake | None:
    if "${{" in text:
        return Mistake(
            "it contains an expression that has not been evaluated",
            "Expressions are evaluated in workflow files only, and where they are not quoted: "
            "check where this one is written.",
        )
    if _VARIABLE.search(text):
        return Mistake(
            "variables are not replaced here",
            "Write the path itself; in a workflow, ${{ env.NAME }} is replaced.",
        )
    if text.startswith("~"):
        return Mistake(
            "~ is not replaced by the home directory here",
            "Write the whole path, or one relative to the working directory.",
        )
    return None


def _several(text: str) -> Mistake | None:
    if "{" in text and "}" in text:
        return Mistake(
            "braces are not expanded",
            "Write each of the alternatives on a line of its own.",
        )
    remedy = "Write each folder, file or pattern on a line of its own (packages-dir: |)."
    if _SEPARATORS.search(text):
        return Mistake("it seems to be several paths in one line", remedy)
    for pieces in (text.split(), text.split(os.pathsep)):
        if 1 < len(pieces) <= _MOST_PIECES and all(map(_is_there, pieces)):
            return Mistake("it seems to be several paths in one line", remedy)
    return None


def _other_system(text: str) -> Mistake | None:
    if "\\" in text and os.sep == "/":
        bare = shown(text.replace("\\", "/"), 200)
        return Mistake("a backslash does not separate folders here", f"Write {bare}.")
    relative = text.lstrip("/")
    if text.startswith("/") and relative and os.path.lexists(relative):
        return Mistake(
            "it begins at the root of the file system",
            f"Write {shown(relative, 200)}, which exists in the working directory.",
        )
    return None


def _is_there(piece: str) -> bool:
    return bool(piece) and os.path.lexists(piece)
