"""This repository's own workflows: when they run, where, and what the pages say of them."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import pytest
from ruamel.yaml import YAML

from support.paths import ROOT

NOT_IN_A_FORK = ("github.repository_owner == 'attested-publish'", "vars.CANARY_PROJECT != ''")
"""Conditions that no fork meets: it has another owner, and no variables."""

FOLDER = ROOT / ".github" / "workflows"
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yml"))
WORKFLOWS: dict[str, dict[str, Any]] = {
    path.name: YAML(typ="safe").load(path) for path in sorted(FOLDER.glob("*.yml"))
}
SCORECARD = (ROOT / "docs" / "scorecard.md").read_text(encoding="utf-8")
DEVELOPMENT = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")

CHECKS = [
    *("Binary-Artifacts", "Branch-Protection", "CI-Tests", "CII-Best-Practices", "Code-Review"),
    *("Contributors", "Dangerous-Workflow", "Dependency-Update-Tool", "Fuzzing", "License"),
    *("Maintained", "Packaging", "Pinned-Dependencies", "SAST", "SBOM", "Security-Policy"),
    *("Signed-Releases", "Token-Permissions", "Vulnerabilities", "Webhooks"),
]
"""All of Scorecard 5's."""

_USES = re.compile(r"^[^#\n]*\buses: ([\w.-]+/[\w.-]+)\S*@(.+)$", re.MULTILINE)

STATES = {"in place", "to set", "with time", "partly", "not met"}


def triggers(workflow: dict[str, Any]) -> set[str]:
    on = workflow.get("on", workflow.get(True))
    return {on} if isinstance(on, str) else set(on)


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job.get("steps", []))


def names_of(job: dict[str, Any]) -> list[str]:
    """The names that the checks of a job have, one for each value of its matrix."""
    matrix = job.get("strategy", {}).get("matrix", {})
    names = [job["name"]]
    for key, values in matrix.items():
        if isinstance(values, list) and key != "include":
            names = [
                name.replace(f"${{{{ matrix.{key} }}}}", value)
                for name in names
                for value in values
            ]
    return names


def rows(page: str, start: str) -> list[list[str]]:
    """The cells of the first table after `start`, without its head."""
    table = re.search(r"\|---.*\n((?:\|.*\n)+)", page.partition(start)[2])
    assert table, start
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[1].splitlines()]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_runs_for_strangers_with_this_repositorys_rights(name: str) -> None:
    dangerous = {"pull_request_target", "workflow_run", "issue_comment"}
    assert not triggers(WORKFLOWS[name]) & dangerous


@pytest.mark.parametrize("name", [n for n, w in WORKFLOWS.items() if "schedule" in triggers(w)])
def test_what_a_clock_starts_does_not_run_in_a_fork(name: str) -> None:
    jobs = WORKFLOWS[name]["jobs"]
    guarded = {
        key
        for key, job in jobs.items()
        if any(condition in str(job.get("if", "")) for condition in NOT_IN_A_FORK)
    }
    # What needs a job that is skipped is skipped, too, unless its condition asks for a status; in a
    # file, jobs follow those they need.
    for key, job in jobs.items():
        needs = job.get("needs", [])
        needed = {needs} if isinstance(needs, str) else set(needs)
        if needed & guarded and "()" not in str(job.get("if", "")):
            guarded.add(key)
    assert guarded == jobs.keys()


@pytest.mark.parametrize("name", [n for n, w in WORKFLOWS.items() if "schedule" in triggers(w)])
def test_what_a_clock_starts_asks_the_event_for_no_branch(name: str) -> None:
    """The event of a schedule may have no repository: the condition would always be false."""
    assert "github.event.repository.default_branch" not in str(WORKFLOWS[name]["jobs"])


def test_an_action_is_used_at_one_commit_everywhere() -> None:
    """CodeQL even refuses to run where the commits of its parts differ."""
    refs = defaultdict(set)
    for path in (*sorted(FOLDER.glob("*.yml")), *EXAMPLES):
        text = path.read_text(encoding="utf-8")
        for action, ref in _USES.findall(text):
            refs[action].add(ref)
    assert len(refs) >= 8
    for action, found in refs.items():
        assert len(found) == 1, action
        assert re.fullmatch(r"[0-9a-f]{40} # v\d+\.\d+\.\d+", *found), action


