"""The issue about a workflow, with a stand-in for `gh` that writes down what it is asked."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from support.environment import without_a_job
from support.paths import ROOT

_FOLDER = ROOT / ".github" / "actions" / "workflow-issue"
ISSUE_ACTION = YAML(typ="safe").load(_FOLDER / "action.yml")
_CANARY = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "canary.yml")
_GIVEN = _CANARY["jobs"]["issue"]["steps"][0]["with"]
TITLE = _GIVEN["title"]
LABEL = _GIVEN["label"]
JOB = {
    "TITLE": TITLE,
    "LABEL": LABEL,
    "GUIDE": _GIVEN["guide"],
    "GITHUB_WORKFLOW": _CANARY["name"],
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "octo-org/sample-project",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_REF_NAME": "main",
    "GITHUB_SHA": "334bfb014abbc7a821325423d0dea6d6f06ad616",
}

_PROGRAM = """
import json, os, sys
from pathlib import Path

folder = Path(__file__).parents[1]
call = {"words": sys.argv[1:], "text": sys.stdin.read(), "token": os.environ.get("GH_TOKEN")}
with (folder / "calls").open("a", encoding="utf-8") as file:
    file.write(json.dumps(call) + "\\n")
if sys.argv[1:3] == ["issue", "list"]:
    print((folder / "issues").read_text())
sys.exit(" ".join(sys.argv[1:3]) in (folder / "failing").read_text().splitlines())
"""


@dataclass(frozen=True)
class Call:
    """One call: its words, its standard input, and the token that it was given."""

    words: list[str]
    text: str
    token: str | None

    @property
    def what(self) -> str:
        """The command, such as `issue create`."""
        return " ".join(self.words[:2])


class GitHubCommand:
    """The stand-in in a folder; `issues` are open, `failing` commands end with status 1."""

    def __init__(self, folder: Path, issues: dict[int, str], failing: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self.path = folder / "bin"
        self.path.mkdir(parents=True)
        listed = [{"number": number, "title": title} for number, title in issues.items()]
        (folder / "issues").write_text(json.dumps(listed))
        (folder / "failing").write_text("\n".join(failing))
        program = self.path / "gh"
        script = self.path / "gh.py"
        script.write_text(_PROGRAM, encoding="utf-8")
        # A first line `#!python` can have neither spaces nor more than 127 bytes.
        started = shlex.join([sys.executable, str(script)])
        program.write_text(f'#!/bin/sh\nexec {started} "$@"\n', encoding="utf-8")
        program.chmod(0o755)

    def calls(self) -> list[Call]:
        """Return what it was asked so far."""
        path = self._folder / "calls"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [Call(**json.loads(line)) for line in lines]


def reported(github: GitHubCommand, needs: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the action's step for the results of a run's jobs: any Python, and nothing installed."""
    (step,) = ISSUE_ACTION["runs"]["steps"]
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step["run"]],
        env=without_a_job()
        | JOB
        | {
            # Where the machine has no `python3`, it is this one.
            "PATH": f"{github.path}:{os.environ['PATH']}:{Path(sys.executable).parent}",
            "GITHUB_ACTION_PATH": str(_FOLDER),
            "NEEDS": json.dumps(needs),
            "GH_TOKEN": "the-token",
        },
        capture_output=True,
        text=True,
        check=False,
    )
