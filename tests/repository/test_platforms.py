"""How each platform was tried: docs/platforms.md names only jobs and commands that exist."""

from __future__ import annotations

import re

import pytest
from ruamel.yaml import YAML

from support.paths import ROOT

PAGE = (ROOT / "docs" / "platforms.md").read_text(encoding="utf-8")
JOBS = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
KINDS = {"e2e", "emulated", "ci", "untried"}
_TARGETS = set(re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
_JOB = re.compile(r"job `([\w-]+)`(?:: ((?:`[^`]+`(?:, )?)+))?")
_COMMAND = re.compile(r"`(make [\w-]+|tests/[\w/]+\.py)`")


def rows():
    table = re.search(r"<!-- tried -->\n(.*?)<!-- /tried -->", PAGE, re.DOTALL)[1]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines()]
    return [(f"{line[0]}, {line[1]}", line[2].split(", "), line[3]) for line in lines[2:]]


ROWS = rows()


def combinations(matrix):
    """Return the values of each run of a job's matrix, or of the job without one."""
    found = [set(map(str, each.values())) for each in matrix.get("include", [])]
    lists = [map(str, values) for name, values in matrix.items() if name != "include"]
    runs = [set()]
    for values in map(list, lists):
        runs = [run | {value} for run in runs for value in values]
    return found + (runs if lists or not found else [])


def test_the_table_is_read():
    assert len(ROWS) > 15
    assert {kind for _, kinds, _ in ROWS for kind in kinds} <= KINDS


@pytest.mark.parametrize(
    ("kinds", "shown"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_what_shows_it_exists(kinds, shown):
    jobs = _JOB.findall(shown)
    assert bool(jobs) == ("ci" in kinds)
    for job, values in jobs:
        runs = combinations(JOBS[job].get("strategy", {}).get("matrix", {}))
        named = set(re.findall(r"`([^`]+)`", values))
        assert any(named <= run for run in runs), f"{job} has no run with {named}"
    commands = _COMMAND.findall(shown)
    assert bool(commands) == bool({"e2e", "emulated"} & set(kinds))
    for command in commands:
        if command.startswith("make "):
            assert command.removeprefix("make ") in _TARGETS
        else:
            assert (ROOT / command).is_file()
    assert ("untried" in kinds) == (not jobs and not commands)


def test_only_the_emulated_is_said_to_be_so():
    """What `make e2e-arm64` shows is not the machine itself."""
    for name, kinds, shown in ROWS:
        assert ("emulated" in kinds) == ("e2e-arm64" in shown), name
