"""What limits the container can be given, and what is said where one is too tight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.makers import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from support.e2e.launch import Launch
    from support.e2e.machine import Machine
    from support.e2e.world import World

_ARGUMENTS = "ATTESTED_PUBLISH_DOCKER_ARGS"


@pytest.fixture
def prepared(default_image: str) -> dict[str, str]:
    """What the first step hands over."""
    return {"runtime": "docker", "image": default_image}


@pytest.fixture(scope="module")
def limits(machine: Machine) -> None:
    """An engine that can limit memory: it needs the system's control groups."""
    assert machine.docker("info", "--format", "{{.MemoryLimit}} {{.PidsLimit}}") == "true true\n"


def memory(size: str) -> str:
    # Without swap, which a runner may have.
    return f"--memory={size} --memory-swap={size}"


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("limit", [memory("256m"), "--pids-limit=64", "--cpus=0.5"])
def test_a_release_within_the_limits_that_the_page_names(
    launch: Launch, prepared: dict[str, str], world: World, dist: Path, limit: str
) -> None:
    for number in range(10):
        make_wheel(dist, tag=f"py3{number}-none-any")
    done = launch.publish(prepared, world, **{_ARGUMENTS: f"--network host {limit}"})
    assert done.returncode == 0, done.stdout
    assert len(world.verified("sample")) == 12


@pytest.mark.usefixtures("dist", "limits")
def test_a_rehearsal_needs_no_network(
    launch: Launch, prepared: dict[str, str], world: World
) -> None:
    arguments = f"--network none --pids-limit=64 {memory('256m')}"
    given = {"INPUT_MODE": "rehearse", _ARGUMENTS: arguments}
    done = launch.publish(prepared, world, **given)
    assert done.returncode == 0, done.stdout
    assert launch.outputs()["result"] == "done"


@pytest.mark.usefixtures("dist", "limits")
def test_too_little_memory_is_named(launch: Launch, prepared: dict[str, str], world: World) -> None:
    done = launch.publish(prepared, world, **{_ARGUMENTS: f"--network host {memory('32m')}"})
    assert done.returncode == 1
    assert "::error title=attested-publish cannot run here::The container was killed" in done.stdout
    assert "Raise --memory in ATTESTED_PUBLISH_DOCKER_ARGS" in done.stdout
    assert world.served("sample") == []


@pytest.mark.usefixtures("dist", "limits")
def test_too_few_threads_are_named(launch: Launch, prepared: dict[str, str], world: World) -> None:
    done = launch.publish(prepared, world, **{_ARGUMENTS: "--network host --pids-limit=6"})
    assert done.returncode == 1
    assert "::error title=The run has no threads left::" in done.stdout
    assert "--pids-limit" in done.stdout
    assert launch.outputs()["result"] == "failed"


@pytest.mark.usefixtures("dist")
def test_an_argument_that_docker_does_not_know_is_named(
    launch: Launch, prepared: dict[str, str], world: World
) -> None:
    done = launch.publish(prepared, world, **{_ARGUMENTS: "--network host --memroy=1g"})
    assert done.returncode == 1
    assert "unknown flag: --memroy" in done.stdout
    assert "Check ATTESTED_PUBLISH_DOCKER_ARGS" in done.stdout
