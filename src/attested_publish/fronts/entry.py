"""Choose the front: arguments mean the command, none inside a workflow the action."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from attested_publish.fronts.guard import guarded
from attested_publish.net.stopping import listening


def main(arguments: Sequence[str]) -> int:
    """Run the front that suits how the program was started."""
    if not arguments and os.environ.get("GITHUB_ACTIONS") == "true":
        # A signal while all of it is imported must find somebody who writes the outputs.
        with listening():
            return guarded(_run_action)
    return guarded(lambda: _run_command(arguments))


def _run_action() -> int:
    try:
        from attested_publish.fronts.action import main as run

        return run()
    except BaseException:
        # It has outputs of its own ways to fail; here it could not even do that.
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
