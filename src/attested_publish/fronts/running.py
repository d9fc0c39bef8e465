"""What both fronts do around a run: end it well, whatever happens, and write the report."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from attested_publish.journey.failures import end_with, failures_explained
from attested_publish.net.secrecy import credentials_in, secrets_in
from attested_publish.net.stopping import Stopped, done_or_stopped, see_through
from attested_publish.net.untrusted import shown
from attested_publish.problems import Problem, Topic
from attested_publish.report import Result
from attested_publish.settings import WrongUsage

if TYPE_CHECKING:
    from attested_publish.console.mask import Mask
    from attested_publish.console.printer import Printer
    from attested_publish.journey.run import Run
    from attested_publish.settings import Settings


_READER_SECONDS = 10.0
"""How long a named pipe may have nobody who reads it."""


class StoppedProblem(Problem):
    """The run was told to stop before it was done."""


def carry_out(work: Callable[[], None], run: Run) -> Result:
    """Do the work of a run; explain whatever ends it as a problem, never as a traceback.

    Only `WrongUsage` is left to the front, which knows how its user calls it.
    """
    stopped_by = None
    with failures_explained(run), _logs_printed(run.printer):
        stopped_by = done_or_stopped(work)
    if stopped_by is not None:
        run.result = Result.FAILED
        part = run.part or run
        end_with(part, _stopped(stopped_by, part))
    return run.result


def mask_secrets(mask: Mask, settings: Settings, environment: Mapping[str, str]) -> None:
    """Mask what is secret among settings and variables, before anything is printed."""
    mask(settings.password, settings.user)
    for url in settings.repository_urls:
        for secret in credentials_in(url):
            mask(secret)
    for secret in secrets_in(environment):
        mask(secret)


@contextlib.contextmanager
def _logs_printed(printer: Printer) -> Iterator[None]:
    """Print meanwhile what is logged; when verbose, also warnings and requests.

    Libraries quote what others sent them, a reason phrase for one: unescaped it could steer a
    terminal, or be a command to a runner. Without a handler Python would print it so.
    """
    requests = logging.getLogger("attested_publish.net.http")
    before = requests.level
    printer_before = _teller.printer
    if _teller not in logging.getLogger().handlers:
        # It stays, for what threads that nobody waits for log afterwards.
        logging.getLogger().addHandler(_teller)
    _teller.printer = printer
    logging.captureWarnings(capture=True)
    if printer.verbose:
        requests.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        _teller.printer = printer_before
        logging.captureWarnings(capture=False)
        requests.setLevel(before)


class _Teller(logging.Handler):
    """Gives what is logged to a printer, where there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.printer: Printer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Print one request, or what a library has to say."""
        if self.printer is None:
            return
        try:
            text = shown(record.getMessage())
        except (TypeError, ValueError):
            text = shown(record.msg)
        if record.name == "attested_publish.net.http":
            self.printer.request(text)
        elif record.levelno >= (logging.WARNING if self.printer.verbose else logging.ERROR):
            # What a library warns of is explained by us, in other words, where it matters.
            self.printer.notice(f"{shown(record.name, 80)}: {text}")


_teller = _Teller()


def hand_over_report(record: Mapping[str, object], path: Path, printer: Printer) -> None:
    """Write a report; where that fails, the result is what it is all the same."""
    try:
        see_through(lambda: write_json(record, path))
    except (OSError, Stopped) as error:
        why = getattr(error, "strerror", None) or str(error)
        printer.warning(f"The report could not be written to {shown(path)}: {why}.")


def write_json(record: Mapping[str, object], path: Path) -> None:
    """Write a record as JSON, or leave no file there. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(json.dumps(record, indent=2, ensure_ascii=False) + "\n", path)


def write_whole(text: str, path: Path) -> None:
    """Write a text, or leave no file there: half of one is worse than none. Raises `OSError`."""
    file = opened_for_writing(path)
    try:
        with file:
            file.write(text)
    except OSError:
        # Of a link, what it leads to; never a pipe or device.
        real = Path(os.path.realpath(path))
        if real.is_file():
            with contextlib.suppress(OSError):
                real.unlink()
        raise


def opened_for_writing(path: Path) -> TextIO:
    """Open a file that is made or replaced, or a pipe or device, for text. Raises `OSError`.

    A named pipe waits for somebody who reads it, but not for long. What of a file name is not UTF-8
    is escaped as JSON has it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0)
    until = time.monotonic() + _READER_SECONDS
    while True:
        try:
            descriptor = os.open(path, flags, 0o666)
            break
        except OSError as error:
            if error.errno != errno.ENXIO or time.monotonic() > until:
                raise
        time.sleep(0.05)
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return open(  # noqa: PTH123 - of a descriptor
        descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n"
    )


def require_writable(report: Path | None) -> None:
    """Check before anything else that a report can be written; raises `WrongUsage`."""
    try:
        if report is not None:
            _prove_writable(report)
    except OSError as error:
        raise WrongUsage(f"--report cannot be written: {error.strerror}.") from error


def _prove_writable(report: Path) -> None:
    # A link may point to a file that does not exist yet.
    is_there = report.exists()
    if is_there and not report.is_file() and not report.is_dir():
        # A reader of a pipe would take this for the whole report. One without a name
        # (/dev/fd/63) cannot be resolved.
        return
    # `resolve` raises a `RuntimeError` for links in a circle; to open one is an `OSError`.
    path = Path(os.path.realpath(report))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab"):
        pass
    if not is_there:
        path.unlink()


def _stopped(name: str, run: Run) -> StoppedProblem:
    problem = StoppedProblem(
        "The run was stopped before it was done",
        topic=Topic.STOPPED,
        detail=f"It received {name}: somebody cancelled the job, or its time was up.",
        remedy="Run again: a re-run asks the index what it holds, and uploads only what is missing."
        if run.uploads
        else "Run again.",
    )
    problem.stage = run.recorder.current
    return problem
