"""Make what other tools leave beside distributions: attestation files and Sigstore bundles."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pypi_attestations import Attestation
from sigstore.dsse import Statement
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

from support.index_client import client_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attested_publish.rehearsal.world import World

PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
SLSA = "https://slsa.dev/provenance/v1"


def subject(path: Path, digest: str | None = None) -> dict[str, Any]:
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"name": path.name, "digest": {"sha256": digest or found}}


def bundle(
    world: World,
    *paths: Path,
    predicate_type: str = SLSA,
    subjects: Sequence[dict[str, Any]] | None = None,
    **claims: str,
) -> dict[str, Any]:
    """Sign one statement about `paths` (or `subjects`), in the name of a job with `claims`."""
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects or [subject(path) for path in paths],
        "predicateType": predicate_type,
        "predicate": {"buildDefinition": {"buildType": "https://example.org/build"}},
    }
    token = client_of(world).identity(**{"aud": "sigstore", **claims})
    with _context(world).signer(IdentityToken(token)) as signer:
        signed = signer.sign_dsse(Statement(json.dumps(statement).encode()))
    return json.loads(signed.to_json())


def signature(world: World, path: Path) -> dict[str, Any]:
    """Sign the bare file, as `sigstore sign` does."""
    token = client_of(world).identity(aud="sigstore")
    with _context(world).signer(IdentityToken(token)) as signer:
        return json.loads(signer.sign_artifact(path.read_bytes()).to_json())


def attestation(world: World, path: Path, **options: Any) -> Attestation:
    """Attest a file, as `pypi-attestations sign` does; options as of `bundle`."""
    made = bundle(world, path, **{"predicate_type": PUBLISH, **options})
    return Attestation.from_bundle(Bundle.from_json(json.dumps(made)))


def put(world: World, path: Path, suffix: str = ".publish.attestation", **options: Any) -> Path:
    """Leave an attestation file beside `path`; options as of `bundle`."""
    beside = path.with_name(path.name + suffix)
    beside.write_text(attestation(world, path, **options).model_dump_json())
    return beside


def _context(world: World) -> SigningContext:
    config = ClientTrustConfig.from_json(world.trust_config)
    config.force_tlog_version = 1
    return SigningContext.from_trust_config(config)
