"""The canary: its release on the embedded index, verified by both programs; its workflow under act.

pypi-attestations' command knows PyPI's Sigstore only, but reads that root of trust from its cache:
here it is the one of the embedded Sigstore.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests
from canary_sample import built

from support.e2e.act import ACT, OURS, act, on_the_embedded_services, stand_ins_for
from support.e2e.commands import finished, run
from support.e2e.launch import Launch
from support.e2e.world import World, running_world, secrets_in
from support.environment import without_a_job
from support.paths import ROOT
from support.sidecars import PUBLISH, SLSA
from support.workflow_issue import TITLE, GitHubCommand, reported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECT = "attested-publish-canary"
VERSION = "2026.11.28.17"
REPOSITORY = "octo-org/sample-project"
REF = "refs/heads/main"
JOB = {
    "ref": REF,
    "workflow_ref": f"{REPOSITORY}/.github/workflows/canary.yml@{REF}",
    "environment": "testpypi",
    "event_name": "schedule",
}
ISSUE = ".github/actions/workflow-issue"
GOOD = {name: {"result": "success", "outputs": {}} for name in ("build", "publish", "verify")}
FAILED = {**GOOD, "verify": {"result": "failure", "outputs": {}}}


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return built(PROJECT, VERSION, tmp_path / "canary")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, World]]:
    """A release as it should be, and the services that serve it."""
    folder = tmp_path_factory.mktemp("released")
    sample = built(PROJECT, VERSION, folder / "canary")
    with running_world(folder / "world", **JOB) as world:
        published(sample, world, "--provenance=true")
        yield sample, world


@pytest.fixture
def nights(tmp_path: Path) -> Iterator[World]:
    """The embedded services, for a run of the canary."""
    with running_world(tmp_path / "world", **JOB) as world:
        yield world


def published(sample: Path, world: World, *options: str) -> None:
    """Publish the sample with the command, which is the action's program."""
    command = (sys.executable, "-m", "attested_publish", "publish", str(sample))
    where = ("--repository-url", world.upload_url)
    trust = ("--sigstore-trust-config", str(world.trust_config))
    environment = without_a_job() | world.environment
    done = finished(*command, *where, *trust, *options, env=environment, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def verified(
    sample: Path, world: World, folder: Path, **expected: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, str]]]:
    """Verify as the workflow does, and return how it ended and its output `failures`."""
    expectations = {
        "repository": REPOSITORY,
        "workflow": "canary.yml",
        "environment": "testpypi",
        "commit": world.claims["sha"],
        "ref": REF,
    } | expected
    done = finished(
        *(sys.executable, str(ROOT / "tools" / "canary_verify.py"), str(sample)),
        *("--index-url", world.index_url, "--sigstore-trust-config", str(world.trust_config)),
        *(f"--{name}={value}" for name, value in expectations.items()),
        "--patience=0",
        env=without_a_job() | {"GITHUB_OUTPUT": str(folder / "outputs")},
        stderr=subprocess.STDOUT,
    )
    assert "Traceback" not in done.stdout
    (line,) = (folder / "outputs").read_text().splitlines()
    name, _, value = line.partition("=")
    assert name == "failures"
    return done, json.loads(value)


def sentences(failures: list[dict[str, str]]) -> str:
    return "\n".join(failure["what"] for failure in failures)


def test_what_the_action_publishes_is_accepted_by_both_programs(sample, nights, action, tmp_path):
    launch = Launch(action, tmp_path, machine=None)
    shutil.copytree(sample, launch.workspace / "dist")
    prepared = launch.prepare("python")
    inputs = {"INPUT_ATTESTATIONS": "true", "INPUT_PROVENANCE": "true"}
    # Twice, as when a job is started again: what is there is done.
    for _ in range(2):
        done = launch.publish(prepared, nights, **inputs)
        assert done.returncode == 0, done.stdout
    assert set(nights.verified(PROJECT, (PUBLISH, SLSA))) == {
        path.name for path in sample.iterdir()
    }
    done, failures = verified(sample, nights, tmp_path)
    assert failures == []
    assert done.returncode == 0
    assert "2 of 2 files are valid, for the expected publisher" in done.stdout
    for name in (path.name for path in sample.iterdir()):
        assert f"OK: {name}\n" in done.stdout
        for kind in ("publish", "slsa"):
            assert f"{name}.{kind}.attestation\n" in done.stdout


@pytest.mark.parametrize(
    ("other", "theirs"),
    [
        ("repository=octo-org/another", "verify pypi"),
        ("workflow=release.yml", "verify attestation"),
        ("environment=pypi", ""),
        ("commit=0123456789ab", ""),
        ("ref=refs/heads/other", "verify attestation"),
    ],
)
def test_another_publisher_is_refused(released, tmp_path, other, theirs):
    name, _, value = other.partition("=")
    done, failures = verified(*released, tmp_path, **{name: value})
    assert done.returncode == 1
    assert "✗ attested-publish verify ended with exit status 1." in done.stdout
    assert f"not {value}" in failures[0]["said"]
    # pypi-attestations knows neither environment nor commit.
    others = [failure for failure in failures[1:] if theirs and theirs in failure["what"]]
    assert bool(others) == bool(theirs)
    assert all("Verification failed" in failure["said"] for failure in others)


