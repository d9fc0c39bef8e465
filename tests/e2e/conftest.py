"""What the end-to-end tests share: a machine with an engine, the action, and worlds."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.checkout import names_of_files
from support.e2e.commands import ENDING
from support.e2e.launch import Launch
from support.e2e.machine import Machine, plain_machine
from support.e2e.world import World, running_world
from support.makers import make_sdist, make_wheel
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


def pytest_configure() -> None:
    # What a session made is taken down however it ends, also where a shell has started it with
    # interrupts ignored.
    for number in ENDING:
        signal.signal(number, _interrupted)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Those that need an engine run beside all others.
    for item in items:
        if "machine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engine)


def _interrupted(number: int, frame: FrameType | None) -> None:
    # Once is enough: a second Ctrl-C must not stop what takes everything down.
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """A folder with a short name (sockets need one) that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="attested-publish-e2e-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def machine(work: Path) -> Iterator[Machine]:
    with plain_machine(work) as machine:
        yield machine


@pytest.fixture(scope="session")
def action(work: Path) -> Path:
    """The action as a checkout of it would be: what git has or would add, nothing else."""
    folder = work / "action"
    for name in names_of_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def default_image(machine: Machine, action: Path, work: Path) -> str:
    """The image, built from the Dockerfile by launch.sh as for a branch."""
    prepared = Launch(action, work / "prepared", machine).prepare("docker")
    return prepared["image"]


@pytest.fixture(scope="session")
def action_of_a_release(action: Path, default_image: str, work: Path) -> Path:
    """The action as after a release: nothing is built, what a file names is used."""
    folder = work / "released"
    shutil.copytree(action, folder)
    (folder / "image.txt").write_text(f"{default_image}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def images(machine: Machine, action: Path, default_image: str) -> dict[str, str]:
    """The image of each target of the Dockerfile: the default one, and the one with a shell."""
    shell = "attested-publish-shell"
    options = machine.build_arguments.split()
    machine.docker("build", *options, "--target", "shell", "--tag", shell, str(action))
    return {"program": default_image, "shell": shell}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with running_world(tmp_path / "world") as world:
        yield world


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A user's folder with a wheel and an sdist."""
    folder = tmp_path / "workspace" / "dist"
    folder.mkdir(parents=True)
    make_wheel(folder)
    make_sdist(folder)
    return folder


@pytest.fixture
def launch(action: Path, tmp_path: Path, machine: Machine) -> Launch:
    return Launch(action, tmp_path, machine)
