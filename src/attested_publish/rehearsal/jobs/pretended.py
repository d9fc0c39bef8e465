"""The kinds of jobs that can be simulated."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attested_publish.identity.refs import ref_of
from attested_publish.rehearsal.jobs import circleci, github, gitlab, google

Claims = Callable[[Mapping[str, str], Mapping[str, str]], dict[str, str]]


class Source(enum.Enum):
    """How a job gets its identity tokens."""

    REQUEST = "its variables have the address to request tokens from, and a secret"
    VARIABLES = "its variables contain one for each audience"
    PROGRAM = "it has a program that requests them"
    METADATA = "it requests them from a fixed host, which no variable changes"


FIXED_AUDIENCES = ("pypi", "sigstore")
"""The audiences of the tokens in variables."""


@dataclass(frozen=True)
class Job:
    """A kind of job: the issuer and the claims of its tokens, and its variables.

    `claims` makes realistic claims from variables and overrides, `variables` the variables that
    match claims. Tokens are valid for `token_lifetime` seconds, and have an id (``jti``) unless
    `has_token_ids` is false. `source` says how the job gets them. `ref_claim` has the Git ref that
    it runs on, which a real job has in one of `ref_variables`.
    """

    provider: str
    issuer: str
    claims: Claims
    variables: Callable[[Mapping[str, str]], dict[str, str]]
    token_lifetime: float
    source: Source
    has_token_ids: bool = True
    ref_claim: str = ""
    ref_variables: tuple[str, ...] = ()


GITHUB = Job(
    "GitHub",
    github.ISSUER,
    github.job_claims,
    github.job_environment,
    300.0,
    Source.REQUEST,
    ref_claim="ref",
    ref_variables=("GITHUB_REF",),
)
GITLAB = Job(
    "GitLab",
    gitlab.ISSUER,
    gitlab.job_claims,
    gitlab.job_environment,
    # As long as the job may run: GitLab's default.
    3600.0,
    Source.VARIABLES,
    ref_claim="ref",
    ref_variables=("CI_COMMIT_REF_NAME",),
)
CIRCLECI = Job(
    "CircleCI",
    circleci.ISSUER,
    circleci.job_claims,
    circleci.job_environment,
    3600.0,
    Source.PROGRAM,
    has_token_ids=False,
    ref_claim=f"{circleci.PREFIX}/vcs-ref",
    ref_variables=("CIRCLE_TAG", "CIRCLE_BRANCH"),
)
GOOGLE = Job(
    "Google",
    google.ISSUER,
    google.job_claims,
    google.job_environment,
    3600.0,
    Source.METADATA,
    has_token_ids=False,
)
JOBS = {"github": GITHUB, "gitlab": GITLAB, "circleci": CIRCLECI, "google": GOOGLE}

_MARKS = {
    "GITHUB_ACTIONS": GITHUB,
    "GITLAB_CI": GITLAB,
    "CIRCLECI": CIRCLECI,
    "GOOGLE_SERVICE_ACCOUNT_NAME": GOOGLE,
}
"""The variables by which the kind of job is recognized, in that order."""


def job_here(environment: Mapping[str, str]) -> Job:
    """Return the kind of job with these variables; outside a job, GitHub's."""
    return next((job for mark, job in _MARKS.items() if environment.get(mark)), GITHUB)


def given_ref(
    job: Job,
    claims: Mapping[str, str],
    environment: Mapping[str, str],
    overrides: Mapping[str, str],
) -> str:
    """Return the full Git ref of a simulated job with these `claims`, or nothing.

    Where neither the variables in `environment` nor `overrides` named one, it is a sample, which
    has nothing to do with the files.
    """
    ref = claims.get(job.ref_claim, "")
    given = [overrides.get(job.ref_claim), *map(environment.get, job.ref_variables)]
    if not any(each and ref.endswith(each) for each in given):
        return ""
    return ref_of(job.variables(claims))


def without_job(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables without those that indicate another kind of job."""
    return {
        name: value for name, value in environment.items() if name not in {*_MARKS, "BUILDKITE"}
    }
