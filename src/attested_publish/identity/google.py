"""Service accounts of Google Cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

from attested_publish.identity.publishers import (
    Claims,
    Identity,
    Provenance,
    TrustedPublisher,
    optional_text,
    text_of,
)

ISSUER = "https://accounts.google.com"
METADATA_HOST = "metadata"
"""Where a machine of Google Cloud gets its tokens, as the package `id` asks for them."""


@dataclass(frozen=True)
class GoogleTrustedPublisher(TrustedPublisher):
    """A service account; `subject` is its number, which PyPI need not be told."""

    email: str
    subject: str
    provider: ClassVar[str] = "Google"

    def __str__(self) -> str:
        return f"Google Cloud, {self.email}"

    @property
    def fields(self) -> dict[str, str]:
        """See `TrustedPublisher`."""
        return {"Email": self.email, "Subject": self.subject}

    @property
    def query(self) -> dict[str, str]:
        """See `TrustedPublisher`."""
        return {"provider": "google", "email": self.email, "sub": self.subject}

    @property
    def provenance(self) -> Provenance:
        """See `TrustedPublisher`."""
        return {"kind": "Google", "email": self.email}


@dataclass(frozen=True)
class GoogleIdentity(Identity):
    """A service account of Google Cloud."""

    email: str
    subject: str
    issuer: str = ISSUER

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """Read the claims; raises `IdentityProblem` where the account is not named."""
        remedy = "Let the machine run as a service account (GOOGLE_SERVICE_ACCOUNT_NAME)."
        return cls(text_of(claims, "email", remedy), optional_text(claims, "sub"))

    @property
    def publisher(self) -> GoogleTrustedPublisher:
        """See `Identity`."""
        return GoogleTrustedPublisher(self.email, self.subject)

    def as_json(self) -> dict[str, Any]:
        """See `Identity`."""
        return {"issuer": self.issuer, "email": self.email, "subject": self.subject}
