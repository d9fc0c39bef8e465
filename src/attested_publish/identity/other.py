"""People who signed in themselves, and jobs of issuers that nothing here knows about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from attested_publish.identity.publishers import (
    Claims,
    Identity,
    TrustedPublisher,
    optional_text,
    text_of,
)


@dataclass(frozen=True)
class OtherTrustedPublisher(TrustedPublisher):
    """Whoever an issuer calls so; PyPI may know more issuers than are known here."""

    issuer: str
    subject: str

    @property
    def provider(self) -> str:  # type: ignore[override] # known from the token only
        """The issuer's address."""
        return self.issuer

    def __str__(self) -> str:
        return f"{self.subject}, of {self.issuer}"

    @property
    def fields(self) -> dict[str, str]:
        """See `TrustedPublisher`."""
        return {"Issuer": self.issuer, "Subject": self.subject}

    @property
    def provenance(self) -> None:
        """See `TrustedPublisher`."""
        return None


@dataclass(frozen=True)
class PersonTrustedPublisher(OtherTrustedPublisher):
    """A person: `subject` is the e-mail address, `issuer` whom they have signed in to.

    No index lets one publish like this, but their signatures can be verified.
    """


@dataclass(frozen=True)
class OtherIdentity(Identity):
    """Who a token of an unknown issuer is about."""

    issuer: str
    subject: str
    is_person: bool = False

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """Read the claims; whoever has an e-mail address is a person.

        Sigstore's own issuer stands for others, and its certificates name the one
        that the person has signed in to (the claim `federated_claims`).
        """
        federated = claims.get("federated_claims")
        connector = federated.get("connector_id") if isinstance(federated, dict) else None
        email = optional_text(claims, "email")
        remedy = "Publish from a job on GitHub, GitLab, Google Cloud or CircleCI."
        return cls(
            issuer=str(connector or text_of(claims, "iss", remedy)),
            subject=email or text_of(claims, "sub", remedy),
            is_person=bool(email),
        )

    @property
    def publisher(self) -> OtherTrustedPublisher:
        """See `Identity`."""
        kind = PersonTrustedPublisher if self.is_person else OtherTrustedPublisher
        return kind(self.issuer, self.subject)

    @property
    def why_hidden(self) -> str:
        """See `Identity`."""
        if self.is_person:
            return ""
        return "the identity does not tell whether what it is about is public"

    def as_json(self) -> dict[str, Any]:
        """See `Identity`."""
        return {"issuer": self.issuer, "subject": self.subject}
