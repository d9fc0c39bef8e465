"""Standard output that a run does not depend on: it goes on also where nobody can read it."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO


class Output:
    """What is written goes to a stream for as long as it takes it.

    A closed stream or a full disk is told once, on standard error; a reader that has gone is not.
    `stream` is `None` where the process was started without one.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write as much as can be; say that all of it was."""
        if self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Let what was written be seen."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._give_up(error)

    def isatty(self) -> bool:
        """Say whether a person may be watching."""
        return self._stream is not None and self._stream.isatty()

    def _give_up(self, error: Exception) -> None:
        self._stream = None
        if isinstance(error, BrokenPipeError):
            # Whoever read has seen enough, as in `… | head`.
            return
        why = getattr(error, "strerror", None) or "it is closed"
        with contextlib.suppress(OSError, ValueError, AttributeError):
            print(
                f"attested-publish: The standard output cannot be written ({why}); the run goes on "
                "without.",
                file=sys.stderr,
            )
