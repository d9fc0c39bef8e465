"""Files made to exhaust their reader are judged or refused within the bounds.

Here by the rules in a sandbox alone; `make e2e` has the command meet each of them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from attested_publish.findings import Severity
from attested_publish.problems import FilesProblem
from attested_publish.rules.verdicts import Verdicts
from attested_publish.sandbox.pool import Sandbox, seconds_for
from support.command import command_line
from support.hostile_files import ARCHIVES, DESCRIPTIONS, INFO
from support.makers import make_sdist, make_wheel, metadata_text
from support.measuring import watched
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from attested_publish.findings import Finding

pytestmark = pytest.mark.sample(3)


SECONDS = 30
"""The bound is of processor time, and other tests run beside these; alone it takes 10 at most."""

MEGABYTES = 300

# Some of each kind; `make e2e` has the command meet all of them.
_ARCHIVES = (
    "bzip2_metadata",
    "deflated_metadata",
    "hidden_members",
    "negative_size",
    "long_names",
    "slashes",
    "many_records",
    "entry_points_blanks",
    "classifiers",
    "distinct_headers",
    "requirements",
    "blank_record",
)
_ENDLESS = "global_records"
"""What takes every Python longer than it may; newer ones are fast with most of the others."""

_DESCRIPTIONS = ("comments", "brackets", "rst sections")
QUICK = {name: ARCHIVES[name] for name in _ARCHIVES}


@pytest.fixture(scope="module")
def verdicts() -> Iterator[Verdicts]:
    sandbox = Sandbox()
    yield Verdicts(sandbox)
    sandbox.close()


def find(verdicts: Verdicts, path: Path) -> list[Finding]:
    return verdicts.find(path, path.name, path.stat().st_size)


def rules_of(found: list[Finding]) -> list[str]:
    return [one.rule for one in found]


@pytest.mark.sample(2)
@pytest.mark.parametrize("build", QUICK.values(), ids=QUICK.keys())
def test_a_hostile_archive_is_judged_within_the_bounds(
    build: Callable[[Path], Path], verdicts: Verdicts, tmp_path: Path
) -> None:
    path = build(tmp_path)
    started = time.monotonic()
    found = find(verdicts, path)
    assert time.monotonic() - started < SECONDS
    assert found
    assert len(found) < 50
    assert "file-beyond-bounds" not in rules_of(found)
    for finding in found:
        assert finding.message.isprintable()
        assert len(finding.message) < 700


@pytest.mark.sample(1)
@pytest.mark.parametrize("build", [DESCRIPTIONS[name] for name in _DESCRIPTIONS], ids=_DESCRIPTIONS)
def test_a_hostile_description_costs_its_own_verdict_only(
    build: Callable[[Path], Path], verdicts: Verdicts, tmp_path: Path
) -> None:
    started = time.monotonic()
    found = find(verdicts, build(tmp_path))
    assert time.monotonic() - started < SECONDS
    assert set(rules_of(found)) <= {"description-beyond-bounds", "description-not-rendered"}


@pytest.mark.slow
def test_what_runs_until_the_end_is_ended(verdicts: Verdicts, tmp_path: Path) -> None:
    started = time.monotonic()
    path = ARCHIVES[_ENDLESS](tmp_path)
    (finding,) = find(verdicts, path)
    assert time.monotonic() - started < SECONDS
    assert finding.rule == "file-beyond-bounds"
    assert finding.severity is Severity.ERROR
    assert f"{seconds_for(path.stat().st_size):.0f} seconds" in finding.message
    # The next file has a child again.
    assert find(verdicts, make_wheel(tmp_path)) == []


def test_a_description_that_several_files_share_is_rendered_once(tmp_path: Path) -> None:
    build = DESCRIPTIONS["comments"]
    verdicts = Verdicts(Sandbox())
    started = time.monotonic()
    first = find(verdicts, build(tmp_path))
    once = time.monotonic() - started
    started = time.monotonic()
    for _ in range(5):
        assert find(verdicts, build(tmp_path)) == first
    assert time.monotonic() - started < once
    verdicts.sandbox.close()


def test_a_file_that_needs_more_memory_gets_a_child_for_itself(
    verdicts: Verdicts, tmp_path: Path
) -> None:
    """Four times the members of the largest wheel found."""
    record = "".join(f"sample/{number:0100},,\n" for number in range(95_000)).encode()
    path = make_wheel(tmp_path, extra_files={f"{INFO}/RECORD": record})
    assert rules_of(find(verdicts, path)) == ["record-mismatch"]


def test_a_child_has_no_secrets_and_cannot_print(tmp_path: Path) -> None:
    """What the child process knows of the environment is what it needs to start."""
    environment = {**os.environ, "ATTESTED_PUBLISH_PASSWORD": "secret", "PYTHONPATH": "/secret"}
    script = (
        "import pathlib, sys, time\n"
        "from attested_publish.rules.verdicts import Verdicts\n"
        "from attested_publish.sandbox.pool import Sandbox\n"
        "sandbox = Sandbox(); path = pathlib.Path(sys.argv[1])\n"
        "assert Verdicts(sandbox).find(path, path.name, path.stat().st_size) == []\n"
        "(child,) = sandbox._all\n"
        "print(open(f'/proc/{child._process.pid}/environ').read().replace('\\0', '\\n'))\n"
    )
    if sys.platform != "linux":
        pytest.skip("only Linux shows the environment of a process")
    done = subprocess.run(
        [sys.executable, "-c", script, str(make_wheel(tmp_path))],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.partition("=")[0] for line in done.stdout.split()}
    assert names <= {"LD_LIBRARY_PATH", "TMPDIR", "TEMP", "TMP"}


def test_children_end_with_whoever_started_them(tmp_path: Path) -> None:
    """Killed outright, a run leaves no child that goes on reading."""
    if sys.platform == "win32":
        pytest.skip("Windows has no SIGKILL")
    ARCHIVES[_ENDLESS](tmp_path)
    process = subprocess.Popen(
        command_line("check", "--offline", tmp_path),
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: _is_judging(process.pid))
    children = _children(process.pid)
    assert children
    process.send_signal(signal.SIGKILL)
    process.wait()
    # Its 5 seconds of processor time take up to 22 where others use the processor, too.
    wait_for(lambda: not any(map(_is_there, children)), seconds=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_while_a_file_is_judged_ends_the_run(number: int, tmp_path: Path) -> None:
    ARCHIVES[_ENDLESS](tmp_path)
    process = subprocess.Popen(
        command_line("check", "--offline", tmp_path), stdout=subprocess.PIPE, text=True
    )
    wait_for(lambda: _is_judging(process.pid))
    children = _children(process.pid)
    started = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=10)
    # The file alone would take 5 seconds of processor time.
    assert time.monotonic() - started < 4
    assert process.returncode == 1
    assert "stopped" in output
    assert not any(map(_is_there, children))


def test_an_unreadable_file_of_many_costs_the_others_nothing(tmp_path: Path) -> None:
    """Through the command: the good ones are in order, and memory and time are bounded."""
    ARCHIVES["deflated_metadata"](tmp_path)
    make_sdist(tmp_path)
    make_sdist(tmp_path, name="other")
    run = watched(command_line("check", "--offline", tmp_path))
    assert run.status == 1
    assert run.seconds < SECONDS
    assert run.megabytes < MEGABYTES
    assert "1 of 3 files would be refused" in run.output


@pytest.mark.slow
def test_files_are_judged_side_by_side(tmp_path: Path) -> None:
    """While one child is busy another takes the next file."""
    verdicts = Verdicts(Sandbox())
    slow = ARCHIVES[_ENDLESS](tmp_path)

    def find_slowly() -> None:
        # It is not finished: the children are ended first.
        with contextlib.suppress(FilesProblem):
            find(verdicts, slow)

    busy = threading.Thread(target=find_slowly)
    busy.start()
    assert find(verdicts, make_wheel(tmp_path)) == []
    assert busy.is_alive()
    verdicts.sandbox.close()
    busy.join()


@pytest.mark.slow
def test_a_busy_machine_refuses_no_honest_file(verdicts: Verdicts, tmp_path: Path) -> None:
    """It is the processor's time that counts: a child that is kept waiting goes on."""
    if sys.platform == "win32":
        pytest.skip("Windows cannot limit it")
    path = ARCHIVES["classifiers"](tmp_path)
    found: list[Finding] = []
    judging = threading.Thread(target=lambda: found.extend(find(verdicts, path)))
    judging.start()
    for _ in range(14):
        for child in verdicts.sandbox._all.copy():
            os.kill(child._process.pid, signal.SIGSTOP)
        time.sleep(0.5)
        for child in verdicts.sandbox._all.copy():
            os.kill(child._process.pid, signal.SIGCONT)
        time.sleep(0.05)
    judging.join()
    assert set(rules_of(found)) == {"classifier-unknown"}


