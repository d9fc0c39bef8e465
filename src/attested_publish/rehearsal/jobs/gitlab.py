"""The simulated job of GitLab CI/CD: the claims of its identity tokens, and its variables."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from attested_publish.rehearsal.jobs.github import made_up_number

if TYPE_CHECKING:
    from collections.abc import Mapping

ISSUER = "https://gitlab.com"

_HOST = "gitlab.com"
_DEFAULT_PROJECT = "octo-group/sample-project"
_DEFAULT_CONFIG = ".gitlab-ci.yml"
_DEFAULT_TAG = "v1.0.0"

_VARIABLES = {
    "CI_COMMIT_REF_NAME": "ref",
    "CI_COMMIT_SHA": "sha",
    "CI_CONFIG_REF_URI": "ci_config_ref_uri",
    "CI_ENVIRONMENT_NAME": "environment",
    "CI_JOB_ID": "job_id",
    "CI_PIPELINE_ID": "pipeline_id",
    "CI_PIPELINE_SOURCE": "pipeline_source",
    "CI_PROJECT_ID": "project_id",
    "CI_PROJECT_NAMESPACE": "namespace_path",
    "CI_PROJECT_NAMESPACE_ID": "namespace_id",
    "CI_PROJECT_PATH": "project_path",
    "CI_PROJECT_VISIBILITY": "project_visibility",
    "CI_RUNNER_ID": "runner_id",
    "GITLAB_USER_EMAIL": "user_email",
    "GITLAB_USER_ID": "user_id",
    "GITLAB_USER_LOGIN": "user_login",
}


def job_claims(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """Return realistic claims of a GitLab CI/CD job; all of them are text.

    Values come from GitLab's variables in `environment`; the others are invented, and clearly
    samples. `overrides` sets any claim, an empty value removes it. Claims that depend on an
    overridden one change with it (`project_path`: the namespace, the ids, `ci_config_ref_uri`
    and `sub`; `ref` and `ref_type`: `ref_path`, `ci_config_ref_uri` and `sub`), unless they are
    overridden, too.
    """

    def told(claim: str, variable: str, made_up: str) -> str:
        return overrides.get(claim) or environment.get(variable) or made_up

    claims = _project_claims(environment, overrides)
    claims |= _ref_claims(environment, overrides)
    user = told("user_login", "GITLAB_USER_LOGIN", "octocat")
    claims |= {
        "pipeline_id": told("pipeline_id", "CI_PIPELINE_ID", "1000000001"),
        "pipeline_source": told("pipeline_source", "CI_PIPELINE_SOURCE", "push"),
        "job_id": told("job_id", "CI_JOB_ID", "1000000002"),
        "runner_id": told("runner_id", "CI_RUNNER_ID", "1"),
        "runner_environment": "gitlab-hosted",
        "project_visibility": told("project_visibility", "CI_PROJECT_VISIBILITY", "public"),
        "user_login": user,
        "user_id": told("user_id", "GITLAB_USER_ID", made_up_number(user)),
        "user_email": told("user_email", "GITLAB_USER_EMAIL", f"{user}@example.org"),
    }
    if name := told("environment", "CI_ENVIRONMENT_NAME", ""):
        claims |= {"environment": name, "environment_protected": "false"}
    project, ref_path = claims["project_path"], claims["ref_path"]
    config = environment.get("CI_CONFIG_PATH") or _DEFAULT_CONFIG
    claims |= {
        "ci_config_ref_uri": f"{_HOST}/{project}//{config}@{ref_path}",
        "ci_config_sha": claims["sha"],
        "sub": f"project_path:{project}:ref_type:{claims['ref_type']}:ref:{claims['ref']}",
    }
    claims |= overrides
    removed = {name for name, value in overrides.items() if not value}
    return {name: claims[name] for name in sorted(claims.keys() - removed)}


def job_environment(claims: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that GitLab would set in the job with these `claims`."""
    told = {name: claims[claim] for name, claim in _VARIABLES.items() if claim in claims}
    tag = {"CI_COMMIT_TAG": claims["ref"]} if claims.get("ref_type") == "tag" else {}
    return {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_SERVER_URL": ISSUER,
        "CI_SERVER_HOST": _HOST,
        **tag,
        **told,
    }


def _project_claims(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    project = overrides.get("project_path") or environment.get("CI_PROJECT_PATH")
    project = project or _DEFAULT_PROJECT
    namespace = project.rpartition("/")[0]
    # The ids of the actual project do not belong to a simulated one.
    is_here = project == environment.get("CI_PROJECT_PATH")
    here = environment if is_here else {}
    return {
        "project_path": project,
        "project_id": here.get("CI_PROJECT_ID") or made_up_number(project),
        "namespace_path": namespace,
        "namespace_id": here.get("CI_PROJECT_NAMESPACE_ID") or made_up_number(namespace),
    }


def _ref_claims(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    ref = overrides.get("ref")
    kind = overrides.get("ref_type")
    if not ref:
        ref = environment.get("CI_COMMIT_REF_NAME") or _DEFAULT_TAG
        is_branch = "CI_COMMIT_REF_NAME" in environment and "CI_COMMIT_TAG" not in environment
        kind = kind or ("branch" if is_branch else "tag")
    kind = kind or "tag"
    ref_path = f"refs/{'tags' if kind == 'tag' else 'heads'}/{ref}"
    made_up_sha = hashlib.sha256(f"a commit of {ref}".encode()).hexdigest()[:40]
    return {
        "ref": ref,
        "ref_type": kind,
        "ref_path": overrides.get("ref_path") or ref_path,
        "ref_protected": "true",
        "sha": overrides.get("sha") or environment.get("CI_COMMIT_SHA") or made_up_sha,
    }
