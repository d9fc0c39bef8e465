"""Trusted publishers as the embedded PyPI holds them, and what it asks of a token's claims.

Reasons, their order, and what each looks at are those of PyPI's server (warehouse,
`oidc/models/`).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pypi_attestations import GitHubPublisher, GitLabPublisher, GooglePublisher

from attested_publish.net.untrusted import shown
from attested_publish.rehearsal.jobs import circleci, github, gitlab, google

if TYPE_CHECKING:
    from pypi_attestations import Publisher as AttestationIdentity

Claims = Mapping[str, Any]

_WORKFLOW = re.compile(r"[^/]+\.ya?ml(?=@)")
_CONFIG = re.compile(r"//(.*[^/]\.ya?ml)@")


class NoPublisher(Exception):
    """The claims match no publisher; the text is the reason PyPI gives in brackets."""


class Publisher(ABC):
    """Who may publish, as PyPI's form asks for it.

    Equal ones are one row. `provider` is what PyPI calls its kind, `required` are the claims
    without which nothing is looked up; `refused_triggers` may never publish, by the claim that
    names them. `narrowed_by` is the field that prefers a row to others of its place.
    """

    provider: ClassVar[str]
    required: ClassVar[tuple[str, ...]]
    narrowed_by: ClassVar[str] = "environment"
    refused_triggers: ClassVar[Mapping[str, str]] = {}

    @classmethod
    @abstractmethod
    def of(cls, claims: Claims) -> Self:
        """Return the row that would match the claims best; raises `NoPublisher`."""

    @property
    @abstractmethod
    def place(self) -> tuple[str, ...]:
        """What of a row is looked up, with its case."""

    @property
    def narrowing(self) -> str:
        """What prefers the row, such as its environment; empty: nothing."""
        return str(getattr(self, self.narrowed_by))

    @staticmethod
    def narrowings(claims: Claims) -> Collection[str]:
        """Return the narrowings that the claims satisfy."""
        return (_environment_in(claims),)

    @abstractmethod
    def check(self, claims: Claims) -> None:
        """Raise `NoPublisher` where the claims do not stand for this publisher after all."""

    @property
    @abstractmethod
    def attestation_identity(self) -> AttestationIdentity | None:
        """The publisher as PEP 740 provenance names it; `None`: PyPI takes no attestations."""


@dataclass(frozen=True, slots=True)
class GitHubWorkflow(Publisher):
    """A workflow of a repository; `owner` and `repo` are compared with their case."""

    owner: str
    owner_id: str
    repo: str
    workflow: str
    environment: str = ""
    """A name in lower case: in any case, GitHub's are the same."""
    provider: ClassVar[str] = "GitHub"
    required: ClassVar[tuple[str, ...]] = (
        *("repository", "repository_owner", "repository_owner_id", "job_workflow_ref", "jti"),
        *("event_name", "ref", "sha"),
    )
    refused_triggers: ClassVar[Mapping[str, str]] = {"event_name": "pull_request_target"}

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """See `Publisher`."""
        owner_id = claims["repository_owner_id"]
        if not isinstance(owner_id, str):
            # GitHub states it as text; at a number PyPI's server fails.
            raise NoPublisher("Check failed for required claim 'repository_owner_id'")
        owner, _, repo = str(claims["repository"]).partition("/")
        workflow = _WORKFLOW.search(str(claims["job_workflow_ref"]))
        if workflow is None:
            raise NoPublisher("Could not read the workflow's file name from job_workflow_ref")
        return cls(owner, owner_id, repo, workflow[0], _environment_in(claims).lower())

    @property
    def repository(self) -> str:
        """The repository as ``owner/repo``."""
        return f"{self.owner}/{self.repo}"

    @property
    def place(self) -> tuple[str, ...]:
        """See `Publisher`: a renamed repository is another one to PyPI."""
        return (self.owner, self.repo, self.owner_id, self.workflow)

    @staticmethod
    def narrowings(claims: Claims) -> Collection[str]:
        """See `Publisher`."""
        return (_environment_in(claims).lower(),)

    def check(self, claims: Claims) -> None:
        """See `Publisher`."""
        if claims["repository_owner"] != self.owner:
            raise NoPublisher("Check failed for required claim 'repository_owner'")
        if not claims["job_workflow_ref"]:
            raise NoPublisher("The job_workflow_ref claim is empty")
        refs = [claims[name] for name in ("ref", "sha") if claims[name]]
        if not refs:
            raise NoPublisher("The ref and sha claims are empty")
        file = f"{self.repository}/.github/workflows/{self.workflow}"
        _check_reference(claims, "job_workflow_ref", [f"{file}@{ref}" for ref in refs])

    @property
    def attestation_identity(self) -> AttestationIdentity:
        """See `Publisher`."""
        return GitHubPublisher(
            repository=self.repository,
            workflow=self.workflow,
            environment=self.environment or None,
        )


