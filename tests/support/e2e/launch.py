"""The action's two steps, run as a runner runs them."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from support.e2e.commands import started
from support.environment import without_a_job

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from support.e2e.machine import Machine
    from support.e2e.world import World


class Launch:
    """The action's two steps, started as a runner does, in `folder`/workspace."""

    def __init__(
        self,
        action: Path,
        folder: Path,
        machine: Machine | None,
        *,
        become: tuple[str, ...] = (),
        seconds: float = 300,
    ) -> None:
        self._seconds = seconds
        self._command = (*become, "bash", str(action / "launch.sh"))
        self.workspace = folder / "workspace"
        self.temp = folder / "temp"
        self.output = folder / "output"
        for each in (self.workspace, self.temp):
            each.mkdir(parents=True, exist_ok=True)
        self.environment = without_a_job() | {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
            "RUNNER_TEMP": str(self.temp),
        }
        for each in (self.output, folder / "summary"):
            each.touch()
        if machine is not None:
            self.environment |= machine.environment | {
                "ATTESTED_PUBLISH_DOCKER_ARGS": machine.run_arguments,
                "ATTESTED_PUBLISH_DOCKER_BUILD_ARGS": machine.build_arguments,
            }

    def prepare(self, runtime: str) -> dict[str, str]:
        """Run the first step and return its outputs."""
        done = self._run("prepare", INPUT_RUNTIME=runtime)
        assert done.returncode == 0, done.stdout
        lines = self.output.read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def publish(
        self, prepared: dict[str, str], world: World, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the second step against a world; `variables` are inputs and others."""
        return self._run("publish", **self.variables(prepared, world, variables))

    def variables(
        self, prepared: dict[str, str], world: World, more: dict[str, str]
    ) -> dict[str, str]:
        """Return the second step's own variables."""
        handed = {f"ATTESTED_PUBLISH_{name.upper()}": value for name, value in prepared.items()}
        inputs = {
            "INPUT_REPOSITORY_URL": world.upload_url,
            "INPUT_SIGSTORE_TRUST_CONFIG": str(world.trust_config),
        }
        return world.environment | handed | inputs | more

    def outputs(self) -> dict[str, str]:
        """Return the second step's outputs, which may have several lines."""
        outputs = {}
        lines = iter(self.output.read_text().splitlines())
        for line in lines:
            name, marked, mark = line.partition("<<")
            if marked:
                outputs[name] = "\n".join(iter(lambda: next(lines), mark))
        return outputs

    def start(
        self, step: str, variables: dict[str, str]
    ) -> AbstractContextManager[subprocess.Popen[str]]:
        """Start a step, with an empty file for its outputs; its words are the process's stdout."""
        self.output.write_text("")
        return started(
            *self._command,
            step,
            cwd=self.workspace,
            env=self.environment | variables,
            stderr=subprocess.STDOUT,
        )

    def _run(self, step: str, **variables: str) -> subprocess.CompletedProcess[str]:
        with self.start(step, variables) as process:
            said, _ = process.communicate(timeout=self._seconds)
        return subprocess.CompletedProcess(step, process.returncode, said)


def only_tools(folder: Path, *names: str, **paths: str) -> str:
    """Return a PATH with what launch.sh cannot do without, and the programs given."""
    folder.mkdir()
    for name in ("bash", "cat", "cut", "dirname", "mktemp", "od", "rm", "tr", "uname", *names):
        (folder / name).symlink_to(shutil.which(name))
    for name, path in paths.items():
        (folder / name).symlink_to(path)
    return str(folder)
