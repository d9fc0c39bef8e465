"""How much of an archive is looked at, so that a bomb costs seconds and megabytes at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.rules.wording import doubtful

if TYPE_CHECKING:
    from attested_publish.findings import Finding


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one look into one archive.

    `members`: entries; `unpacked`: bytes decompressed in total; `text`: bytes of one member
    that is read whole (metadata, RECORD and the like).
    """

    members: int = 100_000
    unpacked: int = 1 << 30
    text: int = 32 << 20


def too_much(what: str) -> Finding:
    """Say that an archive was not judged to its end because of `what`."""
    return doubtful(
        "archive-not-judged",
        f"The archive was not looked at to its end: {what}.",
        "Look whether everything in it is meant to be there; PyPI may refuse it.",
    )
