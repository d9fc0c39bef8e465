"""The issue about a workflow that fails: what it says, and when it is opened and closed."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML
from workflow_issue import has_succeeded, text_of

from support.paths import ROOT
from support.workflow_issue import ISSUE_ACTION, JOB, LABEL, TITLE, GitHubCommand, reported

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOWS = {
    name: YAML(typ="safe").load(ROOT / ".github" / "workflows" / name)
    for name in ("canary.yml", "weekly.yml")
}
RUN = "https://github.com/octo-org/sample-project/actions/runs/42/attempts/2"
GOOD = {name: {"result": "success", "outputs": {}} for name in ("build", "publish", "verify")}


def bad(name: str, result: str = "failure", **outputs: str) -> dict[str, Any]:
    return {**GOOD, name: {"result": result, "outputs": outputs}}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_job_waits_for_all_others_and_may_do_nothing_else(name: str) -> None:
    jobs = WORKFLOWS[name]["jobs"]
    job = jobs["issue"]
    assert set(job["needs"]) == jobs.keys() - {"issue"}
    assert "!cancelled()" in job["if"]
    assert job["permissions"] == {"issues": "write"}
    (step,) = job["steps"]
    assert step["uses"] == "$/.github/actions/workflow-issue"
    assert step["with"].keys() == ISSUE_ACTION["inputs"].keys()
    assert step["with"]["needs"] == "${{ toJSON(needs) }}"
    (run,) = ISSUE_ACTION["runs"]["steps"]
    assert set(run["env"].values()) == {
        f"${{{{ inputs.{each} }}}}" for each in ISSUE_ACTION["inputs"]
    }


@pytest.mark.parametrize("name", WORKFLOWS)
def test_only_the_default_branch_decides_about_the_issue(name: str) -> None:
    condition = WORKFLOWS[name]["jobs"]["issue"]["if"]
    assert "||" not in condition
    assert " github.ref == 'refs/heads/main'" in condition


def test_a_weekly_run_on_another_branch_does_not_end_the_one_of_monday() -> None:
    assert WORKFLOWS["weekly.yml"]["concurrency"]["group"].endswith("${{ github.ref }}")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_what_an_issue_refers_to_is_there(name: str) -> None:
    given = WORKFLOWS[name]["jobs"]["issue"]["steps"][0]["with"]
    page, _, section = given["guide"].partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    headings = re.findall("^#+ (.*)$", text, re.MULTILINE)
    assert section in [each.lower().replace(" ", "-") for each in headings]
    for word in (f"*{given['title']}*", f"`{given['label']}`"):
        assert word in " ".join(text.split())


def test_two_workflows_do_not_share_an_issue() -> None:
    given = [each["jobs"]["issue"]["steps"][0]["with"] for each in WORKFLOWS.values()]
    assert len({(each["title"], each["label"]) for each in given}) == len(WORKFLOWS)


@pytest.mark.parametrize("result", ["failure", "cancelled", "skipped"])
def test_only_a_run_in_which_all_jobs_succeed_is_one(result: str) -> None:
    assert has_succeeded(GOOD)
    assert not has_succeeded(bad("publish", result))
    assert not has_succeeded({})


def test_an_issue_names_the_job_and_the_run() -> None:
    # act says of a job without outputs that it has none, GitHub that they are empty.
    needs = {**bad("publish"), "verify": {"result": "skipped", "outputs": None}}
    text = text_of(needs, JOB)
    assert text.startswith(f"The workflow *Canary* has failed in `publish`: {RUN}\n")
    assert "| verify | skipped |" in text
    assert JOB["GITHUB_SHA"] in text
    assert "```" not in text
    page = f"https://github.com/octo-org/sample-project/blob/{JOB['GITHUB_SHA']}/docs/canary.md"
    assert f"What to do: [docs/canary.md]({page}#when-it-fails). The next run" in text


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
