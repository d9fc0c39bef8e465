"""Sessions that need a Debian package at the same time, as the two halves of `make e2e` do."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys

import pytest

from support.e2e.commands import started
from support.e2e.packages import STATE
from support.environment import without_a_job
from support.paths import ROOT

_SESSION = """
import subprocess, sys
from support.e2e.packages import installed
with installed("hello", "hello"):
    subprocess.run(["hello"], check=True)
    print("has it", flush=True)
    sys.stdin.read()
    subprocess.run(["hello"], check=True)
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("apt-get") is None, reason="installs with apt, as root"
)
def test_sessions_share_a_package_and_the_last_removes_it() -> None:
    assert shutil.which("hello") is None
    command = (sys.executable, "-c", _SESSION)
    options = {
        "stdin": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "env": without_a_job() | {"PYTHONPATH": str(ROOT / "tests")},
    }
    with started(*command, **options) as first, started(*command, **options) as second:
        for session in (first, second):
            assert session.stdout is not None
            lines = iter(session.stdout.readline, "")
            assert "has it\n" in lines
        assert first.communicate("", timeout=120)[0].count("Hello, world!") == 1
        assert first.returncode == 0
        assert shutil.which("hello")
        assert second.communicate("", timeout=120)[0].count("Hello, world!") == 1
        assert second.returncode == 0
    with (STATE / "users").open("w") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # The other parts of `make e2e` use packages, too: the last one of all removes it.
            assert "hello" in (STATE / "packages").read_text(encoding="utf-8").split()
        else:
            assert shutil.which("hello") is None
