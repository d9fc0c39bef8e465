"""`python -m attested_publish`, and the installed command."""

from __future__ import annotations


def main() -> None:
    """Run the command and exit with its status."""
    from attested_publish.net.stopping import leave, let_interrupts_end

    let_interrupts_end()
    from attested_publish.fronts.guard import guarded

    leave(guarded(_run))


def _run() -> int:
    from attested_publish.fronts.cli import main as run

    return run()


if __name__ == "__main__":
    main()
