"""The environment of these tests: without the job that they may run in, or with another one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from attested_publish.rehearsal.jobs.pretended import without_job

_OF_A_JOB = (
    *("GITHUB_", "ACTIONS_", "RUNNER_", "INPUT_"),
    *("GITLAB_", "CI_", "CIRCLE", "GOOGLE_", "BUILDKITE"),
)

_OF_GIT_ITSELF = ("GIT_SSL_", "GIT_EXEC_PATH")
"""Where its programs are, and whom it trusts."""


def without_a_job() -> dict[str, str]:
    """Return the variables of this process but those by which a program knows its job."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith(_OF_A_JOB)
    }


def forget_settings_of_git() -> None:
    """Let git know nothing of how this machine is set up, nor that one of its hooks runs the tests.

    A repository of a test would be signed with the developer's key, or have their hooks; and with
    `GIT_DIR`, which hooks get, it would be the developer's own.
    """
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        if not name.startswith(_OF_GIT_ITSELF):
            del os.environ[name]
    os.environ |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@contextlib.contextmanager
def in_job(environment: Mapping[str, str]) -> Iterator[None]:
    """Let this process run in the job that has these variables, and in no other."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update({**without_job(before), **environment})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
