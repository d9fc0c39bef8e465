"""The command under test, run as a user does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.environment import without_a_job


def command_line(*arguments: str | Path) -> list[str]:
    """Return what starts the command with these arguments, whatever the working directory has."""
    return [sys.executable, "-I", "-m", "attested_publish", *map(str, arguments)]


def command(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, outside any job."""
    return subprocess.run(
        [sys.executable, "-m", "attested_publish", *map(str, arguments)],
        env={**without_a_job(), "NO_PROXY": "127.0.0.1", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def fails(done: subprocess.CompletedProcess[str], report: Path, *words: str) -> dict[str, str]:
    """Hold that a run ended with one clear problem that says `words`; return it."""
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert "Traceback" not in output
    (problem,) = json.loads(report.read_text())["problems"]
    told = f"{problem['title']}\n{problem['detail']}\n{problem['remedy']}"
    assert problem["title"] in done.stdout
    assert problem["remedy"]
    for word in words:
        assert word in told
    return problem
