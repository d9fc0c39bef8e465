"""How long a release takes, compared with the manual way, and what else a user waits for.

`bench.py [--files N …] [--runs N] [--parts PART …]`. Every figure is the median of the runs; of
cold starts there are more, as is printed. Each run of a release has its own services, and the two
ways alternate in going first. The last line printed is one JSON object, with the keys of the parts
that were chosen:

* `release`: `"files": {"2": {"seconds", "manual_seconds", "ratio", "peak_mb", "tree_peak_mb",
  "server_errors"}, …}` and `"without_delays": {"2": ratio, …}`
* `provenance`: `"provenance": {"files", "seconds", "without_seconds", "ratio"}`, of the largest
  release of up to 50 files, with SLSA provenance and without
* `check`: `"check"`, as returned by `hundred.check_hundred`
* `start`: `"start": {"help", "wrong_usage", "wrong_folder", "check"}`, in seconds
* `first-call`: `"first_call"`, as returned by `first_call.first_call`
* `image`: `"image"`, as returned by `image.measure`
* `lock`: `"lock"`, as returned by `locks.verify_lock`

What cannot be measured on this machine is null, and the reason is printed. A part that fails in
another way is null as well, its traceback is printed, and the exit status is 1 in the end.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from measure import CannotMeasure, medians
from releases import DELAYS, Comparison, compare, provenance_cost
from starts import RUNS as STARTS
from starts import cold_starts

GOALS = {2: 0.66, 10: 0.48, 50: 0.40, 100: 0.38}
"""The ratio to reach, by number of files."""

GOALS_WITHOUT_DELAYS = {2: 0.75, 50: 0.60}
PROVENANCE_FILES = 50
PROVENANCE_GOAL = 1.25


@dataclass(frozen=True)
class Options:
    """The numbers of files, and of runs."""

    files: Sequence[int]
    runs: int


@dataclass(frozen=True)
class Part:
    """Something to measure: how, and the keys of what it returns."""

    measure: Callable[[Options], dict[str, Any]]
    keys: tuple[str, ...]


def main() -> int:
    """Measure and print; return the exit status."""
    parser = argparse.ArgumentParser(description="How long a release takes, and its preparation.")
    parser.add_argument("--files", type=int, nargs="+", default=list(GOALS), metavar="N")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    given = parser.parse_args()
    if min(given.files) < 1 or given.runs < 1:
        parser.error("at least one file and one run are needed")
    if not hasattr(os, "wait4"):
        sys.exit("bench.py needs os.wait4, which this system does not have.")

    options = Options(given.files, given.runs)
    print(medians(options.runs), flush=True)
    figures: dict[str, Any] = {}
    has_failed = False
    for name in dict.fromkeys(given.parts):
        part = PARTS[name]
        print(f"\n{name}", flush=True)
        try:
            figures |= part.measure(options)
        except CannotMeasure as reason:
            print(f"Cannot be measured here: {reason}.", flush=True)
            figures |= dict.fromkeys(part.keys)
        except Exception:  # noqa: BLE001 -- the other parts may have taken an hour
            traceback.print_exc()
            figures |= dict.fromkeys(part.keys)
            has_failed = True
    print(json.dumps(figures))
    return 1 if has_failed else 0


def _release(options: Options) -> dict[str, Any]:
    delays = ", ".join(f"{stage} {seconds:g} s" for stage, seconds in DELAYS.items())
    print(f"Delays of the services: {delays}.", flush=True)
    delayed = _table(options, DELAYS, GOALS)
    print("\nThe same, without delays.", flush=True)
    undelayed = _table(options, {}, GOALS_WITHOUT_DELAYS)
    return {
        "files": {str(files): each.as_json() for files, each in delayed.items()},
        "without_delays": {str(files): round(each.ratio, 3) for files, each in undelayed.items()},
    }


def _provenance(options: Options) -> dict[str, Any]:
    fitting = [files for files in options.files if files <= PROVENANCE_FILES]
    found = provenance_cost(max(fitting, default=min(options.files)), options.runs, DELAYS)
    print(
        f"{found['files']} files: {found['seconds']} s with SLSA provenance, "
        f"{found['without_seconds']} s without: {found['ratio']}   (goal {PROVENANCE_GOAL})",
        flush=True,
    )
    return {"provenance": found}


_COLUMNS = (
    *("files", "seconds", "by hand", "ratio", "goal", "CPU s", "CPU by hand"),
    *("peak MB", "of all", "MB by hand", "5xx", "5xx by hand"),
)
"""Peaks of memory are those of the largest process, then of all of ours together."""


def _table(
    options: Options, latency: Mapping[str, float], goals: Mapping[int, float]
) -> dict[int, Comparison]:
    row = "  ".join(f"{{:>{max(7, len(column))}}}" for column in _COLUMNS)
    print(row.format(*_COLUMNS))
    compared = {}
    for files in options.files:
        compared[files] = each = compare(files, options.runs, latency, watches_tree=bool(latency))
        print(
            row.format(
                files,
                f"{each.ours.seconds:.2f}",
                f"{each.manual.seconds:.2f}",
                f"{each.ratio:.3f}",
                f"{goals[files]:.2f}" if files in goals else "",
                f"{each.ours.cpu_seconds:.2f}",
                f"{each.manual.cpu_seconds:.2f}",
                f"{each.ours.peak_mb:.0f}",
                "" if each.tree_peak_mb is None else f"{each.tree_peak_mb:.0f}",
                f"{each.manual.peak_mb:.0f}",
                each.server_errors,
                each.manual_server_errors,
            ),
            flush=True,
        )
    return compared


def _start(_: Options) -> dict[str, Any]:
    print(medians(STARTS), flush=True)
    kept = {}
    for start, seconds in cold_starts():
        goal = "" if start.goal is None else f"   (goal {start.goal:g} s)"
        print(f"{start.name:<26}{seconds:7.3f} s{goal}", flush=True)
        kept[start.key] = round(seconds, 3)
    return {"start": kept}


def _check(options: Options) -> dict[str, Any]:
    # What is not measured need not be importable.
    import hundred

    found = hundred.check_hundred(options.runs)
    print(hundred.table(found), flush=True)
    return {"check": found}


def _first_call(options: Options) -> dict[str, Any]:
    import first_call

    found = first_call.first_call(options.runs)
    print(first_call.table(found), flush=True)
    return {"first_call": found}


def _lock(options: Options) -> dict[str, Any]:
    import locks

    found = locks.verify_lock(options.runs)
    print(locks.table(found), flush=True)
    return {"lock": found}


def _image(options: Options) -> dict[str, Any]:
    import image

    print("Goals: " + ", ".join(f"{name} {goal:g}" for name, goal in image.GOALS.items()))
    print(f"Starts: {medians(image.STARTS)}", flush=True)
    return {"image": _shown(image.measure(options.runs))}


def _shown(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, figure in figures.items():
        print(f"{name}: {figure}", flush=True)
    return figures


PARTS = {
    "release": Part(_release, ("files", "without_delays")),
    "provenance": Part(_provenance, ("provenance",)),
    "check": Part(_check, ("check",)),
    "start": Part(_start, ("start",)),
    "first-call": Part(_first_call, ("first_call",)),
    "image": Part(_image, ("image",)),
    "lock": Part(_lock, ("lock",)),
}

if __name__ == "__main__":
    sys.exit(main())
