"""The trusted publishers of the embedded PyPI, read from a registry file.

The file contains what people have entered on PyPI::

    {
      "publishers": [
        {"owner": "octo-org", "owner_id": "65", "repo": "sample-project",
         "workflow": "release.yml", "environment": "pypi", "projects": ["sample-project"]}
      ],
      "pending_publishers": [
        {"owner": "octo-org", "owner_id": "65", "repo": "other",
         "workflow": "release.yml", "project": "other"}
      ]
    }

In either list, a pipeline of GitLab has the form ``{"kind": "GitLab", "namespace": "octo-group",
"repo": "sample-project", "workflow_filepath": ".gitlab-ci.yml", ...}``, a service account of
Google Cloud as ``{"kind": "Google", "email": ..., "sub": ...}`` and a pipeline of CircleCI as
``{"kind": "CircleCI", "circleci_org_id": ..., "circleci_project_id": ...,
"pipeline_definition_id": ..., ...}``; without a ``kind`` it is GitHub's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

from packaging.utils import canonicalize_name

from attested_publish.rehearsal.json_file import (
    JsonFileError,
    check_keys,
    matching,
    objects_in,
    optional_text,
    parse_object,
    quoted,
    read_text,
)
from attested_publish.rehearsal.pypi.publishers import (
    CircleCIPipeline,
    GitHubWorkflow,
    GitLabPipeline,
    GoogleAccount,
    Publisher,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
REPO = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
WORKFLOW = re.compile(r"[^/@\s][^/@]*\.ya?ml")
PROJECT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.()-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.()-]*)*")
GITLAB_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
CONFIG = re.compile(r"[^/@\s](?:[^@]*[^/@])?\.ya?ml")

EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CIRCLECI_IDS = ("circleci_org_id", "circleci_project_id", "pipeline_definition_id")


@dataclass(frozen=True, slots=True)
class Registry:
    """The trusted publishers of an index.

    `publishers` has the names of the projects of each publisher, `pending` the one project that
    each will create. With `is_open`, any identity from the index's issuer may publish any
    project, and the other two are empty.
    """

    publishers: Mapping[Publisher, Sequence[str]]
    pending: Mapping[Publisher, str]
    is_open: bool = False

    @classmethod
    def open(cls) -> Self:
        """Let any identity from the index's own issuer publish any project."""
        return cls(publishers={}, pending={}, is_open=True)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the registry file at `path`.

        Raises `JsonFileError` for a file that cannot be read or is malformed.
        """
        content = read_text(path, "registry file")
        try:
            return cls.parse(content)
        except JsonFileError as error:
            raise JsonFileError(f"In the registry file {path}: {error}") from error

    @classmethod
    def parse(cls, content: str | bytes) -> Self:
        """Read a registry from JSON text; raises `JsonFileError` as `read` does."""
        document = parse_object(content, "'publishers'")
        check_keys(
            document, "the registry", required=(), optional=("publishers", "pending_publishers")
        )
        if not document:
            raise JsonFileError("it contains neither 'publishers' nor 'pending_publishers'.")

        publishers: dict[Publisher, tuple[str, ...]] = {}
        for where, entry in objects_in(document, "publishers"):
            publisher = _publisher(entry, where, "projects")
            if publisher in publishers:
                raise JsonFileError(
                    f"{where} repeats an earlier publisher; list all its projects in one entry."
                )
            publishers[publisher] = _projects(entry["projects"], where)

        pending: dict[Publisher, str] = {}
        for where, entry in objects_in(document, "pending_publishers"):
            publisher = _publisher(entry, where, "project")
            if publisher in pending:
                raise JsonFileError(
                    f"{where} repeats an earlier pending publisher; each can have only one project."
                )
            pending[publisher] = _project(entry["project"], f"'project' of {where}")
        return cls(publishers=publishers, pending=pending)


def _publisher(entry: Mapping[str, object], where: str, *more: str) -> Publisher:
    name = entry.get("kind", "GitHub")
    if not isinstance(name, str) or name not in _KINDS:
        kinds = ", ".join(_KINDS)
        raise JsonFileError(f"'kind' of {where} is {quoted(name)}; it must be one of {kinds}.")
    kind = _KINDS[name]
    check_keys(entry, where, required=(*kind.required, *more), optional=(*kind.optional, "kind"))
    return kind.read(entry, where)


def _github_workflow(entry: Mapping[str, object], where: str) -> GitHubWorkflow:
    owner_id = entry["owner_id"]
    if isinstance(owner_id, int) and not isinstance(owner_id, bool):
        owner_id = str(owner_id)
    if not isinstance(owner_id, str) or not (owner_id.isascii() and owner_id.isdigit()):
        raise JsonFileError(
            f"'owner_id' of {where} is {quoted(owner_id)}; it must be the GitHub account's id."
        )
    return GitHubWorkflow(
        owner=matching(
            OWNER, entry["owner"], f"'owner' of {where}", "the name of a GitHub account"
        ),
        owner_id=owner_id,
        repo=matching(
            REPO, entry["repo"], f"'repo' of {where}", "the repository's name without its owner"
        ),
        workflow=matching(
            WORKFLOW,
            entry["workflow"],
            f"'workflow' of {where}",
            "the workflow's file name alone, ending in .yml or .yaml",
        ),
        environment=_any_or(entry, "environment", where).lower(),
    )


def _gitlab_pipeline(entry: Mapping[str, object], where: str) -> GitLabPipeline:
    return GitLabPipeline(
        namespace=matching(
            NAMESPACE,
            entry["namespace"],
            f"'namespace' of {where}",
            "the name of a GitLab user or group, with its subgroups",
        ),
        repo=matching(
            GITLAB_REPO,
            entry["repo"],
            f"'repo' of {where}",
            "the name of the GitLab project without its namespace",
        ),
        workflow_filepath=matching(
            CONFIG,
            entry["workflow_filepath"],
            f"'workflow_filepath' of {where}",
            "the path of the CI/CD configuration file in the project, ending in .yml or .yaml",
        ),
        environment=_any_or(entry, "environment", where),
    )


def _google_account(entry: Mapping[str, object], where: str) -> GoogleAccount:
    return GoogleAccount(
        email=matching(
            EMAIL, entry["email"], f"'email' of {where}", "the address of a service account"
        ),
        sub=_any_or(entry, "sub", where),
    )


def _circleci_pipeline(entry: Mapping[str, object], where: str) -> CircleCIPipeline:
    def id_of(key: str) -> str:
        return matching(_ID, entry[key], f"{key!r} of {where}", "an id of CircleCI, a UUID")

    organization, project, definition = map(id_of, _CIRCLECI_IDS)
    return CircleCIPipeline(
        organization,
        project,
        definition,
        context_id=id_of("context_id") if _any_or(entry, "context_id", where) else "",
        vcs_ref=_any_or(entry, "vcs_ref", where),
        vcs_origin=_any_or(entry, "vcs_origin", where),
    )


class _Kind(NamedTuple):
    """The form of a kind of publisher in a registry: its keys, and how to read it."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    read: Callable[[Mapping[str, object], str], Publisher]


_KINDS = {
    "GitHub": _Kind(("owner", "owner_id", "repo", "workflow"), ("environment",), _github_workflow),
    "GitLab": _Kind(("namespace", "repo", "workflow_filepath"), ("environment",), _gitlab_pipeline),
    "Google": _Kind(("email",), ("sub",), _google_account),
    "CircleCI": _Kind(
        _CIRCLECI_IDS,
        ("context_id", "vcs_ref", "vcs_origin"),
        _circleci_pipeline,
    ),
}


def _any_or(entry: Mapping[str, object], key: str, where: str) -> str:
    return optional_text(entry, key, where, "text, or empty for any")


def _projects(names: object, where: str) -> tuple[str, ...]:
    if not isinstance(names, list) or not names:
        raise JsonFileError(f"'projects' of {where} is not a list of at least one name.")
    projects = tuple(_project(name, f"'projects' of {where}") for name in names)
    if len({canonicalize_name(name) for name in projects}) != len(projects):
        raise JsonFileError(f"'projects' of {where} names a project twice.")
    return projects


def _project(name: object, where: str) -> str:
    return matching(PROJECT, name, where, "a project's name")
