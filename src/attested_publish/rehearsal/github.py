"""GitHub's issuer of workflow identity tokens, and the job it speaks for."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import uuid
import zlib
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from attested_publish.rehearsal.faults import Faults
from attested_publish.rehearsal.serving import Refused, json_app, json_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIApplication
    from werkzeug.wrappers import Request, Response

ISSUER = "https://token.actions.githubusercontent.com"

_NUMBERS = frozenset({"exp", "iat", "nbf"})
_DEFAULT_REPOSITORY = "octo-org/sample-project"
_DEFAULT_WORKFLOW = ".github/workflows/release.yml"
_DEFAULT_REF = "refs/tags/v1.0.0"


class Issuer:
    """Issues identity tokens for one job, as GitHub does.

    `claims` (of `job_claims`) are in every token; ``iat``, ``nbf``, ``exp``, ``jti`` and
    ``aud`` are added, and replaced by a claim of the same name. A token lives for
    `token_lifetime` seconds, and each has a ``jti`` of its own.
    """

    def __init__(
        self,
        claims: Mapping[str, object],
        *,
        token_lifetime: float = 300.0,
        faults: Faults | None = None,
    ) -> None:
        self.claims = dict(claims)
        self.request_token = secrets.token_urlsafe(32)
        self._lifetime = token_lifetime
        self._faults = faults or Faults()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = f"rehearsal-{hashlib.sha256(public).hexdigest()[:32]}"
        self.app: WSGIApplication = json_app(self._answer)

    def issue(self, audience: str) -> str:
        """Return a token (a JWT signed with RS256) for `audience`."""
        now = int(time.time())
        if self._faults.take("identity", "expired"):
            now -= int(self._lifetime) + 600
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": audience,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now,
            "exp": now + max(1, int(self._lifetime)),
        }
        claims |= self.claims
        for name in _NUMBERS:
            value = claims[name]
            claims[name] = int(value) if isinstance(value, str) and value.isdecimal() else value
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id})

    def jwks(self) -> dict[str, Any]:
        """Return the issuer's public key as a JSON Web Key Set (RFC 7517)."""
        key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.key_id, "alg": "RS256", "use": "sig"}]}

    def key_pem(self) -> bytes:
        """Return the private key (PKCS #8), so that a test can sign tokens of its own."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def request_url(self, base_url: str) -> str:
        """Return ``ACTIONS_ID_TOKEN_REQUEST_URL`` for the issuer served at `base_url`.

        It has a query, as GitHub's has: clients add ``&audience=``.
        """
        return f"{base_url}/token?api-version=2.0"

    def _answer(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/token":
                return json_response({"value": self.issue(self._audience(request))})
            case "GET", "/.well-known/jwks":
                return json_response(self.jwks())
            case "GET", "/.well-known/openid-configuration":
                return json_response(
                    {
                        "issuer": ISSUER,
                        "jwks_uri": f"{request.host_url}.well-known/jwks",
                        "response_types_supported": ["id_token"],
                        "subject_types_supported": ["public", "pairwise"],
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )
        raise Refused(404, "The rehearsal's token issuer has no such address.")

    def _audience(self, request: Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "A request token is needed, as 'Authorization: bearer ...'.")
        if not hmac.compare_digest(token.strip().encode(), self.request_token.encode()):
            raise Refused(403, "The request token is not the one of this job.")
        audience = request.args.get("audience", "")
        # Without one GitHub's tokens are for the owner of the repository.
        return audience or f"https://github.com/{self.claims.get('repository_owner', '')}"


def job_claims(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """Return believable claims of a GitHub Actions job; all of them are text.

    What the ``GITHUB_*`` variables of `environment` tell is used, the rest is made up and
    clearly a sample. `overrides` sets any claim, an empty value removes it; what follows from
    an overridden claim follows it (`repository`: its owner, the ids, both workflow references
    and `sub`; `ref`: its type, the references and `sub`; `environment`, `event_name`: `sub`),
    unless it is overridden too.
    """

    def told(claim: str, variable: str, made_up: str) -> str:
        return overrides.get(claim) or environment.get(variable) or made_up

    claims = _repository_claims(environment, overrides)
    claims |= _run_claims(environment, overrides)
    claims |= _workflow_claims(environment, overrides, claims)
    claims |= {
        "actor": told("actor", "GITHUB_ACTOR", "octocat"),
        "ref_protected": told("ref_protected", "GITHUB_REF_PROTECTED", "false"),
        "repository_visibility": overrides.get("repository_visibility") or "public",
        "runner_environment": told("runner_environment", "RUNNER_ENVIRONMENT", "github-hosted"),
        "run_id": told("run_id", "GITHUB_RUN_ID", "1000000001"),
        "run_number": told("run_number", "GITHUB_RUN_NUMBER", "1"),
        "run_attempt": told("run_attempt", "GITHUB_RUN_ATTEMPT", "1"),
    }
    claims["actor_id"] = told("actor_id", "GITHUB_ACTOR_ID", _made_up_number(claims["actor"]))
    claims["sub"] = _subject(claims | {"environment": overrides.get("environment", "")})
    claims |= overrides
    removed = {name for name, value in overrides.items() if not value}
    return {name: claims[name] for name in sorted(claims.keys() - removed)}


def _repository_claims(
    environment: Mapping[str, str], overrides: Mapping[str, str]
) -> dict[str, str]:
    here = environment.get("GITHUB_REPOSITORY") or _DEFAULT_REPOSITORY
    owner, _, name = here.partition("/")
    repository = overrides.get("repository")
    if not repository:
        repository = f"{overrides.get('repository_owner') or owner}/{name}"
    owner = overrides.get("repository_owner") or repository.partition("/")[0]
    # The ids of the place we are at are not those of a place we pretend to be at.
    id_here, owner_id_here = "", ""
    if repository == environment.get("GITHUB_REPOSITORY"):
        id_here = environment.get("GITHUB_REPOSITORY_ID", "")
    if owner == here.partition("/")[0]:
        owner_id_here = environment.get("GITHUB_REPOSITORY_OWNER_ID", "")
    return {
        "repository": repository,
        "repository_id": id_here or _made_up_number(repository),
        "repository_owner": owner,
        "repository_owner_id": owner_id_here or _made_up_number(owner),
    }


def _run_claims(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    event = overrides.get("event_name") or environment.get("GITHUB_EVENT_NAME") or "push"
    is_pull = event == "pull_request"
    ref = overrides.get("ref")
    if not ref:
        ref = environment.get("GITHUB_REF", "")
        if not ref or ref.startswith("refs/pull/") != is_pull:
            ref = "refs/pull/1/merge" if is_pull else _DEFAULT_REF
    made_up_sha = hashlib.sha256(f"a commit of {ref}".encode()).hexdigest()[:40]
    return {
        "event_name": event,
        "ref": ref,
        "ref_type": "tag" if ref.startswith("refs/tags/") else "branch",
        "sha": overrides.get("sha") or environment.get("GITHUB_SHA") or made_up_sha,
        "base_ref": environment.get("GITHUB_BASE_REF") or ("main" if is_pull else ""),
        "head_ref": environment.get("GITHUB_HEAD_REF") or ("change" if is_pull else ""),
    }


def _workflow_claims(
    environment: Mapping[str, str], overrides: Mapping[str, str], claims: Mapping[str, str]
) -> dict[str, str]:
    here = environment.get("GITHUB_WORKFLOW_REF", "")
    # OWNER/REPOSITORY/PATH@REF
    path = here.partition("@")[0].partition("/")[2].partition("/")[2] or _DEFAULT_WORKFLOW
    workflow_ref = overrides.get("workflow_ref") or f"{claims['repository']}/{path}@{claims['ref']}"
    workflow_sha = overrides.get("workflow_sha")
    if not workflow_sha:
        sha_here = "" if overrides.get("sha") else environment.get("GITHUB_WORKFLOW_SHA")
        workflow_sha = sha_here or claims["sha"]
    return {
        "workflow": environment.get("GITHUB_WORKFLOW") or "Release",
        "workflow_ref": workflow_ref,
        "workflow_sha": workflow_sha,
        "job_workflow_ref": workflow_ref,
        "job_workflow_sha": workflow_sha,
    }


def _subject(claims: Mapping[str, str]) -> str:
    if claims["environment"]:
        context = f"environment:{claims['environment'].replace(':', '%3A')}"
    elif claims["event_name"] == "pull_request":
        context = "pull_request"
    else:
        context = f"ref:{claims['ref']}"
    return f"repo:{claims['repository']}:{context}"


def _made_up_number(name: str) -> str:
    return str(zlib.crc32(name.encode()))


_VARIABLES = {
    "GITHUB_ACTOR": "actor",
    "GITHUB_ACTOR_ID": "actor_id",
    "GITHUB_BASE_REF": "base_ref",
    "GITHUB_EVENT_NAME": "event_name",
    "GITHUB_HEAD_REF": "head_ref",
    "GITHUB_REF": "ref",
    "GITHUB_REF_PROTECTED": "ref_protected",
    "GITHUB_REF_TYPE": "ref_type",
    "GITHUB_REPOSITORY": "repository",
    "GITHUB_REPOSITORY_ID": "repository_id",
    "GITHUB_REPOSITORY_OWNER": "repository_owner",
    "GITHUB_REPOSITORY_OWNER_ID": "repository_owner_id",
    "GITHUB_RUN_ATTEMPT": "run_attempt",
    "GITHUB_RUN_ID": "run_id",
    "GITHUB_RUN_NUMBER": "run_number",
    "GITHUB_SHA": "sha",
    "GITHUB_WORKFLOW": "workflow",
    "GITHUB_WORKFLOW_REF": "workflow_ref",
    "GITHUB_WORKFLOW_SHA": "workflow_sha",
    "RUNNER_ENVIRONMENT": "runner_environment",
}


def job_environment(claims: Mapping[str, str]) -> dict[str, str]:
    """Return the variables GitHub's runner would set in the job that `claims` are about."""
    told = {name: claims[claim] for name, claim in _VARIABLES.items() if claim in claims}
    ref_name = claims.get("ref", "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_REF_NAME": ref_name.removeprefix("refs/pull/"),
        "GITHUB_SERVER_URL": "https://github.com",
        **told,
    }
