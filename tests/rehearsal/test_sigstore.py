"""The embedded token issuer and Sigstore, used over loopback by their real clients."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from id import detect_credential
from pypi_attestations import Attestation, AttestationError, Distribution, GitHubPublisher
from sigstore.errors import VerificationError
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from sigstore.verify import Verifier, policy

from attested_publish.attestations.verify import policy_of
from attested_publish.rehearsal.faults import (
    ENDPOINTS,
    Fault,
    Faults,
    index_endpoint,
    parse_fault,
)
from attested_publish.rehearsal.jobs.github import ISSUER, job_claims
from attested_publish.rehearsal.jobs.issuer import Issuer
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.serving import Server, delayed, json_app, json_response
from attested_publish.rehearsal.sigstore.fulcio import CertificateAuthority
from attested_publish.rehearsal.sigstore.merkle import Tree, leaf_hash
from attested_publish.rehearsal.sigstore.principals import principal
from attested_publish.rehearsal.world import World
from support.keys import issuer_key

CLAIMS = job_claims({}, {"environment": "pypi"})


def new_world(**options) -> World:
    return World(
        **{"claims": CLAIMS, "registry": Registry.open(), "issuer_key": issuer_key()} | options
    )


@pytest.fixture
def world():
    with new_world() as world:
        yield world


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "sample_project-1.0-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return Distribution.from_file(path)


def config_of(world) -> ClientTrustConfig:
    config = ClientTrustConfig.from_json(world.trust_config)
    config.force_tlog_version = 1
    return config


def signer_of(world):
    context = SigningContext.from_trust_config(config_of(world))
    return context.signer(IdentityToken(world.issuer.issue("sigstore")), cache=True)


def sign(world, distribution) -> Attestation:
    with signer_of(world) as signer:
        return Attestation.sign(signer, distribution)


def publisher() -> GitHubPublisher:
    return GitHubPublisher(repository="octo-org/sample-project", workflow="release.yml")


def verify(world, attestation, *, who=None) -> dict:
    """Verify as PyPI does, with the world's trusted root."""
    verifier = Verifier(trusted_root=config_of(world).trusted_root)
    policy = policy_of(who or publisher())
    _, statement = verifier.verify_dsse(attestation.to_bundle(), policy)
    return json.loads(statement)


def ca_url(world) -> str:
    return json.loads(world.trust_config)["signingConfig"]["caUrls"][0]["url"]


def log_url(world) -> str:
    url = json.loads(world.trust_config)["signingConfig"]["rekorTlogUrls"][0]["url"]
    return f"{url}/api/v1/log"


class TestClaims:
    def test_all_are_text_and_agree_with_each_other(self):
        claims = job_claims({}, {})
        assert all(isinstance(value, str) for value in claims.values())
        assert claims["sub"] == f"repo:{claims['repository']}:ref:{claims['ref']}"
        assert claims["workflow_ref"].startswith(f"{claims['repository']}/.github/workflows/")
        assert claims["workflow_ref"].endswith(f"@{claims['ref']}")
        assert "environment" not in claims

    def test_follow_an_overridden_repository(self):
        here = {
            "GITHUB_REPOSITORY": "us/ours",
            "GITHUB_REPOSITORY_ID": "1",
            "GITHUB_REPOSITORY_OWNER": "us",
            "GITHUB_REPOSITORY_OWNER_ID": "2",
            "GITHUB_WORKFLOW_REF": "us/ours/.github/workflows/ci.yml@refs/heads/main",
            "GITHUB_REF": "refs/heads/main",
        }
        claims = job_claims(here, {})
        assert claims["workflow_ref"] == here["GITHUB_WORKFLOW_REF"]
        assert (claims["repository_id"], claims["repository_owner_id"]) == ("1", "2")
        assert claims["ref_type"] == "branch"

        claims = job_claims(here, {"repository": "you/yours", "environment": "pypi:x"})
        assert claims["repository_owner"] == "you"
        assert claims["repository_id"] != "1"
        assert claims["repository_owner_id"] != "2"
        assert claims["job_workflow_ref"] == "you/yours/.github/workflows/ci.yml@refs/heads/main"
        assert claims["sub"] == "repo:you/yours:environment:pypi%3Ax"

        assert job_claims(here, {"repository": "us/other"})["repository_owner_id"] == "2"
        assert job_claims(here, {"repository_owner": "you"})["repository"] == "you/ours"

    def test_overridden_ones_stay_and_empty_ones_go(self):
        overrides = {"repository": "you/yours", "workflow_ref": "a/b/c.yml@d", "sha": "", "x": "y"}
        claims = job_claims({}, {**overrides, "sub": "me"})
        assert claims["workflow_ref"] == claims["job_workflow_ref"] == "a/b/c.yml@d"
        assert claims["sub"] == "me"
        assert claims["x"] == "y"
        assert "sha" not in claims

    def test_of_a_pull_request(self):
        claims = job_claims({}, {"event_name": "pull_request"})
        assert claims["ref"].startswith("refs/pull/")
        assert claims["sub"].endswith(":pull_request")
        assert claims["head_ref"]