@dataclass(frozen=True, slots=True)
class GitLabPipeline(Publisher):
    """A CI/CD configuration file of a project; `namespace` may hold slashes (subgroups)."""

    namespace: str
    repo: str
    workflow_filepath: str
    environment: str = ""
    provider: ClassVar[str] = "GitLab"
    required: ClassVar[tuple[str, ...]] = (
        *("sub", "project_path", "ci_config_ref_uri", "jti", "ref_path", "sha"),
    )

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """See `Publisher`."""
        namespace, _, repo = str(claims["project_path"]).rpartition("/")
        file = _CONFIG.search(str(claims["ci_config_ref_uri"]))
        if file is None:
            raise NoPublisher("Could not read the workflow's file name from ci_config_ref_uri")
        return cls(namespace, repo, file[1], _environment_in(claims))

    @property
    def project_path(self) -> str:
        """The project as ``namespace/repo``."""
        return f"{self.namespace}/{self.repo}"

    @property
    def place(self) -> tuple[str, ...]:
        """See `Publisher`."""
        return (self.namespace, self.repo, self.workflow_filepath)

    def check(self, claims: Claims) -> None:
        """See `Publisher`; the project is compared without its case, and so is the subject."""
        subject = ":".join(str(claims["sub"]).split(":")[:2])
        if subject.lower() != f"project_path:{self.project_path}".lower():
            raise NoPublisher("Check failed for required claim 'sub'")
        if not (claims["ref_path"] and claims["sha"]):
            raise NoPublisher("The ref_path and sha claims are empty")
        file = f"gitlab.com/{self.project_path}//{self.workflow_filepath}"
        references = [f"{file}@{claims[name]}" for name in ("ref_path", "sha")]
        _check_reference(claims, "ci_config_ref_uri", references)

    @property
    def attestation_identity(self) -> AttestationIdentity:
        """See `Publisher`."""
        return GitLabPublisher(
            repository=self.project_path,
            workflow_filepath=self.workflow_filepath,
            environment=self.environment or None,
        )


@dataclass(frozen=True, slots=True)
class GoogleAccount(Publisher):
    """A service account of Google Cloud; with `sub`, only the one of this number."""

    email: str
    sub: str = ""
    provider: ClassVar[str] = "Google"
    required: ClassVar[tuple[str, ...]] = ("email", "email_verified")
    narrowed_by: ClassVar[str] = "sub"

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """See `Publisher`."""
        return cls(str(claims["email"]), str(claims.get("sub") or ""))

    @property
    def place(self) -> tuple[str, ...]:
        """See `Publisher`."""
        return (self.email,)

    @staticmethod
    def narrowings(claims: Claims) -> Collection[str]:
        """See `Publisher`."""
        return (str(claims.get("sub") or ""),)

    def check(self, claims: Claims) -> None:
        """See `Publisher`."""
        if claims["email_verified"] is not True:
            raise NoPublisher("Check failed for required claim 'email_verified'")

    @property
    def attestation_identity(self) -> AttestationIdentity:
        """See `Publisher`."""
        return GooglePublisher(email=self.email)


@dataclass(frozen=True, slots=True)
class CircleCIPipeline(Publisher):
    """A pipeline definition of a project of CircleCI, by their ids.

    What is not empty of the rest has to be so, too: a context of the job, the origin and the
    ref of what it runs for.
    """

    circleci_org_id: str
    circleci_project_id: str
    pipeline_definition_id: str
    context_id: str = ""
    vcs_ref: str = ""
    vcs_origin: str = ""
    provider: ClassVar[str] = "CircleCI"
    required: ClassVar[tuple[str, ...]] = tuple(
        f"{circleci.PREFIX}/{name}"
        for name in ("org-id", "project-id", "pipeline-definition-id", "ssh-rerun")
    )
    narrowed_by: ClassVar[str] = "context_id"

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """See `Publisher`."""
        return cls(*(str(claims[name]) for name in cls.required[:3]))

    @property
    def place(self) -> tuple[str, ...]:
        """See `Publisher`."""
        return (self.circleci_org_id, self.circleci_project_id, self.pipeline_definition_id)

    @staticmethod
    def narrowings(claims: Claims) -> Collection[str]:
        """See `Publisher`: a job may have several contexts, of which a row names one."""
        contexts = claims.get(f"{circleci.PREFIX}/context-ids")
        return contexts if isinstance(contexts, list) else ()

    def check(self, claims: Claims) -> None:
        """See `Publisher`; somebody may sit in a job that was run again with SSH."""
        if claims[f"{circleci.PREFIX}/ssh-rerun"] is not False:
            raise NoPublisher(f"Check failed for required claim '{circleci.PREFIX}/ssh-rerun'")
        for name, wanted in (("vcs-ref", self.vcs_ref), ("vcs-origin", self.vcs_origin)):
            if wanted and claims.get(f"{circleci.PREFIX}/{name}") != wanted:
                raise NoPublisher(f"Check failed for optional claim '{circleci.PREFIX}/{name}'")

    @property
    def attestation_identity(self) -> None:
        """See `Publisher`: there is no such publisher in the version that PyPI's server has."""
        return None


KINDS: Mapping[str, type[Publisher]] = {
    github.ISSUER: GitHubWorkflow,
    gitlab.ISSUER: GitLabPipeline,
    google.ISSUER: GoogleAccount,
    circleci.ISSUER: CircleCIPipeline,
}
"""Which kind of publisher an issuer's tokens stand for."""


def _environment_in(claims: Claims) -> str:
    return str(claims.get("environment") or "")


def _check_reference(claims: Claims, name: str, expected: list[str]) -> None:
    if claims[name] not in expected:
        raise NoPublisher(
            f"The {name} claim does not match: one of {sorted(expected)} expected, got"
            f" {shown(claims[name], 200)!r}"
        )
