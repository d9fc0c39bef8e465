"""How a long run tells how far it is: sparse in a log, live on a terminal."""

from __future__ import annotations

import contextlib
import io
import re
import time
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from attested_publish.console.progress import FEW, Progress, progress_of
from attested_publish.fronts.running import carry_out
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.targets import Targets
from attested_publish.settings import understand
from support.action import act
from support.command import command
from support.environment import in_job
from support.makers import make_wheel
from support.releases import run_to, staged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from attested_publish.console.printer import Printer
    from attested_publish.distributions import Distribution
    from support.releases import Stage

STAGES = ("signatures", "upload", "confirmation")


def many(folder: Path, files: int) -> Path:
    for number in range(files):
        make_wheel(folder, tag=f"py3{number}-none-any")
    return folder


def groups(log: str) -> dict[str, list[str]]:
    """Return the lines of each group in a workflow's log."""
    found = re.findall(r"^::group::(\w+): .*?\n(.*?)^::endgroup::", log, re.MULTILINE | re.DOTALL)
    return {name: lines.splitlines() for name, lines in found}


@pytest.mark.slow
def test_many_files_take_few_lines_of_a_log(tmp_path: Path) -> None:
    with staged(many(tmp_path / "dist", 60)) as stage:
        outcome = act(stage, print_hash="false")
        assert outcome.status == 0
        told = groups(outcome.log)
        assert told.keys() == set(outcome.report["seconds"])
        for name, lines in told.items():
            assert len(lines) <= FEW + 3, name
        for name in STAGES:
            how_far = [line for line in told[name] if "of 60 files" in line]
            assert len(how_far) == FEW
            assert re.search(r"✓ 60 of 60 files, (\S+) of \1 kB", how_far[-1])
        assert "slowest so far: sample-1.0-py3" in told["upload"][-2]
        again = groups(act(stage, print_hash="false").log)
        assert len(again["index"]) <= FEW + 3


def test_few_files_are_told_by_name(stage: Stage) -> None:
    told = groups(act(stage).log)
    for name in STAGES:
        for file in stage.served():
            assert any(file in line for line in told[name])


@pytest.mark.parametrize(
    ("fault", "settings", "words"),
    [
        ("upload=409*2", {"skip-existing": "true"}, "this one is skipped"),
        ("upload=html", {"confirm": "false"}, "but with a web page"),
    ],
)
def test_every_outcome_ends_in_the_block(
    dist: Path, fault: str, settings: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was skipped, or whose arrival is in doubt, is not on its way any more."""
    watched: list[Progress] = []

    @contextlib.contextmanager
    def watching(distributions: Sequence[Distribution], printer: Printer) -> Iterator[Progress]:
        with progress_of(distributions, printer) as progress:
            watched.append(progress)
            yield progress

    monkeypatch.setattr("attested_publish.journey.upload.progress_of", watching)
    with staged(dist) as stage, in_job(stage.world.environment):
        stage.fault(fault)
        values = {"packages-dir": str(dist), "repository-url": stage.world.upload_url, **settings}
        targets = Targets(
            Index.at(stage.world.upload_url), stage.world.trust_config, deadlines=stage.deadlines
        )
        printed = io.StringIO()
        run = run_to(targets, understand(values), Console(file=printed, width=200))
        carry_out(lambda: publish.publish(run), run)
        assert words in printed.getvalue()
        assert watched
        assert not any(progress._begun for progress in watched)


def test_digests_are_printed_as_asked(tmp_path: Path) -> None:
    with staged(many(tmp_path / "dist", 25)) as stage:
        outcome = act(stage, mode="check")
        for file in outcome.report["files"]:
            assert f"{file['sha256']}  {file['filename']}" in outcome.log
        assert (
            outcome.report["files"][0]["sha256"]
            not in act(stage, mode="check", print_hash="false").log
        )


@pytest.mark.slow
def test_a_terminal_has_one_block_that_stays_live(tmp_path: Path) -> None:
    with staged(many(tmp_path / "dist", 25), latency={"upload": 0.2}) as stage:
        text = io.StringIO()
        console = Console(file=text, force_terminal=True, width=120)
        settings = understand(
            {"packages-dir": str(stage.folder), "repository-url": stage.world.upload_url}
        )
        targets = Targets(Index.at(settings.repository_url), stage.world.trust_config)
        run = run_to(targets, settings, console)
        with in_job(stage.world.environment):
            result = carry_out(lambda: publish.publish(run), run)
        assert result == "done", text.getvalue()
        printed = text.getvalue()
        assert "━" in printed
        assert re.search(r"\d+ of 25 files", printed)
        assert "on its way for" in printed
        hidden, shown_again = printed.count("\x1b[?25l"), printed.count("\x1b[?25h")
        assert hidden == shown_again > 0, "the cursor comes back"


def test_the_block_names_the_slowest() -> None:
    progress = Progress(3, 6000, lambda *_: None)
    progress.begun("slow.whl")
    time.sleep(0.11)
    progress.done("quick.whl", 1000, "")
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as going:
        console.print(progress)
    assert "1 of 3 files, 1.0 of 6.0 kB" in going.get()
    assert "slow.whl on its way for 0 s" in going.get()
    progress.done("slow.whl", 2000, "")
    with console.capture() as done:
        console.print(progress)
    assert re.search(r"slowest so far: slow\.whl, 0\.[1-9] s", done.get())


def test_names_steer_no_terminal() -> None:
    told: list[str] = []
    progress = Progress(1, 1, lambda line, note: told.append(line + note))
    progress.begun("\x1b[31mred")
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as block:
        console.print(progress)
    progress.done("\x1b[31mred", 1, "")
    assert "\x1b" not in block.get() + told[0]


def test_names_are_no_commands() -> None:
    progress = Progress(1, 1, lambda *_: None, live=True)
    progress.begun("::error::x.whl")
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as block:
        console.print(progress)
    assert not any(line.lstrip().startswith("::") for line in block.get().splitlines())


def test_a_log_in_colours_is_still_a_log(dist: Path) -> None:
    """Many workflows set `FORCE_COLOR`: rich takes what they print for a terminal."""
    done = command("rehearse", dist, FORCE_COLOR="1", TERM="xterm-256color")
    assert done.returncode == 0, done.stdout
    assert "\x1b[1m" in done.stdout
    assert "\x1b[?25l" not in done.stdout
    assert "\x1b[2K" not in done.stdout
    assert max(len(line) for line in done.stdout.splitlines()) > 150, "sentences are whole"


@pytest.mark.parametrize("files", [1, FEW, FEW + 1, 39, 500, 10_000])
def test_never_more_lines_than_a_few(files: int) -> None:
    told: list[str] = []
    progress = Progress(files, files, lambda line, _: told.append(line))
    for number in range(files):
        progress.done(str(number), 1, "")
    assert len(told) == min(files, FEW)
    if files > FEW:
        assert told[-1].startswith(f"{files} of {files} files")