class TestIssuer:
    def test_serves_the_id_package(self, world, monkeypatch):
        for name, value in world.environment.items():
            monkeypatch.setenv(name, value)
        tokens = [detect_credential("pypi") for _ in range(2)]
        keys = jwt.PyJWKSet.from_dict(world.issuer.jwks())
        claims = [
            jwt.decode(
                token,
                keys[jwt.get_unverified_header(token)["kid"]],
                algorithms=["RS256"],
                audience="pypi",
                issuer=ISSUER,
            )
            for token in tokens
        ]
        assert claims[0]["jti"] != claims[1]["jti"]
        assert claims[0]["exp"] - claims[0]["iat"] == 300
        assert CLAIMS.items() <= claims[0].items()

    @pytest.mark.parametrize(
        ("authorization", "status"), [(None, 401), ("bearer wrong", 403), ("basic x", 401)]
    )
    def test_refuses_a_wrong_request_token(self, world, authorization, status):
        headers = {"Authorization": authorization} if authorization else {}
        url = world.environment["ACTIONS_ID_TOKEN_REQUEST_URL"]
        answer = requests.get(f"{url}&audience=pypi", headers=headers, timeout=5)
        assert answer.status_code == status
        assert world.issuer.request_token not in answer.text

    def test_takes_any_claim_also_wrong_ones(self):
        issuer = Issuer({"exp": "12", "repository_owner_id": 7, "iss": "https://other"})
        claims = jwt.decode(issuer.issue("a"), options={"verify_signature": False})
        assert (claims["exp"], claims["repository_owner_id"]) == (12, 7)
        assert claims["iss"] == "https://other"

    def test_publishes_the_key_it_signs_with(self, world):
        base = world.environment["ACTIONS_ID_TOKEN_REQUEST_URL"].partition("/token")[0]
        found = requests.get(f"{base}/.well-known/openid-configuration", timeout=5).json()
        assert requests.get(found["jwks_uri"], timeout=5).json() == world.issuer.jwks()
        key = serialization.load_pem_private_key(world.issuer.key_pem(), None)
        token = jwt.encode({"a": 1}, key, "RS256")
        assert jwt.decode(token, jwt.PyJWK(world.issuer.jwks()["keys"][0])) == {"a": 1}