def _children(process: int) -> list[int]:
    done = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    )
    return [int(each) for each in done.stdout.split()]


def _is_judging(process: int) -> bool:
    """Whether a child has had a second of the processor: its start takes half of that."""
    done = subprocess.run(
        ["ps", "-o", "cputimes=", "--ppid", str(process)],
        capture_output=True,
        text=True,
        check=False,
    )
    return any(int(each) >= 1 for each in done.stdout.split())


def _is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_what_twine_cannot_read_is_not_signed_either(tmp_path: Path) -> None:
    """Where the rules are passed over, reading goes on within the bounds, and comes first."""
    ARCHIVES["distinct_headers"](tmp_path)
    make_sdist(tmp_path)
    run = watched(command_line("rehearse", "--verify-metadata", "false", tmp_path))
    assert run.status == 1
    assert run.megabytes < MEGABYTES
    assert "1 of 2 files cannot be sent" in run.output
    assert "twine cannot read its metadata" in run.output
    assert "signatures" not in run.output


def test_a_folder_with_far_too_much_is_told_as_that(tmp_path: Path) -> None:
    for number in range(10_100):
        (tmp_path / f"{number}.txt").touch()
    make_wheel(tmp_path)
    run = watched(command_line("check", "--offline", tmp_path))
    assert run.status == 1
    assert run.seconds < SECONDS
    assert "more than 10,000 files and folders" in run.output


def test_few_of_many_files_beside_are_named(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number}.txt").touch()
    make_wheel(tmp_path)
    run = watched(command_line("check", "--offline", tmp_path))
    assert run.status == 0
    assert run.output.count("is ignored") == 20
    assert "180 more files ignored" in run.output


def test_a_renderer_without_memory_is_not_taken_for_a_refusal(
    verdicts: Verdicts, tmp_path: Path
) -> None:
    """docutils takes more memory for this than a child has; PyPI renders it."""
    table = ".. csv-table::\n\n" + "   a,b\n" * 40_000
    metadata = metadata_text(headers={"Description-Content-Type": "text/x-rst"}, body=table)
    (finding,) = find(verdicts, make_wheel(tmp_path, metadata=metadata))
    assert finding.rule == "description-beyond-bounds"
