"""The action on arm64, through QEMU where this machine is another one."""

from __future__ import annotations

import json

import pytest

from support.checkout import digests
from support.e2e.commands import run
from support.e2e.machine import STAND_IN, trust_as_here
from support.e2e.roots import debian_root


@pytest.fixture(scope="module")
def root(work, emulation):
    return debian_root(work / "debian-arm64", "arm64")


def test_a_release_in_plain_python(root, job_in, world, dist):
    assert root.said("uname", "-m").strip() == "aarch64"
    launch = job_in(root, "manylinux")
    prepared = launch.prepare("auto")
    assert prepared["runtime"] == "python"
    done = launch.publish(prepared, world)
    assert done.returncode == 0, done.stdout
    assert world.verified("sample") == digests(dist)


def test_a_rehearsal_in_plain_python(root, job_in, dist):
    launch = job_in(root, "manylinux")
    prepared = launch.prepare("python")
    with launch.start(
        "publish",
        {
            **{f"ATTESTED_PUBLISH_{name.upper()}": value for name, value in prepared.items()},
            "INPUT_MODE": "rehearse",
        },
    ) as process:
        said, _ = process.communicate(timeout=900)
    assert process.returncode == 0, said
    outputs = launch.outputs()
    assert outputs["result"] == "done"
    assert [file["status"] for file in json.loads(outputs["files"])] == ["uploaded", "uploaded"]


@pytest.fixture(scope="module")
def base(machine, root, work):
    """The Dockerfile's base for arm64, or what stands in for it where it cannot be pulled."""
    if machine.base != STAND_IN:
        return machine.base
    # What is only unpacked has no such folder yet, and trusts nothing.
    (root.folder / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (root.folder / "usr/local/share/ca-certificates").mkdir(parents=True, exist_ok=True)
    trust_as_here(root.folder)
    for name in ("python", "python3"):
        (root.folder / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    archive = work / "arm64.tar"
    run("tar", "-C", str(root.folder), "-cf", str(archive), ".")
    machine.docker("import", "--platform", "linux/arm64", str(archive), f"{STAND_IN}-arm64")
    return f"{STAND_IN}-arm64"


@pytest.mark.parametrize("target", ["program", "shell"])
def test_a_rehearsal_in_the_image(machine, base, action, dist, target):
    options = ("--network", "host")
    # Docker 20.10 builds for its own platform, whatever runs in the layers: so it must not be asked
    # for another one.
    if machine.base != STAND_IN:
        options += ("--platform", "linux/arm64")
    tag = f"attested-publish-arm64-{target}"
    machine.docker(
        *("build", *options, "--build-arg", f"PYTHON_IMAGE={base}", "--target", target),
        *("--tag", tag, str(action)),
        timeout=3000,
    )
    folder = f"{dist.parent}:/work:ro"
    said = machine.docker(
        *("run", "--rm", *options, "-v", folder, "-w", "/work", tag, "rehearse"), timeout=900
    )
    assert "Rehearsed on" in said
