"""Commands that the tests on a whole machine run, and leave nothing of."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a session early."""


def run(*command: str, **options: Any) -> str:
    """Run a command; return its output, and show it where it fails."""
    done = finished(*command, **{"stderr": subprocess.PIPE} | options)
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def finished(
    *command: str, timeout: float = 300.0, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command and return how it ended, with its output."""
    with started(*command, **options) as process:
        said, errors = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(command, process.returncode, said, errors)


@contextlib.contextmanager
def started(*command: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command. If this fails or is interrupted, all that it started ends with it."""
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **settings | options) as process:
        try:
            yield process
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C leave half of it behind."""
    handlers = {each: signal.signal(each, signal.SIG_IGN) for each in ENDING}
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
