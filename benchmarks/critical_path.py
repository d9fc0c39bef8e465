"""What a release waits for, one thing after another: `critical_path.py [--files N …] [--list]`.

Publishes a release of each size once, to services with the delays of the public ones, and reads
from their log when each request began and ended. From the end of the run backwards, whatever ended
last before a request began is what that request waited for; that chain is the critical path, and
the time between two of its requests is spent in the program itself. Prints a table in Markdown,
with the seconds of each step and, in parentheses, how many requests they are; `--list` prints every
request of the path.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from releases import DELAYS, Run, one_run
from ways import publish

if TYPE_CHECKING:
    from attested_publish.rehearsal.request_log import Answered

STEPS = {
    "start": "the program, until its first request",
    "identity": "identity tokens",
    "contents": "what the index has",
    "token": "API token",
    "certificate": "certificate",
    "log": "log entries",
    "transfer": "uploads: transfer and checks",
    "locks": "uploads: wait for the locks of the project",
    "store": "uploads: storing",
    "confirmation": "confirmation",
    "revocation": "revoking the API token",
    "program": "the program, between requests",
    "end": "the program, after its last request",
}
"""The steps of a release, with their names in the table."""

_SLACK = 0.01
"""Seconds. The services may note the end of a request a little after its client does."""

_HANDOVER = 0.1
"""Seconds in which the program begins the next upload, or signature, in the place of one."""

_IN_LANES = {"upload", "log"}
"""Stages of which a few requests run beside each other, each followed by the next."""

_HIDDEN = 0.05
"""Seconds. What takes less is left out of the table."""

_ENDPOINTS = {
    "discovery": "token",
    "audience": "token",
    "mint": "token",
    "burn": "revocation",
}


@dataclass(frozen=True)
class Step:
    """A stretch of the critical path, in seconds since the program was started."""

    name: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.end - self.start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What a release waits for.")
    parser.add_argument("--files", type=int, nargs="+", default=[2, 10, 50], metavar="N")
    parser.add_argument("--list", action="store_true", help="print every step")
    options = parser.parse_args()
    if not hasattr(os, "wait4"):
        sys.exit("critical_path.py needs os.wait4, which this system does not have.")
    paths = {}
    for files in options.files:
        paths[files] = path = critical_path(one_run(publish, files, DELAYS))
        if options.list:
            print(f"\n{files} files")
            for step in path:
                print(f"{step.start:8.3f} {step.seconds:8.3f}  {STEPS[step.name]}")
    for line in table(paths):
        print(line)


def critical_path(run: Run) -> list[Step]:
    """Return the critical path of a run, from its start to its end, without gaps."""
    requests = [each for each in run.requests if each.stage not in {"locks", "store"}]
    uploads = [each.start for each in requests if each.stage == "upload"]
    steps: list[Step] = []
    until, following = run.end, None
    while (request := _waited_for(requests, until, following)) is not None:
        if request.end < until:
            steps.append(Step("end" if following is None else "program", request.end, until))
        end = min(request.end, until)
        if request.stage == "upload":
            steps += reversed(list(_parts(request, end, run.requests)))
        else:
            steps.append(Step(_name(request, min(uploads, default=run.end)), request.start, end))
        until, following = request.start, request
    steps.append(Step("start", run.start, until))
    return [
        Step(step.name, step.start - run.start, step.end - run.start) for step in reversed(steps)
    ]


def _waited_for(
    requests: Sequence[Answered], until: float, following: Answered | None
) -> Answered | None:
    """Return the request that had to end before something began at `until`, `None` if none had."""
    ended = [each for each in requests if each.end <= until + _SLACK and each.start < until]
    last = max(ended, key=attrgetter("end"), default=None)
    if following is None or following.stage not in _IN_LANES:
        return last
    # A confirmation that has just ended beside them, for example, is not what an upload waits for.
    before = [
        each for each in ended if each.stage == following.stage and each.end >= until - _HANDOVER
    ]
    return max(before, key=attrgetter("end"), default=last)


def _parts(upload: Answered, end: float, requests: Sequence[Answered]) -> Iterator[Step]:
    """Split an upload into its parts; its storage ends with it."""
    stored = _last("store", requests, upload.start, upload.end)
    if stored is None:
        yield Step("transfer", upload.start, end)
        return
    waited = _last("locks", requests, upload.start, stored.start)
    waits_from = stored.start if waited is None else waited.start
    yield Step("transfer", upload.start, waits_from)
    yield Step("locks", waits_from, stored.start)
    yield Step("store", stored.start, end)


def _last(stage: str, parts: Sequence[Answered], start: float, end: float) -> Answered | None:
    """Return the part of an upload that ended last in this time."""
    within = (each for each in parts if each.stage == stage and start <= each.start)
    ended = (each for each in within if each.end <= end)
    return max(ended, key=attrgetter("end"), default=None)


def _name(request: Answered, first_upload: float) -> str:
    if request.stage != "index":
        return request.stage
    later = "confirmation" if request.start >= first_upload else "contents"
    return _ENDPOINTS.get(request.endpoint or "", later)


def table(paths: dict[int, list[Step]]) -> Iterator[str]:
    """Yield the lines of a table in Markdown: a row for each step, a column for each release."""
    yield f"| seconds on the critical path | {' | '.join(f'{files} files' for files in paths)} |"
    yield f"|---|{'---:|' * len(paths)}"
    for name, title in STEPS.items():
        cells = [_cell([step for step in path if step.name == name]) for path in paths.values()]
        if any(cells):
            yield f"| {title} | {' | '.join(cells)} |"
    totals = (f"{sum(step.seconds for step in path):.1f}" for path in paths.values())
    yield f"| **together** | {' | '.join(totals)} |"


def _cell(steps: Sequence[Step]) -> str:
    seconds = sum(step.seconds for step in steps)
    if seconds < _HIDDEN:
        return ""
    counted = f" ({len(steps)})" if len(steps) > 1 else ""
    return f"{seconds:.2f}{counted}"


if __name__ == "__main__":
    main()
