"""What parent and child say to each other: a question about a file, and that it has no answer."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

Question = Mapping[str, Any]
"""JSON that a function in the child is called with."""

Answer = dict[str, Any]
"""JSON that it returns."""

LONGEST_ANSWER: Final = 32 << 20
"""Bytes of it."""


class Unreadable(Exception):
    """The file cannot be read as what it should be; the text says why."""


def about_file(path: Path, filename: str, size: int) -> Question:
    """Put the file at `path`, called `filename`, of `size` bytes, into a question."""
    return {
        # A path need not be text.
        "path": base64.b64encode(os.fsencode(path.absolute())).decode(),
        "filename": filename,
        "size": size,
    }


def path_in(question: Question) -> Path:
    """Return the path of the file that a question is about."""
    return Path(os.fsdecode(base64.b64decode(question["path"])))
