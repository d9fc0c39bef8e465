"""Run a command and see what it takes: wall time, and the memory of all its processes."""

from __future__ import annotations

import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_EVERY = 0.05


@dataclass(frozen=True)
class Measured:
    """How a command ended; `megabytes` is 0 where the system does not tell (without /proc)."""

    status: int
    printed: str
    seconds: float
    megabytes: float


def measured(command: Sequence[str], environment: Mapping[str, str], patience: float) -> Measured:
    """Run a command to its end, which has to come within `patience` seconds."""
    started = time.monotonic()
    with subprocess.Popen(
        command,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        most = [0.0]
        is_over = threading.Event()

        def watch() -> None:
            while not is_over.wait(_EVERY):
                most[0] = max(most[0], _megabytes(process.pid))

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            printed, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            is_over.set()
            watching.join()
    return Measured(process.returncode, printed, time.monotonic() - started, most[0])


def _megabytes(process: int) -> float:
    """Add up what a process and all that it started have in memory; what is shared counts once."""
    total = 0.0
    left = [process]
    while left:
        folder = Path("/proc", str(left.pop()))
        try:
            rollup = (folder / "smaps_rollup").read_text()
            total += next(
                int(line.split()[1]) / 1024
                for line in rollup.splitlines()
                if line.startswith("Pss:")
            )
            for thread in (folder / "task").iterdir():
                left.extend(map(int, (thread / "children").read_text().split()))
        except (OSError, StopIteration):
            continue
    return total
