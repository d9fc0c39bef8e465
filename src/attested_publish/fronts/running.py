"""What both fronts do around a run: end it well, whatever happens, and write the report."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.journey.failures import end_with, failures_explained
from attested_publish.net.secrecy import credentials_in, secrets_in
from attested_publish.net.stopping import done_or_stopped
from attested_publish.net.untrusted import shown
from attested_publish.problems import Problem, Topic
from attested_publish.report import Result

if TYPE_CHECKING:
    from attested_publish.console.mask import Mask
    from attested_publish.console.printer import Printer
    from attested_publish.journey.run import Run
    from attested_publish.report import Report
    from attested_publish.settings import Settings


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


def write_report(report: Report, path: Path) -> None:
    """Write the JSON report."""
    write_json(report.as_json(), path)


def write_json(record: Mapping[str, object], path: Path) -> None:
    """Write a record as JSON. Raises `OSError`."""
    text = json.dumps(record, indent=2, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # What of a file name is not UTF-8 is escaped as JSON has it.
    path.write_text(text + os.linesep, encoding="utf-8", errors="backslashreplace", newline="")


def prove_writable(report: Path) -> None:
    """Check before anything else that the report can be written; raises `OSError`."""
    # A link may point to a file that does not exist yet.
    path = report.resolve()
    is_there = path.exists()
    if is_there and not path.is_file() and not path.is_dir():
        # A reader of a pipe would take this for the whole report.
        return
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
