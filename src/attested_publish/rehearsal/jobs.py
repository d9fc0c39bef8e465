"""The kinds of jobs that the embedded world can pretend to be around."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attested_publish.rehearsal import github, gitlab

Claims = Callable[[Mapping[str, str], Mapping[str, str]], dict[str, str]]


@dataclass(frozen=True)
class Job:
    """A kind of job: whose tokens it gets, what they claim, and which variables it has.

    `claims` makes believable claims of variables and overrides, `variables` the variables
    that go with claims. A job has `fixed_tokens` for these audiences in its variables, and
    none else; with none it asks its issuer. Tokens live for `token_lifetime` seconds.
    """

    provider: str
    issuer: str
    claims: Claims
    variables: Callable[[Mapping[str, str]], dict[str, str]]
    token_lifetime: float
    fixed_tokens: tuple[str, ...] = ()


GITHUB = Job("GitHub", github.ISSUER, github.job_claims, github.job_environment, 300.0)
GITLAB = Job(
    "GitLab",
    gitlab.ISSUER,
    gitlab.job_claims,
    gitlab.job_environment,
    # For as long as the job may run: GitLab's default for that.
    3600.0,
    ("pypi", "sigstore"),
)
JOBS = {"github": GITHUB, "gitlab": GITLAB}

_MARKS = ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "GOOGLE_SERVICE_ACCOUNT_NAME")
"""Variables that identity tokens are looked for by."""


def job_here(environment: Mapping[str, str]) -> Job:
    """Return the kind of job that these variables are of; outside of one, GitHub's."""
    is_gitlab = environment.get("GITLAB_CI") and not environment.get("GITHUB_ACTIONS")
    return GITLAB if is_gitlab else GITHUB


def without_job(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables without what would make an identity be looked for elsewhere."""
    return {name: value for name, value in environment.items() if name not in _MARKS}
