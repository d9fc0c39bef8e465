"""How long a command takes, and how much memory: all its processes, or this one."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_PROC = Path("/proc")


@dataclass(frozen=True)
class Run:
    """What became of a command; `megabytes` is 0 where the system does not tell."""

    status: int
    seconds: float
    megabytes: float
    output: str


def watched(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 60,
) -> Run:
    """Run `command` to its end; both its streams are its output."""
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    most = 0.0

    def watch() -> None:
        nonlocal most
        while process.poll() is None:
            most = max(most, tree_megabytes(process.pid))
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        output, _ = process.communicate(timeout=timeout)
    finally:
        process.kill()
        watcher.join()
    return Run(process.returncode, time.monotonic() - started, most, output)


def tree_megabytes(root: int) -> float:
    """Add up what a process and all below it keep in memory now; shared pages count each time."""
    parents: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for folder in _PROC.glob("[0-9]*"):
        try:
            # The name in brackets may hold anything.
            parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            resident = (folder / "statm").read_text().split()[1]
        except (OSError, IndexError):
            continue
        parents[int(folder.name)] = int(parent)
        sizes[int(folder.name)] = int(resident) * _PAGE

    def is_below(process: int | None) -> bool:
        while process is not None and process != root:
            process = parents.get(process)
        return process == root

    return sum(size for process, size in sizes.items() if is_below(process)) / 1e6


def peak() -> int:
    """Return the most memory this process ever had, in bytes; 0 where that cannot be seen.

    Not `getrusage`: it counts what the process was forked from.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) << 10
