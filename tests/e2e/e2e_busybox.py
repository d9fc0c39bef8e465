"""The action where all tools but bash are BusyBox's, as in an Alpine container."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support.checkout import digests
from support.e2e.commands import run
from support.e2e.launch import Launch
from support.e2e.machine import unpacked


@pytest.fixture(scope="module")
def busybox(work):
    unpacked("busybox-static", "trixie", work / "busybox")
    return work / "busybox" / "usr/bin/busybox"


@pytest.fixture
def only_busybox(busybox, tmp_path):
    """A PATH with BusyBox's tools, bash, and the programs given."""

    def path(*names):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in run(str(busybox), "--list").split():
            (folder / name).symlink_to(busybox)
        for name in ("bash", *names):
            (folder / name).unlink(missing_ok=True)
            (folder / name).symlink_to(Path(shutil.which(name)).resolve())
        return str(folder)

    return path


def test_a_release_in_plain_python(only_busybox, action, tmp_path, world, dist):
    launch = Launch(action, tmp_path, machine=None)
    launch.environment["PATH"] = only_busybox("python3")
    prepared = launch.prepare("auto")
    assert prepared["runtime"] == "python"
    done = launch.publish(prepared, world)
    assert done.returncode == 0, done.stdout
    assert world.verified("sample") == digests(dist)


def test_docker_needs_another_realpath(only_busybox, launch):
    launch.environment["PATH"] = only_busybox("docker")
    with pytest.raises(AssertionError, match="apk add coreutils"):
        launch.prepare("docker")
