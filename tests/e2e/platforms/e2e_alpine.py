"""The action in Alpine, where the C library is musl and the tools are BusyBox's."""

from __future__ import annotations

import os

import pytest

from support.checkout import digests
from support.e2e.roots import MACHINES, alpine_root


@pytest.fixture(scope="module", params=["amd64", "arm64"])
def architecture(request):
    if os.uname().machine != MACHINES[request.param]:
        if request.param != "arm64":
            pytest.skip("only arm64 is emulated")
        request.getfixturevalue("emulation")
    return request.param


@pytest.fixture(scope="module")
def root(architecture, work):
    return alpine_root(work / f"alpine-{architecture}", architecture)


def test_a_release(root, architecture, job_in, world, dist):
    launch = job_in(root, "musllinux" if architecture == "arm64" else None)
    script = "import sysconfig; print(sysconfig.get_config_var('MULTIARCH'))"
    assert root.said("python3", "-c", script).strip().endswith("-linux-musl")
    prepared = launch.prepare("auto")
    assert prepared["runtime"] == "python"
    done = launch.publish(prepared, world)
    assert done.returncode == 0, done.stdout
    assert world.verified("sample") == digests(dist)
    assert launch.outputs()["result"] == "done"


def test_its_tools_are_those_of_busybox(root):
    for tool in ("realpath", "sort", "mktemp", "timeout"):
        place = root.said("sh", "-c", f"readlink -f $(which {tool})")
        assert place.strip() == "/bin/busybox"
