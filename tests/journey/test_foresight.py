"""What is known before anything is spent: what the index has, and the identity's claims."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from attested_publish.identity.tokens import understand
from attested_publish.index.contents import Contents
from attested_publish.index.index import Dialect, Index
from attested_publish.index.pages import IndexFile, Page
from attested_publish.journey import publish
from attested_publish.journey.attestation_plan import advice
from attested_publish.journey.targets import Targets
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.jobs.issuer import Issuer
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rules.on_index import findings_on_index
from attested_publish.settings import understand as settings
from support.index_client import TRUE_ROW
from support.makers import make_release, make_sdist, make_wheel
from support.releases import SHORT, problem, run, staged

if TYPE_CHECKING:
    from pathlib import Path

    from attested_publish.report import Report
    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


CALLED = "octo-org/sample-project/.github/workflows/called.yml@refs/tags/v1.0.0"
ELSEWHERE = "octo-org/shared/.github/workflows/release.yml@refs/heads/main"


def rules(report: Report) -> dict[str, list[str]]:
    return {
        name: [finding.rule for finding in file.findings]
        for name, file in report.files.items()
        if file.findings
    }


def nothing_was_spent(stage: Stage) -> bool:
    return not stage.world.index.issued_tokens


def test_the_same_bytes_under_another_name(stage: Stage) -> None:
    stage.run()
    wheel = stage.folder / "sample-1.0-py3-none-any.whl"
    shutil.copy(wheel, stage.folder / "sample-1.0-1-py3-none-any.whl")
    wheel.unlink()
    report = stage.run(publish.check)
    assert report.result == "refused"
    assert rules(report) == {"sample-1.0-1-py3-none-any.whl": ["content-taken"]}
    assert "sample-1.0-py3-none-any.whl" in problem(report)


def test_elsewhere_only_a_name_that_is_taken_is_in_the_way(stage: Stage) -> None:
    """PyPI takes the same bytes under one name only; what other indexes do is not known."""
    wheel = stage.folder / "sample-1.0-py3-none-any.whl"
    stage.run()
    wheel.rename(stage.folder / "sample-1.0-1-py3-none-any.whl")
    chosen = settings({"packages-dir": str(stage.folder), "repository-url": stage.world.upload_url})
    elsewhere = Targets(
        Index.at(stage.world.upload_url, Dialect.OTHER),
        stage.world.trust_config,
        ambient=stage.world.ambient,
        is_identity_local=True,
        deadlines=SHORT,
    )
    report, printed = run(publish.check, chosen, elsewhere)
    assert report.result == "done", printed
    assert rules(report) == {}
    make_wheel(stage.folder, metadata={"Summary": "Other bytes"})
    report, printed = run(publish.check, chosen, elsewhere)
    assert report.result == "refused", printed
    assert rules(report) == {wheel.name: ["filename-taken"]}


def test_a_closed_release_takes_no_new_file(stage: Stage) -> None:
    stage.run()
    late = make_wheel(stage.folder, tag="cp312-cp312-win_amd64")
    files = {
        name: IndexFile(name, file["hashes"]["sha256"], "", None, file["size"], long_ago())
        for name, file in stage.served().items()
    }
    from attested_publish.distributions import copy_privately

    with copy_privately([stage.folder]) as staged_files:
        found = list(
            findings_on_index(
                staged_files.distributions,
                Contents({"sample": Page(files)}).by_project,
                datetime.now(UTC),
            )
        )
    assert [(each.filename, finding.rule) for each, finding in found] == [
        (late.name, "release-closed")
    ]


def long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(days=15)


def test_a_release_of_yesterday_is_open(stage: Stage) -> None:
    stage.run()
    make_wheel(stage.folder, tag="cp312-cp312-win_amd64")
    assert stage.run(publish.check).result == "done"


def test_a_second_sdist_of_a_release(stage: Stage) -> None:
    stage.run()
    (stage.folder / "sample-1.0.tar.gz").unlink()
    make_sdist(stage.folder, version="1.0.0", filename="sample-1.0.0.tar.gz")
    report = stage.run(publish.check)
    assert "second-sdist" in rules(report)["sample-1.0.0.tar.gz"]


def test_project_size_is_a_warning_only(dist: Path) -> None:
    from attested_publish.distributions import copy_privately

    big = IndexFile("sample-0.9-py3-none-any.whl", "0" * 64, "", None, 10 << 30, None)
    with copy_privately([dist]) as staged_files:
        found = list(
            findings_on_index(staged_files.distributions, {"sample": [big]}, datetime.now(UTC))
        )
    assert [(finding.rule, finding.severity.value) for _, finding in found] == [
        ("project-size", "warning")
    ]


def test_the_limit_of_a_project_is_the_server_s(dist: Path) -> None:
    """10 GiB, though its text says GB; a release that just fits is not warned of."""
    from attested_publish.distributions import copy_privately

    with copy_privately([dist]) as staged_files:
        there = (10 << 30) - sum(each.size for each in staged_files.distributions)
        for size, rules in ((there, []), (there + 1, ["project-size"])):
            file = IndexFile("sample-0.9-py3-none-any.whl", "0" * 64, "", None, size, None)
            projects = {"sample": [file]}
            found = findings_on_index(staged_files.distributions, projects, datetime.now(UTC))
            assert [finding.rule for _, finding in found] == rules


def test_a_project_that_does_not_exist_yet_is_told(stage: Stage) -> None:
    report = stage.run(publish.check)
    assert report.result == "done"
    assert "no project sample yet" in stage.printed
    assert "was not checked" in stage.printed
    assert nothing_was_spent(stage), "a token for a pending publisher would create the project"


def test_check_proves_the_publisher_of_an_existing_project(stage: Stage) -> None:
    stage.run()
    make_wheel(stage.folder, tag="cp312-cp312-win_amd64")
    report = stage.run(publish.check)
    assert report.result == "done"
    assert "knows this job" in stage.printed
    assert [token.is_revoked for token in stage.world.index.issued_tokens] == [True, True]


def test_check_finds_a_publisher_that_is_not_registered(dist: Path) -> None:
    row = {**TRUE_ROW, "workflow": "other.yml", "environment": "", "projects": ["sample"]}
    registry = Registry.parse(json.dumps({"publishers": [row], "pending_publishers": []}))
    with staged(dist, registry=registry) as stage:
        stage.world.index.add_project("sample")
        report = stage.run(publish.check)
        assert report.result == "refused"
        link = (
            "/manage/project/sample/settings/publishing/?provider=github&owner=octo-org"
            "&repository=sample-project&workflow_filename=release.yml"
        )
        assert link in problem(report)


def test_a_new_project_is_sent_to_the_pending_publishers(dist: Path) -> None:
    registry = Registry.parse('{"publishers": [], "pending_publishers": []}')
    with staged(dist, registry=registry, claims={"environment": "pypi"}) as stage:
        report = stage.run()
        assert "/manage/account/publishing/" in problem(report)
        assert "Environment name: pypi" in problem(report)


def test_bad_files_and_what_the_index_holds_are_told_together(stage: Stage) -> None:
    stage.run()
    make_wheel(stage.folder, metadata={"Summary": "Changed"})
    make_wheel(stage.folder, version="1.0+local")
    report = stage.run()
    assert rules(report).keys() == {
        "sample-1.0-py3-none-any.whl",
        "sample-1.0+local-py3-none-any.whl",
    }
    assert "filename-taken" in rules(report)["sample-1.0-py3-none-any.whl"]
    assert len(stage.world.index.issued_tokens) == 1


def test_bad_files_are_told_where_the_index_cannot_be_reached(dist: Path) -> None:
    make_wheel(dist, version="1.0+local")
    with staged(dist) as stage:
        stage.fault("simple=refuse")
        report = stage.run()
        assert report.result == "refused"
        assert "sample-1.0+local-py3-none-any.whl" in problem(report)


def test_warnings_stop_when_strict(dist: Path) -> None:
    make_wheel(dist, name="odd", metadata={"Classifier": "Topic :: Not Known Here Yet"})
    with staged(dist) as stage:
        assert stage.run(publish.check).result == "done"
        report = stage.run(publish.check, verify_metadata="strict")
        assert report.result == "refused"
        assert report.files["odd-1.0-py3-none-any.whl"].status == "refused"


def test_without_verification_the_index_decides(dist: Path) -> None:
    # twine sends it; only PyPI's own rules refuse it.
    make_wheel(dist, metadata={"Home-Page": "mailto:me@python.org"})
    with staged(dist) as stage:
        report = stage.run(verify_metadata="false")
        assert report.result == "refused"
        assert report.problems[0].stage == "upload"


def test_a_called_workflow_publishes_without_attestations_and_says_why(dist: Path) -> None:
    with staged(dist, claims={"job_workflow_ref": CALLED}) as stage:
        report = stage.run()
        assert report.result == "done", stage.printed
        assert all(file["provenance"] is None for file in stage.served().values())
        assert "reusable workflow" in stage.printed
        assert "called.yml" in stage.printed


def test_a_called_workflow_stops_before_minting_where_attestations_are_required(
    dist: Path,
) -> None:
    with staged(dist, claims={"job_workflow_ref": CALLED}) as stage:
        report = stage.run(attestations="true")
        assert "reusable workflow" in problem(report)
        assert nothing_was_spent(stage)


def test_a_workflow_of_another_repository_is_refused_before_minting(dist: Path) -> None:
    with staged(dist, claims={"job_workflow_ref": ELSEWHERE}) as stage:
        report = stage.run()
        assert "another repository" in problem(report)
        assert "octo-org/shared" in problem(report)
        assert nothing_was_spent(stage)


def test_pull_request_target_is_refused_before_minting(dist: Path) -> None:
    with staged(dist, claims={"event_name": "pull_request_target"}) as stage:
        report = stage.run()
        assert "pull_request_target" in problem(report)
        assert nothing_was_spent(stage)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"environment": ""}, ["no environment"]),
        ({"environment": "pypi"}, []),
        ({"environment": "pypi", "ref": "refs/heads/main"}, ["not from a tag"]),
        ({"environment": "pypi", "ref": "refs/heads/main", "event_name": "release"}, []),
    ],
)
def test_advice(claims: dict[str, str], words: list[str]) -> None:
    identity = understand(Issuer(job_claims({}, claims)).issue("sigstore"))
    told = advice(identity)
    assert len(told) == len(words)
    for text, word in zip(told, words, strict=True):
        assert word in text


def test_a_private_repository_writes_nothing_into_the_public_log() -> None:
    from attested_publish.journey.attestation_plan import attestation_plan
    from attested_publish.settings import Attestations

    index = Index.at("https://upload.pypi.org/legacy/")
    private = understand(
        Issuer(job_claims({}, {"repository_visibility": "private"})).issue("sigstore")
    )
    plan = attestation_plan(Attestations.AUTO, private, index, is_public_log=True)
    assert not plan.attest
    assert "attestations: true" in plan.why_not
    assert attestation_plan(Attestations.REQUIRED, private, index, is_public_log=True).attest
    assert attestation_plan(Attestations.AUTO, private, index, is_public_log=False).attest


def test_an_index_that_is_not_pypi_is_asked_rather_than_foretold() -> None:
    from attested_publish.journey.attestation_plan import attestation_plan, refuse_hopeless
    from attested_publish.settings import Attestations

    index = Index.at("https://packages.example.org/legacy/")
    identity = understand(
        Issuer(job_claims({}, {"event_name": "pull_request_target"})).issue("sigstore")
    )
    refuse_hopeless(identity, index)
    assert not attestation_plan(Attestations.AUTO, identity, index, is_public_log=True).attest


def test_forty_bad_files_are_told_in_one_run(tmp_path: Path) -> None:
    make_release(tmp_path)
    for number in range(40):
        make_wheel(tmp_path, version=f"1.{number}+local")
    with staged(tmp_path) as stage:
        report = stage.run()
        refused = [name for name, found in rules(report).items() if found != ["two-versions"]]
        assert len(refused) == 40
        assert "40 of 42 files" in problem(report)
        assert nothing_was_spent(stage)


def test_a_file_of_two_gigabytes_is_refused_before_it_is_read(dist: Path) -> None:
    """Told together with what is wrong with others, and neither copied nor hashed."""
    for name in ("huge-1.0-py3-none-any.whl", "huge-1.1-py3-none-any.whl"):
        with (dist / name).open("wb") as file:
            file.truncate(2 << 30)
    make_wheel(dist, version="1.0+local")
    with staged(dist) as stage:
        started = time.monotonic()
        report = stage.run()
        assert time.monotonic() - started < 5
        assert rules(report) == {
            "huge-1.0-py3-none-any.whl": ["file-beyond-cap", "two-versions"],
            "huge-1.1-py3-none-any.whl": ["file-beyond-cap"],
            "sample-1.0-py3-none-any.whl": ["two-versions"],
            "sample-1.0+local-py3-none-any.whl": ["version-local"],
        }
        assert report.files["huge-1.0-py3-none-any.whl"].sha256 == ""
        assert nothing_was_spent(stage)
