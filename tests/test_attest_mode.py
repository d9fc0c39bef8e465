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

from attested_publish import publish
from attesting import PUBLISH, SLSA, bundle, put
from index_client import client_of

if TYPE_CHECKING:
    from releases import Stage

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


@pytest.mark.parametrize("upload", [uv, twine])
def test_uv_and_twine_take_what_attest_leaves(stage: Stage, upload) -> None:
    names = sorted(path.name for path in stage.folder.iterdir())
    assert stage.run(publish.attest).result == "done", stage.printed
    upload(stage)
    assert sorted(stage.served()) == names
    assert all(kinds(stage, name) == {PUBLISH} for name in names)


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
