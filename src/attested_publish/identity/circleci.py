"""Jobs of CircleCI."""

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

ISSUER = "https://oidc.circleci.com"

_PREFIX = "oidc.circleci.com"
_REMEDY = "Publish from a job of a CircleCI pipeline."


@dataclass(frozen=True)
class CircleCITrustedPublisher(TrustedPublisher):
    """A pipeline definition of a project, by their ids.

    The rest is what PyPI can ask for besides: one of the job's contexts, ref and origin.
    """

    organization_id: str
    project_id: str
    pipeline_definition_id: str
    context_ids: tuple[str, ...] = ()
    ref: str = ""
    repository: str = ""
    provider: ClassVar[str] = "CircleCI"

    def __str__(self) -> str:
        return f"CircleCI, project {self.project_id}, pipeline {self.pipeline_definition_id}"

    @property
    def fields(self) -> dict[str, str]:
        """See `TrustedPublisher`."""
        return {
            "Organization ID": self.organization_id,
            "Project ID": self.project_id,
            "Pipeline definition ID": self.pipeline_definition_id,
            "Context ID (if asked for)": " or ".join(self.context_ids),
            "VCS ref (if asked for)": self.ref,
            "VCS origin (if asked for)": self.repository,
        }

    @property
    def query(self) -> dict[str, str]:
        """See `TrustedPublisher`."""
        return {
            "provider": "circleci",
            "circleci_org_id": self.organization_id,
            "circleci_project_id": self.project_id,
            "pipeline_definition_id": self.pipeline_definition_id,
        }

    @property
    def provenance(self) -> Provenance:
        """See `TrustedPublisher`; PyPI's server does not know this kind yet."""
        return {
            "kind": "CircleCI",
            "project_id": self.project_id,
            "pipeline_definition_id": self.pipeline_definition_id,
        }


@dataclass(frozen=True)
class CircleCIIdentity(Identity):
    """A job of CircleCI; `ref` is empty where no repository has started it.

    With `is_open_to_ssh`, the job was run again so that somebody can log in to it.
    """

    organization_id: str
    project_id: str
    pipeline_definition_id: str
    context_ids: tuple[str, ...]
    repository: str
    ref: str
    is_open_to_ssh: bool
    issuer: str = ISSUER

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """Read the claims; raises `IdentityProblem` where they name no pipeline definition."""
        contexts = claims.get(f"{_PREFIX}/context-ids")
        return cls(
            organization_id=text_of(claims, f"{_PREFIX}/org-id", _REMEDY),
            project_id=text_of(claims, f"{_PREFIX}/project-id", _REMEDY),
            pipeline_definition_id=text_of(claims, f"{_PREFIX}/pipeline-definition-id", _REMEDY),
            context_ids=tuple(map(str, contexts)) if isinstance(contexts, list) else (),
            repository=optional_text(claims, f"{_PREFIX}/vcs-origin"),
            ref=optional_text(claims, f"{_PREFIX}/vcs-ref"),
            is_open_to_ssh=claims.get(f"{_PREFIX}/ssh-rerun") is True,
        )

    @property
    def publisher(self) -> CircleCITrustedPublisher:
        """See `Identity`."""
        return CircleCITrustedPublisher(
            self.organization_id,
            self.project_id,
            self.pipeline_definition_id,
            self.context_ids,
            self.ref,
            self.repository,
        )

    @property
    def origin(self) -> str:
        """See `Identity`."""
        return self.ref

    @property
    def why_hidden(self) -> str:
        """See `Identity`."""
        return "the identity does not tell whether the repository is public"

    def as_json(self) -> dict[str, Any]:
        """See `Identity`."""
        return {
            "issuer": self.issuer,
            "organization_id": self.organization_id,
            "project_id": self.project_id,
            "pipeline_definition_id": self.pipeline_definition_id,
            "repository": self.repository,
            "ref": self.ref,
        }
