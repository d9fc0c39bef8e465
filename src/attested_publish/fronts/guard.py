"""The last net below a front: whatever gets this far is one sentence, never a traceback."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable


def guarded(run: Callable[[], int]) -> int:
    """Run a front; what it did not catch itself is printed in one sentence, with status 1."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 - nothing is left that could report it
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"attested-publish: {_sentence(error)}\n")
        return 1


def _sentence(error: Exception) -> str:
    try:
        # Not needed for `--help`. Whatever has begun a run has imported it.
        from attested_publish.net.unexpected import in_words
        from attested_publish.problems import Stage
    except (ImportError, OSError, MemoryError):
        return f"The program could not be loaded: {type(error).__name__}."
    problem = in_words(error, Stage.FILES)
    return f"{problem.title}. {problem.detail} {problem.remedy}"
