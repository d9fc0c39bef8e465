"""The API tokens that the embedded PyPI has issued."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attested_publish.rehearsal.pypi.publishers import Publisher


@dataclass(slots=True)
class ApiToken:
    """What the index knows about a token it has issued; the secret itself is not stored.

    `digest` is the sha256 of the secret. `publisher` is the one it was minted for, `None` for a
    user's token. `projects` are the normalized names it may upload to, `None` for all.
    `expires_at` is in seconds since the epoch, `None` for never.
    """

    digest: str
    publisher: Publisher | None
    projects: frozenset[str] | None
    expires_at: float | None
    is_revoked: bool = False

    @property
    def is_expired(self) -> bool:
        """Whether it has expired."""
        return self.expires_at is not None and time.time() > self.expires_at

    def covers(self, project: str) -> bool:
        """Whether it is valid for the project with this normalized name."""
        return self.projects is None or project in self.projects


class Tokens:
    """Issues API tokens and recognizes them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_digest: dict[str, ApiToken] = {}

    def issue(
        self,
        *,
        publisher: Publisher | None,
        projects: Iterable[str] | None,
        expires_at: float | None,
    ) -> str:
        """Create a token and return its secret; the arguments are those of `ApiToken`."""
        secret = "pypi-" + secrets.token_urlsafe(96)
        token = ApiToken(
            digest=_digest(secret),
            publisher=publisher,
            projects=None if projects is None else frozenset(projects),
            expires_at=expires_at,
        )
        with self._lock:
            self._by_digest[token.digest] = token
        return secret

    def find(self, secret: str) -> ApiToken | None:
        """Return the token with this secret; a revoked one is no longer known."""
        with self._lock:
            token = self._by_digest.get(_digest(secret))
        return None if token is None or token.is_revoked else token

    def burn(self, secret: str) -> None:
        """Revoke a token that was minted for a publisher; any other secret has no effect."""
        token = self.find(secret)
        if token is not None and token.publisher is not None:
            token.is_revoked = True

    @property
    def issued(self) -> list[ApiToken]:
        """All tokens that were issued, in order, including revoked ones."""
        with self._lock:
            return list(self._by_digest.values())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
