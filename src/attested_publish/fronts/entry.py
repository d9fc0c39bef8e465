"""Choose how to start: arguments mean the command; none, inside a workflow, the action."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from attested_publish.fronts.guard import guarded
from attested_publish.net.stopping import listening


def main(arguments: Sequence[str]) -> int:
    """Run the command or the action, depending on how the program was started."""
    if not arguments and os.environ.get("GITHUB_ACTIONS") == "true":
        # If a signal arrives during the imports, the outputs must still be written.
        with listening():
            return guarded(_run_action)
    return guarded(lambda: _run_command(arguments))


def _run_action() -> int:
    try:
        from attested_publish.fronts.action import main as run

        return run()
    except BaseException:
        # The action reports its own failures in its outputs; this one prevents even that.
        _set_result()
        raise


def _run_command(arguments: Sequence[str]) -> int:
    from attested_publish.fronts.cli import main as run

    return run(arguments)


def _set_result() -> None:
    with (
        contextlib.suppress(KeyError, OSError),
        Path(os.environ["GITHUB_OUTPUT"]).open("a") as file,
    ):
        file.write("result=failed\n")
