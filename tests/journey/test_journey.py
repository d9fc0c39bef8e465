"""The whole journey against the embedded world: what a release leaves behind."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
import requests
from pypi_attestations import GitHubPublisher, Provenance
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier

from attested_publish.fronts.summary import summary
from attested_publish.journey import publish
from attested_publish.rehearsal.pypi.registry import Registry
from support.makers import make_release, make_wheel
from support.releases import problem, publisher_policy, staged

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.iterdir()
    }


def test_a_release_is_published_attested_and_confirmed(stage: Stage) -> None:
    before = contents(stage.folder)
    report = stage.run()
    assert report.result == "done", stage.printed
    assert {file.status for file in report.files.values()} == {"uploaded"}
    served = stage.served()
    assert served.keys() == before.keys()
    for name, (digest, _) in before.items():
        assert served[name]["hashes"]["sha256"] == digest
        assert report.files[name].sha256 == digest
        assert report.files[name].provenance_url == served[name]["provenance"]
    assert contents(stage.folder) == before, "the user's folder is only read"
    assert [token.is_revoked for token in stage.world.index.issued_tokens] == [True]


def test_the_served_provenance_verifies_with_sigstore_alone(stage: Stage) -> None:
    stage.run()
    root = ClientTrustConfig.from_json(stage.world.trust_config).trusted_root
    for name, file in stage.served().items():
        provenance = Provenance.model_validate(requests.get(file["provenance"], timeout=10).json())
        (bundle,) = provenance.attestation_bundles
        assert bundle.publisher == GitHubPublisher(
            repository="octo-org/sample-project", workflow="release.yml"
        )
        (attestation,) = bundle.attestations
        policy = publisher_policy("octo-org/sample-project", "release.yml")
        _, payload = Verifier(trusted_root=root).verify_dsse(attestation.to_bundle(), policy)
        statement = json.loads(payload)
        assert statement["subject"] == [
            {"name": name, "digest": {"sha256": file["hashes"]["sha256"]}}
        ]
        assert statement["predicateType"] == "https://docs.pypi.org/attestations/publish/v1"
        assert not statement["predicate"]


def test_one_certificate_serves_the_release(stage: Stage) -> None:
    make_wheel(stage.folder, tag="cp312-cp312-win_amd64")
    stage.run()
    certificates = set()
    for file in stage.served().values():
        provenance = requests.get(file["provenance"], timeout=10).json()
        attestation = provenance["attestation_bundles"][0]["attestations"][0]
        certificates.add(attestation["verification_material"]["certificate"])
    assert len(stage.served()) == 3
    assert len(certificates) == 1


def test_running_again_is_done_at_once(stage: Stage) -> None:
    stage.run()
    again = stage.run()
    assert again.result == "done"
    assert {file.status for file in again.files.values()} == {"already-there"}
    assert all(file.provenance_url for file in again.files.values())
    assert len(stage.world.index.issued_tokens) == 1, "no second token was minted"


def test_a_re_run_uploads_what_is_missing(stage: Stage) -> None:
    stage.run()
    late = make_wheel(stage.folder, tag="cp312-cp312-win_amd64")
    report = stage.run()
    assert {name: file.status.value for name, file in report.files.items()} == {
        "sample-1.0-py3-none-any.whl": "already-there",
        "sample-1.0.tar.gz": "already-there",
        late.name: "uploaded",
    }
    assert stage.served()[late.name]["provenance"]


def test_other_bytes_under_the_same_name_are_refused_by_both_digests(stage: Stage) -> None:
    stage.run()
    wheel = stage.folder / "sample-1.0-py3-none-any.whl"
    was = hashlib.sha256(wheel.read_bytes()).hexdigest()
    make_wheel(stage.folder, metadata={"Summary": "Changed"})
    now = hashlib.sha256(wheel.read_bytes()).hexdigest()
    report = stage.run()
    assert report.result == "refused"
    assert was in problem(report)
    assert now in problem(report)
    assert "new version" in problem(report)
    assert len(stage.world.index.issued_tokens) == 1, "found out before any token was spent"


def test_skip_existing_tolerates_other_bytes(stage: Stage) -> None:
    stage.run()
    there = stage.served()["sample-1.0-py3-none-any.whl"]["hashes"]["sha256"]
    make_wheel(stage.folder, metadata={"Summary": "Changed"})
    late = make_wheel(stage.folder, tag="cp312-cp312-win_amd64")
    report = stage.run(skip_existing="true")
    assert report.result == "done"
    skipped = report.files["sample-1.0-py3-none-any.whl"]
    assert skipped.status == "already-there"
    assert report.files[late.name].status == "uploaded"
    # Whoever reads the report must not take one for the other.
    (finding,) = skipped.findings
    assert finding.rule == "other-bytes"
    assert finding.severity == "warning"
    assert there in finding.message
    page = summary(report, limit=1 << 20)
    assert page.startswith("## ✅ sample 1.0 published on")
    assert "only partly public" not in page
    assert "skipped: the index has different bytes" in page
    assert "other bytes" in stage.printed
    assert (skipped.url, skipped.provenance_url) == (None, None)
    assert stage.run(skip_existing="true", verify_metadata="strict").result == "done"
    assert "a file of each name already" in stage.printed


def test_other_bytes_that_came_meanwhile_are_skipped_too(stage: Stage) -> None:
    """The index did not have them when it was asked: it says so at the upload only."""
    stage.run()
    there = stage.served()["sample-1.0-py3-none-any.whl"]["hashes"]["sha256"]
    make_wheel(stage.folder, metadata={"Summary": "Changed"})
    stage.fault("simple=404*1")
    report = stage.run(skip_existing="true")
    assert report.result == "done", problem(report)
    skipped = report.files["sample-1.0-py3-none-any.whl"]
    assert skipped.status == "already-there"
    (finding,) = skipped.findings
    assert (finding.rule, finding.severity) == ("other-bytes", "warning")
    assert there in finding.message
    page = summary(report, limit=1 << 20)
    assert page.startswith("## ✅ sample 1.0 was already on")
    assert stage.served()["sample-1.0-py3-none-any.whl"]["hashes"]["sha256"] == there


def test_the_same_bytes_that_an_index_refuses_are_there(stage: Stage) -> None:
    """Other indexes than PyPI refuse them, and another run may have been quicker."""
    stage.run()
    stage.fault("simple=404*1")
    stage.fault("upload=409*2")
    report = stage.run()
    assert report.result == "done", problem(report)
    assert {file.status for file in report.files.values()} == {"already-there"}
    assert all(file.provenance_url for file in report.files.values())
    assert "another run uploaded it" in stage.printed


def test_several_projects_share_one_token(dist: Path) -> None:
    make_release(dist, name="other")
    with staged(dist) as stage:
        report = stage.run()
        assert report.result == "done"
        assert "These files belong to 2 projects: other, sample." in stage.printed
        assert len(stage.served("sample")) == len(stage.served("other")) == 2
        assert len(stage.world.index.issued_tokens) == 1
        assert report.projects() == [
            {
                "project": project,
                "version": "1.0",
                "files": sorted(stage.served(project)),
                "status": "uploaded",
            }
            for project in ("other", "sample")
        ]


def test_what_is_not_to_be_confirmed_is_not_waited_for(stage: Stage) -> None:
    stage.fault("integrity=404")
    report = stage.run(confirm="false")
    assert report.result == "done", stage.printed
    assert "not confirmed in time" not in stage.printed
    assert [file.served_after for file in report.files.values()] == [None, None]


def test_what_the_identity_s_claims_advise_is_told(dist: Path) -> None:
    with staged(dist, claims={"environment": ""}) as stage:
        report = stage.run(confirm="false")
    assert any("The job has no environment" in each for each in report.story.improvements)


def test_consumers_are_told_whom_to_pin_and_what_lacks_an_attestation(stage: Stage) -> None:
    assert stage.run().story.consumers_see == {
        "kind": "GitHub",
        "repository": "octo-org/sample-project",
        "workflow": "release.yml",
    }
    make_wheel(stage.folder, tag="cp312-cp312-win_amd64")
    assert stage.run(attestations="false").result == "done"
    (told,) = [
        each for each in stage.run().story.improvements if each.startswith("Without an attestation")
    ]
    assert "sample-1.0-cp312-cp312-win_amd64.whl. An attestation cannot" in told


def test_without_attestations_when_asked(stage: Stage) -> None:
    report = stage.run(attestations="false")
    assert report.result == "done"
    assert all(file["provenance"] is None for file in stage.served().values())
    assert all(not file.attestations for file in report.files.values())


def test_with_an_api_token_there_are_no_attestations_and_a_hint(stage: Stage) -> None:
    token = stage.world.index.add_user_token()
    report = stage.run(password=token)
    assert report.result == "done", stage.printed
    assert stage.served().keys() == report.files.keys()
    assert "trusted publisher" in stage.printed
    assert "pending" not in stage.printed, "the token creates the project, and no publisher"
    assert token not in stage.printed
    assert token not in json.dumps(report.as_json())
    assert not stage.world.index.issued_tokens[0].is_revoked, "it is the user's, not ours"


def test_required_attestations_and_a_password_stop_before_anything_is_public(stage: Stage) -> None:
    token = stage.world.index.add_user_token()
    report = stage.run(password=token, attestations="true")
    assert report.result == "failed"
    assert "password" in problem(report)
    assert not stage.served()


def test_a_wrong_api_token_is_refused_in_the_index_s_words(stage: Stage) -> None:
    report = stage.run(password="pypi-wrong")
    assert report.result == "refused"
    assert "403" in problem(report)
    assert "credentials" in problem(report)
    assert "pypi-wrong" not in problem(report)


def test_attestations_are_left_in_a_folder_when_asked(stage: Stage, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    report = stage.run(attestations_dir=str(kept))
    assert {path.name for path in kept.iterdir()} == {
        f"{name}.publish.attestation" for name in report.files
    }
    assert report.attestations_dir == kept


def test_attest_signs_and_uploads_nothing(stage: Stage) -> None:
    report = stage.run(publish.attest)
    assert report.result == "done"
    assert {file.status for file in report.files.values()} == {"attested"}
    for name in report.files:
        assert (stage.folder / f"{name}.publish.attestation").is_file()
    assert not stage.served()
    assert not stage.world.index.issued_tokens


def test_check_spends_nothing(stage: Stage) -> None:
    report = stage.run(publish.check)
    assert report.result == "done"
    assert {file.status for file in report.files.values()} == {"checked"}
    assert not stage.world.index.issued_tokens
    assert not stage.served()


def test_a_registered_publisher_may_publish_its_project(dist: Path) -> None:
    with staged(dist, registry=registry_of(projects=["sample"])) as stage:
        assert stage.run().result == "done", stage.printed


def test_a_pending_publisher_creates_its_project(dist: Path) -> None:
    row = {**publisher_row(), "project": "sample"}
    registry = Registry.parse(json.dumps({"publishers": [], "pending_publishers": [row]}))
    with staged(dist, registry=registry) as stage:
        assert stage.run().result == "done", stage.printed
        assert len(stage.served()) == 2


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"workflow": "other.yml"}, "Workflow name: release.yml"),
        ({"repo": "other"}, "Repository name: sample-project"),
        ({"environment": "pypi"}, "Environment name: (leave empty)"),
        ({"owner_id": "1"}, "Owner: octo-org"),
    ],
)
def test_a_publisher_that_differs_is_told_with_the_fields_to_enter(
    dist: Path, changed: dict[str, str], expected: str
) -> None:
    with staged(dist, registry=registry_of(projects=["sample"], **changed)) as stage:
        report = stage.run()
        assert report.result == "refused"
        assert "invalid-publisher" in problem(report)
        assert expected in problem(report)
        assert report.problems[0].stage == "token"
        assert not stage.served()


def test_a_project_the_publisher_is_not_registered_on_is_named(dist: Path) -> None:
    registry = registry_of(projects=["another"])
    with staged(dist, registry=registry) as stage:
        stage.world.index.add_project("sample")
        report = stage.run()
        assert report.result == "refused"
        assert "sample" in problem(report)
        assert "trusted publisher to that project" in problem(report)
        assert [token.is_revoked for token in stage.world.index.issued_tokens] == [True]


def publisher_row(**changed: str) -> dict[str, str]:
    from support.index_client import TRUE_ROW

    return {**TRUE_ROW, "environment": "", **changed}


def registry_of(projects: list[str], **changed: str) -> Registry:
    row = {**publisher_row(**changed), "projects": projects}
    return Registry.parse(json.dumps({"publishers": [row], "pending_publishers": []}))


def test_a_metadata_version_newer_than_our_library_is_left_to_the_index(dist: Path) -> None:
    """What `packaging` here does not know is a warning, and goes up: the index decides."""
    make_wheel(dist, metadata={"Metadata-Version": "2.9"})
    with staged(dist) as stage:
        report = stage.run()
        (finding,) = report.files["sample-1.0-py3-none-any.whl"].findings
        assert finding.severity.value == "warning"
        assert report.problems[0].stage == "upload", problem(report)
        assert "2.9" in problem(report)


def test_the_last_slash_of_the_upload_address_may_be_missing(stage: Stage) -> None:
    report = stage.run(repository_url=stage.world.upload_url.removesuffix("/"))
    assert report.result == "done", stage.printed
    assert len(stage.served()) == 2
