"""cosign, unmodified: it signs in the embedded Sigstore, and verifies what PyPI would serve."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys

import pytest
import requests

from support.e2e.commands import finished
from support.e2e.machine import unpacked
from support.e2e.world import pem
from support.environment import without_a_job
from support.sidecars import SLSA

_TYPE = "https://docs.pypi.org/attestations/publish/v1"
_KINDS = {"publish": _TYPE, "slsa": "slsaprovenance1"}
"""What `convert --only` has of a provenance, and how cosign calls its predicate type."""
_ISSUER = "https://token.actions.githubusercontent.com"


@pytest.fixture(scope="session")
def cosign(work):
    """Path of a cosign, 2.5 or later: this machine's, or that of Debian 13."""
    here = shutil.which("cosign")
    return here or unpacked("cosign", "trixie", work / "cosign") / "usr/bin/cosign"


@pytest.fixture
def call(world, tmp_path):
    def call(*command, **more):
        environment = without_a_job() | world.environment | {"HOME": str(tmp_path)}
        done = finished(
            *map(str, command),
            env=environment | more,
            cwd=tmp_path,
            stderr=subprocess.STDOUT,
            timeout=60,
        )
        return done.returncode, done.stdout

    return call


@pytest.fixture
def publish(call, world):
    def ours(command, *arguments):
        ended, said = call(sys.executable, "-m", "attested_publish", command, *arguments)
        assert ended == 0, said
        return said

    return ours


def verified(call, cosign, world, bundle, file, *, who=None, kind=_TYPE):
    return call(
        *(cosign, "verify-blob-attestation", "--new-bundle-format", "--bundle", bundle),
        *("--trusted-root", world.export / "trusted_root.json", "--type", kind),
        *("--certificate-oidc-issuer", _ISSUER, "--certificate-identity", who or world.identity),
        file,
    )


def provenance_of(world, name):
    (file,) = (each for each in world.served("sample") if each["filename"] == name)
    return requests.get(file["provenance"], timeout=20).text


def test_verifies_what_the_index_serves(call, publish, cosign, world, dist):
    at_world = ("--repository-url", world.upload_url, "--sigstore-trust-config", world.trust_config)
    publish("publish", dist, *at_world)
    wheel, sdist = sorted(dist.iterdir(), key=lambda path: path.suffix, reverse=True)
    provenance, bundle = dist.parent / "provenance.json", dist.parent / "wheel.sigstore.json"
    provenance.write_text(provenance_of(world, wheel.name))
    publish("convert", provenance, "--output", bundle)
    ended, said = verified(call, cosign, world, bundle, wheel)
    assert ended == 0, said
    # It is not content with anything.
    assert verified(call, cosign, world, bundle, sdist)[0] != 0
    somebody = world.identity.replace("octo-org", "other-org")
    assert verified(call, cosign, world, bundle, wheel, who=somebody)[0] != 0


def test_verifies_the_slsa_provenance_that_the_index_serves(call, publish, cosign, world, dist):
    at_world = ("--repository-url", world.upload_url, "--sigstore-trust-config", world.trust_config)
    publish("publish", dist, *at_world, "--provenance", "true")
    wheel, sdist = sorted(dist.iterdir(), key=lambda path: path.suffix, reverse=True)
    provenance = dist.parent / "provenance.json"
    for file, other in ((wheel, sdist), (sdist, wheel)):
        bundles = {kind: dist.parent / f"{file.name}.{kind}.sigstore.json" for kind in _KINDS}
        provenance.write_text(provenance_of(world, file.name))
        for kind, bundle in bundles.items():
            publish("convert", provenance, "--only", kind, "--output", bundle)
            ended, said = verified(call, cosign, world, bundle, file, kind=_KINDS[kind])
            assert ended == 0, said
        slsa = bundles["slsa"]
        # What it has just verified is SLSA provenance: cosign before GHSA-w6c6-c85g-mmv6 was mended
        # does not compare `--type` with the type in a bundle of this form.
        signed = json.loads(slsa.read_text())["dsseEnvelope"]["payload"]
        assert json.loads(base64.b64decode(signed))["predicateType"] == SLSA
        # Neither of another file, nor from somebody else.
        kind = _KINDS["slsa"]
        assert verified(call, cosign, world, slsa, other, kind=kind)[0] != 0
        somebody = world.identity.replace("octo-org", "other-org")
        assert verified(call, cosign, world, slsa, file, kind=kind, who=somebody)[0] != 0
        elsewhere = world.identity.replace("release.yml", "build.yml")
        assert verified(call, cosign, world, slsa, file, kind=kind, who=elsewhere)[0] != 0


def test_what_it_signed_is_published(call, publish, cosign, world, dist):
    """Its bundles, made in the embedded Sigstore, lie beside the files and are used."""
    token = world.identity_token("sigstore")
    predicate = dist.parent / "predicate.json"
    predicate.write_text("{}")
    is_version_2 = "--trusted-root" not in call(cosign, "attest-blob", "--help")[1]
    where, trusted = (told_to_version_2 if is_version_2 else told)(world.export, dist.parent)
    files = sorted(dist.iterdir())
    for file in files:
        ended, said = call(
            *(cosign, "attest-blob", "--yes", "--new-bundle-format", "--type", _TYPE),
            *("--predicate", predicate, "--identity-token", token, *where),
            *("--bundle", f"{file}.sigstore.json", file),
            **trusted,
        )
        assert ended == 0, said
    at_world = ("--repository-url", world.upload_url, "--sigstore-trust-config", world.trust_config)
    said = publish("publish", dist, *at_world)
    for file in files:
        bundle = json.loads((dist / f"{file.name}.sigstore.json").read_text())
        served = json.loads(provenance_of(world, file.name))["attestation_bundles"]
        (attestation,) = (each for bundle in served for each in bundle["attestations"])
        assert attestation["envelope"]["statement"] == bundle["dsseEnvelope"]["payload"], said
        again = dist.parent / "again.sigstore.json"
        publish("convert", f"{file}.sigstore.json", "--output", dist.parent / "attestation.json")
        publish("convert", dist.parent / "attestation.json", "--output", again)
        ended, said = verified(call, cosign, world, again, file)
        assert ended == 0, said


def told(export, _):
    """Return the options and variables that make cosign sign in a world."""
    config, root = export / "signing_config.json", export / "trusted_root.json"
    return ("--signing-config", config, "--trusted-root", root), {}


def told_to_version_2(export, folder):
    """Version 2 takes addresses, and keys as variables."""
    config = json.loads((export / "signing_config.json").read_text())
    root = json.loads((export / "trusted_root.json").read_text())
    keys, authority = folder / "ct-log.pem", folder / "authority.pem"
    keys.write_text(pem("PUBLIC KEY", root["ctlogs"][0]["publicKey"]))
    chain = root["certificateAuthorities"][0]["certChain"]["certificates"]
    authority.write_text("".join(pem("CERTIFICATE", each) for each in chain))
    fulcio, rekor = (config[name][0]["url"] for name in ("caUrls", "rekorTlogUrls"))
    return ("--fulcio-url", fulcio, "--rekor-url", rekor), {
        "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE": str(keys),
        "SIGSTORE_ROOT_FILE": str(authority),
    }
