"""Memory of a process and its descendants together, sampled from outside while they run.

What is added up is the resident memory of the largest process, and the private pages of all
others: an upper bound that counts shared pages once. Pages that programs outside the tree share
with the largest process count in full; those that only smaller processes share with one another,
and not with the largest, are left out. Only where Linux lists the children of a process and adds
up its memory.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

INTERVAL = 0.05
"""Seconds between two samples. A peak that lasts a shorter time may be missed."""

_PROC = Path("/proc")
_IS_POSSIBLE = all(
    (_PROC / name).exists() for name in ("self/smaps_rollup", "thread-self/children")
)
_KIB = 1024


class TreePeak:
    """The peak so far, in bytes; `None` if it cannot be measured here."""

    def __init__(self) -> None:
        self.bytes: int | None = None


@contextlib.contextmanager
def watched(pid: int) -> Iterator[TreePeak]:
    """Sample a process and its descendants as long as this context lasts."""
    peak = TreePeak()
    if not _IS_POSSIBLE:
        yield peak
        return
    peak.bytes = 0
    has_ended = threading.Event()
    sampler = threading.Thread(target=_sample, args=(pid, peak, has_ended), name="tree memory")
    sampler.start()
    try:
        yield peak
    finally:
        has_ended.set()
        sampler.join()


def _sample(pid: int, peak: TreePeak, has_ended: threading.Event) -> None:
    while True:
        try:
            now = _together([_memory(each) for each in _tree(pid)])
        except PermissionError:
            # Less than all of it would be a wrong figure.
            peak.bytes = None
            return
        peak.bytes = max(peak.bytes or 0, now)
        if has_ended.wait(INTERVAL):
            return


@dataclass(frozen=True)
class _Memory:
    """Of one process, in bytes: all that is resident, and those pages that nobody shares."""

    resident: int
    private: int


def _together(processes: Sequence[_Memory]) -> int:
    largest = max(processes, key=lambda process: process.resident)
    return largest.resident + sum(each.private for each in processes if each is not largest)


def _memory(pid: int) -> _Memory:
    """Return the memory of a process, 0 if it has ended."""
    kib: dict[str, int] = {}
    # The first line has the addresses.
    for line in _read(_PROC / str(pid) / "smaps_rollup").splitlines()[1:]:
        name, _, value = line.partition(":")
        kib[name] = int(value.split()[0])
    private = kib.get("Private_Clean", 0) + kib.get("Private_Dirty", 0)
    return _Memory(kib.get("Rss", 0) * _KIB, private * _KIB)


def _tree(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    threads: list[Path] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        threads += (_PROC / str(pid) / "task").iterdir()
    for thread in threads:
        for child in _read(thread / "children").split():
            yield from _tree(int(child))


def _read(path: Path) -> str:
    """Return a text, empty if the process has ended meanwhile."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return path.read_text(encoding="ascii")
    return ""
