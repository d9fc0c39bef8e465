"""Write the files that the wheel carries: shells' completions, and the troubleshooting guide."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final

import shtab

from attested_publish.fronts.carried import FOLDER, GUIDE, SHELLS, completion_of
from attested_publish.fronts.cli import complete_parser
from attested_publish.fronts.explain import sections_of

ROOT: Final = Path(__file__).parents[1]
_FILES: Final = ("FILE", "PATH", "PATHS", "PROJECT[==VERSION] | FILE")
_FOLDERS: Final = ("DIR",)


def written() -> dict[str, str]:
    """Return what each file should contain, by its name."""
    return {
        GUIDE: _guide(),
        **{completion_of(shell): completion(shell) for shell in SHELLS},
    }


def completion(shell: str) -> str:
    """Return a shell's completion of every command, option and choice; files where they are due."""
    parser = complete_parser()
    for each in (parser, *parser.commands.values()):
        for action in each.arguments:
            _prepare(action)
    return shtab.complete(parser, shell=shell).rstrip() + "\n"


def _prepare(action: argparse.Action) -> None:
    """Give an argument what shtab asks for: it reads metavars less well than people do."""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if listed := re.fullmatch(r"\{(.*)\}", metavar):
        action.choices = [each for each in listed[1].split(",") if each.islower()]
    elif metavar in _FILES:
        action.complete = shtab.FILE  # type: ignore[attr-defined] # as its documentation says
    elif metavar in _FOLDERS:
        action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    elif metavar == "TOPIC":
        # The program itself also takes titles and links.
        action.choices = [section.name for section in sections_of(_guide())]


def _guide() -> str:
    return (ROOT / "docs" / GUIDE).read_text(encoding="utf-8")


def main() -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in written().items():
        (FOLDER / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
