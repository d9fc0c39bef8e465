"""What is seen of an upload that takes long: bytes that are sent, and how long it still takes."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import random
import re
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from attested_publish.console import progress as console_progress
from attested_publish.console.pace import Pace, about
from attested_publish.console.progress import Progress
from attested_publish.fronts.running import carry_out
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.targets import Targets
from attested_publish.settings import understand
from support.environment import in_job
from support.makers import make_wheel
from support.releases import run_to, staged
from support.slow_relay import SlowRelay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from attested_publish.console.printer import Printer
    from attested_publish.distributions import Distribution

LARGE = 30_000_000
RATE = 3_500_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("large")
    make_wheel(folder, extra_files={"sample/weights.bin": os.urandom(LARGE)})
    return folder


def uploaded(folder: Path, console: Console, **relayed: float) -> str:
    """Publish through a slow line; return the result."""
    with staged(folder) as stage, in_job(stage.world.environment):
        port = int(stage.world.index_url.split(":")[2].split("/")[0])
        with SlowRelay(port, **{"rate": RATE, **relayed}) as relay:
            url = stage.world.upload_url.replace(str(port), str(relay.port))
            settings = understand({"packages-dir": str(folder), "repository-url": url})
            targets = Targets(Index.at(url), stage.world.trust_config)
            run = run_to(targets, settings, console)
            result = carry_out(lambda: publish.publish(run), run)
    return str(result)


def amounts(printed: str) -> list[float]:
    """Return the megabytes that were said to be sent, in order, each once."""
    found = [float(each) for each in re.findall(r"([\d.]+) of 30\.\d MB", printed)]
    return list(dict.fromkeys(found))


@pytest.mark.slow
def test_a_terminal_shows_a_single_file_move(large: Path) -> None:
    text = io.StringIO()
    assert uploaded(large, Console(file=text, force_terminal=True, width=80)) == "done"
    upload = text.getvalue().partition("to 127.0.0.1")[2].partition("confirmation")[0]
    seen = amounts(upload)
    assert len(seen) > 20
    assert seen == sorted(seen)
    assert 2 < seen[len(seen) // 2] < 29
    left = [int(each) for each in re.findall(r"about (\d+) s left", upload)]
    assert left, "there is an estimate"
    assert max(left) <= 15
    assert "of 30.0 MB, about" not in upload.split("of 1 file, ")[1], "none in the first second"


@pytest.mark.slow
def test_a_log_has_signs_of_life(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of_every_second(monkeypatch)
    text = io.StringIO()
    # The line breaks once: the file is sent again from its beginning.
    assert uploaded(large, Console(file=text, width=120), breaks_after=12_000_000) == "done"
    upload = text.getvalue().partition("to 127.0.0.1")[2].partition("confirmation")[0]
    lines = [line for line in upload.splitlines() if "MB" in line and "…" in line]
    assert 5 <= len(lines) <= 25
    assert all("sample-1.0-py3-none-any.whl on its way for" in line for line in lines)
    assert re.search(r"… 0 of 1 file, [\d.]+ of 30\.\d MB, about \d+ s left; sample", upload)
    seen = [float(each) for each in re.findall(r"([\d.]+) of 30\.\d MB", upload)]
    falls = [second < first for first, second in itertools.pairwise(seen)]
    assert sum(falls) == 1, "a file that is sent again is counted again"


def of_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a log's lines every second instead of every 30."""
    real = console_progress.progress_of

    @contextlib.contextmanager
    def often(distributions: Sequence[Distribution], printer: Printer) -> Iterator[Progress]:
        with real(distributions, printer, silence=1.0) as progress:
            yield progress

    monkeypatch.setattr("attested_publish.journey.upload.progress_of", often)


@pytest.mark.slow
def test_a_terminal_has_no_line_that_counts(tmp_path: Path) -> None:
    for number in range(60):
        make_wheel(tmp_path, tag=f"py3{number}-none-any")
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=40)
    with staged(tmp_path) as stage, in_job(stage.world.environment):
        url = stage.world.upload_url
        targets = Targets(Index.at(url), stage.world.trust_config)
        settings = understand({"packages-dir": str(tmp_path), "repository-url": url})
        run = run_to(targets, settings, console)
        assert carry_out(lambda: publish.publish(run), run) == "done"
    printed = text.getvalue()
    assert "of 60 files" in printed, "the block does"
    assert not re.search(r"✓[^\n]*\d+ of 60 files, ", printed)


