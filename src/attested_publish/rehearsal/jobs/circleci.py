"""The simulated job of CircleCI: the claims of its tokens, its variables, its program."""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
import uuid
from typing import TYPE_CHECKING

from attested_publish.rehearsal.private import write_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ISSUER = "https://oidc.circleci.com"

PREFIX = "oidc.circleci.com"
"""The prefix of the names of CircleCI's own claims."""

_DEFAULT_ORIGIN = "github.com/octo-org/sample-project"
_DEFAULT_REF = "refs/tags/v1.0.0"

_VARIABLES = {
    "CIRCLE_ORGANIZATION_ID": f"{PREFIX}/org-id",
    "CIRCLE_PIPELINE_ID": f"{PREFIX}/pipeline-id",
    "CIRCLE_PROJECT_ID": f"{PREFIX}/project-id",
    "CIRCLE_WORKFLOW_ID": f"{PREFIX}/workflow-id",
    "CIRCLE_WORKFLOW_JOB_ID": f"{PREFIX}/job-id",
}


def job_claims(environment: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """Return realistic claims of a CircleCI job, as text.

    Text represents true and false, too, and with commas a list. Values come from CircleCI's
    variables in `environment`; the others are invented, and clearly samples. `overrides` sets
    any claim, an empty value removes it; `sub` changes with the ids of the organization and the
    project, unless it is overridden, too.
    """
    origin = overrides.get(f"{PREFIX}/vcs-origin") or _DEFAULT_ORIGIN
    claims = {
        claim: environment.get(variable) or _made_up_id(f"{claim} of {origin}")
        for variable, claim in _VARIABLES.items()
    }
    claims |= {
        f"{PREFIX}/context-ids": _made_up_id("a context"),
        f"{PREFIX}/pipeline-definition-id": _made_up_id(f"a pipeline of {origin}"),
        f"{PREFIX}/ssh-rerun": "false",
        f"{PREFIX}/vcs-origin": origin,
        f"{PREFIX}/vcs-ref": _ref(environment),
        **overrides,
    }
    organization, project = claims[f"{PREFIX}/org-id"], claims[f"{PREFIX}/project-id"]
    claims.setdefault("sub", f"org/{organization}/project/{project}/user/{_made_up_id('a user')}")
    return {name: claims[name] for name in sorted(claims) if claims[name]}


def job_environment(claims: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that CircleCI would set in the job with these `claims`."""
    told = {name: claims[claim] for name, claim in _VARIABLES.items() if claim in claims}
    kind, _, name = claims.get(f"{PREFIX}/vcs-ref", "").removeprefix("refs/").partition("/")
    variable = {"tags": "CIRCLE_TAG", "heads": "CIRCLE_BRANCH"}.get(kind)
    return {"CI": "true", "CIRCLECI": "true", **told, **({variable: name} if variable else {})}


def write_program(folder: Path, request_url: str, request_token: str) -> dict[str, str]:
    """Write the program that issues a job's tokens to `folder`; return the `PATH` with it.

    Raises `OSError` if programs cannot be run from there.
    """
    where = folder / "issuer.json"
    asked = json.dumps({"url": request_url, "token": request_token})
    write_private(where, asked.encode())
    module = "attested_publish.rehearsal.jobs.circleci_program"
    start = shlex.join([sys.executable, "-P", "-m", module, str(where)])
    script = f'#!/bin/sh\nexec {start} "$@"\n'
    program = folder / "circleci"
    write_private(program, script.encode(), mode=0o700)
    if not os.access(program, os.X_OK):
        why = (
            "no program can be run from it, as the simulated job does; set TMPDIR to another folder"
        )
        raise OSError(errno.EACCES, why, str(folder.parent))
    return {"PATH": os.pathsep.join(filter(None, (str(folder), os.environ.get("PATH"))))}


def _ref(environment: Mapping[str, str]) -> str:
    if tag := environment.get("CIRCLE_TAG"):
        return f"refs/tags/{tag}"
    branch = environment.get("CIRCLE_BRANCH")
    return f"refs/heads/{branch}" if branch else _DEFAULT_REF


def _made_up_id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
