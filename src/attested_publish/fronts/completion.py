"""`attested-publish completion`: print the script by which a shell completes this command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attested_publish.fronts.carried import SHELLS, carried, completion_of
from attested_publish.fronts.standard_output import write_out

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
