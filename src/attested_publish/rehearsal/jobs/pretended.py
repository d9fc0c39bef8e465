"""The kinds of jobs that the embedded world can pretend to be around."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from attested_publish.rehearsal.jobs import circleci, github, gitlab, google

Claims = Callable[[Mapping[str, str], Mapping[str, str]], dict[str, str]]


class Source(enum.Enum):
    """How a job comes by its identity tokens."""

    REQUEST = "its variables say where to ask, and with which secret"
    VARIABLES = "its variables hold one for each audience"
    PROGRAM = "it finds a program that asks"
    METADATA = "it asks a host of a fixed name, which no variable changes"


FIXED_AUDIENCES = ("pypi", "sigstore")
"""For whom there are tokens where the variables hold them."""


@dataclass(frozen=True)
class Job:
    """A kind of job: whose tokens it gets, what they claim, and which variables it has.

    `claims` makes believable claims of variables and overrides, `variables` the variables
    that go with claims. Tokens live for `token_lifetime` seconds, and carry an id (``jti``)
    unless `has_token_ids` is false. `source` says how the job comes by them.
    """

    provider: str
    issuer: str
    claims: Claims
    variables: Callable[[Mapping[str, str]], dict[str, str]]
    token_lifetime: float
    source: Source
    has_token_ids: bool = True


GITHUB = Job(
    "GitHub",
    github.ISSUER,
    github.job_claims,
    github.job_environment,
    300.0,
    Source.REQUEST,
)
GITLAB = Job(
    "GitLab",
    gitlab.ISSUER,
    gitlab.job_claims,
    gitlab.job_environment,
    # For as long as the job may run: GitLab's default for that.
    3600.0,
    Source.VARIABLES,
)
CIRCLECI = Job(
    "CircleCI",
    circleci.ISSUER,
    circleci.job_claims,
    circleci.job_environment,
    3600.0,
    Source.PROGRAM,
    has_token_ids=False,
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
"""The variables that identity tokens are looked for by, in that order."""


def job_here(environment: Mapping[str, str]) -> Job:
    """Return the kind of job that these variables are of; outside of one, GitHub's."""
    return next((job for mark, job in _MARKS.items() if environment.get(mark)), GITHUB)


def without_job(environment: Mapping[str, str]) -> dict[str, str]:
    """Return variables without what would make an identity be looked for elsewhere."""
    return {
        name: value for name, value in environment.items() if name not in {*_MARKS, "BUILDKITE"}
    }
