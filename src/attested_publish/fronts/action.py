"""The GitHub Action: reads inputs; writes workflow commands, outputs and a step summary."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from attested_publish.console.output import Output
from attested_publish.console.reporter import Reporter
from attested_publish.findings import Severity
from attested_publish.fronts.running import carry_out, mask_secrets, write_report
from attested_publish.fronts.summary import summary
from attested_publish.net import secrecy
from attested_publish.net.stopping import Stopped, listening, see_through
from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import FilesProblem, Topic, counted
from attested_publish.report import ProblemReport, Report, Result
from attested_publish.settings import SETTINGS, Mode, Settings, WrongUsage, understand

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.findings import Finding
    from attested_publish.problems import Problem, Stage

_LOG_WIDTH = 140
_ANNOTATIONS = 10
"""GitHub shows ten annotations of each kind for a step, and drops the rest; one is reserved."""

_SUMMARY_LIMIT = 1 << 20
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTICE: "notice"}


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Run as a step of a job. Returns 0: done, 1: refused or failed, 2: wrong usage."""
    if sys.stdout is not None:
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    with listening():
        return _run(environment)


def _run(environment: Mapping[str, str]) -> int:
    given = inputs(environment)
    # Before a wrong input is quoted in a message.
    secrecy.keep([given.get("password", "").strip(), *secrecy.secrets_in(environment)])
    report = Report(mode=Mode.PUBLISH.value, index="")
    reporter = GitHubReporter(report, _console())
    try:
        settings = understand(given)
        report.mode = settings.mode.value
        report.index = secrecy.without_credentials(settings.repository_url)
        reporter.verbose = settings.verbose
        mask_secrets(reporter, settings, environment)
        result = carry_out(lambda: _work(settings, reporter, environment), reporter)
        status = 0 if result is Result.DONE else 1
    except WrongUsage as error:
        _tell_wrong_inputs(error, reporter)
        status = 2
    try:
        see_through(lambda: hand_over(report, environment, reporter.warning))
    except Stopped:
        reporter.warning("The run was stopped while it was writing its outputs and summary.")
    return status


def _tell_wrong_inputs(error: WrongUsage, reporter: GitHubReporter) -> None:
    """Annotate every wrong input, and record them all as the reason why the run ended."""
    for sentence in error.sentences:
        reporter.wrong_input(harmless(sentence, pieces=True))
    reporter.report.problems.append(
        ProblemReport(
            stage="settings",
            title=counted(len(error.sentences), "wrong input"),
            detail=reporter.clean(str(error)),
            remedy="Correct the inputs of this step in the workflow.",
            file=None,
        )
    )


def inputs(environment: Mapping[str, str]) -> dict[str, str]:
    """Read the action's inputs: `INPUT_` and the setting's name in capitals.

    The runner keeps hyphens (`INPUT_PACKAGES-DIR`), but some shells drop such variables; if that
    name is missing, the one with underscores is read.
    """
    given = {}
    for setting in SETTINGS:
        variable = f"INPUT_{setting.name.upper()}"
        value = environment.get(variable, environment.get(variable.replace("-", "_")))
        if value is not None:
            given[setting.name] = value
    return given


def _work(settings: Settings, reporter: Reporter, environment: Mapping[str, str]) -> None:
    from attested_publish.journey import publish
    from attested_publish.journey.targets import chosen

    match settings.mode:
        case Mode.PUBLISH:
            publish.publish(settings, chosen(settings), reporter)
        case Mode.CHECK:
            publish.check(settings, chosen(settings), reporter)
        case Mode.ATTEST:
            services = chosen(settings)
            if settings.attestations_dir is None:
                # The output `attestations-dir` names the folder.
                settings = replace(settings, attestations_dir=_attestations_folder(environment))
            publish.attest(settings, services, reporter)
        case Mode.REHEARSE:
            from attested_publish.rehearsal.rehearse import rehearse

            rehearse(settings, reporter, registry_file=None, claims=(), sample=False)


