"""The console of a command."""

from __future__ import annotations

import sys

from rich.console import Console

from attested_publish.console.output import Output


def console() -> Console:
    """Return a console as wide as the terminal, or wide enough for a log."""
    output = Output(sys.stdout)
    width = None if output.isatty() else 120
    return Console(file=output, highlight=False, emoji=False, width=width)  # type: ignore[arg-type] # has the file methods that are used
