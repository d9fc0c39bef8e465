"""How far the files of a stage are: a live block on a terminal, a few lines in a log."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich import filesize
from rich.cells import cell_len, set_cell_size
from rich.live import Live
from rich.text import Text

from attested_publish.console.pace import Pace, about
from attested_publish.console.wrapping import packed
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import counted

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from attested_publish.console.printer import Printer
    from attested_publish.distributions import Distribution

FEW = 20
"""Up to so many files are printed one by one; of more only how far they are, in as many lines."""

SILENCE = 30.0
"""Seconds: a log has a line at least as often while a stage lasts."""

_BAR_WIDTH = 30
_SHORTEST_BAR = 8
_SHORTEST_NAME = 12
_INDENT = "  "
_UNITS = ["bytes", "kB", "MB", "GB", "TB"]


class Progress:
    """Counts the files of a stage as they are begun, sent and done. Threads may share it.

    `files` and `size` (bytes) are how many there are in all; `tell` is given a line and a
    note about it. Rendered (by rich), it is the live block; where it is `live`, no line says the
    same.
    """

    def __init__(
        self, files: int, size: int, tell: Callable[[str, str], None], *, live: bool = False
    ) -> None:
        self._files = files
        self._size = size
        self._tell = tell
        self._is_live = live
        self._lock = threading.Lock()
        self._done = 0
        self._done_size = 0
        self._begun: dict[str, float] = {}
        self._sent: dict[str, int] = {}
        self._pace: Pace | None = None
        self._slowest: tuple[float, str] | None = None
        self._told_at = time.monotonic()

    def begun(self, name: str) -> None:
        """Start a file's clock; one that was never started has no duration."""
        with self._lock:
            self._begun.setdefault(name, time.monotonic())

    def sent(self, name: str, count: int) -> None:
        """Note how many bytes of a file were sent so far; less than before where it is retried."""
        now = time.monotonic()
        with self._lock:
            if self._pace is None:
                self._pace = Pace(now)
            self._pace.add(max(count - self._sent.get(name, 0), 0), now)
            self._sent[name] = count

    def done(self, name: str, size: int, note: str | None) -> None:
        """Count a file of `size` bytes; print it where there are few, or when it is time to.

        Without a `note` it was printed already what became of this one, and it is only counted.
        """
        with self._lock:
            self._done += 1
            self._done_size += size
            self._sent.pop(name, None)
            started = self._begun.pop(name, None)
            if started is not None:
                spent = time.monotonic() - started
                self._slowest = max(self._slowest or (0.0, ""), (spent, name))
            line = ", ".join(self._how_far()), _joined(*self._slow())
            # Twenty lines at most, spread evenly, the last file's among them.
            is_time = self._done * FEW // self._files > (self._done - 1) * FEW // self._files
            tells = note is not None if self._files <= FEW else is_time and not self._is_live
            if tells:
                self._told_at = time.monotonic()
        if tells:
            self._tell(*((shown(name), note or "") if self._files <= FEW else line))

    def silence(self) -> float:
        """Return for how many seconds it has not told anything."""
        with self._lock:
            return time.monotonic() - self._told_at

    def sign_of_life(self) -> str:
        """Return a line for the time in between: how far it is, and which file takes long."""
        with self._lock:
            self._told_at = time.monotonic()
            return "; ".join(filter(None, (", ".join(self._how_far()), _joined(*self._slow()))))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the block: a bar, how far it is, and the slowest file.

        Where it is narrow, the bar goes first, then there are more lines, and the name of the file
        is shortened: lines that a terminal wraps could not be taken back.
        """
        with self._lock:
            how_far, share, slow = self._how_far(), self._share(), self._slow()
        width = options.max_width
        bar = min(_BAR_WIDTH, width - len(_INDENT) - len(f" {', '.join(how_far)}"))
        if bar >= _SHORTEST_BAR:
            filled = int(bar * share)
            yield Text.assemble(
                (_INDENT + "━" * filled, "green"),
                ("━" * (bar - filled), "dim"),
                f" {', '.join(how_far)}",
            )
        else:
            for part in packed(list(map(Text, how_far)), ", ", width - len(_INDENT)):
                yield Text.assemble(_INDENT, part, no_wrap=True, overflow="ellipsis")
        if slow:
            line = _fitting(*slow, width - len(_INDENT))
            yield Text(_INDENT + harmless(line), style="dim", no_wrap=True, overflow="ellipsis")

    def _how_far(self) -> list[str]:
        sent = self._position()
        how_far = [f"{self._done} of {counted(self._files, 'file')}", _sizes(sent, self._size)]
        if self._pace is not None:
            seconds = self._pace.seconds_for(self._size - sent, time.monotonic())
            if seconds is not None:
                how_far.append(f"{about(seconds)} left")
        return how_far

    def _position(self) -> int:
        """Return how many bytes are done, also of files that are on their way."""
        return min(self._done_size + sum(self._sent.values()), self._size)

    def _share(self) -> float:
        """Return how much of it is done, from 0 to 1: of bytes where they are counted."""
        if self._pace is not None and self._size:
            return self._position() / self._size
        return self._done / max(self._files, 1)

    def _slow(self) -> tuple[str, str, str] | tuple[()]:
        """Return which file takes longest: what is before its name, the name, what is behind."""
        going = min(self._begun.items(), key=lambda item: item[1], default=None)
        if going is not None:
            name, started = going
            return "", shown(name), f"on its way for {time.monotonic() - started:.0f} s"
        if self._slowest is None:
            return ()
        spent, name = self._slowest
        return "slowest so far:", f"{shown(name)},", f"{spent:.1f} s"


@contextlib.contextmanager
def progress_of(
    distributions: Sequence[Distribution], printer: Printer, silence: float = SILENCE
) -> Iterator[Progress]:
    """Print how far a stage is with these files: on a terminal in a block that stays live.

    Elsewhere there is a line after so many seconds of `silence`.
    """
    size = sum(each.size for each in distributions)
    is_live = printer.console.is_interactive
    progress = Progress(len(distributions), size, printer.item, live=is_live)
    # A terminal must get its cursor back, also from a run that is stopped.
    with ended_when_stopped() as until_done:
        if is_live:
            live = Live(
                progress,
                console=printer.console,
                refresh_per_second=8,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            until_done.enter_context(live)
        else:
            until_done.enter_context(_signs_of_life(progress, printer, silence))
        yield progress


@contextlib.contextmanager
def _signs_of_life(progress: Progress, printer: Printer, silence: float) -> Iterator[None]:
    """Print how far it is whenever nothing was told for some seconds."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(max(silence - progress.silence(), 0.01)):
            if progress.silence() >= silence:
                printer.waiting(progress.sign_of_life())

    thread = threading.Thread(target=watch, name="signs of life", daemon=True)
    # A machine that has no thread to spare has no signs of life.
    with contextlib.suppress(RuntimeError):
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if thread.ident is not None:
            # Whoever reads the log may not take any more lines.
            thread.join(timeout=1)


def _fitting(before: str, name: str, behind: str, width: int) -> str:
    """Return a line of them, with the middle of the name left out where it is too long."""
    around = len(before) + len(behind) + (2 if before else 1)
    room = width - around
    if room < min(_SHORTEST_NAME, cell_len(name)):
        # There is no room for both: which file it is comes first.
        before, behind, room = "", "", width
    if cell_len(name) > room:
        # The end of a wheel's name says which of several it is.
        tail = max(room - 1, 0) // 2
        head = max(room - 1 - tail, 0)
        end = set_cell_size(name[::-1], tail)[::-1] if tail else ""
        name = f"{set_cell_size(name, head)}…{end}"
    return _joined(before, name, behind)


def _joined(*words: str) -> str:
    return " ".join(filter(None, words))


def _sizes(done: int, of_all: int) -> str:
    """Return how much is done in the unit that suits the whole: `412 of 980 MB`."""
    unit, name = filesize.pick_unit_and_suffix(of_all, _UNITS, 1000)
    digits = 0 if unit == 1 or of_all >= 100 * unit else 1
    return f"{done / unit:.{digits}f} of {of_all / unit:.{digits}f} {name}"
