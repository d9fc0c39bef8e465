"""SLSA provenance beside the publish attestation: what it says, and that both are served."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import requests
from pypi_attestations import Provenance
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier

from attested_publish.attestations.sidecars import PUBLISH, SLSA
from attested_publish.attestations.slsa import GITLAB_BUILD_TYPE, provenance_predicate
from attested_publish.attestations.verify import policy_of
from attested_publish.fronts.summary import summary
from attested_publish.identity.github import GitHubIdentity
from attested_publish.identity.gitlab import GitLabIdentity
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.rehearsal.jobs import github, gitlab
from attested_publish.rehearsal.jobs.pretended import CIRCLECI, GITLAB, GOOGLE
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from attested_publish.settings import WrongUsage, understand
from support.index_client import client_of
from support.keys import issuer_key
from support.releases import SDIST, WHEEL, Stage, problem, run, staged
from support.sidecars import attestation, put

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.sample(3)


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def statements(stage: Stage, filename: str) -> dict[str, dict[str, Any]]:
    """Return the statements that are served about a file by type, verified with sigstore itself."""
    verifier = Verifier(
        trusted_root=ClientTrustConfig.from_json(stage.world.trust_config).trusted_root
    )
    answer = requests.get(stage.served()[filename]["provenance"], timeout=20)
    (bundle,) = Provenance.model_validate_json(answer.content).attestation_bundles
    found = {}
    for each in bundle.attestations:
        _, payload = verifier.verify_dsse(each.to_bundle(), policy_of(bundle.publisher))
        statement = json.loads(payload)
        found[statement["predicateType"]] = statement
    assert len(found) == len(bundle.attestations)
    return found


def test_both_are_signed_uploaded_served_and_reported(stage: Stage) -> None:
    report = stage.run(provenance="true")
    assert report.result == "done", problem(report)
    assert len(stage.world.log) == 4
    certificates = set()
    for name, file in report.files.items():
        served = statements(stage, name)
        assert list(served) == [PUBLISH, SLSA]
        assert served[SLSA]["subject"] == served[PUBLISH]["subject"]
        assert len(served[SLSA]["subject"]) == 1
        assert served[PUBLISH].get("predicate") is None
        assert [each.predicate_type for each in file.attestations] == [PUBLISH, SLSA]
        assert len({each.log_index for each in file.attestations}) == 2
        record = file.as_json()
        assert [each["predicate_type"] for each in record["attestations"]] == [PUBLISH, SLSA]
        assert record["attestation"] == record["attestations"][0]
        certificates |= {each.identity for each in file.attestations}
    assert len(certificates) == 1
    shown = summary(report, limit=1 << 20)
    for file in report.files.values():
        publish_entry, slsa_entry = (each.log_index for each in file.attestations)
        assert f"publish {publish_entry}, slsa {slsa_entry}" in shown
    assert "4 attestations verified" in stage.printed


def test_one_certificate_signs_both(stage: Stage) -> None:
    stage.run(provenance="true")
    answer = requests.get(stage.served()[WHEEL]["provenance"], timeout=20).json()
    (bundle,) = answer["attestation_bundles"]
    one, other = (each["verification_material"]["certificate"] for each in bundle["attestations"])
    assert one == other


def test_without_the_setting_there_is_none(stage: Stage) -> None:
    stage.run()
    assert list(statements(stage, WHEEL)) == [PUBLISH]


def test_what_a_github_job_says(dist: Path) -> None:
    claims = {
        "repository": "octo-org/sample-project",
        "ref": "refs/tags/sample@1.0",
        "sha": COMMIT,
        "run_id": "1234567890",
        "run_attempt": "2",
        "event_name": "release",
        "runner_environment": "self-hosted",
    }
    with staged(dist, claims=claims) as stage:
        report = stage.run(provenance="true")
        assert report.result == "done", problem(report)
        predicate = statements(stage, SDIST)[SLSA]["predicate"]
        told = stage.world.claims
    repository = "https://github.com/octo-org/sample-project"
    assert predicate == {
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {
                "workflow": {
                    "ref": "refs/tags/sample@1.0",
                    "repository": repository,
                    "path": ".github/workflows/release.yml",
                }
            },
            "internalParameters": {
                "github": {
                    "event_name": "release",
                    "repository_id": told["repository_id"],
                    "repository_owner_id": told["repository_owner_id"],
                    "runner_environment": "self-hosted",
                }
            },
            "resolvedDependencies": [
                {"uri": f"git+{repository}@refs/tags/sample@1.0", "digest": {"gitCommit": COMMIT}}
            ],
        },
        "runDetails": {
            "builder": {"id": f"{repository}/.github/workflows/release.yml@refs/tags/sample@1.0"},
            "metadata": {"invocationId": f"{repository}/actions/runs/1234567890/attempts/2"},
        },
    }


def test_what_a_gitlab_job_says(dist: Path) -> None:
    project = "octo-group/deeper/sample"
    told = gitlab.job_claims({}, {"project_path": project, "ref": "sample@1.0", "sha": COMMIT})
    with World(claims=told, registry=Registry.open(), job=GITLAB, issuer_key=issuer_key()) as world:
        stage = Stage(world, dist)
        report = stage.run(provenance="true")
        assert report.result == "done", problem(report)
        predicate = statements(stage, WHEEL)[SLSA]["predicate"]
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    address = f"https://gitlab.com/{project}"
    assert definition["buildType"] == GITLAB_BUILD_TYPE
    assert definition["externalParameters"] == {
        "pipeline": {
            "ref": "refs/tags/sample@1.0",
            "repository": address,
            "path": ".gitlab-ci.yml",
        }
    }
    assert definition["internalParameters"]["gitlab"] == {
        name: told[name]
        for name in (
            *("pipeline_source", "pipeline_id", "project_id", "namespace_id"),
            *("runner_id", "runner_environment"),
        )
    }
    assert definition["resolvedDependencies"] == [
        {"uri": f"git+{address}@refs/tags/sample@1.0", "digest": {"gitCommit": COMMIT}}
    ]
    assert details["builder"] == {"id": f"{address}//.gitlab-ci.yml@refs/tags/sample@1.0"}
    assert details["metadata"] == {"invocationId": f"{address}/-/jobs/{told['job_id']}"}


_OPTIONAL = {
    GitHubIdentity: (
        *("repository_id", "run_id", "run_attempt", "runner_environment"),
        "repository_visibility",
    ),
    GitLabIdentity: (
        *("project_id", "pipeline_id", "pipeline_source", "job_id", "runner_id"),
        *("runner_environment", "namespace_id"),
    ),
}


@pytest.mark.parametrize(
    ("kind", "missing"),
    [(kind, claim) for kind, claims in _OPTIONAL.items() for claim in claims],
)
def test_what_no_claim_says_is_left_out(kind: type, missing: str) -> None:
    job_claims = {GitHubIdentity: github.job_claims, GitLabIdentity: gitlab.job_claims}[kind]
    claims = job_claims({}, {})
    del claims[missing]
    predicate = provenance_predicate(kind.of(claims))
    assert predicate is not None
    text = json.dumps(predicate)
    assert '""' not in text
    assert "None" not in text
    assert "{}" not in text
    if missing == "run_attempt":
        assert "/attempts/" not in text
    if missing in {"run_id", "job_id"}:
        assert "invocationId" not in text


@pytest.mark.parametrize("kind", _OPTIONAL)
def test_nothing_is_left_empty_when_every_optional_claim_is_missing(kind: type) -> None:
    job_claims = {GitHubIdentity: github.job_claims, GitLabIdentity: gitlab.job_claims}[kind]
    claims = job_claims({}, {})
    for name in _OPTIONAL[kind]:
        del claims[name]
    text = json.dumps(provenance_predicate(kind.of(claims)))
    assert "{}" not in text
    assert "[]" not in text
    assert '""' not in text


@pytest.mark.parametrize("sha", ["HEAD", "0123", COMMIT.upper(), f"{COMMIT}\n"])
def test_what_is_no_commit_is_not_called_one(sha: str) -> None:
    claims = github.job_claims({}, {"sha": sha})
    assert "gitCommit" not in json.dumps(provenance_predicate(GitHubIdentity.of(claims)))


@pytest.mark.parametrize("wish", ["auto", "true"])
def test_an_identity_that_says_nothing_of_a_build(dist: Path, wish: str) -> None:
    for job in (GOOGLE, CIRCLECI):
        with World(
            claims=job.claims({}, {}), registry=Registry.open(), job=job, issuer_key=issuer_key()
        ) as world:
            stage = Stage(world, dist)
            report = stage.run(provenance="true", attestations=wish)
            if wish == "true":
                assert report.result != "done"
                assert problem(report)
                assert len(world.log) == 0
                assert stage.served() == {}
                continue
            assert report.result == "done", problem(report)
            said = " ".join(report.story.improvements)
            if job is GOOGLE:
                assert list(statements(stage, WHEEL)) == [PUBLISH]
                assert "No SLSA provenance: an identity from Google" in said
            else:
                assert "accepts no attestations from CircleCI" in said


def test_a_password_has_none_and_says_so(stage: Stage) -> None:
    report = stage.run(provenance="true", password="pypi-" + "A" * 80)
    assert "no SLSA provenance is made with a password" in stage.printed
    assert report.result != "done"


def test_it_cannot_be_wanted_without_attestations() -> None:
    with pytest.raises(WrongUsage, match="provenance is true, but attestations is false"):
        understand({"provenance": "true", "attestations": "false"})


def test_a_ready_made_one_is_kept(stage: Stage) -> None:
    put(stage.world, stage.folder / WHEEL, ".slsa.attestation", predicate_type=SLSA)
    before = len(stage.world.log)
    report = stage.run(provenance="true")
    assert report.result == "done", problem(report)
    assert len(stage.world.log) - before == 3
    made_elsewhere = statements(stage, WHEEL)[SLSA]["predicate"]
    assert made_elsewhere["buildDefinition"]["buildType"] == "https://example.org/build"
    made_here = statements(stage, SDIST)[SLSA]["predicate"]
    assert made_here["buildDefinition"]["buildType"].startswith("https://actions.github.io/")


def test_one_that_is_not_valid_is_made_again(stage: Stage) -> None:
    put(
        stage.world,
        stage.folder / WHEEL,
        ".slsa.attestation",
        predicate_type=SLSA,
        repository="octo-org/another",
    )
    report = stage.run(provenance="true")
    assert report.result == "done", problem(report)
    assert "1 attestation will be made again" in stage.printed
    made = statements(stage, WHEEL)[SLSA]["predicate"]
    assert made["buildDefinition"]["buildType"].startswith("https://actions.github.io/")


def test_attest_leaves_both_and_publish_signs_nothing_again(stage: Stage) -> None:
    report = stage.run(publish.attest, provenance="true")
    assert report.result == "done", problem(report)
    for name in (WHEEL, SDIST):
        for suffix in ("publish", "slsa"):
            assert (stage.folder / f"{name}.{suffix}.attestation").is_file()
    before = len(stage.world.log)
    report = stage.run(provenance="true")
    assert report.result == "done", problem(report)
    assert len(stage.world.log) == before
    for name in (WHEEL, SDIST):
        assert list(statements(stage, name)) == [PUBLISH, SLSA]


def test_an_index_that_has_the_file_without_it_says_so(stage: Stage) -> None:
    """Another run, without the setting, comes between the question and the upload."""
    assert stage.run().result == "done"
    stage.fault("simple=404*1")
    report = stage.run(provenance="true")
    assert report.result == "done", problem(report)
    assert "without the slsa attestation" in stage.printed
    assert [each.predicate_type for each in report.files[WHEEL].attestations] == [PUBLISH]


def test_where_they_are_required_that_fails(stage: Stage) -> None:
    assert stage.run().result == "done"
    stage.fault("simple=404*1")
    report = stage.run(provenance="true", attestations="true")
    assert report.result == "failed"
    assert "public without the slsa attestation" in problem(report)


def test_the_second_index_gets_what_was_signed_for_the_first(dist: Path) -> None:
    with staged(dist, further=[Registry.open()]) as stage:
        addresses = [stage.world.upload_url, *(each.upload_url for each in stage.world.further)]
        settings = understand(
            {
                "packages-dir": str(dist),
                "repository-url": "\n".join(addresses),
                "provenance": "true",
            }
        )
        first = stage.targets_at(addresses[0])
        targets = replace(first, further=tuple(Index.at(each) for each in addresses[1:]))
        report, printed = run(publish.publish, settings, targets)
        assert report.result == "done", printed
        assert len(stage.world.log) == 4
        for part in report.indexes:
            for file in part.files.values():
                assert [each.predicate_type for each in file.attestations] == [PUBLISH, SLSA]
        assert "4 attestations verified" in printed


def test_a_log_that_fails_in_between_signs_each_once(stage: Stage) -> None:
    stage.fault("log=503*2")
    report = stage.run(provenance="true")
    assert report.result == "done", problem(report)
    assert list(statements(stage, WHEEL)) == [PUBLISH, SLSA]
    assert len(stage.world.log) == 4


def test_a_file_with_nothing_of_this_run_is_another_run_s(stage: Stage) -> None:
    """The other run sent SLSA provenance alone; this one sends a publish attestation."""
    client = client_of(stage.world)
    for name in (WHEEL, SDIST):
        path = stage.folder / name
        made = attestation(stage.world, path, predicate_type=SLSA, **stage.world.claims)
        token = client.token(**stage.world.claims)
        answer = client.upload(path, token, attestations=f"[{made.model_dump_json()}]")
        assert answer.status_code == 200, answer.text
    stage.fault("simple=404*1")
    report = stage.run()
    assert report.result == "done", problem(report)
    for file in report.files.values():
        assert file.status == "already-there"
        assert [each.predicate_type for each in file.attestations] == [SLSA]
    assert "another run uploaded it" in stage.printed
    assert "served, with the right digest, without the publish attestation" in stage.printed
    assert "digest and provenance" not in stage.printed
    (first, second) = (file.attestations[0].log_index for file in report.files.values())
    page = summary(report, limit=1 << 20)
    assert f"slsa {first}" in page
    assert f"slsa {second}" in page
