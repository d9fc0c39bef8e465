"""What the tag of a release says, in every mode, and from where each kind of job knows it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from attested_publish.identity.refs import ref_of, tag_in
from attested_publish.index.index import Dialect, Index
from attested_publish.journey import publish
from attested_publish.problems import Topic
from attested_publish.rehearsal.jobs import gitlab
from attested_publish.rehearsal.jobs.pretended import CIRCLECI, GITHUB, GITLAB, JOBS, given_ref
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from attested_publish.settings import VersionTag, understand
from support.action import act, job, run_action
from support.command import command
from support.environment import without_a_job
from support.keys import issuer_key
from support.makers import make_release, make_wheel
from support.releases import SDIST, WHEEL, Stage, problem, run, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attested_publish.rehearsal.request_log import Answered
    from attested_publish.report import Report

pytestmark = pytest.mark.sample(3)


MODES = {
    "publish": publish.publish,
    "check": publish.check,
    "attest": publish.attest,
    "check --offline": publish.check_files,
}


@dataclass
class Tagged(Stage):
    """A world whose job runs on a ref, and what was asked of it."""

    ref: str = ""
    asked: list[Answered] = field(default_factory=list)

    def targets_at(self, address: str) -> Any:
        """Return the targets of a job on this ref."""
        return replace(super().targets_at(address), ref=self.ref)

    @property
    def identities(self) -> int:
        """How many identity tokens were requested."""
        return sum(one.stage == "identity" for one in self.asked)


@contextlib.contextmanager
def on(ref: str, folder: Path) -> Iterator[Tagged]:
    asked: list[Answered] = []
    with staged(folder, record=asked.append) as stage:
        yield Tagged(stage.world, folder, ref=ref, asked=asked)


def found(report: Report) -> dict[str, list[tuple[str, str]]]:
    return {
        name: [(each.rule, each.severity.value) for each in file.findings]
        for name, file in report.files.items()
        if file.findings
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of `sample` 1.0."""
    make_release(tmp_path / "dist")
    return tmp_path / "dist"


@pytest.mark.parametrize("mode", MODES)
def test_another_version_is_a_warning_for_every_file(folder: Path, mode: str) -> None:
    with on("refs/tags/v1.1", folder) as stage:
        report = stage.run(MODES[mode], attestations_dir=str(folder.parent / "made"))
        assert report.result == "done"
        warning = [("tag-version", "warning")]
        assert found(report) == {WHEEL: warning, SDIST: warning}
        assert "The tag 'v1.1' names the version 1.1, but this is sample 1.0." in stage.printed


@pytest.mark.sample(4)
@pytest.mark.parametrize("ref", ["refs/tags/v1.0", "refs/heads/v1.1", "refs/pull/1/merge", ""])
@pytest.mark.parametrize("wish", ["auto", "false"])
def test_the_same_version_or_no_tag(folder: Path, ref: str, wish: str) -> None:
    with on(ref, folder) as stage:
        report = stage.run(publish.check, version_tag=wish, verify_metadata="strict")
        assert (report.result, found(report)) == ("done", {})


def test_with_false_any_tag_will_do(folder: Path) -> None:
    with on("refs/tags/v1.1", folder) as stage:
        report = stage.run(version_tag="false", verify_metadata="strict")
        assert (report.result, found(report)) == ("done", {})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "settings",
    [
        {"verify_metadata": "strict"},
        {"version_tag": "true"},
        {"version_tag": "true", "verify_metadata": "false"},
        {"version_tag": "v{version}"},
        {"version_tag": "v{version}", "verify_metadata": "false"},
    ],
)
def test_where_the_version_is_required_another_one_stops(
    folder: Path, mode: str, settings: dict[str, str]
) -> None:
    with on("refs/tags/v1.1", folder) as stage:
        values = {"attestations_dir": str(folder.parent / "made"), **settings}
        report = stage.run(MODES[mode], **values)
        assert report.result == "refused"
        assert {file.status for file in report.files.values()} == {"refused"}
        (told,) = report.problems
        assert told.title == "The tag does not name the version of 2 of 2 files"
        assert "'v1.1'" in told.detail
        assert "sample 1.0" in told.detail
        assert "version-tag" in told.remedy
        assert "PyPI's rules" not in told.remedy
        assert stage.identities == 0
        assert not len(stage.world.log)
        assert not stage.served()


