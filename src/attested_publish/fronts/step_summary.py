"""The summary of a step: the page that GitHub shows for a job that it ran in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attested_publish.net import secrecy
from attested_publish.net.untrusted import shown

VARIABLE = "GITHUB_STEP_SUMMARY"
"""The variable with the path of the file that becomes the summary."""

LIMIT = 1 << 20
"""The bytes that GitHub shows of a step's summary."""

_LEAST = 1000


def append_summary(path: Path, page: Callable[[int], str]) -> None:
    """Append what `page` returns for the bytes that are left; GitHub drops a longer summary whole.

    Raises `OSError`.
    """
    left = LIMIT - (path.stat().st_size if path.is_file() else 0)
    if left < _LEAST:
        return
    # What stands there may not end its line.
    apart = "\n\n" if left < LIMIT else ""
    text = apart + secrecy.blotted(page(left - len(apart)))
    if len(text.encode("utf-8", errors="backslashreplace")) <= left:
        append_whole(path, text)


def summarize(
    page: Callable[[int], str],
    warn: Callable[[str], None],
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Append the summary of a command that runs in a job on GitHub; elsewhere do nothing.

    `page` returns it for a limit in bytes. If that fails, `warn` is called with a sentence.
    """
    if environment.get("GITHUB_ACTIONS") == "true" and environment.get(VARIABLE):
        with warned("step's summary", warn):
            append_summary(Path(environment[VARIABLE]), page)


@dataclass
class Part:
    """A part of what a step hands over, and whether that is done."""

    is_done: bool = False


@contextlib.contextmanager
def warned(what: str, warn: Callable[[str], None]) -> Iterator[Part]:
    """Warn if this block fails: nothing must fail because of what is said about it."""
    part = Part()
    try:
        yield part
        part.is_done = True
    except Exception as error:  # noqa: BLE001 - nor because of a bug in what says it
        why = getattr(error, "strerror", None) or f"{type(error).__name__}: {shown(error)}"
        warn(f"The {what} could not be written: {why}.")


def summarize_wrong_usage(sentences: Sequence[str], warn: Callable[[str], None]) -> None:
    """Append what is wrong with a command line, in a job on GitHub."""
    summarize(lambda limit: _wrong_usage(sentences, limit), warn)


def _wrong_usage(sentences: Sequence[str], limit: int) -> str:
    from attested_publish.fronts.markdown import Block, page_of, prose

    lines = [f"- {prose(each)}\n" for each in sentences]
    block = Block("### ❌ Nothing was done: the command line is wrong\n\n", lines, "\n")
    return page_of([block], (), limit)


def append_whole(path: Path, text: str) -> None:
    """Append all of a text or nothing: a truncated output makes the runner fail the step.

    Raises `OSError`.
    """
    left = memoryview(text.encode("utf-8", errors="backslashreplace"))
    with path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        try:
            while left:
                left = left[file.write(left) :]
        except OSError:
            with contextlib.suppress(OSError):
                file.truncate(before)
            raise
