"""The action's two steps where the docker command is Podman's: as root, and rootless."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.checkout import digests
from support.e2e.commands import undisturbed
from support.e2e.inside import USER, add_user
from support.e2e.launch import Launch
from support.e2e.machine import debian
from support.e2e.podman import PACKAGES, Podman
from support.e2e.world import running_world
from support.makers import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.e2e.machine import Machine

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a Debian of its own needs root")

_CGROUPS = Path("/sys/fs/cgroup")


# Podman 4.3, and the newest. `make e2e` tries each once, `make e2e-slow` the other way.
_PODMANS = [
    *(("bookworm", "root"), ("sid", "rootless")),
    *(
        pytest.param(each, marks=pytest.mark.slow)
        for each in (("bookworm", "rootless"), ("sid", "root"))
    ),
]


@pytest.fixture(scope="module", params=_PODMANS, ids="-".join)
def podman(
    request: pytest.FixtureRequest, work: Path, machine: Machine, default_image: str
) -> Iterator[Podman]:
    """Podman in a Debian of its own, with the image that Docker built."""
    suite, user = request.param
    root = work / f"podman-{suite}"
    folder = root.with_name(f"{root.name}-{user}")
    before = cgroups()
    try:
        debian(suite, root, *PACKAGES)
        add_user(root)
        podman = Podman(root, folder, USER if user == "rootless" else None)
        archive = folder / "image.tar"
        machine.docker("save", "--output", str(archive), default_image)
        archive.chmod(0o644)
        podman("load", "--input", str(archive))
        yield podman
        # Ends the process that keeps a rootless Podman's namespaces.
        podman("system", "migrate")
    finally:
        with undisturbed():
            for path in sorted(cgroups() - before, reverse=True):
                path.rmdir()
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(root, ignore_errors=True)


def cgroups() -> set[Path]:
    """Podman's, each once: version 1 has several names for one."""
    parents = {path.resolve() for path in _CGROUPS.glob("*/libpod_parent")}
    return parents | {path for parent in parents for path in parent.glob("**/")}


@pytest.fixture
def launch(podman: Podman, action_of_a_release: Path, work: Path) -> Iterator[Launch]:
    folder = work / "podman"
    launch = Launch(action_of_a_release, folder, podman.machine("unused"), become=podman.become)
    dist = launch.workspace / "dist"
    dist.mkdir()
    make_wheel(dist)
    make_sdist(dist)
    for path in (folder, *folder.glob("**/*")):
        os.chown(path, podman.user, podman.user)
    try:
        yield launch
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def prepared(launch: Launch, default_image: str) -> dict[str, str]:
    prepared = launch.prepare("docker")
    assert prepared == {"runtime": "docker", "image": default_image}
    return prepared


def test_what_podman_writes_is_the_callers(
    launch: Launch, prepared: dict[str, str], podman: Podman
) -> None:
    before = digests(launch.workspace / "dist")
    with running_world(launch.output.parent / "world") as world:
        done = launch.publish(prepared, world, INPUT_ATTESTATIONS_DIR="kept")
        assert done.returncode == 0, done.stdout
        assert world.verified("sample") == before
    outputs = launch.outputs()
    assert outputs["result"] == "done"
    made = [Path(outputs["report"]), *(launch.workspace / "kept").iterdir()]
    assert len(made) == 3
    assert {path.stat().st_uid for path in made} == {podman.user}
    assert digests(launch.workspace / "dist") == before


def test_packages_outside_of_the_working_directory(
    launch: Launch, prepared: dict[str, str]
) -> None:
    elsewhere = launch.output.parent / "elsewhere"
    (launch.workspace / "dist").rename(elsewhere)
    with running_world(launch.output.parent / "world") as world:
        done = launch.publish(prepared, world, INPUT_PACKAGES_DIR=str(elsewhere))
        assert done.returncode == 0, done.stdout
        assert world.verified("sample") == digests(elsewhere)
        # In a folder above the working directory, which is one of those that are searched.
        make_wheel(launch.workspace, "beside")
        above = {"INPUT_PACKAGES_DIR": "..", "INPUT_MODE": "check"}
        done = launch.publish(prepared, world, **above)
    assert done.returncode == 0, done.stdout
    files = json.loads(launch.outputs()["files"])
    assert {each["project"] for each in files} == {"sample", "beside"}


def test_a_cancelled_job_leaves_no_token_behind(launch: Launch, prepared: dict[str, str]) -> None:
    with running_world(launch.output.parent / "world", "--latency", "upload=5") as world:
        said = []
        with launch.start("publish", launch.variables(prepared, world, {})) as process:
            for line in process.stdout:
                said.append(line)
                if line.startswith("::group::upload"):
                    process.send_signal(signal.SIGINT)
    log = "".join(said)
    assert process.returncode == 1, log
    # Podman 4.3 passes it on as SIGTERM where it is rootless.
    assert "It received SIGINT" in log or "It received SIGTERM" in log, log[-3000:]
    assert "API token revoked" in log


def test_an_argument_that_podman_does_not_know_is_named(
    launch: Launch, prepared: dict[str, str]
) -> None:
    wrong = {"ATTESTED_PUBLISH_DOCKER_ARGS": "--network host --memroy=1g"}
    with running_world(launch.output.parent / "world") as world:
        done = launch.publish(prepared, world, **wrong)
    assert done.returncode == 1
    assert "unknown flag: --memroy" in done.stdout
    assert "Check ATTESTED_PUBLISH_DOCKER_ARGS" in done.stdout
