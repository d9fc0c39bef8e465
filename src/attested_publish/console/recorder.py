"""What is kept of what a run said: the times of its stages, remarks, and problems."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from attested_publish.net.untrusted import harmless
from attested_publish.problems import Stage

if TYPE_CHECKING:
    from attested_publish.console.printer import Printer
    from attested_publish.report import ProblemReport


class Recorder:
    """Keeps what is said for the report and the summary; the printer prints it at once.

    `started` is when the run began, by `time.monotonic`; all times count from it, in seconds.
    `remarks` are sentences about the whole release, `improvements` what the next release
    could do better.
    """

    def __init__(self, printer: Printer, started: float | None = None) -> None:
        self.printer = printer
        self.started = time.monotonic() if started is None else started
        self.current = Stage.FILES
        self._seconds: dict[str, float] = {}
        self._running: dict[str, float] = {}
        self.remarks: list[str] = []
        self.improvements: list[str] = []
        self.problems: list[ProblemReport] = []

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each stage so far, also of one that has not ended, as a run is stopped."""
        spent = dict(self._seconds)
        for stage, began in self._running.items():
            spent[stage] = spent.get(stage, 0.0) + self.elapsed - began
        return spent

    @contextlib.contextmanager
    def stage(self, stage: Stage, doing: str) -> Iterator[None]:
        """Time a stage; `doing` is what it does in a few words."""
        self.current = stage
        self.printer.begin(stage, doing)
        self._running[stage] = began = self.elapsed
        try:
            yield
        finally:
            spent = self.elapsed - began
            self._running.pop(stage, None)
            self._seconds[stage] = self._seconds.get(stage, 0.0) + spent
            self.printer.end(spent)

    def remark(self, text: str) -> None:
        """Keep a sentence about the whole release; the summary has it below its verdict."""
        self.remarks.append(harmless(text))
        self.printer.notice(text)

    def improvement(self, text: str) -> None:
        """Keep what the next release could do better."""
        self.improvements.append(harmless(text))
        self.printer.notice(text)

    def problem(self, problem: ProblemReport) -> None:
        """Keep a problem that ended the run, or its part at one index."""
        self.problems.append(problem)
        self.printer.problem(problem)