def paced(speeds: Sequence[float], size: float, step: float = 0.1) -> list[tuple[float, float]]:
    """Return what a pace says at every moment: the speed is each of these for a second."""
    now = moved = 0.0
    pace = Pace(now)
    said = []
    for speed in speeds:
        for _ in range(round(1 / step)):
            now += step
            moved += speed * step
            pace.add(speed * step, now)
            left = pace.seconds_for(size - moved, now)
            if left is not None:
                said.append((now, left))
    return said


def test_the_estimate_is_that_of_a_steady_line() -> None:
    said = paced([10.0] * 90, 1000)
    assert 5 <= said[0][0] < 5.2
    for now, left in said:
        assert left == pytest.approx(100 - now, rel=0.02)


def test_the_estimate_is_stable_on_a_line_that_is_not() -> None:
    chance = random.Random(17)
    said = paced([chance.choice([1, 5, 10, 24]) for _ in range(80)], 1000)
    for (_, before), (_, after) in itertools.pairwise(said):
        assert abs(after - before) < 1 + before / 10
    for now, left in said[100:]:
        assert 0 <= left < 2 * (110 - now) + 20


@pytest.mark.parametrize("speeds", [[0.0] * 60, [1000.0, *[0.0] * 3000], [10.0] * 200])
def test_nobody_is_told_nonsense(speeds: list[float]) -> None:
    assert all(0 < left < 48 * 3600 for _, left in paced(speeds, 1500, step=0.5))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.1, "about 5 s"),
        (38, "about 40 s"),
        (89, "about 90 s"),
        (91, "about 2 min"),
        (5300, "about 89 min"),
        (7300, "about 3 h"),
    ],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert about(seconds) == words


def rendered(progress: Progress, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as block:
        console.print(progress)
    return block.get().splitlines()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the time pass that a block is about."""
    now = [1000.0]
    monkeypatch.setattr(console_progress.time, "monotonic", lambda: now[0])

    def passes(seconds: float) -> None:
        now[0] += seconds

    return passes


@pytest.mark.parametrize("width", [120, 80, 40, 20])
@pytest.mark.parametrize(
    "name", ["a.whl", "sample-1.0-" + "n" * 180 + "-manylinux.whl", "見本" * 40, "\x1b[31m" * 9]
)
def test_the_block_never_wraps(name: str, width: int, clock: Callable[[float], None]) -> None:
    progress = Progress(25, 980_000_000, lambda *_: None, live=True)
    progress.begun(name)
    for second in range(20):
        progress.sent(name, second * 20_000_000)
        clock(1)
    lines = rendered(progress, width)
    console = Console(width=width)
    meant = list(progress.__rich_console__(console, console.options))
    assert len(lines) == len(meant) <= 4, "rich did not have to break a line either"
    words = " ".join(line.strip() for line in lines)
    assert "380 of 980 MB" in words
    assert re.search(r"about (30|35) s left", words)
    assert ("━" in words) is (width > 60)
    assert width < 40 or "on its way for 20 s" in words
    if "sample" in name and width >= 40:
        assert re.search(r"sample-\S*…\S*\.whl", words) or name in words


def test_what_is_sent_again_counts_again(clock: Callable[[float], None]) -> None:
    progress = Progress(2, 100_000_000, lambda *_: None)
    progress.begun("large.whl")
    progress.sent("large.whl", 60_000_000)
    clock(10)
    assert "60 of 100 MB" in " ".join(rendered(progress, 80))
    progress.sent("large.whl", 0)
    assert "0 of 100 MB" in " ".join(rendered(progress, 80))
    clock(10)
    progress.sent("large.whl", 30_000_000)
    assert re.search("30 of 100 MB, about .* left", " ".join(rendered(progress, 80)))
    progress.done("large.whl", 60_000_000, "")
    assert "1 of 2 files, 60 of 100 MB" in " ".join(rendered(progress, 80))
