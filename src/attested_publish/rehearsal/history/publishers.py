"""The publishers of a history file, and the claims of the jobs in which they published."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from attested_publish.rehearsal.jobs import github, gitlab, google
from attested_publish.rehearsal.json_file import (
    JsonFileError,
    check_keys,
    matching,
    optional_text,
    quoted,
)
from attested_publish.rehearsal.pypi.registry import (
    CONFIG,
    EMAIL,
    GITLAB_REPO,
    NAMESPACE,
    OWNER,
    REPO,
    WORKFLOW,
)

_BRANCH, _TAG = "refs/heads/", "refs/tags/"
_REF = re.compile(rf"(?:{_BRANCH}|{_TAG})[^\s~^:?*\[\\]+")
"""A name without what Git takes for an expression."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who published: a file of a repository (GitHub, GitLab), or an account (Google).

    `name` is the repository, or the account's address. `ref` and `sha` are of the Git commit that
    the job ran for. Without a `ref`, that is the tag of the version; without a `sha`, an invented
    one.
    """

    kind: str
    name: str
    file: str = ""
    environment: str = ""
    ref: str = ""
    sha: str = ""

    @property
    def is_account(self) -> bool:
        """Whether this says nothing about a repository, and so nothing about a build."""
        return self.kind == "Google"

    def claims(self, version: str) -> dict[str, Any]:
        """Return the claims of a job that published `version`, as its issuer signs them."""
        return _KINDS[self.kind].claims(self, version)

    def commit(self, version: str) -> tuple[str, str]:
        """Return the full Git ref and the commit for the release of `version`."""
        ref = self.ref or f"{_TAG}v{version}"
        made_up = hashlib.sha256(f"{self.name} {ref}".encode()).hexdigest()[:40]
        return ref, self.sha or made_up


def read_publisher(entry: object, where: str) -> Publisher:
    """Read a publisher from a history file; raises `JsonFileError`."""
    if not isinstance(entry, dict):
        raise JsonFileError(f"{where} is {quoted(entry)}; it must be an object.")
    name = entry.get("kind", "GitHub")
    if not isinstance(name, str) or name not in _KINDS:
        raise JsonFileError(
            f"'kind' of {where} is {quoted(name)}; it must be one of {', '.join(_KINDS)}."
        )
    kind = _KINDS[name]
    check_keys(entry, where, required=kind.required, optional=(*kind.optional, "kind"))
    return kind.read(entry, where)


def _github(entry: Mapping[str, Any], where: str) -> Publisher:
    workflow = matching(
        WORKFLOW,
        entry.get("workflow", "release.yml"),
        f"'workflow' of {where}",
        "the workflow's file name alone, ending in .yml or .yaml",
    )
    repository = _repository(entry, where, OWNER, REPO)
    return Publisher("GitHub", repository, workflow, *_job(entry, where))


def _gitlab(entry: Mapping[str, Any], where: str) -> Publisher:
    file = matching(
        CONFIG,
        entry.get("workflow_filepath", ".gitlab-ci.yml"),
        f"'workflow_filepath' of {where}",
        "the path of the CI/CD configuration file in the project, ending in .yml or .yaml",
    )
    repository = _repository(entry, where, NAMESPACE, GITLAB_REPO)
    return Publisher("GitLab", repository, file, *_job(entry, where))


def _google(entry: Mapping[str, Any], where: str) -> Publisher:
    email = matching(
        EMAIL, entry["email"], f"'email' of {where}", "the address of a service account"
    )
    return Publisher("Google", email)


def _repository(
    entry: Mapping[str, Any], where: str, owner: re.Pattern[str], name: re.Pattern[str]
) -> str:
    repository = entry["repository"]
    parts = repository.rpartition("/") if isinstance(repository, str) else ("", "", "")
    if not owner.fullmatch(parts[0]) or not name.fullmatch(parts[2]):
        raise JsonFileError(
            f"'repository' of {where} is {quoted(repository)}; it must have the form OWNER/NAME."
        )
    return str(repository)


def _job(entry: Mapping[str, Any], where: str) -> tuple[str, str, str]:
    """Read environment, ref and commit."""
    environment, ref, sha = (
        optional_text(entry, key, where) for key in ("environment", "ref", "sha")
    )
    if ref and not _REF.fullmatch(ref):
        raise JsonFileError(
            f"'ref' of {where} is {quoted(ref)}; it must begin with {_TAG} or {_BRANCH}, and then "
            "have a name."
        )
    if sha and (len(sha) not in {40, 64} or not set(sha) <= set("0123456789abcdef")):
        raise JsonFileError(
            f"'sha' of {where} is {quoted(sha)}; it must be a commit, 40 or 64 digits in hex."
        )
    return environment, ref, sha


def _github_claims(publisher: Publisher, version: str) -> dict[str, Any]:
    ref, sha = publisher.commit(version)
    workflow = f"{publisher.name}/.github/workflows/{publisher.file}@{ref}"
    claims = {
        "repository": publisher.name,
        "ref": ref,
        "sha": sha,
        "environment": publisher.environment,
        "workflow_ref": workflow,
    }
    return {"iss": github.ISSUER, **github.job_claims({}, claims)}


def _gitlab_claims(publisher: Publisher, version: str) -> dict[str, Any]:
    ref, sha = publisher.commit(version)
    claims = {
        "project_path": publisher.name,
        "ref": ref.removeprefix(_BRANCH).removeprefix(_TAG),
        "ref_type": "branch" if ref.startswith(_BRANCH) else "tag",
        "sha": sha,
        "environment": publisher.environment,
        "ci_config_ref_uri": f"gitlab.com/{publisher.name}//{publisher.file}@{ref}",
    }
    return {"iss": gitlab.ISSUER, **gitlab.job_claims({}, claims)}


def _google_claims(publisher: Publisher, _: str) -> dict[str, Any]:
    claims = google.job_claims({}, {"email": publisher.name})
    return {"iss": google.ISSUER, **claims, "email_verified": True}


class _Kind(NamedTuple):
    """A kind of publisher: its keys in a history file, how to read them, and its claims."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    read: Callable[[Mapping[str, Any], str], Publisher]
    claims: Callable[[Publisher, str], dict[str, Any]]


_KINDS = {
    "GitHub": _Kind(
        ("repository",), ("workflow", "environment", "ref", "sha"), _github, _github_claims
    ),
    "GitLab": _Kind(
        ("repository",), ("workflow_filepath", "environment", "ref", "sha"), _gitlab, _gitlab_claims
    ),
    "Google": _Kind(("email",), (), _google, _google_claims),
}
