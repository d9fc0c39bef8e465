"""The run of a command: it prints to the terminal, and no secret that it can know of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from attested_publish.console.mask import mask
from attested_publish.console.printer import Printer
from attested_publish.console.recorder import Recorder
from attested_publish.fronts.running import mask_secrets
from attested_publish.fronts.terminal import console
from attested_publish.journey.run import Run

if TYPE_CHECKING:
    from attested_publish.console.output import Output
    from attested_publish.settings import Settings


def command_run(
    mode: str, settings: Settings, *, verbose: bool, output: Output | None = None
) -> Run:
    """Return a run that prints to standard output, or to another `output`."""
    mask_secrets(mask, settings, os.environ)
    printer = Printer(console(output), verbose=verbose)
    return Run(mode, settings, Recorder(printer), mask)