def test_other_bytes_than_those_that_were_built_are_refused(released, sample, tmp_path):
    (sdist,) = sample.glob("*.tar.gz")
    sdist.write_bytes(sdist.read_bytes() + b"\0")
    done, failures = verified(sample, released[1], tmp_path)
    assert done.returncode == 1
    # What is served is in order; it is not what was to be published.
    (failure,) = failures
    assert failure["what"].startswith(f"{sdist.name} has other bytes than what was published: ")


def test_attestations_of_another_file_are_refused_by_both_programs(sample, tmp_path):
    with running_world(tmp_path / "world", "--fault=integrity=provenance", **JOB) as world:
        published(sample, world, "--provenance=true", "--confirm=false")
        done, failures = verified(sample, world, tmp_path)
    assert done.returncode == 1
    said = sentences(failures)
    for program in ("attested-publish verify", "verify pypi", "verify attestation"):
        assert f"{program} " in said


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--attestations=false"], "is served without provenance."),
        ([], "should have one publish attestation and one SLSA provenance; it has: "),
    ],
    ids=["no provenance", "no SLSA provenance"],
)
def test_missing_provenance_is_noticed(sample, nights, tmp_path, options, says):
    published(sample, nights, *options)
    done, failures = verified(sample, nights, tmp_path)
    assert done.returncode == 1
    for path in sample.iterdir():
        assert f"{path.name} {says}" in sentences(failures)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("integrity=disabled", "cannot be fetched: "),
        ("integrity=garbage", "cannot be read."),
        ("file=404", "cannot be downloaded: "),
    ],
)
def test_what_cannot_be_fetched_is_named(sample, tmp_path, fault, says):
    with running_world(tmp_path / "world", f"--fault={fault}", **JOB) as world:
        published(sample, world, "--provenance=true", "--confirm=false")
        done, failures = verified(sample, world, tmp_path)
    assert done.returncode == 1
    assert says in sentences(failures)


@pytest.mark.parametrize(
    ("fault", "says"),
    [("simple=503", "answers 503"), ("simple=garbage", "its page is not the JSON of PEP 691")],
)
def test_an_index_that_fails_is_named(sample, tmp_path, fault, says):
    with running_world(tmp_path / "world", f"--fault={fault}", **JOB) as world:
        done, failures = verified(sample, world, tmp_path)
    assert done.returncode == 1
    (failure,) = failures
    assert "does not serve the release after 0 seconds: " in failure["what"]
    assert says in failure["what"]


def test_a_release_that_is_not_served_is_named(sample, nights, tmp_path):
    done, failures = verified(sample, nights, tmp_path)
    assert done.returncode == 1
    assert "does not serve the release after 0 seconds" in sentences(failures)


_PREPARE = "run: make .venv/runtime\n"
_STEP_STARTS = "⭐ Run Main "
"""How act's log says it."""


