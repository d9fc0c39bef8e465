"""What `attest` leaves is taken by an unmodified uv and an unmodified twine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from pypi_attestations import Provenance

from attested_publish.identity.tokens import understand
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.attestation_plan import refuse_to_sign, signers_advice
from attested_publish.problems import IdentityProblem
from attested_publish.rehearsal.jobs import circleci, github, google
from attested_publish.rehearsal.jobs.issuer import Issuer
from attested_publish.settings import Attestations, WrongUsage
from support.index_client import client_of
from support.makers import make_wheel
from support.releases import problem, staged
from support.sidecars import PUBLISH, SLSA, bundle, put

if TYPE_CHECKING:
    from support.releases import Stage

PROGRAMS = Path(sys.executable).parent
FOREIGN = ("PIP_", "UV_", "TWINE_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def run(stage: Stage, *command: str, **environment: str) -> None:
    """Run a program with nothing of ours in its surroundings, beside the folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    home = str(stage.folder.parent)
    done = subprocess.run(
        command,
        env={**kept, "HOME": home, "USERPROFILE": home, "NO_PROXY": "127.0.0.1", **environment},
        cwd=stage.folder.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def uv(stage: Stage) -> None:
    # It takes what is in `dist`, and finds the attestations beside the files.
    token = client_of(stage.world).token()
    program = str(PROGRAMS / ("uv.exe" if os.name == "nt" else "uv"))
    options = ("--no-config", "--no-cache", "--trusted-publishing", "never")
    run(
        stage,
        *(program, "publish", *options, "--publish-url", stage.world.upload_url),
        UV_PUBLISH_TOKEN=token,
    )


def twine(stage: Stage) -> None:
    token = client_of(stage.world).token()
    files = [str(path) for path in sorted(stage.folder.iterdir())]
    run(
        stage,
        *(sys.executable, "-I", "-m", "twine", "upload", "--attestations", "--non-interactive"),
        *("--disable-progress-bar", "--repository-url", stage.world.upload_url, *files),
        TWINE_USERNAME="__token__",
        TWINE_PASSWORD=token,
    )


def kinds(stage: Stage, filename: str) -> set[str]:
    url = stage.served()[filename]["provenance"]
    assert url is not None, filename
    served = Provenance.model_validate(requests.get(url, timeout=10).json())
    return {
        attestation.statement["predicateType"]
        for of_publisher in served.attestation_bundles
        for attestation in of_publisher.attestations
    }


@pytest.mark.sample(1)
@pytest.mark.parametrize("upload", [uv, twine])
def test_uv_and_twine_take_what_attest_leaves(stage: Stage, upload) -> None:
    names = sorted(path.name for path in stage.folder.iterdir())
    assert stage.run(publish.attest).result == "done", stage.printed
    upload(stage)
    assert sorted(stage.served()) == names
    assert all(kinds(stage, name) == {PUBLISH} for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("upload", [uv, twine])
def test_uv_and_twine_take_provenance_that_attest_converted(stage: Stage, upload) -> None:
    wheel = stage.folder / "sample-1.0-py3-none-any.whl"
    (stage.folder / "build.intoto.jsonl").write_text(json.dumps(bundle(stage.world, wheel)))
    assert stage.run(publish.attest).result == "done", stage.printed
    assert (stage.folder / f"{wheel.name}.slsa.attestation").is_file()
    (stage.folder / "build.intoto.jsonl").unlink()
    upload(stage)
    assert kinds(stage, wheel.name) == {PUBLISH, SLSA}


def test_attesting_again_signs_nothing_again(stage: Stage) -> None:
    stage.run(publish.attest)
    entries = len(stage.world.log)
    before = {path.name: path.read_bytes() for path in stage.folder.iterdir()}
    report = stage.run(publish.attest)
    assert report.result == "done", stage.printed
    assert len(stage.world.log) == entries
    assert {path.name: path.read_bytes() for path in stage.folder.iterdir()} == before
    assert {file.status for file in report.files.values()} == {"attested"}


def test_what_attest_left_is_what_publish_sends(stage: Stage, tmp_path: Path) -> None:
    """Sign in one job, publish in another one of the same workflow."""
    stage.run(publish.attest)
    entries = len(stage.world.log)
    kept = tmp_path / "kept"
    report = stage.run(attestations="true", attestations_dir=str(kept))
    assert report.result == "done", stage.printed
    assert len(stage.world.log) == entries
    assert {path.name for path in kept.iterdir()} == {
        f"{name}.publish.attestation" for name in report.files
    }


def test_an_attestation_that_does_not_hold_is_replaced(stage: Stage) -> None:
    wheel = stage.folder / "sample-1.0-py3-none-any.whl"
    beside = put(stage.world, wheel, repository="octo-org/another")
    bad = beside.read_bytes()
    assert stage.run(publish.attest, attestations="true").result == "refused"
    assert beside.read_bytes() == bad
    assert stage.run(publish.attest).result == "done", stage.printed
    assert beside.read_bytes() != bad
    twine(stage)
    assert kinds(stage, wheel.name) == {PUBLISH}


def test_an_attestation_under_another_name_is_not_written_twice(stage: Stage) -> None:
    wheel = stage.folder / "sample-1.0-py3-none-any.whl"
    beside = put(stage.world, wheel, ".slsa.attestation", predicate_type=PUBLISH)
    before = beside.read_bytes()
    assert stage.run(publish.attest).result == "done", stage.printed
    assert beside.read_bytes() == before
    assert not beside.with_name(f"{wheel.name}.publish.attestation").exists()
    uv(stage)
    assert kinds(stage, wheel.name) == {PUBLISH}


@pytest.mark.parametrize(
    ("suffix", "claims"),
    [
        (".slsa.attestation", {"predicate_type": SLSA, "repository": "octo-org/another"}),
        (".build.attestation", {}),
    ],
)
def test_what_an_uploader_would_send_in_vain_is_told(
    stage: Stage, suffix: str, claims: dict[str, str]
) -> None:
    wheel = stage.folder / "sample-1.0-py3-none-any.whl"
    beside = put(stage.world, wheel, suffix, **claims)
    assert stage.run(publish.attest).result == "done"
    assert f"{beside.name} stays where it is, and an uploader would send it" in stage.printed
    assert beside.exists(), "it is somebody else's"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_what_is_in_the_place_of_a_file_is_replaced_and_not_followed(stage: Stage) -> None:
    precious = stage.folder.parent / "precious.txt"
    precious.write_text("keep me")
    names = sorted(path.name for path in stage.folder.iterdir())
    for name in names:
        (stage.folder / f"{name}.publish.attestation").symlink_to(precious)
    assert stage.run(publish.attest).result == "done", stage.printed
    assert precious.read_text() == "keep me"
    twine(stage)
    assert all(kinds(stage, name) == {PUBLISH} for name in names)


@pytest.mark.parametrize("do", [publish.attest, publish.publish])
def test_a_folder_that_cannot_be_written_is_found_before_anything_is_signed(
    stage: Stage, do
) -> None:
    blocked = stage.folder.parent / "blocked"
    blocked.write_text("a file")
    report = stage.run(do, attestations_dir=str(blocked / "kept"))
    assert "attestation files could not be written" in problem(report)
    assert len(stage.world.log) == 0
    assert not stage.world.index.issued_tokens


def test_a_folder_in_the_place_of_a_file_is_found_before_anything_is_signed(stage: Stage) -> None:
    (stage.folder / "sample-1.0.tar.gz.publish.attestation").mkdir()
    told = problem(stage.run(publish.attest))
    assert "sample-1.0.tar.gz.publish.attestation" in told
    assert len(stage.world.log) == 0


@pytest.mark.parametrize("options", [{"attestations": "false"}, {"password": "pypi-no"}, None])
def test_a_folder_that_nothing_goes_to_need_not_be_writable(
    stage: Stage, options: dict[str, str] | None
) -> None:
    blocked = stage.folder.parent / "blocked"
    blocked.write_text("a file")
    if options is None:
        stage.run()
    told = stage.run(attestations_dir=str(blocked / "kept"), **(options or {}))
    assert "attestation files could not be written" not in "".join(
        each.title for each in told.problems
    )


def test_no_attestation_takes_the_place_of_another(stage: Stage) -> None:
    """One that holds has the name that one of another kind is to have."""
    wheel = stage.folder / "sample-1.0-py3-none-any.whl"
    put(stage.world, wheel, ".slsa.attestation", predicate_type=PUBLISH)
    made = bundle(stage.world, wheel)
    (stage.folder / f"{wheel.name}.sigstore.json").write_text(json.dumps(made))
    assert stage.run(publish.attest).result == "done", stage.printed
    uv(stage)
    assert kinds(stage, wheel.name) == {PUBLISH, SLSA}


def test_the_same_folder_under_another_name_is_the_same(stage: Stage) -> None:
    wheel = stage.folder / "sample-1.0-py3-none-any.whl"
    put(stage.world, wheel, ".slsa.attestation", predicate_type=PUBLISH)
    beside = stage.folder / "." / ".." / stage.folder.name
    report = stage.run(publish.attest, attestations_dir=str(beside))
    assert report.result == "done"
    assert report.attestations_dir == beside, "as it was spelled"
    assert "stays where it is" not in stage.printed
    assert not (stage.folder / f"{wheel.name}.publish.attestation").exists()


def test_where_all_is_signed_nothing_is_in_vain(dist: Path) -> None:
    called = "octo-org/sample-project/.github/workflows/called.yml"
    ref = "refs/tags/v1.0.0"
    with staged(dist, claims={"job_workflow_ref": f"{called}@{ref}"}) as stage:
        for path in sorted(dist.iterdir()):
            put(stage.world, path, workflow_ref=f"{called}@{ref}")
        entries = len(stage.world.log)
        assert stage.run(publish.attest).result == "done", stage.printed
        assert len(stage.world.log) == entries


def test_publishing_proves_no_folder_that_it_does_not_write_to(stage: Stage) -> None:
    (stage.folder / "sample-1.0-py3-none-any.whl.publish.attestation").mkdir()
    assert stage.run().result == "done", stage.printed


def test_what_the_index_would_refuse_is_not_signed(stage: Stage) -> None:
    make_wheel(stage.folder, metadata={"Summary": "x" * 600})
    before = set(stage.folder.iterdir())
    assert stage.run(publish.attest).result == "refused"
    assert len(stage.world.log) == 0
    assert set(stage.folder.iterdir()) == before


def test_attest_without_attestations_is_wrong_usage(stage: Stage) -> None:
    with pytest.raises(WrongUsage, match="drop one of them"):
        stage.run(publish.attest, attestations="false")


def test_in_a_called_workflow_nothing_is_signed_that_no_index_takes(dist: Path) -> None:
    called = "octo-org/sample-project/.github/workflows/called.yml@refs/tags/v1.0.0"
    with staged(dist, claims={"job_workflow_ref": called}) as stage:
        told = problem(stage.run(publish.attest))
        assert "cannot be made in a reusable workflow" in told
        assert "download-artifact" in told
        assert len(stage.world.log) == 0


def of(issuer: str, claims: dict[str, str]):
    return understand(Issuer(claims, name=issuer).issue("sigstore"))


def test_what_is_not_public_is_not_signed_in_public_unless_wanted() -> None:
    private = of(github.ISSUER, github.job_claims({}, {"repository_visibility": "private"}))
    pypi = Index.at("https://upload.pypi.org/legacy/")
    with pytest.raises(IdentityProblem) as caught:
        refuse_to_sign(Attestations.AUTO, private, pypi, is_public_log=True)
    assert "the repository is not public" in caught.value.detail
    assert "attestations to true" in caught.value.remedy
    refuse_to_sign(Attestations.REQUIRED, private, pypi, is_public_log=True)
    refuse_to_sign(Attestations.AUTO, private, pypi, is_public_log=False)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (circleci, "PyPI accepts no attestations from CircleCI"),
        (google, "in Sigstore's log for good"),
    ],
)
def test_what_becomes_of_the_attestations_is_told(kind, words: str) -> None:
    identity = of(kind.ISSUER, kind.job_claims({}, {}))
    (told,) = signers_advice(identity, Index.at("https://upload.pypi.org/legacy/"))
    assert words in told
