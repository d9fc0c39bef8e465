"""How far the files of a stage are: a live block on a terminal, a few lines in a log."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import filesize
from rich.live import Live
from rich.text import Text

from attested_publish.net.stopping import ended_when_stopped
from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from attested_publish.console.printer import Printer
    from attested_publish.distributions import Distribution

FEW = 20
"""Up to so many files are printed one by one; of more only how far they are, in as many lines."""

_BAR_WIDTH = 30


class Progress:
    """Counts the files of a stage as they are begun and done. Threads may share it.

    `files` and `size` (bytes) are how many there are in all; `tell` is given a line and a
    note about it. Rendered (by rich), it is the live block.
    """

    def __init__(self, files: int, size: int, tell: Callable[[str, str], None]) -> None:
        self._files = files
        self._size = size
        self._tell = tell
        self._lock = threading.Lock()
        self._done = 0
        self._done_size = 0
        self._begun: dict[str, float] = {}
        self._slowest: tuple[float, str] | None = None

    def begun(self, name: str) -> None:
        """Start a file's clock; one that was never started has no duration."""
        with self._lock:
            self._begun.setdefault(name, time.monotonic())

    def done(self, name: str, size: int, note: str | None) -> None:
        """Count a file of `size` bytes; print it where there are few, or when it is time to.

        Without a `note` it was printed already what became of this one, and it is only counted.
        """
        with self._lock:
            self._done += 1
            self._done_size += size
            started = self._begun.pop(name, None)
            if started is not None:
                spent = time.monotonic() - started
                self._slowest = max(self._slowest or (0.0, ""), (spent, name))
            how_far = self._how_far()
            # Twenty lines at most, spread evenly, the last file's among them.
            is_time = self._done * FEW // self._files > (self._done - 1) * FEW // self._files
        if self._files <= FEW:
            if note is not None:
                self._tell(shown(name), note)
        elif is_time:
            self._tell(*how_far)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the block: a bar, how far it is, and the slowest file."""
        with self._lock:
            how_far, slowest = self._how_far()
            filled = _BAR_WIDTH * self._done // max(self._files, 1)
            going = min(self._begun.items(), key=lambda item: item[1], default=None)
        if going is not None:
            spent = time.monotonic() - going[1]
            slowest = f"{shown(going[0])} on its way for {spent:.0f} s"
        yield Text.assemble(
            ("  " + "━" * filled, "green"), ("━" * (_BAR_WIDTH - filled), "dim"), f" {how_far}"
        )
        if slowest:
            yield Text(f"  {slowest}", style="dim", no_wrap=True, overflow="ellipsis")

    def _how_far(self) -> tuple[str, str]:
        how_far = f"{self._done} of {self._files} files, {_sizes(self._done_size, self._size)}"
        if self._slowest is None:
            return how_far, ""
        spent, name = self._slowest
        return how_far, f"slowest so far: {shown(name)}, {spent:.1f} s"


@contextlib.contextmanager
def progress_of(distributions: Sequence[Distribution], printer: Printer) -> Iterator[Progress]:
    """Print how far a stage is with these files: on a terminal in a block that stays live."""
    size = sum(each.size for each in distributions)
    progress = Progress(len(distributions), size, printer.item)
    # A terminal must get its cursor back, also from a run that is stopped.
    with ended_when_stopped() as until_done:
        if printer.console.is_terminal:
            live = Live(
                progress,
                console=printer.console,
                refresh_per_second=8,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            until_done.enter_context(live)
        yield progress


def _sizes(done: int, of_all: int) -> str:
    return f"{filesize.decimal(done)} of {filesize.decimal(of_all)}"