def test_the_results_of_scorecard_can_be_published() -> None:
    """Its server refuses those of any other workflow: see "workflow restrictions" of the action."""
    workflow = WORKFLOWS["scorecard.yml"]
    assert not workflow.keys() & {"env", "defaults"}
    assert workflow["permissions"] == {}
    (job,) = workflow["jobs"].values()
    assert not job.keys() & {"env", "defaults", "container", "services"}
    assert job["runs-on"].startswith("ubuntu-")
    assert [step["uses"].partition("@")[0] for step in job["steps"]] == [
        "actions/checkout",
        "ossf/scorecard-action",
        "github/codeql-action/upload-sarif",
    ]


def test_what_ci_run_says_of_the_workflows_is_true() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    comment = " ".join(re.findall(r"^# (.*)$", script, re.MULTILINE))
    parts = re.split(r"(\w+\.yml)", comment)[1:]
    told = dict(zip(parts[::2], parts[1::2], strict=True))
    assert {name: re.findall(r"`(make [\w-]+)`", text) for name, text in told.items()} == {
        "ci.yml": ["make slow", "make wheels"],
        "weekly.yml": ["make audit", "make fuzz"],
    }
    for name, text in told.items():
        ran = "\n".join(commands(job) for job in WORKFLOWS[name]["jobs"].values())
        for command in re.findall(r"`(make [\w-]+)`", text):
            assert re.search(rf"^{command}\b", ran, re.MULTILINE), command
    # The rest is .ci/run itself, as one job.
    assert ".ci/run" in commands(WORKFLOWS["ci.yml"]["jobs"]["all"]).split()


def test_the_page_lists_what_runs_when() -> None:
    listed = {
        name.strip("`"): (when, jobs) for name, when, jobs in rows(DEVELOPMENT, "## What runs when")
    }
    assert listed.keys() == WORKFLOWS.keys()
    for name, workflow in WORKFLOWS.items():
        when, jobs = listed[name]
        assert {
            trigger
            for trigger, words in {
                "pull_request": "pull requests",
                "push": "pushes",
                "schedule": "every night" if name == "canary.yml" else "Mondays",
                "workflow_call": "called by",
                "workflow_dispatch": "by hand",
            }.items()
            if words in when
        } == triggers(workflow) - {"branch_protection_rule"}, name
        if name != "release.yml":  # has a section of its own
            assert {job for job in re.findall(r"`([a-z-]+)`", jobs) if job != "main"} == workflow[
                "jobs"
            ].keys(), name


def test_every_check_of_scorecard_has_a_state() -> None:
    table = rows(SCORECARD, "<!-- checks -->")
    assert [check for check, _, _ in table] == CHECKS
    assert {state for _, state, _ in table} == STATES
    for state in STATES:
        assert f"*{state}*" in SCORECARD.partition("<!-- checks -->")[0]


@pytest.mark.parametrize(("check", "state", "text"), rows(SCORECARD, "<!-- checks -->"))
def test_what_meets_a_check_is_there(check: str, state: str, text: str) -> None:
    paths = [
        name
        for name in re.findall(r"`([^`]+)`", text)
        if "*" not in name and ("/" in name or name in {"LICENSE", "SECURITY.md", "Dockerfile"})
    ]
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert paths or "`make " in text or state not in {"in place", "partly"}, check


def test_the_required_checks_are_jobs_of_a_pull_request() -> None:
    (setting,) = re.findall(r"\*Require status checks to pass\*(.*?)\n4\.", SCORECARD, re.DOTALL)
    named = {
        " ".join(name.split())
        for name in re.findall(r"\*([^*]+)\*|`([^`]+)`", setting)
        for name in name
    }
    named -= {"", "Require branches to be up to date before merging"}
    jobs = {
        name
        for workflow in WORKFLOWS.values()
        if "pull_request" in triggers(workflow)
        for job in workflow["jobs"].values()
        for name in names_of(job)
    }
    assert len(named) == 6
    assert named <= jobs
