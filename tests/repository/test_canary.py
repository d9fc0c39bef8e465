"""The nightly release to TestPyPI: its workflow, its sample, and the issue about it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from canary_issue import LABEL, TITLE, has_succeeded, text_of
from canary_sample import built, sample_of, version_of
from packaging.version import Version
from ruamel.yaml import YAML

from support.canary import ISSUE_ACTION, JOB, GitHubCommand, reported
from support.checkout import digests
from support.command import command
from support.environment import without_a_job
from support.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "canary.yml")
JOBS = WORKFLOW["jobs"]
IS_ON = {"vars.CANARY_PROJECT != ''", "!github.event.repository.fork"}
NIGHT = datetime(2026, 11, 28, 3, 41, tzinfo=UTC)
RUN = "https://github.com/octo-org/sample-project/actions/runs/42/attempts/2"
GOOD = {name: {"result": "success", "outputs": {}} for name in ("build", "publish", "verify")}


def bad(name: str, result: str = "failure", **outputs: str) -> dict[str, Any]:
    return {**GOOD, name: {"result": result, "outputs": outputs}}


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
    (issue,) = JOBS["issue"]["steps"]
    assert issue["uses"] == "$/.github/actions/canary-issue"
    assert set(issue["with"]) == set(ISSUE_ACTION["inputs"])
    assert set(JOBS["issue"]["needs"]) == set(JOBS) - {"issue"}


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


@pytest.mark.parametrize("result", ["failure", "cancelled", "skipped"])
def test_only_a_run_in_which_all_jobs_succeed_is_one(result: str) -> None:
    assert has_succeeded(GOOD)
    assert not has_succeeded(bad("publish", result))
    assert not has_succeeded({})


def test_an_issue_names_the_job_and_the_run() -> None:
    needs = {**bad("publish"), "verify": {"result": "skipped", "outputs": {}}}
    text = text_of(needs, JOB)
    assert text.startswith(f"The canary has failed in `publish`: {RUN}\n")
    assert "| verify | skipped |" in text
    assert JOB["GITHUB_SHA"] in text
    assert "```" not in text


def test_an_issue_says_what_is_wrong_and_nothing_in_it_is_markup() -> None:
    failures = [
        {"what": "It is served without provenance.", "said": ""},
        {"what": "A program ended.", "said": "said\n````\n@everybody [link](https://example.org)"},
    ]
    text = text_of(bad("verify", failures=json.dumps(failures)), JOB)
    (block,) = re.findall(r"^`````text\n(.*?)\n`````$", text, re.DOTALL | re.MULTILINE)
    assert block.splitlines() == [
        "✗ It is served without provenance.",
        "✗ A program ended.",
        "said",
        "````",
        "@everybody [link](https://example.org)",
    ]


@pytest.mark.parametrize("given", ["[", "[1]", '{"what": 1}', "x" * 100_000])
def test_failures_that_cannot_be_read_are_quoted(given: str) -> None:
    text = text_of(bad("verify", failures=given), JOB)
    assert given[:1_000] in text
    assert len(text) < 60_000


posix = pytest.mark.skipif(sys.platform == "win32", reason="the job runs on Linux")


@posix
def test_the_first_failure_opens_an_issue(tmp_path: Path) -> None:
    github = GitHubCommand(tmp_path, {3: "Another issue about canaries"}, ("label create",))
    done = reported(github, bad("verify"))
    assert done.returncode == 0, done.stderr
    listed, label, create = github.calls()
    assert listed.what == "issue list"
    # There is one already: people may have changed its color.
    assert label.what == "label create"
    assert create.words == [
        *("issue", "create", "--repo", "octo-org/sample-project", "--title", TITLE),
        *("--label", LABEL, "--body-file", "-"),
    ]
    assert create.text == text_of(bad("verify"), JOB)
    assert {call.token for call in github.calls()} == {"the-token"}
    assert "the-token" not in done.stdout + done.stderr


@posix
def test_further_failures_are_comments_on_it(tmp_path: Path) -> None:
    github = GitHubCommand(tmp_path, {3: "Another", 7: TITLE})
    assert reported(github, bad("build")).returncode == 0
    _, comment = github.calls()
    assert comment.words == [
        *("issue", "comment", "7", "--repo", "octo-org/sample-project", "--body-file", "-")
    ]
    assert comment.text == text_of(bad("build"), JOB)


@posix
def test_a_success_closes_it(tmp_path: Path) -> None:
    github = GitHubCommand(tmp_path, {3: "Another", 7: TITLE})
    assert reported(github, GOOD).returncode == 0
    _, comment, close = github.calls()
    assert comment.what == "issue comment"
    assert RUN in comment.text
    assert close.words == [
        *("issue", "close", "7", "--repo", "octo-org/sample-project", "--reason", "completed")
    ]


@posix
def test_a_success_without_an_issue_says_nothing(tmp_path: Path) -> None:
    github = GitHubCommand(tmp_path, {3: "Another"})
    assert reported(github, GOOD).returncode == 0
    assert [call.what for call in github.calls()] == ["issue list"]


@posix
@pytest.mark.parametrize("command", ["issue list", "issue create"])
def test_an_issue_that_cannot_be_opened_fails_the_job(tmp_path: Path, command: str) -> None:
    github = GitHubCommand(tmp_path, {}, (command,))
    done = reported(github, bad("verify"))
    assert done.returncode == 1
    assert "gh could not report the result" in done.stderr
    assert "Traceback" not in done.stderr