def test_at_an_index_with_other_rules_no_waiver_is_promised(folder: Path) -> None:
    with on("refs/tags/v1.1", folder) as stage:
        address = stage.world.upload_url
        chosen = understand(
            {"packages-dir": str(folder), "repository-url": address, "version-tag": "true"}
        )
        targets = stage.targets_at(address)
        other = replace(targets.index, dialect=Dialect.OTHER)
        report, _ = run(publish.publish, chosen, replace(targets, index=other))
        assert "verify-metadata" not in problem(report)


def test_with_other_findings_it_is_one_of_several(folder: Path) -> None:
    make_wheel(folder, metadata={"Classifier": "Topic :: Not Known"})
    with on("refs/tags/v1.1", folder) as stage:
        report = stage.run(version_tag="true", verify_metadata="strict")
        assert "2 of 2 files would be refused" in problem(report)
        assert "Topic :: Not Known" in problem(report)
        assert "'v1.1'" in problem(report)


@pytest.mark.sample(6)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("wish", ["true", "v{version}"])
@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/pull/1/merge", "refs/tags/", ""])
def test_without_a_tag_that_is_required_nothing_is_begun(
    folder: Path, mode: str, wish: str, ref: str
) -> None:
    with on(ref, folder) as stage:
        report = stage.run(MODES[mode], version_tag=wish, verify_metadata="false")
        assert report.result == "failed"
        told = problem(report)
        assert "no tag" in told
        assert repr(wish) in told
        assert ref in told
        assert "on: push: tags" in told
        assert report.problems[0].stage == "rules"
        assert not stage.asked
        assert not stage.world.index.issued_tokens


def test_what_it_stops_would_have_asked(folder: Path) -> None:
    """So that counting requests means something."""
    with on("refs/tags/v1.0", folder) as stage:
        assert stage.run(version_tag="true").result == "done"
        assert stage.identities > 0


def test_a_tag_of_one_project_of_two(folder: Path) -> None:
    make_wheel(folder, name="other", version="0.4")
    with on("refs/tags/sample-v1.0", folder) as stage:
        report = stage.run(publish.check)
        assert found(report) == {"other-0.4-py3-none-any.whl": [("tag-version", "warning")]}
        assert "about 'sample', not about 'other'" in stage.printed
        report = stage.run(version_tag="true")
        assert "1 of 3 files" in problem(report)
        assert "Nothing is wrong with sample 1.0 (2 files)" in problem(report)


def test_each_of_several_indexes_has_the_finding(folder: Path) -> None:
    with staged(folder, further=[Registry.open()]) as stage:
        addresses = [stage.world.upload_url, stage.world.further[0].upload_url]
        first, second = map(Index.at, addresses)
        chosen = understand({"packages-dir": str(folder), "repository-url": "\n".join(addresses)})
        targets = replace(
            stage.targets_at(addresses[0]), index=first, further=(second,), ref="refs/tags/v1.1"
        )
        report, printed = run(publish.publish, chosen, targets)
        assert report.result == "done", printed
        warning = [("tag-version", "warning")]
        assert [found(part) for part in report.indexes] == [{WHEEL: warning, SDIST: warning}] * 2
        assert printed.count("The tag 'v1.1'") == 2, "once for each file"

        required = replace(chosen, version_tag=VersionTag.REQUIRED)
        report, _ = run(publish.publish, required, replace(targets, ref="refs/heads/main"))
        assert "no tag" in problem(report)


