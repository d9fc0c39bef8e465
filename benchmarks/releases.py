"""Releases published both ways, in turn, to services of their own."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from material import make_release
from measure import Cost, rounded, typical
from service_log import between, read_log, server_errors
from ways import Services, hold_against_index, publish, publish_by_hand, services

if TYPE_CHECKING:
    from attested_publish.rehearsal.request_log import Answered

DELAYS = {
    "certificate": 0.4,
    "log": 0.7,
    "identity": 0.15,
    "upload": 0.7,
    "store": 0.3,
    "index": 0.15,
}
"""Seconds, about as long as PyPI and the public Sigstore take.

An upload is transferred and checked beside others (`upload`), and stored alone in its project
(`store`): PyPI's database and storage take one file of a project after the other.
"""

Way = Callable[[Sequence[Path], Services], Cost]


@dataclass(frozen=True)
class Run:
    """One release: its cost, when it ran (seconds since the epoch), and what the services saw."""

    cost: Cost
    start: float
    end: float
    requests: Sequence[Answered]


@dataclass(frozen=True)
class Comparison:
    """The cost of a release with this program and by hand.

    The server errors are those of the index in all runs; `tree_peak_bytes` was sampled in another
    run, whose time does not count, or not at all.
    """

    ours: Cost
    manual: Cost
    server_errors: int
    manual_server_errors: int
    tree_peak_mb: float | None

    @property
    def ratio(self) -> float:
        """Our seconds, relative to those by hand."""
        return self.ours.seconds / self.manual.seconds

    def as_json(self) -> dict[str, float | None]:
        """Return the figures for the JSON output."""
        return {
            "seconds": rounded(self.ours.seconds, 2),
            "manual_seconds": rounded(self.manual.seconds, 2),
            "ratio": rounded(self.ratio, 3),
            "peak_mb": rounded(self.ours.peak_mb, 1),
            "tree_peak_mb": rounded(self.tree_peak_mb, 1),
            "server_errors": self.server_errors,
        }


@dataclass
class _Turn:
    """A way, and what its runs have cost."""

    way: Way
    costs: list[Cost] = field(default_factory=list)
    server_errors: int = 0

    def take(self, files: int, latency: Mapping[str, float]) -> None:
        run = one_run(self.way, files, latency)
        self.costs.append(run.cost)
        self.server_errors += server_errors(run.requests)


def compare(
    files: int, runs: int, latency: Mapping[str, float], *, watches_tree: bool = True
) -> Comparison:
    """Publish a release of `files` distributions both ways, `runs` times.

    With `watches_tree`, once more our way, to sample the memory of all its processes.
    """
    ours, manual = _Turn(publish), _Turn(publish_by_hand)
    turns = [ours, manual]
    for _ in range(runs):
        for turn in turns:
            turn.take(files, latency)
        turns.reverse()
    watched = one_run(partial(publish, watches_tree=True), files, latency) if watches_tree else None
    return Comparison(
        ours=typical(ours.costs),
        manual=typical(manual.costs),
        server_errors=ours.server_errors + (server_errors(watched.requests) if watched else 0),
        manual_server_errors=manual.server_errors,
        tree_peak_mb=watched.cost.tree_peak_mb if watched else None,
    )


def provenance_cost(
    files: int, runs: int, latency: Mapping[str, float]
) -> dict[str, float | int | None]:
    """Publish `files` distributions with SLSA provenance and without, in turn, `runs` times.

    Returns the median seconds of both, and their ratio.
    """

    def with_provenance(release: Sequence[Path], world: Services) -> Cost:
        return publish(release, world, "--provenance=true")

    turns = [both, plain] = [_Turn(with_provenance), _Turn(publish)]
    for _ in range(runs):
        for turn in turns:
            turn.take(files, latency)
        turns.reverse()
    seconds, without = typical(both.costs).seconds, typical(plain.costs).seconds
    return {
        "files": files,
        "seconds": rounded(seconds, 2),
        "without_seconds": rounded(without, 2),
        "ratio": rounded(seconds / without, 3),
    }


def one_run(way: Way, files: int, latency: Mapping[str, float]) -> Run:
    """Publish a new release of `files` distributions to new services, and hold it against them.

    Raises `ProgramFailed`, `NotPublished`.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, services(latency) as world:
        release = make_release(Path(folder), "sample", files)
        start = time.time()
        cost = way(release, world)
        end = time.time()
        hold_against_index("sample", release, world)
        return Run(cost, start, end, between(read_log(world.log), start, end))
