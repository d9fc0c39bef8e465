"""Sign in with a browser: at a terminal, a person signs and not a job."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import sigstore.errors
from sigstore.oidc import Issuer, IssuerError

from attested_publish.attestations.verify import load_trust
from attested_publish.identity.tokens import expires_at
from attested_publish.net.untrusted import shown
from attested_publish.problems import IdentityProblem, NoIdentity, Topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from attested_publish.identity.tokens import Ambient

_LEAST_SECONDS = 10.0


class SignIn:
    """An `Ambient`: the machine's identity if it has one, else Sigstore's browser login.

    `trust_config` is that of the Sigstore instance, as in `Services`. `tell` is called with what
    the person should know first. A token is kept until it expires, so that nobody has to sign in
    twice.
    """

    def __init__(
        self, ambient: Ambient, trust_config: str | None, tell: Callable[[str], None]
    ) -> None:
        self._ambient = ambient
        self._trust_config = trust_config
        self._tell = tell
        self._token: str | None = None
        self._ends = 0.0
        self._lock = threading.Lock()

    def __call__(self, audience: str) -> str:
        """Return an identity token for Sigstore; raises `IdentityProblem`."""
        try:
            return self._ambient(audience)
        except NoIdentity as problem:
            # If a job lacks a permission, that is the problem to report.
            if problem.topic is not Topic.NO_IDENTITY:
                raise
        with self._lock:
            if self._token is None or self._ends - time.time() < _LEAST_SECONDS:
                self._token = self._signed_in(audience)
                self._ends = expires_at(self._token)
            return self._token

    def _signed_in(self, audience: str) -> str:
        self._tell(
            "This is not running in a job, so sign in with the browser. Your email address will be "
            "in each attestation, and in Sigstore's public log permanently."
        )
        url = load_trust(self._trust_config).config.signing_config.get_oidc_url()
        try:
            return str(Issuer(url).identity_token(client_id=audience))
        except (sigstore.errors.Error, IssuerError, EOFError) as error:
            cause = error if str(error) else error.__cause__ or type(error).__name__
            raise IdentityProblem(
                "Nobody has signed in",
                topic=Topic.NO_IDENTITY,
                detail=f"{shown(url, 200)}: {shown(cause)}.",
                remedy="Try again, or sign in a job on GitHub or GitLab. Nothing was signed.",
            ) from error
