"""`python -m attested_publish`, and the installed command."""

from __future__ import annotations


def main() -> None:
    """Run the command and exit with its status."""
    from attested_publish.cli import main as run
    from attested_publish.stopping import leave

    leave(run())


if __name__ == "__main__":
    main()
