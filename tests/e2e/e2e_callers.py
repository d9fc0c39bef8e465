"""Workflows that use the action, run whole: every kind of caller, both runtimes."""

from __future__ import annotations

import json
from functools import partial

import pytest
import requests
from pypi_attestations import Provenance

from support.checkout import digests
from support.e2e.act import Caller
from support.e2e.world import CALLED_REF, running_world, secrets_in
from support.independent import judge
from support.sidecars import PUBLISH, SLSA

pytestmark = pytest.mark.usefixtures("default_image")


@pytest.fixture
def caller(tmp_path, dist, action, machine):
    return Caller(tmp_path, dist, action, machine)


@pytest.fixture
def judged(node_modules, tmp_path):
    return partial(judge, node_modules, tmp_path)


@pytest.mark.parametrize("workflow", ["plain", "composite", "nested"])
def test_a_release_with_verified_provenance(caller, world, dist, workflow):
    outcome = caller.run(workflow, world, "docker")
    assert outcome.succeeded, outcome.log
    assert outcome.result == "done"
    assert {file["filename"]: file["sha256"] for file in outcome.files} == digests(dist)
    assert world.verified("sample") == digests(dist)
    assert "Runtime: Docker, sha256:" in outcome.log
    assert secrets_in(outcome.log, world.request_token) == []


@pytest.mark.parametrize("workflow", ["plain", "composite"])
def test_slsa_provenance_beside_the_publish_attestation(caller, world, tmp_path, workflow, judged):
    outcome = caller.run(workflow, world, "docker", variables={"PROVENANCE": "true"})
    assert outcome.succeeded, outcome.log
    assert outcome.result == "done"
    for file in outcome.files:
        assert [each["predicate_type"] for each in file["attestations"]] == [PUBLISH, SLSA]
    # Two independent tools: Sigstore's Python client, and its JavaScript client.
    assert world.verified("sample", (PUBLISH, SLSA)) == digests(tmp_path / "workspace" / "dist")
    bundles = [bundle for file in world.served("sample") for bundle in bundles_of(file)]
    assert len(bundles) == 4
    verdicts = judged((world.export / "trusted_root.json").read_text(), bundles)
    assert [(each["accepted"], each["subject"]) for each in verdicts] == [
        (True, world.identity)
    ] * 4
    assert secrets_in(outcome.log, world.request_token) == []


def bundles_of(file):
    provenance = Provenance.model_validate_json(requests.get(file["provenance"], timeout=20).text)
    return [
        json.loads(attestation.to_bundle().to_json())
        for bundle in provenance.attestation_bundles
        for attestation in bundle.attestations
    ]


def test_a_reusable_workflow_publishes_without_attestations_and_says_so(caller, dist, tmp_path):
    # No registration on an index fits both the token exchange, which looks at the file that is
    # called, and the attestation, which names the file that calls.
    with running_world(tmp_path / "world", job_workflow_ref=CALLED_REF) as world:
        outcome = caller.run("reusable", world, "docker")
        assert outcome.succeeded, outcome.log
        served = world.served("sample")
    assert {file["filename"]: file["hashes"]["sha256"] for file in served} == digests(dist)
    assert [file["provenance"] for file in served] == [None, None]
    assert outcome.result == "done"
    assert [file["attestation"] for file in outcome.files] == [None, None]
    assert "reusable workflow" in outcome.log
    assert secrets_in(outcome.log, world.request_token) == []


def test_two_indexes_in_one_job_from_one_installation(caller, world, dist, tmp_path):
    with running_world(tmp_path / "second") as second:
        outcome = caller.run(
            "two-indexes",
            world,
            "python",
            variables={
                "SECOND_INDEX": second.upload_url,
                "SECOND_TRUST": str(second.trust_config),
                "SECOND_REQUEST_URL": second.request["ACTIONS_ID_TOKEN_REQUEST_URL"],
            },
            secrets={"SECOND_REQUEST_TOKEN": second.request_token},
        )
        assert outcome.succeeded, outcome.log
        assert world.verified("sample") == digests(dist)
        assert second.verified("sample") == digests(dist)
    assert outcome.log.count("::group::Install the locked packages") == 1
    assert secrets_in(outcome.log, world.request_token, second.request_token) == []


def test_a_password_stays_out_of_the_log(caller, world):
    password = "pypi-this-is-not-a-token-of-anybody"
    outcome = caller.run("password", world, "docker", secrets={"PASSWORD": password})
    assert outcome.result == "refused"
    assert secrets_in(outcome.log, password, world.request_token) == []
    assert world.served("sample") == []
