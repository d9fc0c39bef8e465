"""`python -m attested_publish`, and the installed command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command and exit with its status."""
    from attested_publish.cli import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
