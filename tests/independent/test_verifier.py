"""Sigstore's JavaScript implementation judges what the embedded Sigstore issues.

It shares no code with the Python one. It is installed here, exactly as its lock file says.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
import requests
from pypi_attestations import Attestation, Distribution, Provenance
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

from attested_publish.attestations.sidecars import PUBLISH, SLSA
from attested_publish.rehearsal.faults import parse_fault
from attested_publish.rehearsal.jobs.github import ISSUER, job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.independent import judge
from support.releases import Stage, problem


def attest(world: World, path: Path) -> dict:
    """Sign `path` in `world` and return the bundle as JSON."""
    config = ClientTrustConfig.from_json(world.trust_config)
    config.force_tlog_version = 1
    context = SigningContext.from_trust_config(config)
    with context.signer(IdentityToken(world.issuer.issue("sigstore")), cache=True) as signer:
        attestation = Attestation.sign(signer, Distribution.from_file(path))
    return json.loads(attestation.to_bundle().to_json())


def flipped(text: str, at: int = -10) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return base64.b64encode(raw).decode()


@pytest.fixture
def wheel(tmp_path) -> Path:
    path = tmp_path / "sample_project-1.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def test_accepts_what_the_world_signs_and_nothing_tampered_with(node_modules, tmp_path, wheel):
    claims = job_claims({}, {"environment": "pypi"})
    with World(claims=claims, registry=Registry.open()) as world:
        attest(world, wheel)
        good = attest(world, wheel)
        folder = tmp_path / "exported"
        world.export(folder)
    trusted_root = (folder / "trusted_root.json").read_text()

    def tampered(change) -> dict:
        bundle = json.loads(json.dumps(good))
        change(bundle, bundle["verificationMaterial"]["tlogEntries"][0])
        return bundle

    def payload(bundle, entry):
        bundle["dsseEnvelope"]["payload"] = flipped(bundle["dsseEnvelope"]["payload"])

    def signature(bundle, entry):
        signature = bundle["dsseEnvelope"]["signatures"][0]
        signature["sig"] = flipped(signature["sig"])

    def promise(bundle, entry):
        text = entry["inclusionPromise"]["signedEntryTimestamp"]
        entry["inclusionPromise"]["signedEntryTimestamp"] = flipped(text)

    def path(bundle, entry):
        entry["inclusionProof"]["hashes"][0] = flipped(entry["inclusionProof"]["hashes"][0])

    def time(bundle, entry):
        entry["integratedTime"] = str(int(entry["integratedTime"]) - 1)

    def body(bundle, entry):
        entry["canonicalizedBody"] = flipped(entry["canonicalizedBody"])

    changes = [payload, signature, promise, path, time, body]
    accepted, *refused = judge(
        node_modules, tmp_path, trusted_root, [good, *(tampered(change) for change in changes)]
    )
    assert accepted == {
        "accepted": True,
        "subject": f"https://github.com/{claims['job_workflow_ref']}",
        "issuer": ISSUER,
    }
    verdicts = {change.__name__: each for change, each in zip(changes, refused, strict=True)}
    assert {name: each["accepted"] for name, each in verdicts.items()} == dict.fromkeys(
        verdicts, False
    ), verdicts


@pytest.mark.sample(2)
@pytest.mark.parametrize("fault", ["log=timestamp", "log=checkpoint", "log=proof", "log=signature"])
def test_refuses_what_a_faulty_log_answers(node_modules, tmp_path, wheel, fault):
    with World(claims=job_claims({}, {}), registry=Registry.open()) as world:
        attest(world, wheel)
        world.faults.plan(parse_fault(fault))
        verdict = judge(node_modules, tmp_path, world.trusted_root, [attest(world, wheel)])
    assert [each["accepted"] for each in verdict] == [False], verdict


def test_refuses_another_worlds_bundles_and_a_foreign_certificate_timestamp(
    node_modules, tmp_path, wheel
):
    claims = job_claims({}, {})
    with (
        World(claims=claims, registry=Registry.open()) as world,
        World(claims=claims, registry=Registry.open()) as other,
    ):
        bundle = attest(world, wheel)
        # The timestamp is right, only not one of a log that is trusted.
        root = json.loads(world.trusted_root)
        root["ctlogs"] = json.loads(other.trusted_root)["ctlogs"]
        assert judge(node_modules, tmp_path, world.trusted_root, [bundle])[0]["accepted"]
        assert not judge(node_modules, tmp_path, other.trusted_root, [bundle])[0]["accepted"]
        assert not judge(node_modules, tmp_path, json.dumps(root), [bundle])[0]["accepted"]


def test_both_attestations_that_an_index_serves_of_every_file(node_modules, tmp_path, stage: Stage):
    report = stage.run(provenance="true")
    assert report.result == "done", problem(report)
    bundles, statements = [], []
    for file in stage.served().values():
        answer = requests.get(file["provenance"], timeout=20)
        (served,) = Provenance.model_validate_json(answer.content).attestation_bundles
        bundles += [json.loads(each.to_bundle().to_json()) for each in served.attestations]
        statements += [each.statement for each in served.attestations]
    assert [each["predicateType"] for each in statements] == [PUBLISH, SLSA] * 2
    verdicts = judge(node_modules, tmp_path, stage.world.trusted_root, bundles)
    subject = f"https://github.com/{stage.world.claims['job_workflow_ref']}"
    assert verdicts == [{"accepted": True, "subject": subject, "issuer": ISSUER}] * 4

    # The predicate is signed with the rest: another commit is another statement.
    told = statements[1]["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    told["digest"]["gitCommit"] = "f" * 40
    payload = base64.b64encode(json.dumps(statements[1]).encode()).decode()
    bundles[1]["dsseEnvelope"]["payload"] = payload
    (verdict,) = judge(node_modules, tmp_path, stage.world.trusted_root, [bundles[1]])
    assert not verdict["accepted"]
