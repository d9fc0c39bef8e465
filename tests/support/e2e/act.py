"""Whole workflows, run by act on this machine.

Other people's actions are replaced by stand-ins, as nothing is fetched here.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pin_examples import uses
from ruamel.yaml import YAML

from support.e2e.commands import finished, run
from support.environment import without_a_job
from support.paths import ROOT, TESTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.e2e.machine import Machine
    from support.e2e.world import World

ACT = ROOT / ".venv" / "e2e" / "bin" / "act"
CALLER = TESTS / "e2e" / "caller"
(_USED,) = uses((CALLER / ".github" / "workflows" / "plain.yml").read_text(encoding="utf-8"))
OURS = f"{_USED.name}@{_USED.ref}"
"""The action, as every caller and every example names it: act runs the checkout in its place."""

STAND_INS = TESTS / "e2e" / "stand_ins"
_OUTSIDE = re.compile(r"uses: ((?!attested-publish/)[\w-]+/([\w-]+)@\w+)")
_SECONDS = 200


@dataclass(frozen=True)
class Outcome:
    """What a workflow said, with debug logging on, and the outputs that it kept."""

    succeeded: bool
    log: str
    result: str
    files: list[dict[str, Any]]


class Caller:
    """A repository of a user, with distributions in `dist` and workflows that release them."""

    def __init__(
        self,
        folder: Path,
        dist: Path,
        action: Path,
        machine: Machine,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self._action = action
        self._machine = machine
        self._folder = folder / "caller"
        self._keep = folder / "kept"
        self._home = folder / "home"
        shutil.copytree(CALLER, self._folder)
        shutil.copytree(dist, self._folder / "dist")
        for path, text in (more or {}).items():
            (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / path).write_text(text, encoding="utf-8")
        self._keep.mkdir()
        self._home.mkdir()
        # act takes the job's repository and tag from git, as a checkout would leave it.
        for command in (
            ("init", "--quiet"),
            ("remote", "add", "origin", "https://github.com/octo-org/sample-project"),
            ("add", "--all"),
            ("-c", "user.name=e2e", "-c", "user.email=e2e", "commit", "--quiet", "-m", "Release"),
            ("tag", "v1.0.0"),
        ):
            run("git", *command, cwd=self._folder)

    def run(
        self,
        workflow: str,
        world: World,
        runtime: str,
        *,
        variables: dict[str, str] | None = None,
        secrets: dict[str, str] | None = None,
        actions: Mapping[str, Path] | None = None,
    ) -> Outcome:
        """Run a workflow of the repository as a push to the tag would.

        `actions` are the folders of other actions, by what `uses:` names; nothing is fetched.
        """
        given = {
            "INDEX": world.upload_url,
            "TRUST": str(world.trust_config),
            "RUNTIME": runtime,
            "KEEP": str(self._keep),
        } | (variables or {})
        hidden = {"REQUEST_TOKEN": world.request_token}
        hidden |= secrets or {}
        job = world.request | {
            "ATTESTED_PUBLISH_DOCKER_ARGS": self._machine.run_arguments,
            "ATTESTED_PUBLISH_DOCKER_BUILD_ARGS": self._machine.build_arguments,
            "STAND_IN_FOLDER": str(self._keep),
            "STAND_IN_UV": str(Path(sys.executable).parent),
        }
        done = act(
            "push",
            workflow,
            self._folder,
            actions={OURS: self._action, **(actions or {})},
            variables=given,
            secrets=hidden,
            job=job,
            environment=self._machine.environment,
            home=self._home,
        )
        return Outcome(
            done.returncode == 0,
            done.stdout,
            self._kept("result"),
            json.loads(self._kept("files") or "[]"),
        )

    def _kept(self, name: str) -> str:
        path = self._keep / name
        return path.read_text() if path.exists() else ""


def act(
    event: str,
    workflow: str,
    folder: Path,
    *options: str,
    actions: Mapping[str, Path],
    variables: Mapping[str, str],
    secrets: Mapping[str, str],
    job: Mapping[str, str],
    environment: Mapping[str, str],
    home: Path,
    seconds: float = _SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run a workflow of the repository in `folder`; what its commit is, act takes from git.

    `job` has variables of the job, `environment` those of act itself; `home` is empty or used for
    the same test only. It ends within `seconds`.
    """
    return finished(
        *(str(ACT), event, "--verbose", "--rm", "--pull=false", "--no-cache-server", *options),
        *("-W", f".github/workflows/{workflow}.yml", "-P", "ubuntu-latest=-self-hosted"),
        *(f"--local-repository={name}={place}" for name, place in actions.items()),
        *(f"--var={name}={value}" for name, value in variables.items()),
        # Known to the runner as secrets, as GitHub's runner knows its own token.
        *(f"--secret={name}={value}" for name, value in secrets.items()),
        *(f"--env={name}={value}" for name, value in job.items()),
        cwd=folder,
        env=without_a_job()
        | dict(environment)
        | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")},
        stderr=subprocess.STDOUT,
        timeout=seconds,
    )


def stand_ins_for(text: str) -> dict[str, Path]:
    """Return the folders that replace other people's actions in a workflow."""
    return {name: STAND_INS / short for name, short in _OUTSIDE.findall(text)}


def on_the_embedded_services(text: str, inputs: Mapping[str, str] | None = None) -> str:
    """Return a workflow for which the embedded index and Sigstore are meant.

    `inputs` are further ones of the step with the action.
    """
    yaml = YAML()
    yaml.width = 4096
    workflow = yaml.load(text)
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if step.get("uses") == OURS:
                step.setdefault("with", {}).update(
                    {
                        "repository-url": "${{ vars.INDEX }}",
                        "sigstore-trust-config": "${{ vars.TRUST }}",
                    }
                    | dict(inputs or {})
                )
    written = io.StringIO()
    yaml.dump(workflow, written)
    return written.getvalue()
