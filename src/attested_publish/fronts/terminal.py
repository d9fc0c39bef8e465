"""The console of a command."""

from __future__ import annotations

import shutil
import sys

from rich.console import Console

from attested_publish.console.output import Output

_LOG_WIDTH = 120


def console() -> Console:
    """Return a console as wide as the terminal, or wide enough for a log.

    A log may have colours (`FORCE_COLOR`), but nothing that moves.
    """
    output = Output(sys.stdout)
    is_terminal = output.isatty()
    # Of a size that is none, such as COLUMNS=0, nothing would be printed at all.
    width = shutil.get_terminal_size().columns if is_terminal else _LOG_WIDTH
    return Console(
        file=output,  # type: ignore[arg-type] # has the file methods that are used
        highlight=False,
        emoji=False,
        width=width,
        force_interactive=None if is_terminal else False,
    )
