"""The simulated job of GitHub Actions: the claims of its identity tokens, and its variables."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUER = "https://token.actions.githubusercontent.com"

_DEFAULT_REPOSITORY = "octo-org/sample-project"
_DEFAULT_WORKFLOW = ".github/workflows/release.yml"
_DEFAULT_REF = "refs/tags/v1.0.0"


def job_claims(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """Return realistic claims of a GitHub Actions job; all of them are text.

    Values come from the ``GITHUB_*`` variables of `environment`; the others are invented, and
    clearly samples. `overrides` sets any claim, an empty value removes it. Claims that depend on
    an overridden one change with it (`repository`: its owner, the ids, both workflow references
    and `sub`; `ref`: its type, the references and `sub`; `environment`, `event_name`: `sub`),
    unless they are overridden, too.
    """

    def told(claim: str, variable: str, made_up: str) -> str:
        return overrides.get(claim) or environment.get(variable) or made_up

    claims = _repository_claims(environment, overrides)
    claims |= _run_claims(environment, overrides)
    claims |= _workflow_claims(environment, overrides, claims)
    claims |= {
        "actor": told("actor", "GITHUB_ACTOR", "octocat"),
        "ref_protected": told("ref_protected", "GITHUB_REF_PROTECTED", "false"),
        "repository_visibility": overrides.get("repository_visibility") or "public",
        "runner_environment": told("runner_environment", "RUNNER_ENVIRONMENT", "github-hosted"),
        "run_id": told("run_id", "GITHUB_RUN_ID", "1000000001"),
        "run_number": told("run_number", "GITHUB_RUN_NUMBER", "1"),
        "run_attempt": told("run_attempt", "GITHUB_RUN_ATTEMPT", "1"),
    }
    claims["actor_id"] = told("actor_id", "GITHUB_ACTOR_ID", made_up_number(claims["actor"]))
    claims["sub"] = _subject(claims | {"environment": overrides.get("environment", "")})
    claims |= overrides
    removed = {name for name, value in overrides.items() if not value}
    return {name: claims[name] for name in sorted(claims.keys() - removed)}


def _repository_claims(
    environment: Mapping[str, str], overrides: Mapping[str, str]
) -> dict[str, str]:
    here = environment.get("GITHUB_REPOSITORY") or _DEFAULT_REPOSITORY
    owner, _, name = here.partition("/")
    repository = overrides.get("repository")
    if not repository:
        repository = f"{overrides.get('repository_owner') or owner}/{name}"
    owner = overrides.get("repository_owner") or repository.partition("/")[0]
    # The ids of the actual repository do not belong to a simulated one.
    id_here, owner_id_here = "", ""
    if repository == environment.get("GITHUB_REPOSITORY"):
        id_here = environment.get("GITHUB_REPOSITORY_ID", "")
    if owner == here.partition("/")[0]:
        owner_id_here = environment.get("GITHUB_REPOSITORY_OWNER_ID", "")
    return {
        "repository": repository,
        "repository_id": id_here or made_up_number(repository),
        "repository_owner": owner,
        "repository_owner_id": owner_id_here or made_up_number(owner),
    }


def _run_claims(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    event = overrides.get("event_name") or environment.get("GITHUB_EVENT_NAME") or "push"
    is_pull = event == "pull_request"
    ref = overrides.get("ref")
    if not ref:
        ref = environment.get("GITHUB_REF", "")
        if not ref or ref.startswith("refs/pull/") != is_pull:
            ref = "refs/pull/1/merge" if is_pull else _DEFAULT_REF
    made_up_sha = hashlib.sha256(f"a commit of {ref}".encode()).hexdigest()[:40]
    return {
        "event_name": event,
        "ref": ref,
        "ref_type": "tag" if ref.startswith("refs/tags/") else "branch",
        "sha": overrides.get("sha") or environment.get("GITHUB_SHA") or made_up_sha,
        "base_ref": environment.get("GITHUB_BASE_REF") or ("main" if is_pull else ""),
        "head_ref": environment.get("GITHUB_HEAD_REF") or ("change" if is_pull else ""),
    }


def _workflow_claims(
    environment: Mapping[str, str], overrides: Mapping[str, str], claims: Mapping[str, str]
) -> dict[str, str]:
    here = environment.get("GITHUB_WORKFLOW_REF", "")
    # OWNER/REPOSITORY/PATH@REF
    path = here.partition("@")[0].partition("/")[2].partition("/")[2] or _DEFAULT_WORKFLOW
    workflow_ref = overrides.get("workflow_ref") or f"{claims['repository']}/{path}@{claims['ref']}"
    workflow_sha = overrides.get("workflow_sha")
    if not workflow_sha:
        sha_here = "" if overrides.get("sha") else environment.get("GITHUB_WORKFLOW_SHA")
        workflow_sha = sha_here or claims["sha"]
    return {
        "workflow": environment.get("GITHUB_WORKFLOW") or "Release",
        "workflow_ref": workflow_ref,
        "workflow_sha": workflow_sha,
        "job_workflow_ref": workflow_ref,
        "job_workflow_sha": workflow_sha,
    }


def _subject(claims: Mapping[str, str]) -> str:
    if claims["environment"]:
        context = f"environment:{claims['environment'].replace(':', '%3A')}"
    elif claims["event_name"] == "pull_request":
        context = "pull_request"
    else:
        context = f"ref:{claims['ref']}"
    return f"repo:{claims['repository']}:{context}"


def made_up_number(name: str) -> str:
    """Return an id for a name: always the same, as text."""
    return str(zlib.crc32(name.encode()))


_VARIABLES = {
    "GITHUB_ACTOR": "actor",
    "GITHUB_ACTOR_ID": "actor_id",
    "GITHUB_BASE_REF": "base_ref",
    "GITHUB_EVENT_NAME": "event_name",
    "GITHUB_HEAD_REF": "head_ref",
    "GITHUB_REF": "ref",
    "GITHUB_REF_PROTECTED": "ref_protected",
    "GITHUB_REF_TYPE": "ref_type",
    "GITHUB_REPOSITORY": "repository",
    "GITHUB_REPOSITORY_ID": "repository_id",
    "GITHUB_REPOSITORY_OWNER": "repository_owner",
    "GITHUB_REPOSITORY_OWNER_ID": "repository_owner_id",
    "GITHUB_RUN_ATTEMPT": "run_attempt",
    "GITHUB_RUN_ID": "run_id",
    "GITHUB_RUN_NUMBER": "run_number",
    "GITHUB_SHA": "sha",
    "GITHUB_WORKFLOW": "workflow",
    "GITHUB_WORKFLOW_REF": "workflow_ref",
    "GITHUB_WORKFLOW_SHA": "workflow_sha",
    "RUNNER_ENVIRONMENT": "runner_environment",
}


def job_environment(claims: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that GitHub's runner would set in the job with these `claims`."""
    told = {name: claims[claim] for name, claim in _VARIABLES.items() if claim in claims}
    ref_name = claims.get("ref", "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    return {
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_REF_NAME": ref_name.removeprefix("refs/pull/"),
        "GITHUB_SERVER_URL": "https://github.com",
        **told,
    }
