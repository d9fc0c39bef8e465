"""`attested-publish completion`: print the script by which a shell completes this command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from attested_publish.fronts.carried import SHELLS, carried, completion_of

if TYPE_CHECKING:
    import argparse

_DESCRIPTION = """\
Print the script by which a shell completes the commands and options of attested-publish. It is
made in advance: no command is run when you press the tab key."""

_EXAMPLE = """\
examples:
  eval "$(attested-publish completion bash)"      # in ~/.bashrc
  attested-publish completion zsh > ~/.zfunc/_attested-publish
  attested-publish completion fish > ~/.config/fish/completions/attested-publish.fish"""


def add_to(command: argparse.ArgumentParser) -> None:
    """Add the description and the options to the command's parser."""
    command.description = _DESCRIPTION
    command.epilog = _EXAMPLE
    command.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"{', '.join(SHELLS)}")


def run(options: argparse.Namespace) -> int:
    """Print the script. Returns 0: done, 1: it could not be written (the reason was printed)."""
    return write_out(carried(completion_of(options.shell)))


def write_out(text: str) -> int:
    """Write to standard output. Returns 0; 1 if it is closed or full, and the reason is printed."""
    reason: str | None = "It is closed"
    if sys.stdout is not None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError as error:
            reason = error.strerror
        else:
            return 0
    print(f"attested-publish: standard output: {reason}.", file=sys.stderr)
    return 1