class Repository:
    """A checkout of this repository on GitHub, whose canary is meant for a world."""

    def __init__(self, folder: Path, action: Path, *, prepared: int) -> None:
        self.folder = folder / "repository"
        self._home = folder / "home"
        self._kept = folder / "kept"
        for each in (self._home, self._kept):
            each.mkdir()
        shutil.copytree(action, self.folder)
        self._action = action
        workflow = self.folder / ".github" / "workflows" / "canary.yml"
        self._text = workflow.read_text()
        text = self._on_this_machine(self._text)
        # To install what is locked takes a minute here: one job of one test does it.
        assert text.count(_PREPARE) == 2
        text = text.replace(_PREPARE, f"run: ln -s {ROOT / '.venv'} .venv\n", prepared)
        workflow.write_text(text)
        for command in (
            ("init", "--quiet", "--initial-branch=main"),
            ("remote", "add", "origin", f"https://github.com/{REPOSITORY}"),
            ("add", "--all"),
            ("-c", "user.name=e2e", "-c", "user.email=e2e", "commit", "--quiet", "-m", "Night"),
        ):
            run("git", *command, cwd=self.folder)
        self.commit = run("git", "rev-parse", "HEAD", cwd=self.folder).strip()

    @staticmethod
    def _on_this_machine(text: str) -> str:
        """Return the workflow for the embedded services; act does not know `$/` yet."""
        name, _, ref = OURS.partition("@")
        changes = {
            "uses: $/.\n": f"uses: {OURS}\n",
            f"uses: $/{ISSUE}\n": f"uses: {name}/{ISSUE}@{ref}\n",
            "INDEX_URL: https://test.pypi.org/simple/": "INDEX_URL: ${{ vars.INDEX_URL }}",
            "--environment testpypi": "--environment testpypi --patience 0"
            ' --sigstore-trust-config "$TRUST"',
        }
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return on_the_embedded_services(text, {"runtime": "python"})

    def night(
        self, world: World, github: GitHubCommand, *, variables: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run the workflow as its schedule would; act checks out itself."""
        stand_ins = {
            name: folder
            for name, folder in stand_ins_for(self._text).items()
            if folder.name != "checkout"
        }
        return act(
            "schedule",
            "canary",
            self.folder,
            *("-P", "ubuntu-24.04=-self-hosted"),
            actions={OURS: self._action, **stand_ins},
            variables={
                "INDEX": world.upload_url,
                "INDEX_URL": world.index_url,
                "TRUST": str(world.trust_config),
                **variables,
            },
            secrets={"REQUEST_TOKEN": world.request_token, "GITHUB_TOKEN": "the-token"},
            job=world.request
            | {"STAND_IN_FOLDER": str(self._kept), "TRUST": str(world.trust_config)},
            environment={"PATH": f"{github.path}:{os.environ['PATH']}"},
            home=self._home,
            seconds=500,
        )


@pytest.fixture
def repository(tmp_path: Path, action: Path) -> Repository:
    return Repository(tmp_path, action, prepared=2)


ON = {"CANARY_PROJECT": PROJECT}
GH = ACT.parent / "gh"


def test_a_night_that_succeeds_closes_the_issue(action, tmp_path):
    repository = Repository(tmp_path, action, prepared=1)
    github = GitHubCommand(tmp_path / "gh", {7: TITLE})
    with running_world(tmp_path / "world", sha=repository.commit, **JOB) as world:
        done = repository.night(world, github, variables=ON)
        assert done.returncode == 0, done.stdout[-8000:]
        served = world.verified(PROJECT, (PUBLISH, SLSA))
    assert len(served) == 2
    assert [call.what for call in github.calls()] == ["issue list", "issue comment", "issue close"]
    assert {call.token for call in github.calls()} == {"the-token"}
    assert "The workflow *Canary* has succeeded again" in github.calls()[1].text
    assert "both programs accept it" in done.stdout
    assert _STEP_STARTS in done.stdout
    assert secrets_in(done.stdout, world.request_token) == []


def test_a_night_that_publishes_for_another_ref_opens_an_issue_that_says_so(repository, tmp_path):
    github = GitHubCommand(tmp_path / "gh", {})
    elsewhere = {name: value.replace(REF, "refs/heads/other") for name, value in JOB.items()}
    with running_world(tmp_path / "world", sha=repository.commit, **elsewhere) as world:
        done = repository.night(world, github, variables=ON)
    assert done.returncode != 0
    assert [call.what for call in github.calls()] == ["issue list", "label create", "issue create"]
    text = github.calls()[-1].text
    assert text.startswith(
        f"The workflow *Canary* has failed in `verify`: https://github.com/{REPOSITORY}/"
    )
    assert "| publish | success |" in text
    assert "It is from refs/heads/other, not refs/heads/main." in text
    assert "pypi-attestations verify attestation" in text


def test_a_night_that_cannot_publish_opens_an_issue_that_says_so(repository, tmp_path):
    github = GitHubCommand(tmp_path / "gh", {})
    registry = tmp_path / "registry.json"
    registry.write_text(json.dumps({"publishers": []}))
    with running_world(
        tmp_path / "world", f"--registry={registry}", sha=repository.commit, **JOB
    ) as world:
        done = repository.night(world, github, variables=ON)
        assert world.served(PROJECT) == []
    assert done.returncode != 0
    text = github.calls()[-1].text
    assert text.startswith("The workflow *Canary* has failed in `publish`: ")
    assert "| verify | skipped |" in text


def test_github_s_command_takes_every_argument(tmp_path):
    """It is the real one; GitHub itself cannot be reached, which it says after reading them."""
    of = (GOOD, {7: TITLE}), (FAILED, {7: TITLE}), (FAILED, {})
    calls = []
    for number, (needs, issues) in enumerate(of):
        github = GitHubCommand(tmp_path / str(number), issues)
        reported(github, needs)
        calls += github.calls()
    environment = without_a_job() | {
        "GH_TOKEN": "none",
        "GH_CONFIG_DIR": str(tmp_path / "config"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    commands = set()
    for words in [*(call.words for call in calls), ["issue", "list", "--no-such-option"]]:
        done = finished(str(GH), *words, env=environment, stderr=subprocess.STDOUT)
        commands.add(" ".join(words[:2]))
        assert ("proxyconnect" in done.stdout) == ("--no-such-option" not in words), done.stdout
    assert commands == {
        *("issue list", "issue create", "issue comment", "issue close"),
        "label create",
    }


def test_without_the_variable_nothing_runs(repository, nights, tmp_path):
    github = GitHubCommand(tmp_path / "gh", {7: TITLE})
    done = repository.night(nights, github, variables={})
    assert done.returncode == 0, done.stdout[-8000:]
    assert github.calls() == []
    assert nights.served(PROJECT) == []
    assert _STEP_STARTS not in done.stdout
    assert requests.get(f"{nights.index_url}{PROJECT}/", timeout=20).status_code == 404