def test_the_action_annotates_it(folder: Path) -> None:
    with staged(folder, claims={"ref": "refs/tags/v1.1"}) as stage:
        outcome = act(stage, mode="check")
        assert outcome.status == 0
        (of_wheel,) = (f for f in outcome.report["files"] if f["filename"] == WHEEL)
        (finding,) = of_wheel["findings"]
        assert (finding["rule"], finding["severity"]) == ("tag-version", "warning")
        assert finding["remedy"]
        assert any(
            line.startswith("::warning") and "v1.1" in line for line in outcome.log.splitlines()
        )
        assert "v1.1" in outcome.summary

        outcome = act(stage, version_tag="true")
        assert outcome.status == 1
        outcome.explains(Topic.OTHER_TAG, "'v1.1'", "sample 1.0")
        assert not stage.world.index.issued_tokens


def test_the_action_without_a_tag(folder: Path) -> None:
    with staged(folder, claims={"ref": "refs/heads/main"}) as stage:
        act(stage, version_tag="true").explains(Topic.NO_TAG, "refs/heads/main", "on: release")
        assert act(stage, mode="check").status == 0


def test_the_action_s_input_is_checked(folder: Path) -> None:
    with staged(folder) as stage:
        done = run_action(job(stage.world, folder, version_tag="v{wrong}"))
        assert done.returncode == 2
        assert "version-tag is 'v{wrong}'" in done.stdout


def test_the_command_s_option_is_checked(folder: Path) -> None:
    done = command("check", "--offline", folder, "--version-tag", "v{version}{")
    assert done.returncode == 2
    assert done.stderr.startswith("attested-publish: version-tag is 'v{version}{'")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    ("variables", "status", "words"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/tags/v1.0"}, 0, ""),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/tags/v1.1"}, 1, "'v1.1'"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/v1.0"}, 1, "refs/heads/v1.0"),
        ({"GITLAB_CI": "true", "CI_COMMIT_TAG": "v1.0", "CI_COMMIT_REF_NAME": "v1.0"}, 0, ""),
        ({"GITLAB_CI": "true", "CI_COMMIT_TAG": "v1.1", "CI_COMMIT_REF_NAME": "v1.1"}, 1, "'v1.1'"),
        ({"GITLAB_CI": "true", "CI_COMMIT_REF_NAME": "v1.0"}, 1, "refs/heads/v1.0"),
        ({"CIRCLECI": "true", "CIRCLE_TAG": "v1.0"}, 0, ""),
        ({"CIRCLECI": "true", "CIRCLE_BRANCH": "main"}, 1, "refs/heads/main"),
        ({"GITHUB_REF": "refs/tags/v1.0"}, 1, "no variable that names a Git ref"),
        ({}, 1, "no variable that names a Git ref"),
    ],
)
def test_every_kind_of_job_knows_its_tag(
    folder: Path, variables: dict[str, str], status: int, words: str
) -> None:
    report = folder.parent / "report.json"
    options = ("--version-tag", "true", "--report", report)
    done = command("check", "--offline", folder, *options, **variables)
    assert done.returncode == status, done.stdout + done.stderr
    told = json.loads(report.read_text())["problems"]
    assert words in "".join(each["detail"] for each in told)


def test_a_gitlab_job(folder: Path) -> None:
    claims = gitlab.job_claims({}, {"ref": "v1.1"})
    with World(
        claims=claims, registry=Registry.open(), job=GITLAB, issuer_key=issuer_key()
    ) as world:
        environment = {**without_a_job(), **world.environment}
        assert ref_of(environment) == "refs/tags/v1.1"
        config = folder.parent / "trust.json"
        config.write_text(world.trust_config)
        done = command(
            *("publish", folder, "--repository-url", world.upload_url),
            *("--sigstore-trust-config", config, "--version-tag", "{version}"),
            **world.environment,
        )
        assert done.returncode == 1
        assert "The tag does not name the version of 2 of 2 files" in done.stdout
        assert not world.index.issued_tokens


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        # The ref of a job that nobody described is a sample.
        ([], 0, ""),
        (["--version-tag", "true"], 1, "--claim ref="),
        (["--claim", "ref=refs/tags/v1.0", "--version-tag", "true"], 0, ""),
        (["--claim", "ref=refs/tags/v1.1"], 0, "The tag 'v1.1' names the version 1.1"),
        (["--claim", "ref=refs/tags/v1.1", "--version-tag", "true"], 1, "'v1.1'"),
        (["--job", "gitlab", "--claim", "ref=v1.1", "--version-tag", "v{version}"], 1, "'v1.1'"),
    ],
)
def test_a_rehearsal_has_the_ref_of_its_own_job(
    folder: Path, options: list[str], status: int, words: str
) -> None:
    done = command("rehearse", folder, *options)
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stdout
    assert words or "The tag" not in done.stdout


