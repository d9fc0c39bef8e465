"""A certificate authority that speaks Fulcio's version 2, and version 1 for older clients.

The contents of certificates follow Fulcio's certificate specification and its list of extensions
(arc 1.3.6.1.4.1.57264.1). Each certificate is recorded in a separate certificate transparency log
(RFC 6962), and contains the log's timestamp.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from werkzeug.wrappers import Response

from attested_publish.rehearsal.faults import Faults
from attested_publish.rehearsal.jobs import github, gitlab
from attested_publish.rehearsal.serving import Refused, json_app, json_body, json_response
from attested_publish.rehearsal.sigstore.keys import LogKey, SignersKey, is_signed
from attested_publish.rehearsal.sigstore.principals import (
    ISSUERS,
    ClaimMissing,
    Principal,
    principal,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed.wsgi import WSGIApplication
    from werkzeug.wrappers import Request

_AUDIENCE = "sigstore"
ORGANIZATION = "attested-publish rehearsal, trusted nowhere"
_EXTENSIONS = "1.3.6.1.4.1.57264.1"
FIRST_DAY = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
"""When the authority became valid: an index may have releases that are older than its services."""
CERTIFICATES = ("/api/v1/signingCert", "/api/v2/signingCert")
"""The addresses that issue certificates, by the version of the API."""
_PEM_CHAIN = "application/pem-certificate-chain"

_INVALID_ARGUMENT = 3
_NOT_FOUND = 5
_UNAUTHENTICATED = 16
"""The codes of gRPC, which Fulcio uses in its JSON."""


class _Places(NamedTuple):
    """The claims that contain the repository, and its file that defines the job."""

    repository: str
    workflow: str


_PLACES = {
    github.ISSUER: _Places("repository", "workflow_ref"),
    gitlab.ISSUER: _Places("project_path", "ci_config_ref_uri"),
}


class CertificateAuthority:
    """Issues certificates to those who prove an identity and possess a key.

    `jwks` returns the key set of the identity tokens' issuer. A certificate is valid for
    `lifetime` seconds. `chain` is the authority's own: intermediate, then root.
    """

    def __init__(
        self,
        *,
        jwks: Callable[[], dict[str, Any]],
        lifetime: float = 600.0,
        faults: Faults | None = None,
    ) -> None:
        self._jwks = jwks
        self._lifetime = dt.timedelta(seconds=lifetime)
        self._faults = faults or Faults()
        root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = _authority("root", root_key.public_key(), None, root_key, path_length=1)
        self._certificate = _authority(
            "intermediate", self._key.public_key(), root, root_key, path_length=0
        )
        self._public_der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.chain = (self._certificate, root)
        self.ct_log = LogKey()
        self.app: WSGIApplication = json_app(self._answer)

    def _answer(self, request: Request) -> Response:
        match request.method, request.path:
            case "POST", "/api/v2/signingCert":
                pems = _pems(self._certified(request, _key_v2))
                return json_response(
                    {"signedCertificateEmbeddedSct": {"chain": {"certificates": pems}}}
                )
            case "POST", "/api/v1/signingCert":
                # What cosign 2 requests.
                pems = _pems(self._certified(request, _key_v1))
                return Response("".join(pems), 201, mimetype=_PEM_CHAIN)
            case "GET", "/api/v2/trustBundle":
                return json_response({"chains": [{"certificates": _pems(self.chain)}]})
            case "GET", "/api/v1/rootCert":
                return Response("".join(_pems(self.chain)), mimetype=_PEM_CHAIN)
            case _:
                raise Refused(404, "Not Found", code=_NOT_FOUND)

    def _certified(
        self, request: Request, key_of: Callable[[Mapping[str, Any]], tuple[object, bytes]]
    ) -> tuple[x509.Certificate, ...]:
        """Return a new certificate and the authority's, for a request that `key_of` reads."""
        body = json_body(request)
        claims = self._claims(_bearer(request, body))
        try:
            who = principal(self._mistaken(claims))
        except ClaimMissing as error:
            raise _bad(str(error)) from error
        key = _proven_key(body, principal(claims).proof, key_of)
        log = LogKey() if self._faults.take("certificate", "sct") else self.ct_log
        return (self.issue(key, who, log=log), *self.chain)

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            keys = jwt.PyJWKSet.from_dict(self._jwks())
            claims: dict[str, Any] = jwt.decode(
                token,
                keys[str(header.get("kid"))],
                algorithms=["RS256"],
                audience=_AUDIENCE,
                issuer=ISSUERS,
                options={"require": ["aud", "exp", "iat", "iss", "sub"]},
            )
        except (jwt.PyJWTError, KeyError) as error:
            # The library's message about a token does not contain the token.
            reason = "it is signed by an unknown key" if isinstance(error, KeyError) else str(error)
            raise Refused(
                401,
                f"There was an error processing the identity token: {reason}",
                code=_UNAUTHENTICATED,
            ) from None
        return claims

    def issue(
        self,
        key: SignersKey,
        who: Principal,
        *,
        at: dt.datetime | None = None,
        log: LogKey | None = None,
    ) -> x509.Certificate:
        """Return a certificate for `key` that names its owner.

        It is issued `at` a time since `FIRST_DAY`, by default now. Its timestamp is signed with the
        key of the certificate transparency log, or with that of another `log`.
        """
        now = (at or dt.datetime.now(dt.UTC)).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + self._lifetime)
            .add_extension(_key_usage(), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(
                x509.SubjectAlternativeName([who.name]),
                # The subject is empty (RFC 5280, 4.2.1.6).
                critical=True,
            )
        )
        for number, value in who.extensions.items():
            oid = x509.ObjectIdentifier(f"{_EXTENSIONS}.{number}")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        precertificate = builder.sign(self._key, hashes.SHA256())
        timestamps = self._timestamps(precertificate.tbs_certificate_bytes, now, log or self.ct_log)
        return builder.add_extension(timestamps, critical=False).sign(self._key, hashes.SHA256())

    def _mistaken(self, claims: Mapping[str, Any]) -> Mapping[str, Any]:
        names = _PLACES.get(claims["iss"])
        if names is None:
            return claims
        repository: str = claims[names.repository]
        owner, _, name = repository.rpartition("/")
        if self._faults.take("certificate", "repository"):
            return _renamed(claims, repository, f"{owner}/not-{name}")
        if self._faults.take("certificate", "workflow"):
            path = claims[names.workflow].rpartition("@")[0]
            folder, _, file = path.rpartition("/")
            return _renamed(claims, path, f"{folder}/not-{file}")
        return claims

    def _timestamps(self, tbs: bytes, now: dt.datetime, log: LogKey) -> x509.UnrecognizedExtension:
        # Whole seconds: clients convert the milliseconds through floating point.
        milliseconds = int(now.timestamp()) * 1000
        key_hash = hashlib.sha256(self._public_der).digest()
        # RFC 6962, 3.2: version, signature type, time, entry type precert_entry, the issuer's
        # key, the certificate without the timestamps, no extensions.
        entry = struct.pack("!BBQH32s", 0, 0, milliseconds, 1, key_hash)
        entry += len(tbs).to_bytes(3) + tbs + bytes(2)
        signature = log.sign(entry)
        # 3.3: version, log, time, no extensions, SHA-256 (4) with ECDSA (3), signature.
        timestamp = struct.pack(
            "!B32sQHBBH", 0, self.ct_log.log_id, milliseconds, 0, 4, 3, len(signature)
        )
        timestamp += signature
        listed = struct.pack("!HH", len(timestamp) + 2, len(timestamp)) + timestamp
        return x509.UnrecognizedExtension(
            ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS, asn1.encode_der(listed)
        )


