"""The console of a command."""

from __future__ import annotations

import sys

from rich.console import Console

from attested_publish.console.output import Output


def console() -> Console:
    """Return a console as wide as the terminal, or wide enough for a log.

    A log may have colours (`FORCE_COLOR`), but nothing that moves.
    """
    output = Output(sys.stdout)
    is_terminal = output.isatty()
    return Console(
        file=output,  # type: ignore[arg-type] # has the file methods that are used
        highlight=False,
        emoji=False,
        width=None if is_terminal else 120,
        force_interactive=None if is_terminal else False,
    )
