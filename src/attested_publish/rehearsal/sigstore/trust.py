"""What a Sigstore client needs to use and to trust the embedded services.

In the JSON form of Sigstore's protobuf specifications, which clients in every language read. No TUF
repository is needed, and plain http on loopback is accepted.
"""

from __future__ import annotations

import base64
import datetime as dt
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization

from attested_publish.rehearsal.sigstore.fulcio import FIRST_DAY, ORGANIZATION

if TYPE_CHECKING:
    from cryptography import x509

    from attested_publish.rehearsal.sigstore.keys import LogKey

_OPERATOR = "attested-publish rehearsal"


def trusted_root(
    *,
    ca_url: str,
    ca_chain: tuple[x509.Certificate, ...],
    ct_log: LogKey,
    log_url: str,
    log: LogKey,
) -> dict[str, Any]:
    """Return the trusted root: which keys to trust.

    `ca_chain` begins with the issuing certificate and ends with the root. Keys are valid from
    `FIRST_DAY`, services from five minutes ago.
    """
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [_log(log, log_url)],
        "certificateAuthorities": [
            {
                "subject": {"organization": ORGANIZATION, "commonName": _OPERATOR},
                "uri": ca_url,
                "certChain": {
                    "certificates": [
                        {"rawBytes": _text(each.public_bytes(serialization.Encoding.DER))}
                        for each in ca_chain
                    ]
                },
                "validFor": _valid(FIRST_DAY),
            }
        ],
        "ctlogs": [_log(ct_log, f"{ca_url}/ctlog")],
        "timestampAuthorities": [],
    }


def client_trust_config(
    root: dict[str, Any], *, ca_url: str, oidc_url: str, log_url: str
) -> dict[str, Any]:
    """Return the trusted root and where to sign: a ClientTrustConfig with Rekor version 1."""
    return {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": root,
        "signingConfig": {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [_service(ca_url)],
            "oidcUrls": [_service(oidc_url)],
            "rekorTlogUrls": [_service(log_url)],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": [],
            "tsaConfig": {"selector": "ANY"},
        },
    }


def _log(key: LogKey, url: str) -> dict[str, Any]:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": _text(key.public_der),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": _valid(FIRST_DAY),
        },
        "logId": {"keyId": _text(key.log_id)},
    }


def _service(url: str) -> dict[str, Any]:
    return {"url": url, "majorApiVersion": 1, "validFor": _valid(), "operator": _OPERATOR}


def _valid(start: dt.datetime | None = None) -> dict[str, str]:
    start = start or dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    return {"start": start.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