def _renamed(claims: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    return {
        name: value.replace(old, new) if isinstance(value, str) else value
        for name, value in claims.items()
    }


def _bearer(request: Request, body: Mapping[str, Any]) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    credentials = body.get("credentials")
    if isinstance(credentials, dict) and isinstance(credentials.get("oidcIdentityToken"), str):
        return str(credentials["oidcIdentityToken"])
    raise Refused(401, "The request has no identity token", code=_UNAUTHENTICATED)


def _proven_key(
    body: Mapping[str, Any],
    subject: str,
    key_of: Callable[[Mapping[str, Any]], tuple[object, bytes]],
) -> SignersKey:
    """Return the key of a request whose sender has proved possession of it."""
    key: object
    if (encoded := body.get("certificateSigningRequest")) is not None:
        try:
            request = x509.load_pem_x509_csr(_decoded(encoded))
            key, proven = request.public_key(), request.is_signature_valid
        except (ValueError, UnsupportedAlgorithm):
            raise _bad("The certificate signing request could not be parsed") from None
    else:
        # Clients other than sigstore-python send a key, and the subject signed with it.
        try:
            key, proof = key_of(body)
        except (AttributeError, KeyError, TypeError, ValueError, UnsupportedAlgorithm):
            raise _bad("The public key supplied in the request could not be parsed") from None
        proven = isinstance(key, SignersKey) and is_signed(subject.encode(), proof, key)
    if not isinstance(key, SignersKey):
        raise _bad("The public key supplied in the request is of a kind that is not supported")
    if not proven:
        raise _bad("The signature supplied in the request could not be verified")
    return key


def _key_v2(body: Mapping[str, Any]) -> tuple[object, bytes]:
    request = body["publicKeyRequest"]
    key = serialization.load_pem_public_key(request["publicKey"]["content"].encode())
    return key, _decoded(request["proofOfPossession"])


def _key_v1(body: Mapping[str, Any]) -> tuple[object, bytes]:
    encoded = _decoded(body["publicKey"]["content"])
    # Clients use one of two encodings, depending on their version.
    is_pem = encoded.startswith(b"-----BEGIN")
    load = serialization.load_pem_public_key if is_pem else serialization.load_der_public_key
    return load(encoded), _decoded(body["signedEmailAddress"])


def _decoded(text: object) -> bytes:
    # `binascii.Error` is also a `ValueError`.
    return base64.b64decode(text if isinstance(text, str) else "?", validate=True)


def _bad(message: str) -> Refused:
    return Refused(400, message, code=_INVALID_ARGUMENT)


def _authority(
    role: str,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    path_length: int,
) -> x509.Certificate:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, f"attested-publish rehearsal {role} CA"),
        ]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(FIRST_DAY)
        .not_valid_after(dt.datetime.now(dt.UTC) + dt.timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )


def _key_usage(*, certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pems(certificates: Iterable[x509.Certificate]) -> list[str]:
    return [each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates]
