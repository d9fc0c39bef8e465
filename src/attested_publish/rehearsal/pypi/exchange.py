"""Trusted publishing at the embedded PyPI: an identity token is exchanged for an API token.

The codes, their order and what each one checks are those of PyPI's server (warehouse, `oidc/`).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import jwt
from packaging.utils import canonicalize_name
from pydantic import BaseModel, StrictStr, ValidationError

from attested_publish.net.untrusted import shown
from attested_publish.rehearsal.pypi.answers import ServerFailed
from attested_publish.rehearsal.pypi.publishers import KINDS, NoPublisher, Publisher
from attested_publish.rehearsal.pypi.store import StoreRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from attested_publish.rehearsal.faults import Faults
    from attested_publish.rehearsal.pypi.registry import Registry
    from attested_publish.rehearsal.pypi.store import Store
    from attested_publish.rehearsal.pypi.tokens import Tokens

_LEEWAY = 30.0


class ExchangeRefused(Exception):
    """The request gets no API token; `code` is PyPI's, `description` one sentence."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class _UsedToken(Exception):
    """The identity token has already been exchanged."""


class _Body(BaseModel):
    token: StrictStr


class Exchange:
    """Mints API tokens for the publishers of a registry, and revokes them. Thread-safe.

    `issuer` and `audience` are those that an identity token must have, `jwks` returns the issuer's
    current keys, `token_lifetime` is in seconds.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        jwks: Callable[[], Mapping[str, Any]],
        registry: Registry,
        store: Store,
        tokens: Tokens,
        faults: Faults,
        token_lifetime: float,
    ) -> None:
        self.audience = audience
        self._issuer = issuer
        self._jwks = jwks
        self._store = store
        self._tokens = tokens
        self._faults = faults
        self._token_lifetime = token_lifetime
        self._lock = threading.Lock()
        self._is_open = registry.is_open
        self._publishers = {
            publisher: {canonicalize_name(name) for name in projects}
            for publisher, projects in registry.publishers.items()
        }
        self._pending = dict(registry.pending)
        self._used: set[str] = set()
        for projects in registry.publishers.values():
            for name in projects:
                store.hold_project(name)

    def mint(self, body: bytes) -> tuple[str, int]:
        """Exchange the identity token in a request's body for an API token.

        Returns the token and when it expires, in seconds since the epoch. Raises
        `ExchangeRefused`, or `ServerFailed` if PyPI's own server would fail.
        """
        claims = self._claims(_token_of(body))
        with self._lock:
            if not self._is_open:
                self._create_pending_project(claims)
            try:
                publisher = self._find(claims, self._publishers)
            except _UsedToken as error:
                raise ExchangeRefused(
                    "invalid-reuse-token", "this identity token has been used already"
                ) from error
            except NoPublisher as error:
                raise ExchangeRefused(
                    "invalid-publisher", f"the token is valid, but fits no publisher ({error})"
                ) from error
            # Only now, because a token that matched nothing can be used again.
            if "jti" in claims:
                self._used.add(claims["jti"])
            projects = None if self._is_open else frozenset(self._publishers[publisher])
        fault = self._faults.take("mint", "expires")
        lifetime = self._token_lifetime
        if fault is not None and fault.value is not None:
            lifetime = fault.value
        expires_at = time.time() + lifetime
        secret = self._tokens.issue(publisher=publisher, projects=projects, expires_at=expires_at)
        return secret, int(expires_at)

    def burn(self, body: bytes) -> None:
        """Revoke the API token in a request's body.

        An unknown token, or a user's own, has no effect and is not an error, so that the answer
        does not reveal which tokens exist. Raises `ExchangeRefused` for a malformed body.
        """
        self._tokens.burn(_token_of(body))

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            unverified = jwt.decode(token, options={"verify_signature": False})
        except (jwt.PyJWTError, RecursionError) as error:
            raise ExchangeRefused("invalid-payload", "the token is a malformed JWT") from error
        issuer = unverified.get("iss")
        if issuer is None:
            raise ExchangeRefused("invalid-payload", "the token is a malformed JWT (no issuer)")
        if not isinstance(issuer, str):
            raise ServerFailed("the claim 'iss' is not text")
        if issuer != self._issuer:
            raise ExchangeRefused(
                "invalid-payload", f"unknown trusted publishing issuer {shown(issuer, 100)!r}"
            )
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            # GitHub's keys have ids; a token without one matches none.
            key = next(
                key
                for key in jwt.PyJWKSet.from_dict(dict(self._jwks())).keys
                if kid is not None and key.key_id == kid
            )
            return dict(
                jwt.decode(
                    token,
                    key,
                    algorithms=["RS256"],
                    audience=self.audience,
                    issuer=self._issuer,
                    leeway=_LEEWAY,
                    options={"require": ["iss", "iat", "exp", "aud"], "strict_aud": True},
                )
            )
        except (jwt.PyJWTError, StopIteration) as error:
            # PyPI has the same answer for signature, key, audience and times.
            raise ExchangeRefused("invalid-token", "malformed or invalid token") from error

    def _create_pending_project(self, claims: Mapping[str, Any]) -> None:
        """Create the project of the pending publisher the claims match, if they match one."""
        try:
            publisher = self._find(claims, self._pending)
        except NoPublisher:
            return
        except _UsedToken as error:
            raise ServerFailed("used token, pending publisher") from error
        name = self._pending[publisher]
        if self._store.project(name) is not None:
            del self._pending[publisher]
            raise ExchangeRefused(
                "invalid-pending-publisher",
                f"the token is valid, but the project {name!r} exists already",
            )
        try:
            self._store.create_project(name)
        except StoreRefused as error:
            raise ExchangeRefused("invalid-payload", str(error)) from error
        self._publishers.setdefault(publisher, set()).add(canonicalize_name(name))
        # All others that were pending for this project have lost.
        self._pending = {
            other: wanted
            for other, wanted in self._pending.items()
            if canonicalize_name(wanted) != canonicalize_name(name)
        }

    def _find(self, claims: Mapping[str, Any], rows: Mapping[Publisher, object]) -> Publisher:
        """Return the row of `rows` that matches the claims, after PyPI's checks in PyPI's order."""
        kind = KINDS[self._issuer]
        for claim in kind.required:
            if claims.get(claim) is None:
                raise NoPublisher(f"Missing claim {claim!r}")
        wanted = kind.of(claims)
        # If everybody may publish, the claims are their own row.
        fitting = [row for row in rows if row.place == wanted.place]
        publisher = wanted if self._is_open else _most_specific(fitting, kind.narrowings(claims))
        publisher.check(claims)
        # Tokens of Google and CircleCI have no such claim, and PyPI does not require it.
        if "jti" in kind.required and claims["jti"] in self._used:
            raise _UsedToken
        for claim, trigger in publisher.refused_triggers.items():
            if claims[claim] == trigger:
                raise NoPublisher(f"Publishing from a {trigger!r} workflow is not supported.")
        return publisher


def _token_of(body: bytes) -> str:
    try:
        return _Body.model_validate_json(body).token
    except ValidationError as error:
        # The input is not quoted, because it may contain a token.
        reasons = "; ".join(
            ".".join(["body", *map(str, one["loc"])]) + f": {one['msg']}"
            for one in error.errors(include_input=False, include_url=False, include_context=False)
        )
        raise ExchangeRefused("invalid-payload", shown(reasons)) from error


def _most_specific(rows: list[Publisher], narrowings: Collection[str]) -> Publisher:
    narrowed = [row for row in rows if row.narrowing and row.narrowing in narrowings]
    publisher = next(iter(narrowed + [row for row in rows if not row.narrowing]), None)
    if publisher is None:
        raise NoPublisher("Publisher with matching claims was not found")
    return publisher
