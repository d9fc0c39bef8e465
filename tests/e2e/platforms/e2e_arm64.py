"""The action on arm64, through QEMU where this machine is another one."""

from __future__ import annotations

import hashlib
import json

import pytest

from support.e2e.roots import debian_root


@pytest.fixture(scope="module")
def root(work, emulation):
    return debian_root(work / "debian-arm64", "arm64")


def test_a_release_in_plain_python(root, job_in, world, dist):
    assert root.said("uname", "-m").strip() == "aarch64"
    launch = job_in(root)
    prepared = launch.prepare("auto")
    assert prepared["runtime"] == "python"
    done = launch.publish(prepared, world)
    assert done.returncode == 0, done.stdout
    assert world.verified("sample") == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in dist.iterdir()
    }


def test_a_rehearsal_in_plain_python(root, job_in, dist):
    launch = job_in(root)
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
