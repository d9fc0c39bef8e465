"""The console of a command."""

from __future__ import annotations

import contextlib
import os
import sys

from rich.console import Console

from attested_publish.console.output import Output

_LOG_WIDTH = 120
_USUAL_WIDTH = 80


def console(output: Output | None = None) -> Console:
    """Return a console as wide as the terminal, or wide enough for a log.

    It prints to standard output, or to another `output`. A log may have colours (`FORCE_COLOR`),
    but nothing that moves.
    """
    output = output or Output(sys.stdout)
    is_terminal = output.isatty()
    return Console(
        file=output,  # type: ignore[arg-type] # has the file methods that are used
        highlight=False,
        emoji=False,
        width=_columns(output) if is_terminal else _LOG_WIDTH,
        force_interactive=None if is_terminal else False,
    )


def _columns(output: Output) -> int:
    """Return how wide a terminal is.

    `shutil.get_terminal_size` would ask standard output, which may be a file. Of a size that is
    none, such as COLUMNS=0, nothing would be printed at all.
    """
    with contextlib.suppress(ValueError):
        if (columns := int(os.environ.get("COLUMNS", ""))) > 0:
            return columns
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(output.fileno()).columns or _USUAL_WIDTH
    return _USUAL_WIDTH
