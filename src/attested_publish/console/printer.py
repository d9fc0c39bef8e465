"""What a run prints while it goes: plain lines in a log, a live block on a terminal."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text

from attested_publish.console.wrapping import wrapped
from attested_publish.findings import Finding, Severity, by_severity
from attested_publish.net.untrusted import harmless, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.style import StyleType

    from attested_publish.console.listing import Listing
    from attested_publish.distributions import Distribution
    from attested_publish.problems import Stage
    from attested_publish.report import ProblemReport

_STYLES = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.NOTICE: "cyan"}
_MARKS = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.NOTICE: "·"}
_NAME_WIDTH = 13
_LISTED = 10


class Printer:
    """Prints stages, files, findings and problems to a console. Threads may share it.

    Every text is made harmless first (see `untrusted.harmless`): one line, no control
    characters, no secrets. With `verbose` tracebacks and requests are printed too.
    """

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self.console = console
        self.verbose = verbose
        self._printing = threading.Lock()

    def begin(self, stage: Stage, doing: str) -> None:
        """Print that a stage begins, and what it does in a few words."""
        self._line((f"{stage.value:<{_NAME_WIDTH}}", "bold"), (doing, ""))

    def end(self, seconds: float) -> None:
        """Print how long the stage took."""
        self._line((f"  {seconds:.1f} s", "dim"))

    def heading(self, text: str) -> None:
        """Print what the stages from here on are about."""
        self.console.print()
        self._line((text, "bold underline"))

    def item(self, text: str, note: str = "") -> None:
        """Print one thing done, usually a file, with a note about it."""
        beside = f"  {note}" if note else ""
        self._line(("  ✓ ", "green"), (text, ""), (beside, "dim"))

    def detail(self, text: str) -> None:
        """Print more about the item before."""
        self._line((f"      {text}", "dim"))

    def notice(self, text: str) -> None:
        """Print something worth knowing."""
        self._line(("  · ", "cyan"), (text, ""))

    def warning(self, text: str) -> None:
        """Print what may need attention, but does not stop the release."""
        self._line(("  ! ", "yellow"), (text, ""))

    def request(self, text: str) -> None:
        """Print a request that was made."""
        self._line((f"  ↔ {text}", "dim"))

    def waiting(self, text: str) -> None:
        """Print that a request is tried again."""
        self._line(("  … ", "yellow"), (text, "dim"))

    def findings(self, distribution: Distribution, found: Iterable[Finding]) -> None:
        """Print what was found in a file below the file's name, worst first."""
        worst_first = by_severity(found)
        if not worst_first:
            return
        self._line((f"  {shown(distribution.filename)}", "bold"))
        for finding in worst_first:
            self._line(
                (f"    {_MARKS[finding.severity]} {finding.severity}: ", _STYLES[finding.severity]),
                (finding.message, ""),
                (f"  [{finding.rule}]", "dim"),
            )
            if finding.remedy:
                self._line((f"      → {finding.remedy}", "dim"))

    def problem(self, problem: ProblemReport) -> None:
        """Print a problem: title, what happened, what to do, where to read on."""
        self.console.print()
        self._line(("✗ ", "bold red"), (problem.title, "bold"), (f"  [{problem.stage}]", "dim"))
        for line in told(problem):
            self._line((f"  {line}", ""))
        if problem.remedy:
            head, *rest = problem.remedy.splitlines()
            self._line(("  → ", "bold green"), (head, ""))
            for line in rest:
                self._line((f"    {line}", ""))
        if problem.read_on:
            self._line((f"  More: {problem.read_on}", "dim"))

    def traceback(self) -> None:
        """Print the current exception's traceback when verbose."""
        if self.verbose:
            # It quotes whatever the libraries put into their errors.
            self._line((harmless(traceback.format_exc(), pieces=True), "dim"))

    def table(self, listing: Listing) -> None:
        """Print a table, or a list where the console is narrow; its cells are untrusted texts."""
        for line in listing.lines(self.console):
            self._line(*line, is_laid_out=True)

    def _line(self, *parts: tuple[str, StyleType], is_laid_out: bool = False) -> None:
        """Print a line; on a terminal its words are wrapped, unless it is laid out already."""
        cleaned = [(harmless(text), style) for text, style in parts]
        whole = "".join(text for text, _ in cleaned)
        # What is harmless in parts may not be so together.
        safe = harmless(whole)
        # Assembled, never parsed: untrusted text must not be taken for markup.
        line = Text.assemble(*cleaned) if safe == whole else Text(safe)
        lines: Iterable[Text] = [line]
        if self.console.is_interactive and not is_laid_out:
            lines = _on_a_terminal(line, parts[0][0] if parts else "", self.console.width)
        with self._printing:
            for each in lines:
                self.console.print(each, soft_wrap=True)


def _on_a_terminal(line: Text, mark: str, width: int) -> Iterator[Text]:
    """Yield what fits on lines of a terminal; what goes on is below the text, not the mark.

    A log keeps each line whole: who reads it may search it, and has other widths.
    """
    for each in line.split("\n", allow_blank=True):
        text = each.plain
        hang = len(mark) if mark.endswith(" ") else len(text) - len(text.lstrip())
        for part in wrapped(each, width, min(hang, width // 3)):
            # What was harmless within a line may not be so at the start of one.
            safe = harmless(part.plain)
            yield part if safe == part.plain else Text(safe)


def told(problem: ProblemReport) -> Iterator[str]:
    """Yield the lines of a problem's detail; of findings, which were printed before, the first."""
    lines = problem.detail.splitlines()
    listed = lines[: problem.listed]
    yield from listed[:_LISTED]
    if len(listed) > _LISTED:
        yield f"… and {len(listed) - _LISTED} more, as listed above."
    yield from lines[problem.listed :]


def cleaned(finding: Finding) -> Finding:
    """Return a finding as it may be printed and recorded: it quotes files and the index."""
    return replace(
        finding,
        message=harmless(finding.message, pieces=True),
        remedy=harmless(finding.remedy, pieces=True),
    )
