"""A plain client of the embedded PyPI for tests: real requests, nothing of ours in between."""

from __future__ import annotations

import base64
import contextlib
import email
import functools
import hashlib
import json
import time
import uuid
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import jwt
import requests
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pypi_attestations import Attestation, AttestationType
from sigstore.dsse import Statement
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

from attested_publish.rehearsal.jobs.github import ISSUER, job_claims
from attested_publish.rehearsal.jobs.issuer import Issuer
from attested_publish.rehearsal.pypi.app import Index
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.serving import Server
from attested_publish.rehearsal.world import World
from support.keys import issuer_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sigstore.models import TrustedRoot

JOB = job_claims({}, {})
"""The job of `Issuer`'s sample: octo-org/sample-project, release.yml, a tag."""

TRUE_ROW = {
    "owner": "octo-org",
    "owner_id": JOB["repository_owner_id"],
    "repo": "sample-project",
    "workflow": "release.yml",
}
"""The identity keys of the registry row that fits `JOB`."""


@functools.cache
def _loaded(pem: bytes) -> Any:
    """Return an issuer's key, once: it is checked when it is read, which takes 70 ms."""
    return load_pem_private_key(pem, None)


class Client:
    """Speaks to one index; `issuer` signs what it shows."""

    def __init__(self, url: str, issuer: Issuer) -> None:
        self.url = url
        self.issuer = issuer

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(
            self.url + path,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            timeout=20,
            allow_redirects=False,
        )

    def identity(
        self,
        *,
        remove: str | None = None,
        headers: dict[str, Any] | None = None,
        key: Any = None,
        algorithm: str = "RS256",
        **claims: Any,
    ) -> str:
        """Sign an identity token of `JOB` with claims changed, one removed, or another key."""
        now = int(time.time())
        payload = {
            "iss": ISSUER,
            "aud": "pypi",
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            **JOB,
            **claims,
        }
        payload.pop(remove, None)
        header = {"typ": "JWT", "kid": self.issuer.key_id, **(headers or {})}
        # Not `jwt.encode`: that one would not sign what is wrong.
        return jwt.api_jws.encode(
            json.dumps(payload).encode(),
            key or _loaded(self.issuer.key_pem()),
            algorithm=algorithm,
            headers={name: value for name, value in header.items() if value is not None},
        )

    def mint(self, identity: str, path: str = "/_/oidc/mint-token") -> requests.Response:
        return requests.post(self.url + path, json={"token": identity}, timeout=20)

    def token(self, **claims: Any) -> str:
        """Mint an API token that has to be given."""
        answer = self.mint(self.identity(**claims))
        assert answer.status_code == 200, answer.text
        return answer.json()["token"]

    def burn(self, token: str) -> requests.Response:
        return requests.post(self.url + "/_/oidc/burn-token", json={"token": token}, timeout=20)

    def upload(
        self,
        path: Path,
        token: str | None = None,
        *,
        authorization: str | None = None,
        accept: str | None = "*/*",
        content_type: str = "application/octet-stream",
        filename: str | None = None,
        form: dict[str, str | list[str] | None] | None = None,
        files: dict[str, tuple[str, bytes]] | None = None,
        attestations: str | None = None,
        edit: Callable[[bytes], bytes] = lambda body: body,
    ) -> requests.Response:
        """Upload as twine does; `form` changes fields, `None` leaves one out.

        `edit` gives the body that is sent for the one that was written.
        """

        def prepared(request: requests.PreparedRequest) -> requests.PreparedRequest:
            # Also keeps requests from putting credentials of a .netrc file there.
            assert isinstance(request.body, bytes)
            request.body = edit(request.body)
            request.prepare_content_length(request.body)
            return request

        fields: dict[str, Any] = {**form_of(path), **(form or {})}
        if attestations is not None:
            fields["attestations"] = attestations
        parts = {"content": (filename or path.name, path.read_bytes(), content_type)}
        parts |= files or {}
        headers = {"Accept": accept}
        if authorization or token:
            headers["Authorization"] = authorization or basic("__token__", token or "")
        return requests.post(
            self.url + "/legacy/",
            data={name: value for name, value in fields.items() if value is not None},
            files=parts,
            headers=headers,
            auth=prepared,
            timeout=60,
        )

    def simple(self, project: str) -> dict[str, Any]:
        answer = self.get(f"/simple/{project}/", Accept="application/vnd.pypi.simple.v1+json")
        assert answer.status_code == 200, answer.text
        return answer.json()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def form_of(path: Path) -> dict[str, str | list[str] | None]:
    """Give the fields twine would send for a distribution of `makers`."""
    content = path.read_bytes()
    is_wheel = path.suffix == ".whl"
    name, version = path.name.removesuffix(".tar.gz").removesuffix(".zip").split("-")[:2]
    fields: dict[str, str | list[str] | None] = {
        ":action": "file_upload",
        "protocol_version": "1",
        "metadata_version": "2.4",
        "name": name,
        "version": version,
        "summary": "A sample project",
        "requires_python": ">=3.9",
        "filetype": "bdist_wheel" if is_wheel else "sdist",
        "pyversion": "py3" if is_wheel else "source",
        "md5_digest": hashlib.md5(content).hexdigest(),
        "sha256_digest": hashlib.sha256(content).hexdigest(),
        "blake2_256_digest": hashlib.blake2b(content, digest_size=32).hexdigest(),
    }
    if is_wheel:
        with (
            contextlib.suppress(zipfile.BadZipFile, zlib.error, KeyError),
            zipfile.ZipFile(path) as wheel,
        ):
            metadata = email.message_from_bytes(wheel.read(f"{name}-{version}.dist-info/METADATA"))
            fields["description"] = metadata.get_payload()
            fields["description_content_type"] = metadata["Description-Content-Type"]
    return fields