class TestSigning:
    def test_signs_and_verifies_as_pypi_does(self, world, wheel):
        statement = verify(world, sign(world, wheel))
        assert statement["subject"] == [
            {"name": wheel.name, "digest": {"sha256": wheel.digest}},
        ]

    def test_forty_from_eight_threads(self, world, tmp_path):
        distributions = []
        for number in range(40):
            path = tmp_path / f"sample_project-1.{number}-py3-none-any.whl"
            path.write_bytes(path.name.encode())
            distributions.append(Distribution.from_file(path))
        with signer_of(world) as signer, ThreadPoolExecutor(8) as pool:
            signed = pool.map(lambda each: Attestation.sign(signer, each), distributions)
            attestations = list(signed)
        assert len(world.log) == 40
        for distribution, attestation in zip(distributions, attestations, strict=True):
            assert verify(world, attestation)["subject"][0]["name"] == distribution.name

    def test_signs_any_artifact(self, world):
        with signer_of(world) as signer:
            bundle = signer.sign_artifact(b"some bytes")
        verifier = Verifier(trusted_root=config_of(world).trusted_root)
        verifier.verify_artifact(b"some bytes", bundle, policy.OIDCIssuer(ISSUER))
        with pytest.raises(VerificationError):
            verifier.verify_artifact(b"other bytes", bundle, policy.OIDCIssuer(ISSUER))

    def test_certificate_holds_every_claim(self, world, wheel):
        certificate = sign(world, wheel).to_bundle().signing_certificate
        texts = {
            each.oid.dotted_string.removeprefix("1.3.6.1.4.1.57264.1."): each.value.value
            for each in certificate.extensions
            if isinstance(each.value, x509.UnrecognizedExtension)
        }
        assert {int(name) for name in texts} == {1, 2, 3, 4, 5, 6, *range(8, 25)}
        assert texts["5"] == b"octo-org/sample-project"
        # DER: UTF8String, length, text.
        assert texts["23"] == b"\x0c\x04pypi"
        assert texts["22"] == b"\x0c\x06public"
        assert texts["12"].endswith(b"https://github.com/octo-org/sample-project")
        assert not list(certificate.subject)
        assert "rehearsal" in certificate.issuer.rfc4514_string()

    def test_another_world_does_not_trust_it(self, world, wheel):
        attestation = sign(world, wheel)
        with new_world() as other, pytest.raises(VerificationError):
            verify(other, attestation)

    def test_another_publisher_is_refused(self, world, wheel):
        attestation = sign(world, wheel)
        for who in (
            GitHubPublisher(repository="octo-org/other", workflow="release.yml"),
            GitHubPublisher(repository="octo-org/sample-project", workflow="other.yml"),
        ):
            with pytest.raises(VerificationError):
                verify(world, attestation, who=who)

    def test_certificates_end(self, tmp_path, wheel):
        with new_world(certificate_lifetime=4) as world, signer_of(world) as signer:
            verify(world, Attestation.sign(signer, wheel))
            time.sleep(5.1)
            with pytest.raises(AttestationError):
                Attestation.sign(signer, wheel)


class TestFaultsOfMeaning:
    """Each is noticed by the real verifier, and is gone with the next signature."""

    @pytest.mark.parametrize("kind", ["repository", "workflow"])
    def test_wrong_certificate(self, world, wheel, kind):
        world.faults.plan(Fault("certificate", kind, count=1))
        attestation = sign(world, wheel)
        with pytest.raises(VerificationError, match=r"[Cc]ertificate's"):
            verify(world, attestation)
        verify(world, sign(world, wheel))

    def test_wrong_certificate_timestamp(self, world, wheel):
        world.faults.plan(Fault("certificate", "sct", count=1))
        with pytest.raises(VerificationError, match="SCT"):
            sign(world, wheel)
        verify(world, sign(world, wheel))

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            ("proof", "nclusion proof"),
            ("checkpoint", "checkpoint"),
            ("timestamp", "inclusion promise|invalid log entry"),
            ("time", "valid"),
            ("signature", "signature|log entry"),
        ],
    )
    def test_wrong_log_entry(self, world, wheel, kind, words):
        sign(world, wheel)
        world.faults.plan(Fault("log", kind, count=1))
        attestation = sign(world, wheel)
        with pytest.raises(VerificationError, match=words):
            verify(world, attestation)
        verify(world, sign(world, wheel))

    def test_expired_identity(self, world):
        world.faults.plan(Fault("identity", "expired", count=1))
        claims = jwt.decode(world.issuer.issue("a"), options={"verify_signature": False})
        assert claims["exp"] < time.time()


def ask_for_certificate(world, token, **body) -> requests.Response:
    if not body:
        key = ec.generate_private_key(ec.SECP256R1())
        body = {"certificateSigningRequest": signing_request(key)}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.post(
        f"{ca_url(world)}/api/v2/signingCert", json=body, headers=headers, timeout=5
    )


def signing_request(key, *, change=lambda der: der) -> str:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    signed = request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    body = base64.encodebytes(change(signed)).decode()
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"
    return base64.b64encode(pem.encode()).decode()


