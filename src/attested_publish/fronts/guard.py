"""The last net below a front: whatever gets this far is one sentence, never a traceback."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

from attested_publish.net.unexpected import in_words
from attested_publish.problems import Stage


def guarded(run: Callable[[], int]) -> int:
    """Run a front; what it did not catch itself is printed in one sentence, with status 1."""
    try:
        return run()
    except Exception as error:  # noqa: BLE001 - nothing is left that could report it
        problem = in_words(error, Stage.FILES)
        line = f"attested-publish: {problem.title}. {problem.detail} {problem.remedy}\n"
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(line)
        return 1
