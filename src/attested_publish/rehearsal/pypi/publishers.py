"""Trusted publishers of the embedded PyPI, and how it checks a token's claims.

The reasons, their order, and what each one checks are those of PyPI's server (warehouse,
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
from attested_publish.rehearsal.pypi.answers import ServerFailed

if TYPE_CHECKING:
    from pypi_attestations import Publisher as AttestationIdentity

Claims = Mapping[str, Any]

_WORKFLOW = re.compile(r"[^/]+\.ya?ml(?=@)")
_CONFIG = re.compile(r"//(.*[^/]\.ya?ml)@")


class NoPublisher(Exception):
    """The claims match no publisher; the text is the reason PyPI gives in brackets."""


class Publisher(ABC):
    """Who may publish, with the fields of PyPI's form.

    Equal ones are one row. `provider` is PyPI's name for the kind, `required` are the claims that
    a lookup needs; `refused_triggers` may never publish, by the claim that names them.
    `narrowed_by` is the field that gives a row precedence over otherwise equal ones.
    """

    provider: ClassVar[str]
    required: ClassVar[tuple[str, ...]]
    narrowed_by: ClassVar[str] = "environment"
    refused_triggers: ClassVar[Mapping[str, str]] = {}

    @classmethod
    @abstractmethod
    def of(cls, claims: Claims) -> Self:
        """Return the row that would be the best match for the claims.

        Raises `NoPublisher`, and `ServerFailed` for claims that PyPI's server cannot handle.
        """

    @property
    @abstractmethod
    def place(self) -> tuple[str, ...]:
        """The case-sensitive key by which a row is looked up."""

    @property
    def narrowing(self) -> str:
        """What gives the row precedence, such as its environment; empty if nothing does."""
        return str(getattr(self, self.narrowed_by))

    @staticmethod
    def narrowings(claims: Claims) -> Collection[str]:
        """Return the values of `narrowed_by` that the claims match."""
        return (_environment_in(claims),)

    @abstractmethod
    def check(self, claims: Claims) -> None:
        """Raise `NoPublisher` if the claims do not match this publisher after all."""

    @property
    @abstractmethod
    def attestation_identity(self) -> AttestationIdentity | None:
        """The publisher as PEP 740 provenance names it; `None` if PyPI accepts no attestations."""


@dataclass(frozen=True, slots=True)
class GitHubWorkflow(Publisher):
    """A workflow of a repository; `owner` and `repo` are case-sensitive."""

    owner: str
    owner_id: str
    repo: str
    workflow: str
    environment: str = ""
    """The name in lower case, because GitHub's names are case-insensitive."""
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
        repository = claims["repository"]
        if not isinstance(owner_id, str) or not isinstance(repository, str):
            # GitHub sends both as text.
            raise ServerFailed("a claim is not text")
        owner, slash, repo = repository.partition("/")
        if not slash:
            raise ServerFailed("the claim 'repository' has no slash")
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
        """See `Publisher`: for PyPI, a renamed repository is a different one."""
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
    """A CI/CD configuration file of a project; `namespace` may contain slashes (subgroups)."""

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
        """See `Publisher`; the project and the subject are compared case-insensitively."""
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
    """A service account of Google Cloud; with `sub`, only the one with this id."""

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

    Other fields have to match, too, if they are not empty: a context of the job, and the origin
    and the ref that it runs for.
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
        """See `Publisher`: a job may have several contexts; a row names one of them."""
        contexts = claims.get(f"{circleci.PREFIX}/context-ids")
        return contexts if isinstance(contexts, list) else ()

    def check(self, claims: Claims) -> None:
        """See `Publisher`; somebody may be logged in to a job that was re-run with SSH."""
        if claims[f"{circleci.PREFIX}/ssh-rerun"] is not False:
            raise NoPublisher(f"Check failed for required claim '{circleci.PREFIX}/ssh-rerun'")
        for name, wanted in (("vcs-ref", self.vcs_ref), ("vcs-origin", self.vcs_origin)):
            if wanted and claims.get(f"{circleci.PREFIX}/{name}") != wanted:
                raise NoPublisher(f"Check failed for optional claim '{circleci.PREFIX}/{name}'")

    @property
    def attestation_identity(self) -> None:
        """See `Publisher`: the library version of PyPI's server has no such publisher."""
        return None


KINDS: Mapping[str, type[Publisher]] = {
    github.ISSUER: GitHubWorkflow,
    gitlab.ISSUER: GitLabPipeline,
    google.ISSUER: GoogleAccount,
    circleci.ISSUER: CircleCIPipeline,
}
"""The kind of publisher for the tokens of each issuer."""


def _environment_in(claims: Claims) -> str:
    return str(claims.get("environment") or "")


def _check_reference(claims: Claims, name: str, expected: list[str]) -> None:
    if claims[name] not in expected:
        raise NoPublisher(
            f"The {name} claim does not match: one of {sorted(expected)} expected, got"
            f" {shown(claims[name], 200)!r}"
        )
