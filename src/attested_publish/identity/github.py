"""Jobs of GitHub Actions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self
from urllib.parse import quote

from attested_publish.identity.publishers import (
    Claims,
    FilePublisher,
    Provenance,
    RepositoryIdentity,
    optional_text,
    text_of,
)
from attested_publish.net.untrusted import shown
from attested_publish.problems import IdentityProblem, Topic

ISSUER = "https://token.actions.githubusercontent.com"

# As PyPI's server reads it: the last path segment before the first "@".
_WORKFLOW_FILE = re.compile(r"([^/]+\.(?:yml|yaml))(?=@)")
_ENTERPRISE_CLOUD = re.compile(rf"{re.escape(ISSUER)}/([^/]+)")
_DATA_RESIDENCY = re.compile(r"https://token\.actions\.([^./]+\.ghe\.com)")
_ENTERPRISE_SERVER = re.compile(r"https://([^/]+)/_services/token")
_REMEDY = "Publish from a job of a workflow file in a GitHub repository."


@dataclass(frozen=True)
class OtherIssuer:
    """An issuer of GitHub's software that is not github.com's: what it is, and what to do."""

    what: str
    remedy: str


def other_issuer(issuer: str) -> OtherIssuer | None:
    """Recognize an issuer of GitHub Enterprise, whose tokens PyPI does not accept.

    Enterprise Cloud can put the enterprise's name into it; Enterprise Server and ghe.com have
    their own. None: it is github.com's, or not one of GitHub's.
    """
    if found := _ENTERPRISE_CLOUD.fullmatch(issuer):
        name = shown(found[1], 80)
        setting = f"/enterprises/{quote(found[1][:80])}/actions/oidc/customization/issuer"
        return OtherIssuer(
            f"the enterprise {name} has added its name to the issuer",
            "Let an owner of the enterprise set it back: `gh api -X PUT "
            f"{setting} -F include_enterprise_slug=false`. Everything else that trusts the present "
            "issuer has to be changed with it. Or publish from a repository outside of the "
            "enterprise, or set an API token as password (without attestations).",
        )
    for pattern in (_DATA_RESIDENCY, _ENTERPRISE_SERVER):
        if found := pattern.fullmatch(issuer):
            return OtherIssuer(
                f"the job runs on the GitHub server {shown(found[1], 80)}, not on github.com",
                "Publish from a repository on github.com, or set an API token as password (without "
                "attestations).",
            )
    return None


@dataclass(frozen=True)
class GitHubTrustedPublisher(FilePublisher):
    """A workflow file of a repository."""

    owner: str
    owner_id: str
    repository: str
    workflow: str
    environment: str | None
    provider: ClassVar[str] = "GitHub"

    @property
    def path(self) -> str:
        """`OWNER/REPOSITORY`."""
        return f"{self.owner}/{self.repository}"

    @property
    def file(self) -> str:
        """See `FilePublisher`."""
        return self.workflow

    @property
    def fields(self) -> dict[str, str]:
        """See `TrustedPublisher`."""
        return {
            "Owner": self.owner,
            "Repository name": self.repository,
            "Workflow name": self.workflow,
            "Environment name": self.environment or "",
        }

    @property
    def compared_besides(self) -> str:
        """See `TrustedPublisher`."""
        owner = shown(self.owner, 100)
        return (
            f"The index also compares the number of the account {owner}, which is "
            f"{shown(self.owner_id, 40)} here, with the one that it noted when the publisher was "
            f"registered. https://api.github.com/users/{quote(self.owner[:100])} shows it as `id`. "
            "An account that was deleted and created again, or that took over the name of one that "
            "was renamed, has another number: then remove the publisher and add it again."
        )

    @property
    def form(self) -> dict[str, str]:
        """See `FilePublisher`."""
        return {
            "owner": self.owner,
            "repository": self.repository,
            "workflow_filename": self.workflow,
        }

    @property
    def provenance(self) -> Provenance:
        """See `TrustedPublisher`."""
        return {
            "kind": "GitHub",
            "repository": self.path,
            "workflow": self.workflow,
            "environment": self.environment,
        }


@dataclass(frozen=True)
class GitHubIdentity(RepositoryIdentity):
    """A job of GitHub Actions."""

    repository: str
    owner: str
    owner_id: str
    workflow_ref: str
    job_workflow_ref: str
    environment: str | None
    ref: str
    sha: str
    event: str
    visibility: str
    repository_id: str = ""
    run_id: str = ""
    run_attempt: str = ""
    runner_environment: str = ""
    issuer: str = ISSUER

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """Read the claims; raises `IdentityProblem` if they name no workflow file."""
        identity = cls(
            repository=text_of(claims, "repository", _REMEDY),
            owner=text_of(claims, "repository_owner", _REMEDY),
            owner_id=text_of(claims, "repository_owner_id", _REMEDY),
            workflow_ref=text_of(claims, "workflow_ref", _REMEDY),
            job_workflow_ref=text_of(claims, "job_workflow_ref", _REMEDY),
            environment=optional_text(claims, "environment") or None,
            ref=text_of(claims, "ref", _REMEDY),
            sha=text_of(claims, "sha", _REMEDY),
            event=text_of(claims, "event_name", _REMEDY),
            visibility=optional_text(claims, "repository_visibility") or "unknown",
            repository_id=optional_text(claims, "repository_id"),
            run_id=optional_text(claims, "run_id"),
            run_attempt=optional_text(claims, "run_attempt"),
            runner_environment=optional_text(claims, "runner_environment"),
        )
        if not identity.publisher.repository or not identity.publisher.workflow:
            raise IdentityProblem(
                "The job's identity token does not name a workflow file",
                topic=Topic.IDENTITY_UNUSABLE,
                detail=f"repository is {shown(identity.repository)!r}, job_workflow_ref is "
                f"{shown(identity.job_workflow_ref)!r}.",
                remedy="A workflow file must end in .yml or .yaml, in lower case, to be registered "
                "as a trusted publisher.",
            )
        return identity

    @property
    def publisher(self) -> GitHubTrustedPublisher:
        """The publisher that the token exchange looks up, by `job_workflow_ref`."""
        workflow = _WORKFLOW_FILE.search(self.job_workflow_ref)
        return GitHubTrustedPublisher(
            owner=self.owner,
            owner_id=self.owner_id,
            repository=self.repository.partition("/")[2],
            workflow=workflow.group(1) if workflow else "",
            environment=self.environment,
        )

    @property
    def is_reusable_workflow(self) -> bool:
        """Whether the job is defined in another workflow file than the one that was started.

        The same file at another ref is the same publisher.
        """
        return self.job_workflow_ref.partition("@")[0] != self.workflow_ref.partition("@")[0]

    @property
    def is_called_at_its_ref(self) -> bool:
        """Whether the workflow file that defines the job is that of the job's own ref or commit."""
        return self.job_workflow_ref.endswith((f"@{self.ref}", f"@{self.sha}"))

    @property
    def called_repository(self) -> str:
        """The repository of the workflow file that defines the job."""
        return self.job_workflow_ref.partition("/.github/workflows/")[0]

    def as_json(self) -> dict[str, Any]:
        """See `Identity`."""
        return {
            "issuer": self.issuer,
            "repository": self.repository,
            "owner": self.owner,
            "owner_id": self.owner_id,
            "workflow": self.publisher.workflow,
            "workflow_ref": self.workflow_ref,
            "job_workflow_ref": self.job_workflow_ref,
            "environment": self.environment,
            "ref": self.ref,
            "sha": self.sha,
            "event": self.event,
            "visibility": self.visibility,
        }