class GitHubReporter(Reporter):
    """Reports a run to a workflow's log: masks, groups, and annotations."""

    def __init__(self, report: Report, console: Console, *, verbose: bool = False) -> None:
        super().__init__(report, console, verbose=verbose)
        self._annotated = dict.fromkeys(_LEVELS.values(), 0)

    def mask(self, secret: str, user: str = "__token__") -> None:
        """Make the runner mask the secret, too, line by line because it compares lines.

        Also in the form of an upload's `Authorization` header: not every program that displays a
        job's log recognizes Base64.
        """
        super().mask(secret, user)
        if not secret:
            return
        header = base64.b64encode(f"{user}:{secret}".encode()).decode()
        for line in (*secret.splitlines(), header):
            # If the password were `p`, the runner would mask every `p` in the log.
            if len(line.strip()) >= secrecy.SHORTEST:
                self._print(command("add-mask", line))

    def warning(self, text: str) -> None:
        """Annotate a warning."""
        super().warning(text)
        self._annotate("warning", text)

    def findings(self, distribution: Distribution, found: Iterable[Finding]) -> None:
        """Annotate findings with the file's name."""
        told = [self._cleaned(finding) for finding in found]
        super().findings(distribution, told)
        for finding in told:
            text = f"{finding.message} {finding.remedy}".strip()
            title = f"{shown(distribution.filename)}: {finding.rule}"
            file = distribution.source.as_posix()
            self._annotate(_LEVELS[finding.severity], text, title=title, file=file)

    def problem(self, problem: Problem) -> None:
        """Annotate the problem, as it was displayed."""
        super().problem(problem)
        told = self.report.problems[-1]
        text = "\n".join(filter(None, (told.detail, told.remedy, f"More: {told.read_on}")))
        file = self.report.files[problem.file].source if problem.file in self.report.files else None
        self._command("error", text, title=told.title, file=file)

    def _begin(self, stage: Stage, doing: str) -> None:
        self._command("group", f"{stage.value}: {doing}")

    def _end(self, spent: float) -> None:
        super()._end(spent)
        self._command("endgroup", "")

    def wrong_input(self, sentence: str) -> None:
        """Annotate an invalid input."""
        self._command("error", sentence, title="Wrong input")

    def _annotate(
        self, level: str, text: str, title: str | None = None, file: str | None = None
    ) -> None:
        self._annotated[level] += 1
        if self._annotated[level] < _ANNOTATIONS:
            self._command(level, text, title=title, file=file)

    def _command(self, name: str, text: str, **properties: str | None) -> None:
        cleaned = {key: value and self.clean(value) for key, value in properties.items()}
        self._print(command(name, self.clean(text), **cleaned))

    def _print(self, line: str) -> None:
        """Print a workflow command at once, so that nothing is printed in between."""
        with self._printing:
            self.console.file.write(f"{line}\n")
            self.console.file.flush()


def command(name: str, text: str, **properties: str | None) -> str:
    """Return a workflow command, escaped as the runner expects; `None` is left out."""
    listed = ",".join(
        f"{key}={_escape_property(value)}" for key, value in properties.items() if value
    )
    return f"::{name}{' ' if listed else ''}{listed}::{_escape(text)}"


def hand_over(report: Report, environment: Mapping[str, str], warn: Callable[[str], None]) -> None:
    """Write the JSON report, the step's outputs and its summary where the runner expects them.

    They are independent: `warn` is called for each that cannot be written, which does not change
    the result of the release.
    """
    folder = Path(environment.get("RUNNER_TEMP") or tempfile.gettempdir())
    path = folder / f"attested-publish-{secrets.token_hex(4)}.json"
    with _warning("JSON report", warn) as of_report:
        write_report(report, path)
    record = report.as_json()
    attestations_dir = report.together().attestations_dir
    outputs = {
        "result": report.result.value,
        "files": json.dumps(record["files"]),
        "projects": json.dumps(secrecy.all_blotted(report.projects())),
        "attestations-dir": str(attestations_dir or ""),
        "report": str(path) if of_report.is_done else "",
    }
    if environment.get("GITHUB_OUTPUT"):
        file = Path(environment["GITHUB_OUTPUT"])
        with _warning("step's outputs", warn) as of_outputs:
            _append(file, "".join(starmap(_output, outputs.items())))
        if not of_outputs.is_done:
            # The disk may have room for this one, which others depend on.
            with _warning("step's result", warn):
                _append(file, _output("result", report.result.value))
    if environment.get("GITHUB_STEP_SUMMARY"):
        with _warning("step's summary", warn):
            _append(
                Path(environment["GITHUB_STEP_SUMMARY"]),
                secrecy.blotted(summary(report, limit=_SUMMARY_LIMIT)),
            )


@dataclass
class _Part:
    is_done: bool = False


@contextlib.contextmanager
def _warning(what: str, warn: Callable[[str], None]) -> Iterator[_Part]:
    """Warn if this block fails: a release must not fail because of its report."""
    part = _Part()
    try:
        yield part
        part.is_done = True
    except Exception as error:  # noqa: BLE001 - a bug in the summary must not fail the release
        why = getattr(error, "strerror", None) or f"{type(error).__name__}: {shown(error)}"
        warn(f"The {what} could not be written: {why}.")


def _output(name: str, value: str) -> str:
    # Random, so that no value can end its own block and set other outputs.
    mark = f"end-{secrets.token_hex(16)}"
    return f"{name}<<{mark}\n{value}\n{mark}\n"


def _append(path: Path, text: str) -> None:
    """Append all of a text or nothing: a truncated output makes the runner fail the step."""
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


def _attestations_folder(environment: Mapping[str, str]) -> Path:
    """Create a folder for attestation files; the user's own folder is only read."""
    where = environment.get("RUNNER_TEMP") or None
    try:
        if where is not None:
            Path(where).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="attestations-", dir=where))
    except OSError as error:
        raise FilesProblem(
            "The attestation files could not be written",
            topic=Topic.ATTESTATIONS_DIR_UNWRITABLE,
            detail=f"{shown(where or 'The temporary folder')}: {error.strerror}.",
            remedy="Set attestations-dir to a folder that the job can write to.",
        ) from error


def _console() -> Console:
    return Console(
        file=Output(sys.stdout),  # type: ignore[arg-type] # has the file methods that are used
        highlight=False,
        width=_LOG_WIDTH,
        force_terminal=False,
        color_system=None,
        emoji=False,
    )


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(shown(text)).replace(":", "%3A").replace(",", "%2C")
