"""Standard output of a command, which may be closed or full."""

from __future__ import annotations

import sys

CLOSED = "it is closed"


def hand_out(text: str) -> str:
    """Write to standard output; return why that failed, or an empty text."""
    if sys.stdout is None:
        return CLOSED
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or CLOSED
    return ""


def write_out(text: str) -> int:
    """Write to standard output. Returns 0; 1 if that failed, and the reason is printed."""
    why = hand_out(text)
    if why:
        print(f"attested-publish: standard output: {why[0].upper()}{why[1:]}.", file=sys.stderr)
    return 1 if why else 0
