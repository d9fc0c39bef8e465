"""The Git ref that a job runs on, according to its variables."""

from __future__ import annotations

from collections.abc import Mapping

_TAGS, _BRANCHES = "refs/tags/", "refs/heads/"


def ref_of(environment: Mapping[str, str]) -> str:
    """Return the full ref, such as `refs/tags/v1.0`; empty where the variables name none.

    The variables are those of GitHub, GitLab and CircleCI. They name the ref that is in the
    claims of the job's identity tokens, and are there before any token is requested.
    """
    if environment.get("GITHUB_ACTIONS"):
        return environment.get("GITHUB_REF", "")
    if environment.get("GITLAB_CI"):
        # In a merge request, the second one is the branch that is to be merged.
        return _full(environment, "CI_COMMIT_TAG", "CI_COMMIT_REF_NAME")
    if environment.get("CIRCLECI"):
        return _full(environment, "CIRCLE_TAG", "CIRCLE_BRANCH")
    return ""


def tag_in(ref: str) -> str | None:
    """Return the name of the tag that a full ref is; `None` for a branch, or if there is none."""
    return ref.removeprefix(_TAGS) or None if ref.startswith(_TAGS) else None


def _full(environment: Mapping[str, str], tag_variable: str, branch_variable: str) -> str:
    if tag := environment.get(tag_variable):
        return _TAGS + tag.removeprefix(_TAGS)
    branch = environment.get(branch_variable)
    return f"{_BRANCHES}{branch}" if branch else ""
