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
    """The trusted publisher that has to be registered on the index for an identity to publish.

    `provider` is the CI provider, as PyPI names it. With `has_one_token`, a job gets only one
    identity token for each audience, however often it asks.
    """

    provider: ClassVar[str]
    has_one_token: ClassVar[bool] = False

    @abstractmethod
    def __str__(self) -> str:
        """The publisher in a few words."""

    @property
    @abstractmethod
    def fields(self) -> dict[str, str]:
        """The values to enter on PyPI, by the labels of its form; a value may be empty."""

    @property
    def compared_besides(self) -> str:
        """What PyPI compares that cannot be entered: sentences; empty if there is nothing."""
        return ""

    @property
    def query(self) -> dict[str, str]:
        """The query parameters that prefill PyPI's form; empty if it cannot be prefilled."""
        return {}

    @property
    @abstractmethod
    def provenance(self) -> Provenance | None:
        """The publisher as PEP 740 provenance names it; `None` if provenance has no name for it."""


class FilePublisher(TrustedPublisher):
    """A file in a repository that defines jobs; with `environment`, only jobs in that one."""

    environment: str | None

    def __str__(self) -> str:
        where = f", environment {self.environment}" if self.environment else ""
        return f"{self.path}, {self.file}{where}"

    @property
    @abstractmethod
    def path(self) -> str:
        """The path of the repository in its address."""

    @property
    @abstractmethod
    def file(self) -> str:
        """The file, as PyPI's form expects it."""

    @property
    @abstractmethod
    def form(self) -> dict[str, str]:
        """The fields of PyPI's form except the environment, by the names of its parameters."""

    @property
    def query(self) -> dict[str, str]:
        """See `TrustedPublisher`."""
        named = {"environment": self.environment} if self.environment else {}
        return {"provider": self.provider.lower(), **self.form, **named}


class Identity(ABC):
    """The claims of an identity token that matter for a release."""

    issuer: str

    @property
    @abstractmethod
    def publisher(self) -> TrustedPublisher:
        """The publisher that the index's token exchange looks up."""

    @property
    def origin(self) -> str:
        """The git ref that the job runs for, if the identity has one."""
        return ""

    @property
    def why_hidden(self) -> str:
        """Why a certificate may reveal something that is not public; empty if it does not."""
        return ""

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """Return the claims for the report."""


class RepositoryIdentity(Identity):
    """A job of a repository: the git `ref` it runs for, and `visibility` as its host names it."""

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
    """Return a claim that is required for publishing; raises `IdentityProblem`."""
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
    """Return a claim as text, empty if the token does not have it."""
    return str(claims.get(name) or "")
