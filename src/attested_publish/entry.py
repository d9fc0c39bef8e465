"""Choose the front: arguments mean the command, none inside a workflow the action."""

from __future__ import annotations

import os
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Run the front that suits how the program was started."""
    if not arguments and os.environ.get("GITHUB_ACTIONS") == "true":
        from attested_publish.action import main as run_action

        return run_action()
    from attested_publish.cli import main as run_command

    return run_command(arguments)
