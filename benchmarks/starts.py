"""How long the program takes to answer when there is nothing to publish."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from material import make_release
from measure import measured, typical
from ways import PROGRAM

RUNS = 9
"""A start takes a fraction of a second, so there can be more of them than releases."""


@dataclass(frozen=True)
class Start:
    """A cold start: `key` is its name in the JSON output, the goal is in seconds."""

    key: str
    name: str
    arguments: Sequence[str]
    status: int
    goal: float | None = None


def cold_starts() -> Iterator[tuple[Start, float]]:
    """Measure each start, and return the median of its seconds."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        dist, nowhere = str(Path(folder, "dist")), str(Path(folder, "nowhere"))
        make_release(Path(dist), "sample", 2)
        starts = (
            Start("help", "--help", ["--help"], 0, 0.06),
            Start("wrong_usage", "wrong usage", ["publish", "--parallel-uploads=99"], 2),
            Start("wrong_folder", "wrong folder", ["publish", nowhere], 1, 0.2),
            Start("check", "check --offline, 2 files", ["check", "--offline", dist], 0, 0.35),
        )
        for start in starts:
            costs = [
                measured([*PROGRAM, *start.arguments], os.environ, status=start.status)[0]
                for _ in range(RUNS)
            ]
            yield start, typical(costs).seconds
