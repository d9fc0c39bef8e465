"""Told to stop: before it begins, while it waits or ends or writes, twice, or deaf on purpose."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from attested_publish.net.parallel import Pace, in_parallel
from attested_publish.net.patience import Patience
from attested_publish.net.retry import GaveUp, persistently
from attested_publish.net.stopping import Stopped
from attested_publish.problems import UploadProblem
from support.action import job, outputs
from support.environment import without_a_job
from support.paths import ROOT
from support.releases import staged
from support.waiting import wait_for

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are others there")


def run(script: str) -> subprocess.Popen[str]:
    """Start a program of a few lines, whose first line of output says that it is under way."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_signal_that_was_ignored_stays_ignored(name: str) -> None:
    """As `nohup` has it, and a shell for what it starts in the background."""
    process = run(
        f"""
        import signal, time
        from attested_publish.net.stopping import done_or_stopped
        signal.signal(signal.{name}, signal.SIG_IGN)
        def work():
            print("working", flush=True)
            time.sleep(0.6)
        print(done_or_stopped(work))
        """
    )
    assert process.stdout.readline() == "working\n"
    process.send_signal(getattr(signal, name))
    assert process.communicate(timeout=20)[0] == "None\n"


@pytest.mark.parametrize("start", [["-m", "attested_publish"], [str(ROOT / "entrypoint.py")]])
def test_a_command_that_is_still_loading_ends_without_a_traceback(
    tmp_path: Path, start: list[str]
) -> None:
    # Loading the command takes as long as it takes to press Ctrl-C.
    (tmp_path / "argparse.py").write_text(
        "print('loading', flush=True)\nimport time\ntime.sleep(30)\n"
    )
    process = subprocess.Popen(
        [sys.executable, *start, "check", "--offline", "dist"],
        env={**without_a_job(), "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=20)
    assert printed == ""
    assert process.returncode == -signal.SIGINT


def test_nohup_outlives_its_terminal(dist: Path) -> None:
    with staged(dist, latency={"log": 1.5}) as stage:
        environment = job(stage.world, dist)
        process = subprocess.Popen(
            ["nohup", sys.executable, str(ROOT / "entrypoint.py")],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: len(stage.world.index.issued_tokens) == 1)
        process.send_signal(signal.SIGHUP)
        assert process.wait(60) == 0
        assert outputs(environment)["result"] == "done"


def test_further_signals_do_not_stop_the_ending() -> None:
    process = run(
        """
        import time
        from attested_publish.net.stopping import done_or_stopped, ended_when_stopped, listening
        def end():
            print("ending", flush=True)
            time.sleep(0.7)
            print("ended", flush=True)
        def work():
            with ended_when_stopped() as stack:
                stack.callback(end)
                print("working", flush=True)
                time.sleep(30)
        with listening():
            print(done_or_stopped(work), flush=True)
        import os; os._exit(0)
        """
    )
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "ending\n"
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert process.communicate(timeout=20)[0] == "ended\nSIGINT\n"
    assert process.returncode == 0


def test_an_ending_that_has_begun_by_itself_is_waited_for() -> None:
    """As a token that is being revoked, at the end of a release or of a failed one."""
    process = run(
        """
        import os, time
        from attested_publish.net.stopping import done_or_stopped, ended_when_stopped
        def end():
            print("ending", flush=True)
            time.sleep(0.7)
            print("ended", flush=True)
        def work():
            with ended_when_stopped() as first, ended_when_stopped() as stack:
                first.callback(print, "last", flush=True)
                stack.callback(print, "next", flush=True)
                stack.callback(end)
            time.sleep(30)
        print(done_or_stopped(work), flush=True)
        os._exit(0)
        """
    )
    assert process.stdout.readline() == "ending\n"
    process.terminate()
    assert process.communicate(timeout=20)[0] == "ended\nnext\nlast\nSIGTERM\n"


def test_an_ending_that_does_not_end_is_left() -> None:
    process = run(
        """
        import os, time
        from attested_publish.net.stopping import done_or_stopped, ended_when_stopped
        def fail():
            raise OSError("one that fails keeps nobody")
        def work():
            with ended_when_stopped() as first, ended_when_stopped() as stack:
                first.callback(time.sleep, 60)
                stack.callback(fail)
                print("working", flush=True)
                time.sleep(60)
        print(done_or_stopped(work), flush=True)
        os._exit(0)
        """
    )
    assert process.stdout.readline() == "working\n"
    started = time.monotonic()
    process.terminate()
    assert process.communicate(timeout=20)[0] == "SIGTERM\n"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("seed", range(6))
def test_stopped_while_it_starts(dist: Path, seed: int) -> None:
    """From the first handler on there is somebody who writes what the job reads."""
    with staged(dist) as stage:
        environment = job(stage.world, dist)
        script = (
            "from attested_publish.fronts import entry\n"
            "from attested_publish.net import stopping\n"
            "print('started', flush=True)\n"
            "stopping.leave(entry.main([]))\n"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout.readline() == "started\n"
            time.sleep(0.03 + seed * 0.05)
            process.terminate()
            printed, _ = process.communicate(timeout=30)
        assert process.returncode == 1, printed
        assert "received SIGTERM" in printed
        assert outputs(environment)["result"] == "failed"
        assert "stopped" in Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
        assert all(token.is_revoked for token in stage.world.index.issued_tokens)


def test_a_signal_while_the_report_is_written_changes_nothing(dist: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "attested_publish", "check", "--offline", dist]
    with subprocess.Popen(
        [*command, "--report", pipe], stdout=subprocess.PIPE, text=True, env=without_a_job()
    ) as process:
        assert any("passed" in line for line in iter(process.stdout.readline, ""))
        time.sleep(0.4)
        # It waits for whoever reads the pipe, for a second or two more.
        process.terminate()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert json.loads(pipe.read_text())["result"] == "done"
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_report_that_nobody_reads_ends_with_a_signal(dist: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "attested_publish", "check", "--offline", dist]
    with subprocess.Popen(
        [*command, "--report", pipe], stdout=subprocess.PIPE, text=True, env=without_a_job()
    ) as process:
        assert any("passed" in line for line in iter(process.stdout.readline, ""))
        time.sleep(0.4)
        started = time.monotonic()
        process.terminate()
        printed, _ = process.communicate(timeout=20)
    assert time.monotonic() - started < 15
    assert "The report could not be written" in printed
    assert process.returncode == 0, "what was checked is checked"


def test_nothing_is_begun_after_a_stop() -> None:
    """Not the first try of a retry either; what ends the run is tried all the same."""
    process = run(
        """
        from attested_publish.net import stopping
        from attested_publish.net.parallel import in_parallel
        from attested_publish.net.patience import Patience
        from attested_publish.net.retry import GaveUp, persistently
        stopping._stopped.set()
        tried = []
        for given_up in (None, GaveUp()):
            try:
                persistently(lambda: tried.append(1), Patience(1), print, given_up)
            except stopping.Stopped:
                print("not begun")
        try:
            list(in_parallel(tried.append, [1, 2], threads=2))
        except stopping.Stopped:
            print("not begun")
        persistently(lambda: tried.append("end"), Patience(1), print, GaveUp(heeds_stop=False))
        print(tried)
        """
    )
    assert process.communicate(timeout=20)[0] == "not begun\n" * 3 + "['end']\n"


def test_copies_that_were_about_to_begin_leave_nothing(dist: Path, tmp_path: Path) -> None:
    """The worker is between two steps when the signal comes, as in an import."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = run(
        f"""
        import tempfile, time
        from attested_publish.distributions import copy_privately
        from attested_publish.net import stopping
        tempfile.tempdir = {str(temporary)!r}
        def work():
            print("working", flush=True)
            while not stopping.is_stopped():
                time.sleep(0.01)
            with copy_privately([{str(dist)!r}]):
                time.sleep(5)
        print(stopping.done_or_stopped(work), flush=True)
        stopping.leave(1)
        """
    )
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[0] == "SIGTERM\n"
    assert not list(temporary.iterdir())


def test_no_child_is_started_after_a_stop() -> None:
    process = run(
        """
        from attested_publish.net import stopping
        from attested_publish.sandbox.pool import Sandbox
        sandbox = Sandbox()
        sandbox.close()
        stopping._stopped.set()
        for begin in (sandbox.start, sandbox.load):
            try:
                begin("attested_publish.findings")
            except stopping.Stopped:
                print("not begun")
        print(len(sandbox._all))
        """
    )
    assert process.communicate(timeout=20)[0] == "not begun\n" * 2 + "0\n"


def test_whoever_has_given_up_begins_nothing_new() -> None:
    given_up = GaveUp()
    given_up.now()
    tried: list[int] = []
    with pytest.raises(Stopped):
        persistently(lambda: tried.append(1), Patience(1), lambda _: None, given_up)
    assert not tried


def test_a_pace_can_be_interrupted() -> None:
    pace = Pace(1, 60.0)
    given_up = GaveUp()
    pace.wait(given_up.wait)
    started = time.monotonic()
    threading.Timer(0.1, given_up.now).start()
    pace.wait(given_up.wait)
    assert time.monotonic() - started < 30
    with pytest.raises(Stopped):
        given_up.heed()


def test_a_failure_that_cannot_pass_is_the_one_that_is_told() -> None:
    def fail(number: int) -> int:
        if number == 0:
            return 0
        time.sleep(0.05 * number)
        raise UploadProblem(str(number), may_pass=number < 3)

    done = []
    with pytest.raises(UploadProblem, match="3"):
        done.extend(in_parallel(fail, range(4), threads=4))
    begun: list[int] = []
    with pytest.raises(UploadProblem, match="1"):
        list(in_parallel(lambda n: (begun.append(n), fail(n)), range(9), threads=1))
    assert begun == [0, 1], "after a failure none is begun"


def test_where_no_thread_can_be_started_the_work_is_done_all_the_same() -> None:
    process = run(
        """
        import threading
        from attested_publish.net.parallel import in_parallel, meanwhile
        left = [2]
        start = threading.Thread.start
        def limited(self):
            if not left[0]:
                raise RuntimeError("can't start new thread")
            left[0] -= 1
            start(self)
        threading.Thread.start = limited
        print(sorted(in_parallel(lambda n: n * n, range(5), threads=4)))
        print(sorted(in_parallel(lambda n: n * n, range(3), threads=4)))
        print(meanwhile(lambda: "done")())
        """
    )
    squares = [(n, n * n) for n in range(5)]
    assert process.communicate(timeout=20)[0] == f"{squares}\n{squares[:3]}\ndone\n"
