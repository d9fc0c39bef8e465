"""SLSA provenance (v1): what a job's identity says about the build that it was.

PyPI accepts one beside the publish attestation, verifies it for the same publisher, and does not
look into the predicate. What a claim does not say is left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from attested_publish.identity.github import GitHubIdentity
from attested_publish.identity.gitlab import GitLabIdentity

if TYPE_CHECKING:
    from attested_publish.identity.publishers import Identity

Json: TypeAlias = "str | list[Json] | dict[str, Json]"
Predicate: TypeAlias = "dict[str, Json]"

GITHUB_BUILD_TYPE = "https://actions.github.io/buildtypes/workflow/v1"
GITLAB_BUILD_TYPE = (
    "https://github.com/attested-publish/attested-publish/blob/main/docs/gitlab-build-type-v1.md"
)

_GITHUB = "https://github.com"
_GITLAB = "https://gitlab.com"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def provenance_predicate(identity: Identity) -> Predicate | None:
    """Return the predicate of a job's SLSA provenance (https://slsa.dev/provenance/v1).

    It is the same for every file of the job. `None`: the identity says nothing about a build.
    """
    match identity:
        case GitHubIdentity():
            return _of_github(identity)
        case GitLabIdentity():
            return _of_gitlab(identity)
        case _:
            return None


def _of_github(identity: GitHubIdentity) -> Predicate:
    """Return what GitHub's own build type asks for; its consumers know where to look."""
    repository = f"{_GITHUB}/{identity.repository}"
    file, _, ref = identity.workflow_ref.partition("@")
    path = file.removeprefix(f"{identity.repository}/")
    attempt = f"/attempts/{identity.run_attempt}" if identity.run_attempt else ""
    return _predicate(
        GITHUB_BUILD_TYPE,
        external={"workflow": _told(ref=ref, repository=repository, path=path)},
        internal={
            "github": _told(
                event_name=identity.event,
                repository_id=identity.repository_id,
                repository_owner_id=identity.owner_id,
                runner_environment=identity.runner_environment,
            )
        },
        source=f"git+{repository}@{identity.ref}",
        commit=identity.sha,
        builder=f"{_GITHUB}/{identity.job_workflow_ref}",
        invocation=f"{repository}/actions/runs/{identity.run_id}{attempt}"
        if identity.run_id
        else "",
    )


def _of_gitlab(identity: GitLabIdentity) -> Predicate:
    """Return what the build type of docs/gitlab-build-type-v1.md describes.

    GitLab's own one wants the variables of the job, which no claim has.
    """
    project = f"{_GITLAB}/{identity.project_path}"
    file = identity.publisher.config_file
    return _predicate(
        GITLAB_BUILD_TYPE,
        external={
            "pipeline": _told(
                ref=identity.config_ref.partition(f"//{file}@")[2], repository=project, path=file
            )
        },
        internal={
            "gitlab": _told(
                pipeline_source=identity.pipeline_source,
                pipeline_id=identity.pipeline_id,
                project_id=identity.project_id,
                namespace_id=identity.namespace_id,
                runner_id=identity.runner_id,
                runner_environment=identity.runner_environment,
            )
        },
        source=f"git+{project}@{identity.ref}",
        commit=identity.sha,
        builder=f"https://{identity.config_ref}",
        invocation=f"{project}/-/jobs/{identity.job_id}" if identity.job_id else "",
    )


def _predicate(
    build_type: str,
    *,
    external: Mapping[str, Predicate],
    internal: Mapping[str, Predicate],
    source: str,
    commit: str,
    builder: str,
    invocation: str,
) -> Predicate:
    dependency: Predicate = {"uri": source}
    if _COMMIT.fullmatch(commit):
        dependency["digest"] = {"gitCommit": commit}
    details: Predicate = {"builder": {"id": builder}}
    if invocation:
        details["metadata"] = {"invocationId": invocation}
    definition: Predicate = {"buildType": build_type, "externalParameters": dict(external)}
    if any(internal.values()):
        definition["internalParameters"] = dict(internal)
    definition["resolvedDependencies"] = [dependency]
    return {"buildDefinition": definition, "runDetails": details}


def _told(**claims: str) -> Predicate:
    return {name: value for name, value in claims.items() if value}
