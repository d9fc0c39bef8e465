"""What a run prints into the log of a GitHub job: groups, annotations and masks.

The runner reads workflow commands from the job's output:
https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import TYPE_CHECKING

from attested_publish.console.mask import mask
from attested_publish.console.printer import Printer, told
from attested_publish.findings import Severity
from attested_publish.net import secrecy
from attested_publish.net.untrusted import harmless, shown

if TYPE_CHECKING:
    from rich.console import Console

    from attested_publish.distributions import Distribution
    from attested_publish.findings import Finding
    from attested_publish.problems import Stage
    from attested_publish.report import ProblemReport

_ANNOTATIONS = 10
"""GitHub shows ten annotations of each kind for a step, and drops the rest; one is reserved."""

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTICE: "notice"}


class GitHubPrinter(Printer):
    """Prints to a job's log: a group for each stage, annotations for what needs attention."""

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        super().__init__(console, verbose=verbose)
        self._annotated = dict.fromkeys(_LEVELS.values(), 0)

    def begin(self, stage: Stage, doing: str) -> None:
        """Begin a group."""
        self._command("group", f"{stage.value}: {doing}")

    def end(self, seconds: float) -> None:
        """End the group."""
        super().end(seconds)
        self._command("endgroup", "")

    def mask(self, secret: str, user: str = "__token__") -> None:
        """Have the runner mask the secret too, line by line as it compares lines.

        Also in the form that an upload's `Authorization` header has: not everything that shows
        a job's log can find Base64.
        """
        mask(secret, user)
        if not secret:
            return
        header = base64.b64encode(f"{user}:{secret}".encode()).decode()
        for line in (*secret.splitlines(), header):
            # The runner would mask every `p` for a password of that name.
            if len(line.strip()) >= secrecy.SHORTEST:
                self._print(command("add-mask", line))

    def warning(self, text: str) -> None:
        """Annotate a warning."""
        super().warning(text)
        self._annotate("warning", text)

    def findings(self, distribution: Distribution, found: Iterable[Finding]) -> None:
        """Annotate findings with the file's name."""
        every = list(found)
        super().findings(distribution, every)
        for finding in every:
            text = f"{finding.message} {finding.remedy}".strip()
            title = f"{shown(distribution.filename)}: {finding.rule}"
            file = distribution.source.as_posix()
            self._annotate(_LEVELS[finding.severity], text, title=title, file=file)

    def annotation(
        self, severity: Severity, title: str, text: str, *, file: str, line: int
    ) -> None:
        """Annotate a line of a file."""
        self._annotate(_LEVELS[severity], text, title=title, file=file, line=line)

    def problem(self, problem: ProblemReport) -> None:
        """Annotate the problem, as it was displayed."""
        super().problem(problem)
        text = "\n".join(filter(None, (*told(problem), problem.remedy, f"More: {problem.read_on}")))
        self._command("error", text, title=problem.title, file=problem.source or None)

    def wrong_input(self, sentence: str) -> None:
        """Annotate an invalid input."""
        self._command("error", sentence, title="Wrong input")

    def _annotate(
        self,
        level: str,
        text: str,
        title: str | None = None,
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        self._annotated[level] += 1
        if self._annotated[level] < _ANNOTATIONS:
            place = None if line is None else str(line)
            self._command(level, text, title=title, file=file, line=place)

    def _command(self, name: str, text: str, **properties: str | None) -> None:
        harmless_properties = {key: value and harmless(value) for key, value in properties.items()}
        self._print(command(name, harmless(text), **harmless_properties))

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


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(shown(text)).replace(":", "%3A").replace(",", "%2C")