class TestCertificateAuthority:
    def test_issues(self, world):
        answer = ask_for_certificate(world, world.issuer.issue("sigstore"))
        assert answer.status_code == 200
        chain = answer.json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
        trusted = requests.get(f"{ca_url(world)}/api/v2/trustBundle", timeout=5).json()
        assert chain[1:] == trusted["chains"][0]["certificates"]

    def test_issues_for_a_key_and_its_proof(self, world):
        """What Sigstore's clients in Go and JavaScript send."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

        def ask(subject: str) -> requests.Response:
            proof = key.sign(subject.encode(), ec.ECDSA(hashes.SHA256()))
            return ask_for_certificate(
                world,
                None,
                credentials={"oidcIdentityToken": world.issuer.issue("sigstore")},
                publicKeyRequest={
                    "publicKey": {"algorithm": "ECDSA", "content": public.decode()},
                    "proofOfPossession": base64.b64encode(proof).decode(),
                },
            )

        assert ask(CLAIMS["sub"]).status_code == 200
        assert ask("somebody else").status_code == 400

    def test_issues_as_version_one_did(self, world):
        """What cosign 2 sends; in earlier clients the key is not PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        url = f"{ca_url(world)}/api/v1"

        def ask(encoding: serialization.Encoding, subject: str = CLAIMS["sub"]):
            public = key.public_key().public_bytes(
                encoding, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            proof = key.sign(subject.encode(), ec.ECDSA(hashes.SHA256()))
            body = {
                "publicKey": {"content": base64.b64encode(public).decode()},
                "signedEmailAddress": base64.b64encode(proof).decode(),
                "certificateSigningRequest": None,
            }
            headers = {"Authorization": f"Bearer {world.issuer.issue('sigstore')}"}
            return requests.post(f"{url}/signingCert", json=body, headers=headers, timeout=5)

        authority = requests.get(f"{url}/rootCert", timeout=5).text
        for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
            answer = ask(encoding)
            assert answer.status_code == 201
            assert answer.text.endswith(f"-----END CERTIFICATE-----\n{authority}")
            (certificate, *_) = x509.load_pem_x509_certificates(answer.content)
            assert certificate.public_key() == key.public_key()
            assert ask(encoding, "somebody else").status_code == 400
        unread = requests.post(
            f"{url}/signingCert",
            json={"publicKey": {"content": "?"}},
            headers={"Authorization": f"Bearer {world.issuer.issue('sigstore')}"},
            timeout=5,
        )
        assert unread.status_code == 400
        assert "could not be parsed" in unread.json()["message"]

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ({"aud": "pypi"}, "udience"),
            ({"exp": int(time.time()) - 5}, "expired"),
            ({"iss": "https://example.org"}, "ssuer"),
            ({"nbf": int(time.time()) + 900}, "not yet valid"),
        ],
    )
    def test_refuses_a_wrong_token(self, world, change, word):
        key = serialization.load_pem_private_key(world.issuer.key_pem(), None)
        now = int(time.time())
        claims = {**CLAIMS, "iss": ISSUER, "aud": "sigstore", "iat": now, "exp": now + 60}
        header = {"kid": world.issuer.key_id}
        good = jwt.encode(claims, key, "RS256", header)
        assert ask_for_certificate(world, good).status_code == 200
        answer = ask_for_certificate(world, jwt.encode(claims | change, key, "RS256", header))
        assert answer.status_code == 401
        assert answer.json()["code"] == 16
        assert word in answer.json()["message"]

    def test_refuses_a_foreign_key_and_none(self, world):
        foreign = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        now = int(time.time())
        claims = {**CLAIMS, "iss": ISSUER, "aud": "sigstore", "iat": now, "exp": now + 60}
        header = {"kid": world.issuer.key_id}
        for token in (
            jwt.encode(claims, foreign, "RS256", header),
            jwt.encode(claims, foreign, "RS256", {"kid": "other"}),
            jwt.encode(claims, None, "none", header),
            jwt.encode(claims, "k" * 64, "HS256", header),
            "not.a.token",
            "",
        ):
            answer = ask_for_certificate(world, token)
            assert answer.status_code == 401, answer.text

    def test_refuses_a_token_without_a_claim(self, wheel):
        with new_world(claims=job_claims({}, {"job_workflow_ref": ""})) as world:
            answer = ask_for_certificate(world, world.issuer.issue("sigstore"))
        assert answer.status_code == 400
        assert "job_workflow_ref" in answer.json()["message"]

    def test_refuses_who_does_not_possess_the_key(self, world):
        def spoil(der: bytes) -> bytes:
            return der[:-1] + bytes([der[-1] ^ 1])

        key = ec.generate_private_key(ec.SECP256R1())
        token = world.issuer.issue("sigstore")
        request = signing_request(key, change=spoil)
        answer = ask_for_certificate(world, token, certificateSigningRequest=request)
        assert answer.status_code == 400
        assert answer.json()["code"] == 3
        for body in ({"certificateSigningRequest": "?"}, {"a": 1}, {"publicKeyRequest": []}):
            assert ask_for_certificate(world, token, **body).status_code == 400

    def test_names_with_any_letters(self):
        claims = job_claims({}, {"ref": "refs/heads/grün x", "environment": "prüfung"})
        issuer = Issuer(claims, key=issuer_key())
        authority = CertificateAuthority(jwks=issuer.jwks)
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        certificate = authority.issue(key, principal({**claims, "iss": ISSUER}))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        (name,) = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        assert name.endswith("@refs/heads/gr%C3%BCn%20x")


