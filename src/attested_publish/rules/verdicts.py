"""What the rules say of each file, found in child processes: see `questions` for what is asked.

What breaks a bound there is a finding about that file. The rules themselves are imported there
only: they are large, and this process can do without.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.findings import Finding, Severity, worst_first
from attested_publish.net.stopping import ended_when_stopped, is_stopped
from attested_publish.sandbox.pool import (
    CHILDREN,
    FEW,
    BeyondBounds,
    Sandbox,
    Unreadable,
    seconds_for,
    shared_sandbox,
)
from attested_publish.sandbox.questions import Question, about_file

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.sandbox.process import Child

_QUESTIONS = "attested_publish.rules.questions"
_DESCRIPTION_SECONDS = 2.0


class Verdicts:
    """The findings about files, each worked out from when it is there until it is asked for."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self._threads = ThreadPoolExecutor(CHILDREN + FEW)
        self._on_their_way: dict[str, Future[list[Finding]]] = {}
        self._descriptions: dict[str, list[Finding]] = {}

    def prepare(self) -> None:
        """Have a child get ready meanwhile, for a file that is sure to come."""
        self.sandbox.start(_QUESTIONS)

    def begin(self, distribution: Distribution) -> None:
        """Start checking a file in the background."""
        self._on_their_way[distribution.filename] = self._threads.submit(
            self.find, distribution.path, distribution.filename, distribution.size
        )

    def of(self, distribution: Distribution) -> list[Finding]:
        """Wait for all findings about a file, worst first."""
        if distribution.filename not in self._on_their_way:
            self.begin(distribution)
        return self._on_their_way[distribution.filename].result()

    def find(self, path: Path, filename: str, size: int) -> list[Finding]:
        """Find everything to be said of the file at `path`, worst first, as `checks` has it."""
        question = about_file(path, filename, size)
        try:
            return self.sandbox.talk(
                _QUESTIONS,
                seconds_for(size),
                lambda child, seconds: worst_first(self._judged(child, question, seconds)),
            )
        except BeyondBounds as why:
            return [_beyond_bounds(why)]

    def give_up(self) -> None:
        """Begin no further file, and wait for none."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _judged(self, child: Child, question: Question, seconds: float) -> list[Finding]:
        try:
            answer = child.ask(f"{_QUESTIONS}:judge_file", question, seconds)
        except Unreadable as why:
            return [_beyond_bounds(why)]
        key = answer["description"]
        return [
            *_findings(answer["before"]),
            *(() if key is None else self._described(child, key)),
            *_findings(answer["after"]),
        ]

    def _described(self, child: Child, key: str) -> list[Finding]:
        """Render the description of the file just checked, once for all files that share it."""
        known = self._descriptions.get(key)
        if known is not None:
            return known
        try:
            answer = child.ask(f"{_QUESTIONS}:describe", {}, _DESCRIPTION_SECONDS)
            found = _findings(answer["findings"])
        except (BeyondBounds, Unreadable) as why:
            found = [
                Finding(
                    "description-beyond-bounds",
                    Severity.ERROR,
                    f"The description could not be rendered: {why}.",
                    "Look for excessive nesting, repetition or highlighting in the readme; "
                    "verify-metadata: false publishes it unchanged.",
                )
            ]
        self._descriptions[key] = found
        return found


def get_ready() -> None:
    """Have a child of this process get ready in the background, as files are sure to come."""
    shared_sandbox().start(_QUESTIONS)


@contextlib.contextmanager
def verdicts() -> Iterator[Verdicts]:
    """Check files until the end of the block; unfinished checks are abandoned."""
    sandbox = shared_sandbox()

    def end() -> None:
        begun.give_up()
        if is_stopped():
            sandbox.close()

    with ended_when_stopped() as until_done:
        begun = Verdicts(sandbox)
        until_done.callback(end)
        yield begun


def _findings(answered: Iterable[Mapping[str, str]]) -> list[Finding]:
    return [
        Finding(one["rule"], Severity(one["severity"]), one["message"], one["remedy"])
        for one in answered
    ]


def _beyond_bounds(why: Exception) -> Finding:
    return Finding(
        "file-beyond-bounds",
        Severity.ERROR,
        f"The file could not be checked: {why}.",
        "Look at its contents, and build it again; no build backend writes such a file. "
        "verify-metadata: false ignores this.",
    )
