"""The environment of these tests without the job that they may be running in themselves."""

from __future__ import annotations

import os

_OF_A_JOB = (
    *("GITHUB_", "ACTIONS_", "RUNNER_", "INPUT_"),
    *("GITLAB_", "CI_", "CIRCLE", "GOOGLE_", "BUILDKITE"),
)


def without_a_job() -> dict[str, str]:
    """Return the variables of this process but those by which a program knows its job."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith(_OF_A_JOB)
    }
