"""Run a program and measure its cost: wall-clock time, CPU time, memory.

The program's modules are compiled before, so that no figure depends on who ran them last. Needs
`os.wait4`, as on Linux and macOS.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from process_tree import TreePeak, watched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TAIL = 4000
_SOURCE = Path(__file__).resolve().parents[1] / "src"


class ProgramFailed(Exception):
    """A measured program ended with an unexpected status."""


class CannotMeasure(Exception):
    """Something cannot be measured on this machine; the text says why."""


@dataclass(frozen=True)
class Cost:
    """The cost of programs.

    `seconds` is wall-clock time, `cpu_seconds` is user and system time together, `peak_bytes` is
    resident memory of the largest process, children included. `tree_peak_bytes` is that of all
    processes together, where it was sampled: an upper bound that counts shared pages once (see
    `process_tree`), and never less than `peak_bytes`, which samples may miss.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    tree_peak_bytes: int | None = None

    def __add__(self, later: Cost) -> Cost:
        """Return the cost of running one after the other, without that of the trees."""
        return Cost(
            self.seconds + later.seconds,
            self.cpu_seconds + later.cpu_seconds,
            max(self.peak_bytes, later.peak_bytes),
        )

    @property
    def peak_mb(self) -> float:
        """Peak memory in megabytes (10^6 bytes)."""
        return self.peak_bytes / 1e6

    @property
    def tree_peak_mb(self) -> float | None:
        """Peak memory of all processes together in megabytes (10^6 bytes)."""
        return None if self.tree_peak_bytes is None else self.tree_peak_bytes / 1e6


def typical(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure, without those of the trees."""
    return Cost(
        median(cost.seconds for cost in costs),
        median(cost.cpu_seconds for cost in costs),
        round(median(cost.peak_bytes for cost in costs)),
    )


def medians(runs: int) -> str:
    """Say of how many runs the figures are."""
    return "Figures of one run." if runs == 1 else f"Medians of {runs} runs."


def prepared(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which Python keeps bytecode; our own is compiled already."""
    _compile_source()
    return {name: value for name, value in environment.items() if name != "PYTHONDONTWRITEBYTECODE"}


@functools.cache
def _compile_source() -> None:
    # In another process: the peak of a program begins with that of who starts it.
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(_SOURCE)], check=True)


def measured(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    status: int = 0,
    watches_tree: bool = False,
) -> tuple[Cost, str]:
    """Run a program to its end; return its cost and what it printed to stdout.

    With `watches_tree` the memory of all its processes is sampled. That takes so much of a
    processor that the times of such a run should not be compared with others. The environment is
    `prepared`. Raises `ProgramFailed`, with the end of its output, if its exit status is not
    `status`.
    """
    kept = prepared(environment)
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as complained:
        begin = time.perf_counter()
        process = subprocess.Popen(command, env=kept, stdout=printed, stderr=complained)
        watching = watched(process.pid) if watches_tree else contextlib.nullcontext(TreePeak())
        with watching as tree:
            _, waited, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(waited)
        printed.seek(0)
        output = printed.read().decode(errors="replace")
        if process.returncode != status:
            complained.seek(0)
            errors = complained.read().decode(errors="replace")
            raise ProgramFailed(
                f"{' '.join(command)[:300]}\nended with status {process.returncode}:\n"
                f"{output[-_TAIL:]}\n{errors[-_TAIL:]}"
            )
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    tree_peak = None if tree.bytes is None else max(tree.bytes, peak)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, peak, tree_peak), output


def rounded(figure: float | None, digits: int) -> float | None:
    """Round a figure, if it was measured."""
    return None if figure is None else round(figure, digits)
