"""What both fronts do around a run: end it well, whatever happens, and write the report."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.endings import told
from attested_publish.problems import Problem, Topic
from attested_publish.secrecy import credentials_in, secrets_in
from attested_publish.stopping import done_or_stopped

if TYPE_CHECKING:
    from attested_publish.report import Report, Result
    from attested_publish.reporter import Reporter
    from attested_publish.settings import Settings


class StoppedProblem(Problem):
    """The run was told to stop before it was done."""


def carry_out(work: Callable[[], None], reporter: Reporter) -> Result:
    """Do the work of a run; tell whatever stops it as a problem, never as a traceback.

    Only `WrongUsage` is left to the front, which knows how its user calls it.
    """
    stopped_by = None
    with told(reporter), _requests_told(reporter):
        stopped_by = done_or_stopped(work)
    if stopped_by is not None:
        reporter.problem(_stopped(stopped_by, reporter))
    return reporter.report.result


def mask_secrets(reporter: Reporter, settings: Settings, environment: Mapping[str, str]) -> None:
    """Mask what is secret among settings and variables, before anything is told."""
    reporter.mask(settings.password, settings.user)
    for url in settings.repository_urls:
        for secret in credentials_in(url):
            reporter.mask(secret)
    for secret in secrets_in(environment):
        reporter.mask(secret)


@contextlib.contextmanager
def _requests_told(reporter: Reporter) -> Iterator[None]:
    """Let the reporter tell every request meanwhile, when verbose."""
    logger = logging.getLogger("attested_publish.http")
    teller = _Teller(reporter)
    before = logger.level
    if reporter.verbose:
        logger.addHandler(teller)
        logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.removeHandler(teller)
        logger.setLevel(before)


class _Teller(logging.Handler):
    """Gives what is logged to a reporter."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one request."""
        self._reporter.request(record.getMessage())


def write_report(report: Report, path: Path) -> None:
    """Write the JSON report."""
    text = json.dumps(report.as_json(), indent=2, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    # What of a file name is not UTF-8 is escaped as JSON has it.
    path.write_text(text + os.linesep, encoding="utf-8", errors="backslashreplace", newline="")


def _stopped(name: str, reporter: Reporter) -> StoppedProblem:
    uploads = reporter.report.mode in {"publish", "rehearse"}
    problem = StoppedProblem(
        "The run was stopped before it was done",
        topic=Topic.STOPPED,
        detail=f"It received {name}: somebody cancelled the job, or its time was up.",
        remedy="Run again: a re-run asks the index what it holds, and uploads only what is missing."
        if uploads
        else "Run again.",
    )
    problem.stage = reporter.current
    return problem
