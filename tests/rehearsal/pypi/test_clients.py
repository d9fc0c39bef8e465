"""Programs that know nothing of a rehearsal publish to it and install from it, unmodified."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pypi_attestations import Provenance

from attested_publish.attestations.verify import load_trust, verify_attestation
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.index_client import JOB, client_of, sign
from support.makers import make_release
from support.releases import publisher_policy

_FOREIGN = re.compile(
    r"(PIP|UV|TWINE)_|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(HTTPS?|ALL)_PROXY", re.IGNORECASE
)


@pytest.fixture
def world():
    with World(claims=JOB, registry=Registry.open()) as world:
        yield world


@pytest.fixture
def client(world):
    return client_of(world)


@pytest.fixture
def release(world, tmp_path):
    """An sdist and a wheel in `dist`, each with its attestation beside it; their paths."""
    paths = make_release(tmp_path / "dist")
    for path, attestation in zip(paths, sign(world, *paths), strict=True):
        beside = path.with_name(f"{path.name}.publish.attestation")
        beside.write_text(attestation.model_dump_json())
    return paths


@pytest.fixture
def run(tmp_path):
    """Run a program with nothing of ours in its surroundings; give what it did."""
    surroundings = {
        name: value for name, value in os.environ.items() if not _FOREIGN.match(name)
    } | {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "200"}

    def run(*command, **environment):
        return subprocess.run(
            [str(part) for part in command],
            env=surroundings | environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


def assert_served(world, client, paths):
    """Everything is there, and what is served about it verifies."""
    files = {file["filename"]: file for file in client.simple("sample")["files"]}
    assert files.keys() == {path.name for path in paths}
    for path in paths:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert files[path.name]["hashes"] == {"sha256": digest}
        answer = client.get(files[path.name]["provenance"].removeprefix(client.url))
        (bundle,) = Provenance.model_validate_json(answer.text).attestation_bundles
        (attestation,) = bundle.attestations
        verify_attestation(
            attestation,
            filename=path.name,
            sha256=digest,
            policy=publisher_policy(bundle.publisher.repository, bundle.publisher.workflow),
            verifier=load_trust(world.trust_config).verifier,
        )


def twine(world, *arguments):
    return (
        *(sys.executable, "-I", "-m", "twine", "upload", "--non-interactive"),
        *("--disable-progress-bar", "--repository-url", world.upload_url, *arguments),
    )


def uv(world, *arguments):
    # Without files it takes those in `dist`, and the attestations among them.
    program = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")
    return (
        *(program, "publish", "--no-config", "--no-cache", "--trusted-publishing", "never"),
        *("--publish-url", world.upload_url, *arguments),
    )


def test_twine_publishes_with_attestations(world, client, release, run):
    files = [*release, *release[0].parent.glob("*.attestation")]
    done = run(
        *twine(world, "--attestations", *files),
        TWINE_USERNAME="__token__",
        TWINE_PASSWORD=client.token(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert_served(world, client, release)


def test_twine_tells_what_the_index_says(world, client, release, run):
    token = client.token()
    client.burn(token)
    done = run(*twine(world, *release), TWINE_USERNAME="__token__", TWINE_PASSWORD=token)
    assert done.returncode == 1
    assert "revoked" in " ".join((done.stdout + done.stderr).split())


def test_uv_publishes_with_attestations(world, client, release, run):
    done = run(*uv(world), UV_PUBLISH_TOKEN=client.token())
    assert done.returncode == 0, done.stderr
    assert_served(world, client, release)


def test_uv_tells_what_the_index_says(world, client, release, run):
    release[1].with_name(f"{release[1].name}.publish.attestation").write_text("{}")
    done = run(*uv(world), UV_PUBLISH_TOKEN=client.token())
    assert done.returncode != 0
    assert "attestation" in done.stderr


def test_uv_leaves_out_what_is_there_already(world, client, release, run):
    token = client.token()
    for _ in range(2):
        done = run(*uv(world, "--check-url", world.index_url), UV_PUBLISH_TOKEN=token)
        assert done.returncode == 0, done.stderr
    assert "already exists, skipping" in done.stderr
    assert_served(world, client, release)


def test_pip_and_uv_install_what_was_published(world, client, release, run, tmp_path):
    token = client.token()
    for path in release:
        assert client.upload(path, token).status_code == 200
    program = uv(world)[0]
    pip_target, uv_target = tmp_path / "by-pip", tmp_path / "by-uv"
    options = ("--no-deps", "--only-binary", ":all:", "--index-url", world.index_url, "sample==1.0")
    pip = (sys.executable, "-I", "-m", "pip", "install", "--no-cache-dir", "--target", pip_target)
    by_uv = (program, "pip", "install", "--no-config", "--no-cache", "--target", uv_target)
    for command, target in ((pip, pip_target), (by_uv, uv_target)):
        done = run(*command, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (target / "sample" / "__init__.py").is_file()