@contextlib.contextmanager
def serving(**options: Any) -> Iterator[tuple[Client, Index]]:
    """Serve an `Index` for a fresh issuer on loopback."""
    issuer = Issuer(JOB, key=issuer_key())
    with Index(jwks=issuer.jwks, **options) as index:
        server = Server(index.app)
        server.start()
        try:
            yield Client(server.url, issuer), index
        finally:
            server.stop()


@functools.cache
def trusted_root() -> TrustedRoot:
    """Give some root of trust, for tests in which nothing is signed."""
    world = World(claims=JOB, registry=Registry.open(), issuer_key=issuer_key())
    world.close()
    return ClientTrustConfig.from_json(world.trust_config).trusted_root


def client_of(world: World) -> Client:
    """Give a client of a world's index, with its issuer."""
    return Client(world.index_url.removesuffix("/simple/"), world.issuer)


def sign(
    world: World,
    *paths: Path,
    subject: str | None = None,
    predicate_types: Sequence[str] = (AttestationType.PYPI_PUBLISH_V1.value,),
) -> list[Attestation]:
    """Attest files with the world's Sigstore, in the job's name.

    As pypi-attestations does; `subject` names another file than the one that is signed.
    """
    config = ClientTrustConfig.from_json(world.trust_config)
    config.force_tlog_version = 1
    context = SigningContext.from_trust_config(config)
    made = []
    with context.signer(IdentityToken(world.issuer.issue("sigstore"))) as signer:
        for path in paths:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            for predicate_type in predicate_types:
                statement = {
                    "_type": "https://in-toto.io/Statement/v1",
                    "subject": [{"name": subject or path.name, "digest": {"sha256": digest}}],
                    "predicateType": predicate_type,
                    "predicate": None,
                }
                bundle = signer.sign_dsse(Statement(json.dumps(statement).encode()))
                made.append(Attestation.from_bundle(bundle))
    return made


def sent(*attestations: Attestation) -> str:
    """Give attestations as an upload's form has them."""
    return json.dumps([json.loads(one.model_dump_json()) for one in attestations])
