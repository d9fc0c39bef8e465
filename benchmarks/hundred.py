"""How long a release of 100 wheels takes to check, compared with `twine check --strict`.

`hundred.py [--runs N]`. Two kinds of releases are checked: in the first, the wheels have the same
Python files (repeated), which this program remembers; in the second, each has its own (distinct).
See `many_wheels`. Both programs check the same files in turn. The last line printed is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from measure import Cost, measured, medians, prepared, typical
from ways import PROGRAM

GOAL: Final = 1.2
"""The ratio to reach."""

WHEELS: Final = 100

_MAKER: Final = str(Path(__file__).with_name("many_wheels.py"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long 100 wheels take to check.")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("at least one run is needed")
    if not hasattr(os, "wait4"):
        sys.exit("hundred.py needs os.wait4, which this system does not have.")
    found = check_hundred(options.runs)
    print(medians(options.runs))
    print(table(found))
    print(json.dumps(found))


def check_hundred(runs: int, wheels: int = WHEELS) -> dict[str, float]:
    """Check 100 wheels of both kinds both ways, `runs` times; return the medians.

    `seconds`, `cpu_seconds` and `peak_mb` (10^6 bytes) are ours, `ratio` is `seconds` to
    `twine_seconds`; `distinct_…` are those of wheels that share no Python file.
    """
    ours, twine = _compare(runs, wheels)
    distinct = _figures(*_compare(runs, wheels, "--distinct"))
    return {
        **_figures(ours, twine),
        "peak_mb": round(ours.peak_mb, 1),
        **{f"distinct_{name}": figure for name, figure in distinct.items()},
    }


def _compare(runs: int, wheels: int, *kind: str) -> tuple[Cost, Cost]:
    """Check the same wheels with this program and with twine, in turn; return the medians."""
    with tempfile.TemporaryDirectory(prefix="bench-hundred-") as folder:
        dist = str(Path(folder, "dist"))
        made = subprocess.run(
            [sys.executable, _MAKER, dist, str(wheels), *kind],
            env=prepared(os.environ),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        ours: list[Cost] = []
        twine: list[Cost] = []
        turns = [
            ([*PROGRAM, "check", "--offline", dist], ours),
            (
                [sys.executable, "-m", "twine", "check", "--strict", *made.stdout.splitlines()],
                twine,
            ),
        ]
        for _ in range(runs):
            for command, costs in turns:
                costs.append(measured(command, os.environ)[0])
            turns.reverse()
    return typical(ours), typical(twine)


def _figures(ours: Cost, twine: Cost) -> dict[str, float]:
    return {
        "seconds": round(ours.seconds, 2),
        "twine_seconds": round(twine.seconds, 2),
        "ratio": round(ours.seconds / twine.seconds, 3),
        "cpu_seconds": round(ours.cpu_seconds, 2),
        "twine_cpu_seconds": round(twine.cpu_seconds, 2),
    }


def table(found: Mapping[str, float]) -> str:
    """Return the figures and the goal as text."""
    columns = ("seconds", "twine", "ratio", "CPU s", "CPU of twine")
    row = "{:<14}" + "{:>14}" * len(columns)
    lines = [row.format("Python files", *columns)]
    for kind, prefix in (("repeated", ""), ("distinct", "distinct_")):
        cells = (
            f"{found[f'{prefix}seconds']:.2f}",
            f"{found[f'{prefix}twine_seconds']:.2f}",
            f"{found[f'{prefix}ratio']:.2f}",
            f"{found[f'{prefix}cpu_seconds']:.2f}",
            f"{found[f'{prefix}twine_cpu_seconds']:.2f}",
        )
        lines.append(row.format(kind, *cells))
    lines.append(f"Peak memory, repeated: {found['peak_mb']:.0f} MB.")
    lines.append(f"Goal: a ratio of {GOAL:g}.")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
