"""The GitHub front: inputs in; workflow commands, outputs and a step summary out."""

from __future__ import annotations

import json
import os
import secrets
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from attested_publish.addresses import without_credentials
from attested_publish.findings import Severity
from attested_publish.foreign import shown
from attested_publish.front import carry_out, write_report
from attested_publish.report import Report, Result
from attested_publish.reporter import Reporter
from attested_publish.settings import SETTINGS, Mode, Settings, WrongUsage, understand
from attested_publish.summary import summary

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.findings import Finding
    from attested_publish.problems import Problem, Stage

_LOG_WIDTH = 140
_ANNOTATIONS = 10
"""GitHub shows so many of each kind for a step, and drops the rest; one is for the problem."""

_SUMMARY_LIMIT = 1 << 20
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTICE: "notice"}


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run as a step of a job. Returns 0: done, 1: refused or failed, 2: wrong usage."""
    sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    try:
        return _run(environment)
    except WrongUsage as error:
        print(command("error", str(error), title="Wrong input"))
        return 2


def _run(environment: Mapping[str, str]) -> int:
    settings = understand(inputs(environment))
    if settings.mode is Mode.ATTEST and settings.attestations_dir is None:
        # The user's folder is only read; the output `attestations-dir` says where they are.
        folder = tempfile.mkdtemp(prefix="attestations-", dir=environment.get("RUNNER_TEMP"))
        settings = replace(settings, attestations_dir=Path(folder))
    report = Report(mode=settings.mode.value, index=without_credentials(settings.repository_url))
    reporter = GitHubReporter(report, _console(), verbose=settings.verbose)
    reporter.mask(settings.password)
    result = carry_out(lambda: _work(settings, reporter), reporter)
    hand_over(report, environment)
    return 0 if result is Result.DONE else 1


def inputs(environment: Mapping[str, str]) -> dict[str, str]:
    """Read the action's inputs: `INPUT_` and the setting's name in capitals.

    The runner keeps hyphens (`INPUT_PACKAGES-DIR`), which not every shell passes on;
    where that name is missing, the one with underscores is read.
    """
    given = {}
    for setting in SETTINGS:
        variable = f"INPUT_{setting.name.upper()}"
        value = environment.get(variable, environment.get(variable.replace("-", "_")))
        if value is not None:
            given[setting.name] = value
    return given


def _work(settings: Settings, reporter: Reporter) -> None:
    from attested_publish import publish
    from attested_publish.services import chosen

    match settings.mode:
        case Mode.PUBLISH:
            publish.publish(settings, chosen(settings), reporter)
        case Mode.CHECK:
            publish.check(settings, chosen(settings), reporter)
        case Mode.ATTEST:
            publish.attest(settings, chosen(settings), reporter)
        case Mode.REHEARSE:
            from attested_publish.rehearsal.rehearse import rehearse

            rehearse(settings, reporter, registry_file=None, claims=(), sample=False)


class GitHubReporter(Reporter):
    """Tells a run to a workflow's log: masks, groups, and annotations."""

    def __init__(self, report: Report, console: Console, *, verbose: bool = False) -> None:
        super().__init__(report, console, verbose=verbose)
        self._annotated = dict.fromkeys(_LEVELS.values(), 0)

    def mask(self, secret: str) -> None:
        """Have the runner blot the secret out too, line by line as it compares lines."""
        super().mask(secret)
        for line in secret.splitlines():
            if line.strip():
                self._command("add-mask", line)

    def warning(self, text: str) -> None:
        """Annotate a warning."""
        super().warning(text)
        self._annotate("warning", text)

    def findings(self, distribution: Distribution, found: Iterable[Finding]) -> None:
        """Annotate findings with the file's name."""
        told = list(found)
        super().findings(distribution, told)
        for finding in told:
            text = f"{finding.message} {finding.remedy}".strip()
            title = f"{shown(distribution.filename)}: {finding.rule}"
            file = distribution.source.as_posix()
            self._annotate(_LEVELS[finding.severity], text, title=title, file=file)

    def problem(self, problem: Problem) -> None:
        """Annotate the problem, as it was shown."""
        super().problem(problem)
        told = self.report.problems[-1]
        text = "\n".join(filter(None, (told.detail, told.remedy, f"More: {told.read_on}")))
        file = self.report.files[problem.file].source if problem.file in self.report.files else None
        self._command("error", text, title=told.title, file=file)

    def _begin(self, stage: Stage, doing: str) -> None:
        self._command("group", self.clean(f"{stage.value}: {doing}"))

    def _end(self, spent: float) -> None:
        super()._end(spent)
        self._command("endgroup", "")

    def _annotate(
        self, level: str, text: str, title: str | None = None, file: str | None = None
    ) -> None:
        self._annotated[level] += 1
        if self._annotated[level] < _ANNOTATIONS:
            self._command(level, self.clean(text), title=title, file=file)

    def _command(self, name: str, text: str, **properties: str | None) -> None:
        cleaned = {key: value and self.clean(value) for key, value in properties.items()}
        print(command(name, text, **cleaned), file=self.console.file, flush=True)


def command(name: str, text: str, **properties: str | None) -> str:
    """Return a workflow command, escaped as the runner unescapes it; `None` is left out."""
    listed = ",".join(
        f"{key}={_escape_property(value)}" for key, value in properties.items() if value
    )
    return f"::{name}{' ' if listed else ''}{listed}::{_escape(text)}"


def hand_over(report: Report, environment: Mapping[str, str]) -> None:
    """Write the JSON report, the step's outputs and its summary where the runner wants them."""
    folder = Path(environment.get("RUNNER_TEMP") or tempfile.gettempdir())
    path = folder / f"attested-publish-{secrets.token_hex(4)}.json"
    write_report(report, path)
    record = report.as_json()
    attestations_dir = report.together().attestations_dir
    outputs = {
        "result": report.result.value,
        "files": json.dumps(record["files"]),
        "projects": json.dumps(report.projects()),
        "attestations-dir": str(attestations_dir or ""),
        "report": str(path),
    }
    if environment.get("GITHUB_OUTPUT"):
        with Path(environment["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
            for name, value in outputs.items():
                # Random, so that no value can end its own block and set other outputs.
                mark = f"end-{secrets.token_hex(16)}"
                file.write(f"{name}<<{mark}\n{value}\n{mark}\n")
    if environment.get("GITHUB_STEP_SUMMARY"):
        with Path(environment["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as file:
            file.write(summary(report, limit=_SUMMARY_LIMIT))


def _console() -> Console:
    return Console(
        highlight=False, width=_LOG_WIDTH, force_terminal=False, color_system=None, emoji=False
    )


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(shown(text)).replace(":", "%3A").replace(",", "%2C")
