"""Jobs of GitLab CI/CD on gitlab.com."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self

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

ISSUER = "https://gitlab.com"

# HOST/NAMESPACE/PROJECT//PATH@REF; a path may contain slashes, a ref may contain an "@".
_CONFIG_FILE = re.compile(r"//(.*[^/]\.(?:yml|yaml))@")
_REMEDY = "Publish from a job of a GitLab CI/CD pipeline."


@dataclass(frozen=True)
class GitLabTrustedPublisher(FilePublisher):
    """A CI/CD configuration file of a project; `namespace` may contain slashes (subgroups)."""

    namespace: str
    project: str
    config_file: str
    environment: str | None
    provider: ClassVar[str] = "GitLab"
    has_one_token: ClassVar[bool] = True

    @property
    def path(self) -> str:
        """`NAMESPACE/PROJECT`."""
        return f"{self.namespace}/{self.project}"

    @property
    def file(self) -> str:
        """See `FilePublisher`."""
        return self.config_file

    @property
    def fields(self) -> dict[str, str]:
        """See `TrustedPublisher`."""
        return {
            "Namespace": self.namespace,
            "Project name": self.project,
            "Top-level pipeline file path": self.config_file,
            "Environment name": self.environment or "",
        }

    @property
    def form(self) -> dict[str, str]:
        """See `FilePublisher`."""
        return {
            "namespace": self.namespace,
            "project": self.project,
            "workflow_filepath": self.config_file,
        }

    @property
    def provenance(self) -> Provenance:
        """See `TrustedPublisher`."""
        return {
            "kind": "GitLab",
            "repository": self.path,
            "workflow_filepath": self.config_file,
            "environment": self.environment,
        }


@dataclass(frozen=True)
class GitLabIdentity(RepositoryIdentity):
    """A job of GitLab CI/CD; `config_ref` is the file that defines its pipeline."""

    project_path: str
    namespace: str
    namespace_id: str
    config_ref: str
    environment: str | None
    ref: str
    sha: str
    pipeline_source: str
    visibility: str
    project_id: str = ""
    pipeline_id: str = ""
    job_id: str = ""
    runner_id: str = ""
    runner_environment: str = ""
    issuer: str = ISSUER

    @classmethod
    def of(cls, claims: Claims) -> Self:
        """Read the claims; raises `IdentityProblem` if they name no configuration file."""
        if "ci_config_ref_uri" in claims and not claims["ci_config_ref_uri"]:
            raise IdentityProblem(
                "The pipeline is not defined in this project",
                topic=Topic.IDENTITY_UNUSABLE,
                detail="The identity token's claim ci_config_ref_uri is empty: the project's "
                "CI/CD configuration file is in another place, or is not set. Neither Sigstore "
                "nor the index can know which file publishes.",
                remedy="Set the project's CI/CD configuration file to one of its own, which may "
                "include others (Settings, CI/CD, General pipelines).",
            )
        identity = cls(
            project_path=text_of(claims, "project_path", _REMEDY),
            namespace=optional_text(claims, "namespace_path"),
            namespace_id=optional_text(claims, "namespace_id"),
            config_ref=text_of(claims, "ci_config_ref_uri", _REMEDY),
            environment=optional_text(claims, "environment") or None,
            ref=text_of(claims, "ref_path", _REMEDY),
            sha=text_of(claims, "sha", _REMEDY),
            pipeline_source=optional_text(claims, "pipeline_source"),
            visibility=optional_text(claims, "project_visibility") or "unknown",
            project_id=optional_text(claims, "project_id"),
            pipeline_id=optional_text(claims, "pipeline_id"),
            job_id=optional_text(claims, "job_id"),
            runner_id=optional_text(claims, "runner_id"),
            runner_environment=optional_text(claims, "runner_environment"),
        )
        if not identity.publisher.namespace or not identity.publisher.config_file:
            raise IdentityProblem(
                "The job's identity token does not name a CI/CD configuration file",
                topic=Topic.IDENTITY_UNUSABLE,
                detail=f"project_path is {shown(identity.project_path)!r}, ci_config_ref_uri is "
                f"{shown(identity.config_ref)!r}.",
                remedy="The file must end in .yml or .yaml, in lower case, to be registered as a "
                "trusted publisher.",
            )
        return identity

    @property
    def publisher(self) -> GitLabTrustedPublisher:
        """The publisher that the token exchange looks up, by `ci_config_ref_uri`."""
        namespace, _, project = self.project_path.rpartition("/")
        file = _CONFIG_FILE.search(self.config_ref)
        return GitLabTrustedPublisher(
            namespace=namespace,
            project=project,
            config_file=file.group(1) if file else "",
            environment=self.environment,
        )

    @property
    def config_project(self) -> str:
        """The project that the configuration file is in."""
        return self.config_ref.partition("//")[0].partition("/")[2]

    def as_json(self) -> dict[str, Any]:
        """See `Identity`; values that GitHub has, too, have the same keys."""
        return {
            "issuer": self.issuer,
            "repository": self.project_path,
            "owner": self.namespace,
            "owner_id": self.namespace_id,
            "workflow": self.publisher.config_file,
            "workflow_ref": self.config_ref,
            "environment": self.environment,
            "ref": self.ref,
            "sha": self.sha,
            "event": self.pipeline_source,
            "visibility": self.visibility,
        }
