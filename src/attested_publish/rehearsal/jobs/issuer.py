"""The issuer of a job's identity tokens."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from werkzeug.wrappers import Response

from attested_publish.rehearsal.faults import Faults
from attested_publish.rehearsal.jobs import circleci, github, google, person
from attested_publish.rehearsal.serving import Refused, json_app, json_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import WSGIApplication
    from werkzeug.wrappers import Request

_NUMBERS = frozenset({"exp", "iat", "nbf", "runner_id"})
_TRUTHS = frozenset({"email_verified", f"{circleci.PREFIX}/ssh-rerun"})
_LISTS = frozenset({f"{circleci.PREFIX}/context-ids"})


def new_key() -> rsa.RSAPrivateKey:
    """Return a new key such as GitHub signs with, for RS256; this takes about 0.1 s."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """Issues identity tokens for one job, also over HTTP as GitHub does.

    `claims` (of a kind of job in `jobs`) and the address `name` are in every token; ``iat``,
    ``nbf``, ``exp``, ``jti`` and ``aud`` are added, unless there is a claim of the same name. A
    token is valid for `token_lifetime` seconds, and each has its own ``jti``, unless
    `has_token_ids` is false. They are signed with `key`, by default a new one.
    """

    def __init__(
        self,
        claims: Mapping[str, object],
        *,
        name: str = github.ISSUER,
        token_lifetime: float = 300.0,
        has_token_ids: bool = True,
        key: rsa.RSAPrivateKey | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.claims = dict(claims)
        self.name = name
        self.request_token = secrets.token_urlsafe(32)
        self._lifetime = token_lifetime
        self._has_token_ids = has_token_ids
        self._faults = faults or Faults()
        self._key = key or new_key()
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = f"rehearsal-{hashlib.sha256(public).hexdigest()[:32]}"
        self._sign_in = person.SignIn(self.issue_to_person)
        self.app: WSGIApplication = json_app(self._answer)

    def issue(self, audience: str) -> str:
        """Return a token (a JWT signed with RS256) for `audience`."""
        return self._signed(self.name, audience, self.claims)

    def issue_to_person(self, audience: str) -> str:
        """Return a token for the only person, as Sigstore's own issuer would."""
        return self._signed(person.ISSUER, audience, person.CLAIMS)

    def _signed(self, name: str, audience: str, about: Mapping[str, object]) -> str:
        now = int(time.time())
        if self._faults.take("identity", "expired"):
            now -= int(self._lifetime) + 600
        claims: dict[str, Any] = {
            "iss": name,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + max(1, int(self._lifetime)),
        }
        if self._has_token_ids:
            claims["jti"] = str(uuid.uuid4())
        claims |= {claim: _typed(claim, value) for claim, value in about.items()}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id})

    def jwks(self) -> dict[str, Any]:
        """Return the issuer's public key as a JSON Web Key Set (RFC 7517)."""
        key = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**key, "kid": self.key_id, "alg": "RS256", "use": "sig"}]}

    def key_pem(self) -> bytes:
        """Return the private key (PKCS #8), so that a test can sign its own tokens."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def request_url(self, base_url: str) -> str:
        """Return ``ACTIONS_ID_TOKEN_REQUEST_URL`` for the issuer served at `base_url`.

        It has a query, like GitHub's: clients append ``&audience=``.
        """
        return f"{base_url}/token?api-version=2.0"

    def _answer(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/token":
                return json_response({"value": self.issue(self._audience(request))})
            case "GET", google.METADATA if self.name == google.ISSUER:
                return self._tell_machine(request)
            case "GET", "/.well-known/jwks":
                return json_response(self.jwks())
            case "GET", "/.well-known/openid-configuration":
                return json_response(
                    {
                        "issuer": self.name,
                        "jwks_uri": f"{request.host_url}.well-known/jwks",
                        "authorization_endpoint": f"{request.host_url}person/agreement",
                        "token_endpoint": f"{request.host_url}person/token",
                        "response_types_supported": ["id_token"],
                        "subject_types_supported": ["public", "pairwise"],
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )
            case "GET", "/person/agreement":
                return self._sign_in.agree(request)
            case "POST", "/person/token":
                return self._sign_in.token(request)
            case _:
                raise Refused(404, "The rehearsal's token issuer has no such address.")

    def _tell_machine(self, request: Request) -> Response:
        # Prevents a page in a browser from requesting a token.
        if request.headers.get("Metadata-Flavor") != "Google":
            raise Refused(403, "The request lacks the header 'Metadata-Flavor: Google'.")
        if not request.args.get("audience"):
            raise Refused(400, "The request names no audience.")
        return Response(self.issue(request.args["audience"]), mimetype="text/html")

    def _audience(self, request: Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(401, "A request token is needed, as 'Authorization: bearer ...'.")
        if not hmac.compare_digest(token.strip().encode(), self.request_token.encode()):
            raise Refused(403, "The request token is not that of this job.")
        audience = request.args.get("audience", "")
        # GitHub's default audience is the owner of the repository.
        return audience or f"https://github.com/{self.claims.get('repository_owner', '')}"


def _typed(name: str, value: object) -> object:
    """Return a claim's value with its issuer's type; values that are not text are unchanged."""
    if not isinstance(value, str):
        return value
    if name in _NUMBERS and value.isdecimal():
        return int(value)
    if name in _TRUTHS and value in {"true", "false"}:
        return value == "true"
    return value.split(",") if name in _LISTS else value
