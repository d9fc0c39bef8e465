"""The pip that a rehearsal starts to prove that what was published can be installed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from support.environment import without_a_job


def environments_of_children(pid: int, seen: list[str]) -> None:
    """Note the environment of every pip below a process, while it lives."""
    while Path(f"/proc/{pid}/stat").exists():
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                for child in task.read_text().split():
                    command = Path(f"/proc/{child}/cmdline").read_bytes()
                    if b"\0pip\0" in command:
                        seen.append(Path(f"/proc/{child}/environ").read_text())
            except OSError:
                pass
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_gets_no_secret_and_no_other_index(dist: Path, tmp_path: Path) -> None:
    hostile = {
        "HOME": str(tmp_path),
        "TWINE_PASSWORD": "a-secret",
        "ATTESTED_PUBLISH_PASSWORD": "a-secret",
        "AWS_SECRET_ACCESS_KEY": "a-secret",
        "PIP_INDEX_URL": "http://a-secret.invalid/",
        "PIP_REQUIREMENT": "/nowhere",
        "HTTP_PROXY": "http://a-secret.invalid:1",
        "http_proxy": "http://a-secret.invalid:1",
    }
    command = [sys.executable, "-m", "attested_publish", "rehearse", str(dist)]
    seen: list[str] = []
    with subprocess.Popen(
        command,
        env=without_a_job() | hostile,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        watcher = threading.Thread(target=environments_of_children, args=(process.pid, seen))
        watcher.start()
        said, _ = process.communicate(timeout=100)
        watcher.join()
    assert process.returncode == 0, said
    assert "pip installed sample-1.0-py3-none-any.whl" in said
    started = [each for each in seen if "PIP_CONFIG_FILE=" in each]
    assert started
    for environment in started:
        names = {line.partition("=")[0] for line in environment.split("\0")}
        assert "a-secret" not in environment
        assert f"HOME={tmp_path}\0" not in environment
        assert not names & {"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "HTTP_PROXY", "PIP_INDEX_URL"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_it_and_leaves_nothing_behind(
    number: signal.Signals, dist: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "attested_publish", "rehearse", str(dist)]
    with subprocess.Popen(
        command,
        env=without_a_job() | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        started = pip_below(process.pid)
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1, said
    assert "could not install" not in said
    assert "stopped before" in said
    assert not is_running(started)
    assert list(temporary.iterdir()) == []


def pip_below(pid: int) -> int:
    """Wait until a process has started pip; return pip's ID."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                for child in task.read_text().split():
                    if b"\0pip\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                        return int(child)
            except OSError:
                pass
        time.sleep(0.01)
    pytest.fail("no pip was started")


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
