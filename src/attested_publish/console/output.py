"""Standard output that a run does not depend on: it goes on also where nobody can read it."""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO


class Output:
    """What is written goes to a stream for as long as it takes it.

    A closed stream or a full disk is reported once, on standard error; a reader that has gone is
    not.
    `stream`, which is called `name`, is `None` where the process was started without one.
    """

    def __init__(self, stream: TextIO | None, name: str = "standard output") -> None:
        self._stream = stream
        self._name = name
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
        """Whether a person may be watching."""
        return self._stream is not None and self._stream.isatty()

    def fileno(self) -> int:
        """Return the file descriptor: rich writes to an old Windows console by its handle."""
        if self._stream is None:
            raise OSError("there is none")
        return self._stream.fileno()

    def _give_up(self, error: Exception) -> None:
        self._stream = None
        if isinstance(error, BrokenPipeError):
            # Whoever read has seen enough, as in `… | head`.
            return
        why = getattr(error, "strerror", None) or "it is closed"
        with contextlib.suppress(OSError, ValueError, AttributeError):
            print(
                f"attested-publish: The {self._name} cannot be written ({why}); the run goes on "
                "without.",
                file=sys.stderr,
            )
