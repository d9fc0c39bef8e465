"""The nightly release to TestPyPI: its workflow, and its sample."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from canary_sample import built, sample_of, version_of
from packaging.version import Version
from ruamel.yaml import YAML

from support.checkout import digests
from support.command import command
from support.environment import without_a_job
from support.paths import ROOT
from support.workflow_issue import ISSUE_ACTION, LABEL, TITLE

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "canary.yml")
JOBS = WORKFLOW["jobs"]
IS_ON = {"vars.CANARY_PROJECT != ''", "!github.event.repository.fork"}
NIGHT = datetime(2026, 11, 28, 3, 41, tzinfo=UTC)


def conditions(job: dict[str, Any]) -> set[str]:
    """Everything that must hold for a job, as the parts of a condition without alternatives."""
    condition = job.get("if", "").removeprefix("${{").removesuffix("}}").strip()
    assert "||" not in condition
    assert "(" not in condition.replace("()", "")
    return set(condition.split(" && "))


def is_off_without_the_variable(name: str, jobs: dict[str, Any]) -> bool:
    """Whether a job runs only where the canary is on: by its own condition, or its needs."""
    own = conditions(jobs[name])
    if own >= IS_ON:
        return True
    # A job whose condition asks for a status runs even if those that it needs were skipped.
    waits = not any("()" in each for each in own)
    needs = jobs[name].get("needs", [])
    needed = [needs] if isinstance(needs, str) else needs
    return waits and any(is_off_without_the_variable(each, jobs) for each in needed)


def test_no_job_runs_in_a_fork_or_without_the_variable() -> None:
    assert list(JOBS) == ["build", "publish", "verify", "issue"]
    for name in JOBS:
        assert is_off_without_the_variable(name, JOBS), name


@pytest.mark.parametrize(
    ("name", "condition"),
    [
        ("build", ""),
        ("build", "vars.CANARY_PROJECT != ''"),
        ("build", "!github.event.repository.fork"),
        ("issue", "!cancelled()"),
        ("publish", "always()"),
    ],
)
def test_a_job_that_would_run_there_is_noticed(name: str, condition: str) -> None:
    jobs = {**JOBS, name: {**JOBS[name], "if": condition}}
    assert not is_off_without_the_variable(name, jobs)


def test_nobody_but_the_schedule_and_people_starts_it() -> None:
    assert set(WORKFLOW.get("on", WORKFLOW.get(True))) == {"schedule", "workflow_dispatch"}


def test_each_job_has_one_permission_at_most() -> None:
    assert WORKFLOW["permissions"] == {}
    assert {name: job["permissions"] for name, job in JOBS.items()} == {
        "build": {"contents": "read"},
        "publish": {"id-token": "write"},
        "verify": {"contents": "read"},
        "issue": {"issues": "write"},
    }


def test_beside_the_identity_token_runs_nothing_but_the_action() -> None:
    download, action = JOBS["publish"]["steps"]
    assert re.fullmatch(r"actions/download-artifact@[0-9a-f]{40}", download["uses"])
    # This action, at the commit of the run; nothing is checked out beside the permission.
    assert action == {
        "uses": "$/.",
        "with": {
            "repository-url": "https://test.pypi.org/legacy/",
            "attestations": True,
            "provenance": True,
        },
    }
    assert "environment" in JOBS["publish"]
    assert [name for name, job in JOBS.items() if "environment" in job] == ["publish"]


def test_there_is_no_secret_and_no_expression_in_a_script() -> None:
    text = str(WORKFLOW)
    assert "secrets." not in text
    assert text.count("github.token") == 1
    steps = [step for job in JOBS.values() for step in job["steps"]]
    for step in (*steps, *ISSUE_ACTION["runs"]["steps"]):
        assert "${{" not in step.get("run", "")


def test_what_it_expects_is_what_the_page_says_to_register() -> None:
    verify = next(step for step in JOBS["verify"]["steps"] if step.get("id") == "verify")
    page = (ROOT / "docs" / "canary.md").read_text(encoding="utf-8")
    for option, field in (("workflow", "Workflow name"), ("environment", "Environment name")):
        (value,) = re.findall(rf"--{option} (\S+)", verify["run"])
        assert f"| {field} | `{value}` |" in page
    assert f"--environment {JOBS['publish']['environment']} " in verify["run"]
    assert f"`{LABEL}`" in page
    assert TITLE in page


def test_every_run_and_attempt_has_a_version_of_its_own() -> None:
    runs = [("17", "1"), ("17", "2"), ("17", "3"), ("18", "1"), ("172", "1")]
    versions = [
        version_of(NIGHT, {"GITHUB_RUN_NUMBER": run, "GITHUB_RUN_ATTEMPT": attempt})
        for run, attempt in runs
    ]
    assert versions[:2] == ["2026.11.28.17", "2026.11.28.17.2"]
    assert len({Version(version) for version in versions}) == len(runs)
    # Each is the latest when it is published.
    assert sorted(versions, key=Version) == versions
    assert Version(version_of(NIGHT, {})) < Version(versions[0])


def test_the_same_version_has_the_same_bytes(tmp_path: Path) -> None:
    def built_digests(folder: str, version: str, mask: int) -> dict[str, str]:
        before = os.umask(mask)
        try:
            dist = built("Some.Canary", version, tmp_path / folder)
        finally:
            os.umask(before)
        return digests(dist)

    first = built_digests("one", "2026.11.28.17", 0o022)
    assert set(first) == {
        "some_canary-2026.11.28.17-py3-none-any.whl",
        "some_canary-2026.11.28.17.tar.gz",
    }
    # Built later, by somebody with other habits.
    assert built_digests("two", "2026.11.28.17", 0o077) == first
    assert not set(built_digests("three", "2026.11.28.18", 0o022).values()) & set(first.values())


def test_the_sample_is_what_pypi_accepts(tmp_path: Path) -> None:
    dist = built("attested-publish-canary", "2026.11.28.17", tmp_path)
    done = command("check", dist, "--offline", "--verify-metadata", "strict")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", 'a"\nversion = "1', "../a"])
def test_what_is_no_name_of_a_project_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not the name of a project"):
        sample_of(name, "1")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "canary_sample.py", "--", name, tmp_path / "new"],
        env=without_a_job(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "is not the name of a project" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "new" / "dist").exists()