@pytest.mark.parametrize(
    ("name", "environment", "overrides", "ref"),
    [
        ("github", {}, {}, ""),
        ("github", {"GITHUB_REF": "refs/tags/v2"}, {}, "refs/tags/v2"),
        ("github", {"GITHUB_REF": "refs/heads/main"}, {}, "refs/heads/main"),
        ("github", {"GITHUB_REF": "refs/tags/v2"}, {"ref": "refs/tags/v3"}, "refs/tags/v3"),
        # A pull request has no tag, and what another event would have is not known.
        ("github", {"GITHUB_REF": "refs/tags/v2"}, {"event_name": "pull_request"}, ""),
        ("github", {"GITHUB_REF": "refs/pull/1/merge"}, {"event_name": "push"}, ""),
        ("gitlab", {}, {}, ""),
        ("gitlab", {"GITHUB_REF": "refs/tags/v2"}, {}, ""),
        ("gitlab", {"CI_COMMIT_REF_NAME": "v2", "CI_COMMIT_TAG": "v2"}, {}, "refs/tags/v2"),
        ("gitlab", {"CI_COMMIT_REF_NAME": "main"}, {}, "refs/heads/main"),
        ("gitlab", {}, {"ref": "v3"}, "refs/tags/v3"),
        ("gitlab", {}, {"ref": "refs/tags/v3"}, "refs/tags/v3"),
        ("gitlab", {}, {"ref": "main", "ref_type": "branch"}, "refs/heads/main"),
        ("circleci", {}, {}, ""),
        ("circleci", {"CIRCLE_TAG": "v2"}, {}, "refs/tags/v2"),
        ("circleci", {}, {"oidc.circleci.com/vcs-ref": "refs/tags/v3"}, "refs/tags/v3"),
        ("google", {}, {}, ""),
    ],
)
def test_the_ref_of_a_simulated_job(
    name: str, environment: dict[str, str], overrides: dict[str, str], ref: str
) -> None:
    simulated = JOBS[name]
    claims = simulated.claims(environment, overrides)
    assert given_ref(simulated, claims, environment, overrides) == ref


@pytest.mark.parametrize("kind", [GITHUB, GITLAB, CIRCLECI])
def test_the_variables_and_the_claims_name_the_same_ref(kind: Any) -> None:
    claims = kind.claims({}, {})
    assert ref_of(kind.variables(claims)) == "refs/tags/v1.0.0"
    assert claims[kind.ref_claim] in {"v1.0.0", "refs/tags/v1.0.0"}


def test_a_tag_with_slashes_is_whole() -> None:
    assert tag_in("refs/tags/name/v1.2") == "name/v1.2"
    assert tag_in("refs/heads/refs/tags/v1") is None
    assert tag_in("refs/tags/") is None


def test_a_hostile_tag_is_harmless(folder: Path) -> None:
    ref = "refs/tags/v1.1\n::error::owned\x1b[31m" + "x" * 100_000
    with on(ref, folder) as stage:
        report = stage.run(version_tag="true")
        assert "\n::error" not in stage.printed
        assert "\x1b" not in stage.printed
        assert len(problem(report)) < 2000
