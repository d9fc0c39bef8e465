"""Attestations of a history: signed by the embedded Sigstore, without requests over HTTP."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attested_publish.rehearsal.sigstore.principals import principal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from attested_publish.rehearsal.sigstore.fulcio import CertificateAuthority
    from attested_publish.rehearsal.sigstore.rekor import TransparencyLog

_IN_TOTO = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_API = "0.0.1"


class Sigstore:
    """The embedded certificate authority and transparency log, for any publisher at any time.

    All jobs share one key: only their certificates differ.
    """

    def __init__(self, authority: CertificateAuthority, log: TransparencyLog) -> None:
        self._authority = authority
        self._log = log
        self._key = ec.generate_private_key(ec.SECP256R1())

    def job(self, claims: Mapping[str, Any], at: datetime) -> Job:
        """Return a job with these claims, which has a certificate from this time."""
        certificate = self._authority.issue(self._key.public_key(), principal(claims), at=at)
        return Job(
            self._key,
            self._log,
            at=int(at.timestamp()),
            der=certificate.public_bytes(serialization.Encoding.DER),
            pem=certificate.public_bytes(serialization.Encoding.PEM),
        )


class Job:
    """Signs statements with a certificate (`der`, `pem`); `at` is in seconds since the epoch."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        log: TransparencyLog,
        *,
        at: int,
        der: bytes,
        pem: bytes,
    ) -> None:
        self._key = key
        self._log = log
        self._at = at
        self._certificate = _text(der)
        self._verifier = _text(pem)

    def attestation(
        self, filename: str, sha256: str, predicate_type: str, predicate: object
    ) -> dict[str, Any]:
        """Return a signed and logged attestation (PEP 740) about a file."""
        statement = json.dumps(
            {
                "_type": _STATEMENT,
                "subject": [{"name": filename, "digest": {"sha256": sha256}}],
                "predicateType": predicate_type,
                "predicate": predicate,
            }
        ).encode()
        # What a DSSE signature covers: its pre-authentication encoding.
        kind = _IN_TOTO.encode()
        covered = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(statement), statement)
        signature = _text(self._key.sign(covered, ec.ECDSA(hashes.SHA256())))
        payload = _text(statement)
        envelope = {
            "payload": payload,
            "payloadType": _IN_TOTO,
            "signatures": [{"sig": signature}],
        }
        proposed = {
            "kind": "dsse",
            "apiVersion": _API,
            "spec": {
                "proposedContent": {
                    "envelope": json.dumps(envelope),
                    "verifiers": [self._verifier],
                }
            },
        }
        return {
            "version": 1,
            "verification_material": {
                "certificate": self._certificate,
                "transparency_entries": [_entry(self._log.record(proposed, self._at))],
            },
            "envelope": {"statement": payload, "signature": signature},
        }


def _entry(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return a log entry in the form of Sigstore's bundles, from that of the log's API."""
    verification = described["verification"]
    proof = verification["inclusionProof"]
    return {
        "logIndex": str(described["logIndex"]),
        "logId": {"keyId": _text(bytes.fromhex(described["logID"]))},
        "kindVersion": {"kind": "dsse", "version": _API},
        "integratedTime": str(described["integratedTime"]),
        "inclusionPromise": {"signedEntryTimestamp": verification["signedEntryTimestamp"]},
        "inclusionProof": {
            "logIndex": str(proof["logIndex"]),
            "rootHash": _text(bytes.fromhex(proof["rootHash"])),
            "treeSize": str(proof["treeSize"]),
            "hashes": [_text(bytes.fromhex(each)) for each in proof["hashes"]],
            "checkpoint": {"envelope": proof["checkpoint"]},
        },
        "canonicalizedBody": described["body"],
    }


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
