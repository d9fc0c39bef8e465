"""Read CHANGELOG.md: `changelog.py VERSION` prints what it says of a version."""

from __future__ import annotations

import datetime as dt
import re
import sys
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]

UNRELEASED: Final = "Unreleased"

_HEADING: Final = re.compile(r"^## (?P<name>\S+)(?: - (?P<date>\S+))?$", re.MULTILINE)


class Section(NamedTuple):
    """What the changelog says of a version, and the day of its release, if it has one."""

    version: str
    date: dt.date | None
    text: str


def sections(text: str) -> list[Section]:
    """Return the sections of a changelog, the newest first.

    Raises `ValueError` for a date that is not one (ISO 8601).
    """
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings), len(text)][1:]
    return [
        Section(
            heading["name"],
            dt.date.fromisoformat(heading["date"]) if heading["date"] else None,
            text[heading.end() : end].strip(),
        )
        for heading, end in zip(headings, ends, strict=True)
    ]


def of_this_project() -> list[Section]:
    """Return the sections of this project's changelog."""
    return sections((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))


def main() -> None:
    """Print the section of a version."""
    (version,) = sys.argv[1:]
    for section in of_this_project():
        if section.version == version:
            print(section.text)
            return
    sys.exit(f"CHANGELOG.md has no section for {version}.")


if __name__ == "__main__":
    main()
