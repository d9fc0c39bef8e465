"""How long a release takes, compared with the manual way: `bench.py [--files N …] [--runs N]`.

Every figure is the median of the runs. Each run has its own services, and the two ways alternate
in going first. The last line printed is one JSON object:
`{"files": {"2": {"seconds", "manual_seconds", "ratio", "peak_mb"}, …}}`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from material import make_release
from measure import Cost, measured, typical
from ways import PROGRAM, Services, hold_against_index, publish, publish_by_hand, services

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

GOALS = {2: 0.66, 10: 0.48, 50: 0.40, 100: 0.38}
"""The ratio to reach, by number of files."""

_COLD_STARTS = 5

Way = Callable[[Sequence[Path], Services], Cost]


@dataclass(frozen=True)
class Comparison:
    """The cost of a release with this program and by hand."""

    ours: Cost
    manual: Cost

    @property
    def ratio(self) -> float:
        """Our seconds, relative to those by hand."""
        return self.ours.seconds / self.manual.seconds

    def as_json(self) -> dict[str, float]:
        """Return the figures for the JSON output."""
        return {
            "seconds": round(self.ours.seconds, 2),
            "manual_seconds": round(self.manual.seconds, 2),
            "ratio": round(self.ratio, 3),
            "peak_mb": round(self.ours.peak_mb, 1),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long a release takes.")
    parser.add_argument("--files", type=int, nargs="+", default=list(GOALS), metavar="N")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    options = parser.parse_args()
    if min(options.files) < 1 or options.runs < 1:
        parser.error("at least one file and one run are needed")
    if not hasattr(os, "wait4"):
        sys.exit("bench.py needs os.wait4, which this system does not have.")

    delays = ", ".join(f"{stage} {seconds:g} s" for stage, seconds in DELAYS.items())
    print(f"Medians of {options.runs} runs; delays of the services: {delays}.", flush=True)
    with_delays = _table(options.files, options.runs, DELAYS)
    print("\nThe same, without delays.", flush=True)
    _table(options.files, options.runs, {})
    print("\nCold start.", flush=True)
    for what, seconds in cold_starts():
        print(f"{what:<24}{seconds:8.2f} s", flush=True)
    kept = {str(files): each.as_json() for files, each in with_delays.items()}
    print(json.dumps({"files": kept}))


def _table(sizes: Sequence[int], runs: int, latency: Mapping[str, float]) -> dict[int, Comparison]:
    row = "{:>6}{:>10}{:>10}{:>8}{:>7}{:>10}{:>12}{:>10}{:>12}"
    print(
        row.format(
            *("files", "seconds", "by hand", "ratio", "goal"),
            *("CPU s", "by hand", "peak MB", "by hand"),
        )
    )
    compared = {}
    for files in sizes:
        compared[files] = each = compare(files, runs, latency)
        print(
            row.format(
                files,
                f"{each.ours.seconds:.2f}",
                f"{each.manual.seconds:.2f}",
                f"{each.ratio:.3f}",
                f"{GOALS[files]:.2f}" if latency and files in GOALS else "",
                f"{each.ours.cpu_seconds:.2f}",
                f"{each.manual.cpu_seconds:.2f}",
                f"{each.ours.peak_mb:.0f}",
                f"{each.manual.peak_mb:.0f}",
            ),
            flush=True,
        )
    return compared


def compare(files: int, runs: int, latency: Mapping[str, float]) -> Comparison:
    """Publish a release of `files` distributions both ways, `runs` times."""
    ours: list[Cost] = []
    manual: list[Cost] = []
    turns = [(publish, ours), (publish_by_hand, manual)]
    for _ in range(runs):
        for way, costs in turns:
            costs.append(_one_run(way, files, latency))
        turns.reverse()
    return Comparison(typical(ours), typical(manual))


def _one_run(way: Way, files: int, latency: Mapping[str, float]) -> Cost:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, services(latency) as world:
        release = make_release(Path(folder), "sample", files)
        cost = way(release, world)
        hold_against_index("sample", release, world)
    return cost


def cold_starts() -> Iterator[tuple[str, float]]:
    """Return the seconds until the program answers when there is nothing to do."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        make_release(Path(folder, "dist"), "sample", 2)
        for what, arguments, status in (
            ("--help", ["--help"], 0),
            ("wrong usage", ["publish", "--parallel-uploads=99"], 2),
            ("wrong folder", ["publish", str(Path(folder, "nowhere"))], 1),
            ("check --offline, 2 files", ["check", "--offline", str(Path(folder, "dist"))], 0),
        ):
            costs = [
                measured([*PROGRAM, *arguments], os.environ, status=status)[0]
                for _ in range(_COLD_STARTS)
            ]
            yield what, typical(costs).seconds


if __name__ == "__main__":
    main()
