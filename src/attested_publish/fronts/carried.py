"""What the wheel carries besides the program: completions, and the troubleshooting guide.

`make carried` (tools/carried.py) writes these files; a test compares them with what they are made
from.
"""

from __future__ import annotations

from pathlib import Path

SHELLS = ("bash", "zsh", "fish", "tcsh")
GUIDE = "troubleshooting.md"
FOLDER = Path(__file__).with_name("carried_files")


def completion_of(shell: str) -> str:
    """Return the name of the file with the completion for a shell."""
    return f"completion.{shell}"


def carried(name: str) -> str:
    """Return the text of a carried file."""
    return (FOLDER / name).read_text(encoding="utf-8")
