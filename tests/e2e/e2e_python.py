"""The runtime without Docker, with the oldest and the newest Python on this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from support.checkout import digests
from support.e2e.commands import run
from support.e2e.launch import Launch, only_tools

_OLDEST = (3, 11)


def pythons():
    """Return the Pythons at hand that the action supports, by version."""
    names = re.compile(r"python3(\.\d+)?")
    candidates = [
        path
        for folder in os.get_exec_path()
        if Path(folder).is_dir()
        for path in Path(folder).iterdir()
        if names.fullmatch(path.name)
    ]
    if shutil.which("pyenv"):
        listed = said("pyenv", "versions", "--bare").split()
        candidates += [
            Path(said("pyenv", "prefix", each).strip(), "bin/python3") for each in listed
        ]
    script = "import ensurepip, sys, venv; print(*sys.version_info[:2], sys.executable)"
    found = {}
    for candidate in candidates:
        words = said(candidate, "-I", "-c", script).split()
        if len(words) == 3 and (version := (int(words[0]), int(words[1]))) >= _OLDEST:
            found[version] = words[2]
    return found


def said(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""


AT_HAND = pythons()
CHOSEN = sorted({min(AT_HAND), max(AT_HAND)})


@pytest.fixture
def launch(action, tmp_path):
    return Launch(action, tmp_path, machine=None)


@pytest.mark.parametrize("version", CHOSEN, ids=lambda version: ".".join(map(str, version)))
def test_a_release_without_docker(launch, world, dist, tmp_path, version):
    launch.environment["PATH"] = only_tools(tmp_path / "bin", python3=AT_HAND[version])
    # What a job may have set for its own purposes changes nothing.
    evil = tmp_path / "workspace" / "attested_publish"
    evil.mkdir()
    (evil / "__init__.py").write_text("raise SystemExit('imported from the workspace')")
    launch.environment |= {"PYTHONPATH": str(tmp_path / "workspace"), "PIP_USER": "1"}
    (tmp_path / "more.txt").write_text("never-asked-for==1\n")
    launch.environment["PIP_REQUIREMENT"] = str(tmp_path / "more.txt")
    prepared = launch.prepare("auto")
    assert prepared["runtime"] == "python"
    done = launch.publish(prepared, world)
    assert done.returncode == 0, done.stdout
    assert world.verified("sample") == digests(dist)
    assert launch.outputs()["result"] == "done"
    # The next call of the job finds the installation.
    marker = Path(prepared["python"]).parents[1] / "complete"
    installed = marker.stat().st_mtime_ns
    assert launch.prepare("python") == prepared
    assert marker.stat().st_mtime_ns == installed


# What GitHub's runner does between two steps: outputs of the first become variables.
_BOTH_STEPS = """
bash /__w/_actions/us/launch.sh prepare
while IFS='=' read -r name value; do
  export "ATTESTED_PUBLISH_${name^^}=$value"
done <"$GITHUB_OUTPUT"
bash /__w/_actions/us/launch.sh publish
"""


def test_in_a_job_container(machine, action, world, dist, tmp_path):
    # The runner mounts the host's folders elsewhere and the engine's socket: an engine that
    # answers is not one that can be used.
    shutil.copytree(action, tmp_path / "_actions" / "us")
    shutil.copy(world.trust_config, dist.parent)
    (tmp_path / "_temp").mkdir()
    job = world.environment | {
        "GITHUB_OUTPUT": "/__w/_temp/output",
        "RUNNER_TEMP": "/__w/_temp",
        "INPUT_REPOSITORY_URL": world.upload_url,
        "INPUT_SIGSTORE_TRUST_CONFIG": world.trust_config.name,
        "ATTESTED_PUBLISH_DOCKER_BUILD_ARGS": machine.build_arguments,
    }
    said = run(
        *("docker", "run", "--rm", "--network", "host", "-v", f"{tmp_path}:/__w"),
        *("-v", f"{machine.socket}:/var/run/docker.sock"),
        *("-v", f"{Path(shutil.which('docker')).resolve()}:/usr/bin/docker:ro"),
        *(argument for name in job for argument in ("-e", name)),
        *("-w", "/__w/workspace", machine.base, "bash", "-ec", _BOTH_STEPS),
        env=os.environ | machine.environment | job,
    )
    assert "the Docker engine does not see this job's folders" in said
    assert world.verified("sample") == digests(dist)


def test_without_docker_and_python_it_says_what_to_add(launch, tmp_path):
    launch.environment["PATH"] = only_tools(tmp_path / "bin")
    with pytest.raises(AssertionError) as refused:
        launch.prepare("auto")
    said = str(refused.value)
    assert "::error title=attested-publish cannot run here::" in said
    assert "there is no docker command on PATH" in said
    assert "actions/setup-python" in said
