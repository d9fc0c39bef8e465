"""The identities that jobs and people have, one module for each kind of issuer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from attested_publish.problems import IdentityProblem, Topic

Claims = Mapping[str, Any]
Provenance = Mapping[str, str | None]
"""A publisher as PEP 740 provenance names it: a JSON object, its `kind` first."""


class TrustedPublisher(ABC):
    """The row that has to be registered on the index for an identity to publish.

    `provider` is who runs the job, as PyPI calls it. With `has_one_token`, a job gets
    one identity token for each audience, and no other however often it asks.
    """

    provider: ClassVar[str]
    has_one_token: ClassVar[bool] = False

    @abstractmethod
    def __str__(self) -> str:
        """The publisher in a few words."""

    @property
    @abstractmethod
    def fields(self) -> dict[str, str]:
        """What to enter on PyPI, by the labels of its form; a value may be empty."""

    @property
    def query(self) -> dict[str, str]:
        """What fills in PyPI's form when it is in the form's address; empty: nothing does."""
        return {}

    @property
    @abstractmethod
    def provenance(self) -> Provenance | None:
        """The publisher as PEP 740 provenance names it; `None`: it has no name for it."""


class FilePublisher(TrustedPublisher):
    """A file in a repository that says what jobs do; with `environment`, jobs in that one only."""

    environment: str | None

    def __str__(self) -> str:
        where = f", environment {self.environment}" if self.environment else ""
        return f"{self.path}, {self.file}{where}"

    @property
    @abstractmethod
    def path(self) -> str:
        """The repository, as it stands in its address."""

    @property
    @abstractmethod
    def file(self) -> str:
        """The file, as PyPI's form wants it."""

    @property
    @abstractmethod
    def form(self) -> dict[str, str]:
        """What PyPI's form asks for besides the environment, by the names in its address."""

    @property
    def query(self) -> dict[str, str]:
        """See `TrustedPublisher`."""
        named = {"environment": self.environment} if self.environment else {}
        return {"provider": self.provider.lower(), **self.form, **named}


class Identity(ABC):
    """The claims of an identity token that decide over a release."""

    issuer: str

    @property
    @abstractmethod
    def publisher(self) -> TrustedPublisher:
        """The publisher that the index's token exchange looks for."""

    @property
    def origin(self) -> str:
        """The git ref that the job runs for, where it tells."""
        return ""

    @property
    def why_hidden(self) -> str:
        """Why a certificate may tell the world of what it cannot see; empty: it does not."""
        return ""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """Return the claims as the report holds them."""


class RepositoryIdentity(Identity):
    """A job of a repository: the git `ref` it runs for, and `visibility` in its host's word."""

    ref: str
    visibility: str

    @property
    def origin(self) -> str:
        """See `Identity`."""
        return self.ref

    @property
    def why_hidden(self) -> str:
        """See `Identity`."""
        return "" if self.visibility == "public" else "the repository is not public"


def text_of(claims: Claims, name: str, remedy: str) -> str:
    """Return a claim without which there is no publishing; raises `IdentityProblem`."""
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise IdentityProblem(
            f"The job's identity token has no claim {name!r}",
            topic=Topic.IDENTITY_UNUSABLE,
            detail="Without it the index cannot find the trusted publisher.",
            remedy=remedy,
        )
    return value


def optional_text(claims: Claims, name: str) -> str:
    """Return a claim as text, empty where the token does not have it."""
    return str(claims.get(name) or "")
