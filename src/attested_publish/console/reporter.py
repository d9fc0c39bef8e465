"""Tell the run as it goes, and keep its record."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.live import Live
from rich.text import Text

from attested_publish.console.progress import Progress
from attested_publish.findings import Finding, Severity
from attested_publish.net import secrecy
from attested_publish.net.stopping import ended_when_stopped, is_stopped
from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import Stage
from attested_publish.report import FileReport, ProblemReport, Report, Result, Span, Status

if TYPE_CHECKING:
    from rich.console import Console
    from rich.style import StyleType
    from rich.table import Table

    from attested_publish.distributions import Distribution
    from attested_publish.problems import Problem

_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTICE: "cyan"}
_MARKS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.NOTICE: "·"}
_NAME_WIDTH = 13
_SHOWN_NAMES = 10


class Reporter:
    """Prints stages, files and problems to a console and writes them into the report.

    Every text goes through `clean`, which blots out all secrets. Threads may share it.
    """

    def __init__(self, report: Report, console: Console, *, verbose: bool = False) -> None:
        self.report = report
        self.console = console
        self.verbose = verbose
        self.current = Stage.FILES
        self._place = ""
        self._started = time.monotonic()
        self._printing = threading.Lock()

    def mask(self, secret: str, user: str = "__token__") -> None:  # noqa: ARG002 - see the action's
        """Keep a secret out of everything that is shown or recorded from now on.

        `user` is whom it is sent with.
        """
        secrecy.keep([secret])

    def clean(self, text: str, *, pieces: bool = False) -> str:
        """Return `text` as it may be shown and recorded: see `foreign.harmless`."""
        return harmless(text, pieces=pieces)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    @contextlib.contextmanager
    def stage(self, stage: Stage, doing: str) -> Iterator[None]:
        """Time a stage and frame what it tells; `doing` says in a few words what it does."""
        self.current = stage
        self._begin(stage, doing)
        started = self.elapsed
        try:
            yield
        finally:
            spent = self.elapsed - started
            self.report.seconds[stage] = self.report.seconds.get(stage, 0.0) + spent
            self.report.story.timeline.append(Span(stage.value, started, started + spent))
            self._end(spent)

    @contextlib.contextmanager
    def recording(self, report: Report, place: str) -> Iterator[None]:
        """Write into another report meanwhile: that of `place`, which its problems name."""
        before = self.report, self._place
        self.report, self._place = report, place
        try:
            yield
        finally:
            # A run that is told to stop ends here, and the main thread says so meanwhile.
            if not is_stopped():
                self.report, self._place = before

    def heading(self, text: str) -> None:
        """Tell what the stages from here on are about."""
        self.console.print()
        self._line((text, "bold underline"))

    @contextlib.contextmanager
    def progress(self, distributions: Sequence[Distribution]) -> Iterator[Progress]:
        """Tell how far a stage is with these files: on a terminal in a block that stays live."""
        size = sum(each.size for each in distributions)
        progress = Progress(len(distributions), size, self.item)
        # A terminal must get its cursor back, also from a run that is told to stop.
        with ended_when_stopped() as until_done:
            if self.console.is_terminal:
                live = Live(
                    progress,
                    console=self.console,
                    refresh_per_second=8,
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                until_done.enter_context(live)
            yield progress

    def item(self, text: str, note: str = "") -> None:
        """Tell one thing done, usually a file, with a note about it."""
        beside = f"  {note}" if note else ""
        self._line(("  ✓ ", "green"), (text, ""), (beside, "dim"))

    def detail(self, text: str) -> None:
        """Tell more about the item before."""
        self._line((f"      {text}", "dim"))

    def notice(self, text: str) -> None:
        """Tell something worth knowing."""
        self._line(("  · ", "cyan"), (text, ""))

    def remark(self, text: str) -> None:
        """Tell something about the whole release that belongs below the summary's verdict."""
        self.report.story.remarks.append(self.clean(text))
        self.notice(text)

    def improvement(self, text: str) -> None:
        """Tell what the next release could do better, and keep it for the summary."""
        self.report.story.improvements.append(self.clean(text))
        self.notice(text)

    def request(self, text: str) -> None:
        """Tell of a request that was made; may be called from any thread."""
        self._line((f"  ↔ {text}", "dim"))

    def waiting(self, text: str) -> None:
        """Tell that a request is tried again; may be called from any thread."""
        self._line(("  … ", "yellow"), (text, "dim"))

    def warning(self, text: str) -> None:
        """Tell something that may need a hand, but does not stop the release."""
        self._line(("  ! ", "yellow"), (text, ""))

    def findings(self, distribution: Distribution, found: Iterable[Finding]) -> None:
        """Record what was found in a file, and tell it below the file's name, worst first."""
        worst_first = sorted(found, key=lambda each: tuple(Severity).index(each.severity))
        if not worst_first:
            return
        self._line((f"  {shown(distribution.filename)}", "bold"))
        for finding in map(self._cleaned, worst_first):
            self.report.files[distribution.filename].findings.append(finding)
            self._line(
                (f"    {_MARKS[finding.severity]} {finding.severity}: ", _STYLES[finding.severity]),
                (finding.message, ""),
                (f"  [{finding.rule}]", "dim"),
            )
            if finding.remedy:
                self._line((f"      → {finding.remedy}", "dim"))

    def problem(self, problem: Problem) -> None:
        """Record what ended the run, and explain it, with what is public by then."""
        self.report.result = Result(problem.result)
        # What is found wrong afterwards was uploaded all the same.
        is_public = problem.stage is Stage.CONFIRMATION
        if problem.file in self.report.files and not is_public:
            self.report.files[problem.file].status = Status(problem.result)
        detail = "\n".join(
            filter(None, (problem.detail, what_is_public(self.report, problem.stage, self._place)))
        )
        is_placed = self._place in problem.title
        title = problem.title if is_placed else f"{self._place}: {problem.title}"
        record = ProblemReport(
            stage=problem.stage.value,
            title=self.clean(title),
            detail=self.clean(detail),
            remedy=self.clean(problem.remedy),
            file=problem.file,
            read_on=problem.read_on,
        )
        self.report.problems.append(record)
        self.explain(record)

    def explain(self, problem: ProblemReport) -> None:
        """Print a problem: title, what happened, what to do, where to read on."""
        self.console.print()
        self._line(("✗ ", "bold red"), (problem.title, "bold"), (f"  [{problem.stage}]", "dim"))
        for line in problem.detail.splitlines():
            self._line((f"  {line}", ""))
        if problem.remedy:
            head, *rest = problem.remedy.splitlines()
            self._line(("  → ", "bold green"), (head, ""))
            for line in rest:
                self._line((f"    {line}", ""))
        if problem.read_on:
            self._line((f"  More: {problem.read_on}", "dim"))

    def traceback(self) -> None:
        """Print the current exception's traceback, secrets blotted out, when verbose."""
        if self.verbose:
            import traceback

            # It quotes whatever the libraries put into their errors.
            self._line((self.clean(traceback.format_exc(), pieces=True), "dim"))

    def table(self, table: Table) -> None:
        """Print a table, whose cells are foreign texts."""
        for line in self.console.render_lines(table, pad=False):
            self._line(*((segment.text, segment.style or "") for segment in line))

    def _begin(self, stage: Stage, doing: str) -> None:
        self._line((f"{stage.value:<{_NAME_WIDTH}}", "bold"), (doing, ""))

    def _end(self, spent: float) -> None:
        self._line((f"  {spent:.1f} s", "dim"))

    def _cleaned(self, finding: Finding) -> Finding:
        """Return a finding as it may be shown: it quotes files and answers of the index."""
        return replace(
            finding,
            message=self.clean(finding.message, pieces=True),
            remedy=self.clean(finding.remedy, pieces=True),
        )

    def _line(self, *parts: tuple[str, StyleType]) -> None:
        cleaned = [(self.clean(text), style) for text, style in parts]
        whole = "".join(text for text, _ in cleaned)
        # What is harmless in parts may not be so together.
        safe = self.clean(whole)
        # Assembled, never parsed: foreign text must not be taken for markup.
        line = Text.assemble(*cleaned) if safe == whole else Text(safe)
        with self._printing:
            self.console.print(line, soft_wrap=True)


def what_is_public(report: Report, stage: Stage, place: str = "") -> str:
    """Say what a run that ended in `stage` has made public; empty where it was not to do so.

    `place` is the index that the report is about, where the run goes to several.
    """
    if report.mode not in {"publish", "rehearse"}:
        return ""
    told = []
    if uploaded := report.with_status(Status.UPLOADED):
        told.append(f"Public already, from this run: {_named(uploaded)}.")
    else:
        told.append(f"This run uploaded nothing{f' to {place}' if place else ''}.")
    if there := report.with_status(Status.ALREADY_THERE):
        told.append(f"Public since before: {_named(there)}.")
    is_past_upload = stage in {Stage.UPLOAD, Stage.CONFIRMATION}
    if is_past_upload and (doubtful := report.with_status(Status.FAILED)):
        told.append(f"May have arrived, or not: {_named(doubtful)}.")
    return " ".join(told)


def _named(files: Sequence[FileReport]) -> str:
    names = ", ".join(shown(file.filename) for file in files[:_SHOWN_NAMES])
    more = f" and {len(files) - _SHOWN_NAMES} more" if len(files) > _SHOWN_NAMES else ""
    return names + more