def root_of_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Compute the root a proof leads to, as RFC 9162 (2.1.3.2) says to verify one."""
    position, last, node = index, size - 1, leaf
    for sibling in path:
        assert last > 0, "the path is too long"
        if position % 2 or position == last:
            node = hashlib.sha256(b"\1" + sibling + node).digest()
            while position % 2 == 0 and position:
                position, last = position >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\1" + node + sibling).digest()
        position, last = position >> 1, last >> 1
    assert last == 0, "the path is too short"
    return node


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 6962 (2.1), word by word."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = root_by_definition(leaves[:split]), root_by_definition(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


class TestTree:
    def test_of_nothing(self):
        assert Tree().root() == hashlib.sha256(b"").digest()
        with pytest.raises(IndexError):
            Tree().proof(0)

    def test_every_proof_up_to_seventy_leaves(self):
        tree = Tree()
        leaves = []
        for size in range(1, 71):
            leaves.append(leaf_hash(b"entry %d" % size))
            tree.append(leaves[-1])
            assert tree.root() == root_by_definition(leaves)
            for index, leaf in enumerate(leaves):
                assert root_of_path(leaf, index, size, tree.proof(index)) == tree.root()

    def test_thousands_of_entries(self):
        tree = Tree()
        started = time.perf_counter()
        for number in range(5000):
            tree.append(leaf_hash(b"%d" % number))
            tree.proof(number // 2)
            tree.root()
        assert time.perf_counter() - started < 5


def dsse_entry(key, *, payload=b"{}", signed=None) -> dict:
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    encoded = b"DSSEv1 1 t %d " % len(payload) + payload if signed is None else signed
    signature = base64.b64encode(key.sign(encoded, ec.ECDSA(hashes.SHA256()))).decode()
    envelope = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": "t",
        "signatures": [{"sig": signature}],
    }
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "proposedContent": {
                "envelope": json.dumps(envelope),
                "verifiers": [base64.b64encode(pem).decode()],
            }
        },
    }


class TestLog:
    def test_an_identical_entry_is_told_where_it_is(self, world):
        entry = dsse_entry(ec.generate_private_key(ec.SECP256R1()))
        url = f"{log_url(world)}/entries"
        first = requests.post(url, json=entry, timeout=5)
        assert first.status_code == 201
        # Clients in Go look the entry up by it, and take index 0 for none.
        assert first.json()[first.headers["ETag"]]["logIndex"] > 0
        second = requests.post(url, json=entry, timeout=5)
        assert second.status_code == 409
        assert second.headers["Location"] == first.headers["Location"]
        assert len(world.log) == 1
        found = requests.get(url.partition("/api")[0] + second.headers["Location"], timeout=5)
        (uuid, told), *_ = found.json().items()
        assert {uuid: told["body"]} == {uuid: first.json()[uuid]["body"]}

    def test_entries_are_found_and_proven_as_the_log_grows(self, world):
        url = f"{log_url(world)}/entries"
        key = ec.generate_private_key(ec.SECP256R1())
        for number in range(9):
            entry = dsse_entry(key, payload=b"%d" % number)
            assert requests.post(url, json=entry, timeout=5).status_code == 201
        state = requests.get(log_url(world), timeout=5).json()
        assert state["treeSize"] == 10
        assert "rehearsal" in state["signedTreeHead"].splitlines()[0]
        for number in range(10):
            answer = requests.get(url, params={"logIndex": number}, timeout=5).json()
            ((uuid, told),) = answer.items()
            assert told["logIndex"] == number
            proof = told["verification"]["inclusionProof"]
            leaf = leaf_hash(base64.b64decode(told["body"]))
            assert uuid.endswith(leaf.hex())
            path = [bytes.fromhex(each) for each in proof["hashes"]]
            assert root_of_path(leaf, number, 10, path).hex() == state["rootHash"]
            assert proof["logIndex"] == number
        for index, status in (
            (None, 400),
            ("x", 400),
            ("10", 404),
            ("0" * 21 + "5", 404),
            ("9" * 5000, 404),
        ):
            answer = requests.get(url, params={"logIndex": index}, timeout=5)
            assert answer.status_code == status
        assert requests.get(f"{url}/0000", timeout=5).status_code == 404

    def test_refuses_what_is_not_signed_by_the_verifier(self, world):
        key = ec.generate_private_key(ec.SECP256R1())
        url = f"{log_url(world)}/entries"
        wrong = dsse_entry(key, signed=b"something else")
        assert requests.post(url, json=wrong, timeout=5).status_code == 400
        entry, other = dsse_entry(key), dsse_entry(ec.generate_private_key(ec.SECP256R1()))
        verifiers = entry["spec"]["proposedContent"]["verifiers"]
        verifiers += other["spec"]["proposedContent"]["verifiers"]
        assert requests.post(url, json=entry, timeout=5).status_code == 400
        assert len(world.log) == 0

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"{}",
            b"[" * 100_000,
            b'{"kind": "dsse", "apiVersion": "0.0.1", "spec": {"proposedContent": 3}}',
            (
                b'{"kind": "dsse", "apiVersion": "0.0.1", "spec": {"proposedContent":'
                b' {"envelope": "{", "verifiers": []}}}'
            ),
            b'{"kind": "hashedrekord", "apiVersion": "0.0.1", "spec": {"data": {}}}',
            b'{"kind": "rpm", "apiVersion": "0.0.1", "spec": {}}',
        ],
    )
    def test_refuses_nonsense_in_words(self, world, body):
        answer = requests.post(f"{log_url(world)}/entries", data=body, timeout=5)
        assert answer.status_code == 400
        assert answer.json()["message"]

    def test_refuses_what_is_too_large(self, world):
        answer = requests.post(f"{log_url(world)}/entries", data=b"x" * (1 << 21), timeout=5)
        assert answer.status_code == 413


class TestFaultText:
    @pytest.mark.parametrize(
        "text",
        ["log=502*2", "upload=429:1*3", "certificate=sct", "mint=expires:3", "simple=hang:0.5"],
    )
    def test_is_read_as_it_is_written(self, text):
        assert str(parse_fault(text)) == text

    @pytest.mark.parametrize(
        ("text", "word"),
        [
            ("", "ENDPOINT=KIND"),
            ("log", "ENDPOINT=KIND"),
            ("log=502*-1", "ENDPOINT=KIND"),
            ("logs=502", "logs"),
            ("log=sct", "no fault 'sct'"),
            ("log=200", "ENDPOINT=KIND"),
            ("log=502*0", "at least once"),
            ("log=slow", "seconds"),
            ("log=proof:1", "no value"),
            ("x" * 10_000, "ENDPOINT=KIND"),
        ],
    )
    def test_is_refused_in_one_sentence(self, text, word):
        with pytest.raises(ValueError, match=re.escape(word)) as caught:
            parse_fault(text)
        assert len(str(caught.value)) < 300

    def test_faults_happen_in_order_and_as_often_as_said(self):
        faults = Faults(map(parse_fault, ["log=502*2", "log=proof*1", "log=429:3*1"]))
        kinds = [faults.take_transport("log") for _ in range(4)]
        assert [each and each.kind for each in kinds] == ["502", "502", "429", None]
        assert faults.take("mint", "proof") is None
        assert faults.take("log", "proof").kind == "proof"
        assert faults.take("log", "proof") is None

    def test_every_address_of_the_index_has_an_endpoint(self):
        addresses = {
            "/.well-known/pytp": "discovery",
            "/_/oidc/audience": "audience",
            "/_/oidc/mint-token": "mint",
            "/_/oidc/github/mint-token": "mint",
            "/_/oidc/burn-token": "burn",
            "/legacy/": "upload",
            "/simple/x/": "simple",
            "/integrity/a/1/f/provenance": "integrity",
            "/files/ab/f": "file",
            "/": None,
        }
        for path, endpoint in addresses.items():
            assert index_endpoint({"PATH_INFO": path}) == endpoint
        assert set(addresses.values()) - {None} <= ENDPOINTS.keys()


class TestFaultsOfTransport:
    """Each as a client on the network meets it."""

    def ask(self, world, session=requests) -> requests.Response:
        entry = dsse_entry(ec.generate_private_key(ec.SECP256R1()))
        return session.post(f"{log_url(world)}/entries", json=entry, timeout=0.6)

    @pytest.mark.parametrize(
        ("kind", "error", "carried_out"),
        [
            ("refuse", requests.ConnectionError, False),
            ("hang", requests.ReadTimeout, False),
            ("hang:0.1", requests.ConnectionError, False),
            ("reset", requests.exceptions.ChunkedEncodingError, True),
            ("lost", requests.ConnectionError, True),
        ],
    )
    def test_no_answer(self, world, kind, error, carried_out):
        world.faults.plan(parse_fault(f"log={kind}*1"))
        with pytest.raises(error):
            self.ask(world)
        assert len(world.log) == carried_out
        assert self.ask(world).status_code == 201

    @pytest.mark.parametrize(
        ("kind", "status"), [("502", 502), ("404", 404), ("429:7", 429), ("599", 599)]
    )
    def test_status(self, world, kind, status):
        world.faults.plan(parse_fault(f"log={kind}*2"))
        with requests.Session() as session:
            answers = [self.ask(world, session) for _ in range(3)]
        assert [each.status_code for each in answers] == [status, status, 201]
        assert answers[0].headers.get("Retry-After") == ("7" if status == 429 else None)
        assert len(world.log) == 1

    def test_answers_that_are_not_the_service_s(self, world):
        for kind in ("html", "garbage"):
            world.faults.plan(parse_fault(f"log={kind}*1"))
            answer = self.ask(world)
            assert answer.status_code == 200
            with pytest.raises(requests.JSONDecodeError):
                answer.json()
        assert len(world.log) == 0

    def test_slow(self, world):
        world.faults.plan(parse_fault("log=slow:0.3*1"))
        started = time.perf_counter()
        assert self.ask(world).status_code == 201
        assert time.perf_counter() - started >= 0.3

    @pytest.mark.parametrize(
        ("endpoint", "method", "path"),
        [
            ("audience", "GET", "/_/oidc/audience"),
            ("mint", "POST", "/_/oidc/mint-token"),
            ("burn", "POST", "/_/oidc/burn-token"),
            ("upload", "POST", "/legacy/"),
            ("simple", "GET", "/simple/x/"),
            ("integrity", "GET", "/integrity/x/1/f/provenance"),
            ("file", "GET", "/files/x/y"),
        ],
    )
    def test_the_index_has_them_too(self, world, endpoint, method, path):
        base = world.index_url.removesuffix("/simple/")
        assert requests.request(method, base + path, timeout=5).status_code != 418
        world.faults.plan(parse_fault(f"{endpoint}=418*1"))
        assert requests.request(method, base + path, timeout=5).status_code == 418

    def test_identity_and_certificate_have_them_too(self, world):
        url = world.environment["ACTIONS_ID_TOKEN_REQUEST_URL"]
        world.faults.plan(parse_fault("identity=503"))
        world.faults.plan(parse_fault("certificate=503"))
        assert requests.get(url, timeout=5).status_code == 503
        assert ask_for_certificate(world, world.issuer.issue("sigstore")).status_code == 503
        world.faults.clear()
        assert ask_for_certificate(world, world.issuer.issue("sigstore")).status_code == 200


class TestServing:
    def test_connections_are_kept_and_answers_not_held_back(self):
        seen = set()

        def answer(request):
            seen.add(request.environ["REMOTE_PORT"])
            return json_response({"read": len(request.get_data())})

        server = Server(json_app(answer))
        server.start()
        try:
            with requests.Session() as session:
                started = time.perf_counter()
                for size in [0, 10, 100_000] * 30:
                    body = session.post(server.url, data=b"x" * size, timeout=5).json()
                    assert body == {"read": size}
                # Acknowledgements that are waited for would cost 40 ms each.
                assert (time.perf_counter() - started) / 90 < 0.03
        finally:
            server.stop()
        assert len(seen) == 1

    def test_an_answer_before_the_end_of_the_request_keeps_the_connection_right(self):
        server = Server(json_app(lambda request: json_response(request.path)))
        server.start()
        try:
            with requests.Session() as session:
                for number in range(3):
                    answer = session.post(
                        f"{server.url}/{number}", data=b"x" * 3_000_000, timeout=5
                    )
                    assert answer.json() == f"/{number}"
        finally:
            server.stop()

    @pytest.mark.parametrize("length", [b"-1", b"x", b"1" * 5000, "²".encode()])
    def test_a_wrong_length_is_refused(self, world, length):
        port = int(ca_url(world).rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: " + length + b"\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")

    def test_a_failure_of_ours_is_an_answer(self, caplog):
        def answer(request):
            raise RuntimeError("a bug")

        server = Server(json_app(answer))
        server.start()
        try:
            assert requests.get(server.url, timeout=5).status_code == 500
        finally:
            server.stop()

    def test_delays(self):
        server = Server(
            delayed(
                json_app(lambda request: json_response(1)),
                lambda environ: environ["PATH_INFO"].strip("/"),
                {"late": 1.0},
            )
        )
        server.start()
        try:
            for path, least, most in (("late", 1.0, 10), ("other", 0, 0.9)):
                started = time.perf_counter()
                requests.get(f"{server.url}/{path}", timeout=5)
                assert least <= time.perf_counter() - started < most
        finally:
            server.stop()


class TestWorld:
    def test_exports_what_others_need(self, world, tmp_path):
        folder = tmp_path / "new" / "folder"
        world.export(folder)
        world.export(folder)
        assert {each.name for each in folder.iterdir()} == {
            "trust_config.json",
            "trusted_root.json",
            "signing_config.json",
            "jwks.json",
            "issuer-key.pem",
            "env.json",
        }
        read = {each.stem: json.loads(each.read_text()) for each in folder.glob("*.json")}
        whole = read["trust_config"]
        assert whole["trustedRoot"] == read["trusted_root"]
        assert whole["signingConfig"] == read["signing_config"]
        assert read["env"] == world.environment
        assert read["jwks"] == world.issuer.jwks()
        if sys.platform != "win32":
            for name in ("issuer-key.pem", "env.json"):
                assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600

    def test_leaves_nothing_running(self):
        before = threading.active_count()
        faults = [parse_fault("log=hang"), parse_fault("upload=slow:60")]
        with requests.Session() as idle:
            with new_world(faults=faults) as world:
                assert idle.get(world.index_url, timeout=5).status_code == 200
                urls = [f"{log_url(world)}/entries", world.upload_url]
                asking = [threading.Thread(target=ask_in_vain, args=[url]) for url in urls]
                for each in asking:
                    each.start()
                time.sleep(0.2)
            deadline = time.monotonic() + 5
            while threading.active_count() > before and time.monotonic() < deadline:
                time.sleep(0.02)
            assert threading.active_count() <= before
        with pytest.raises(requests.ConnectionError):
            requests.get(world.index_url, timeout=5)

    def test_a_taken_port_is_an_os_error_and_leaves_nothing(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(OSError, match=r".+"):
                new_world(port=port)
        with new_world(port=port) as world:
            assert world.upload_url == f"http://127.0.0.1:{port}/legacy/"

    def test_an_unknown_stage_is_refused(self):
        with pytest.raises(ValueError, match="uploads"):
            new_world(latency={"uploads": 1.0})

    def test_stages_are_slow_as_asked(self):
        with new_world(latency={"identity": 0.2}) as world:
            url = world.environment["ACTIONS_ID_TOKEN_REQUEST_URL"]
            started = time.perf_counter()
            requests.get(url, timeout=5)
            assert time.perf_counter() - started >= 0.2

    def test_environment_is_that_of_the_job(self, world):
        assert world.environment["GITHUB_ACTIONS"] == "true"
        assert world.environment["GITHUB_REPOSITORY"] == world.claims["repository"]
        assert world.environment["GITHUB_REF_NAME"] == "v1.0.0"


def ask_in_vain(url) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.post(url, json={}, timeout=30)
