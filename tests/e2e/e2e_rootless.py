"""The action's two steps with a rootless Docker engine."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.e2e.commands import undisturbed
from support.e2e.inside import USER, add_user, as_user
from support.e2e.launch import Launch
from support.e2e.machine import debian
from support.e2e.rootless import PACKAGES, rootless_engine
from support.e2e.world import running_world
from support.makers import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.e2e.machine import Machine

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="a Debian of its own needs root")


@pytest.fixture(scope="module")
def rootless(machine: Machine, default_image: str, work: Path) -> Iterator[Machine]:
    """A rootless engine with the image that the other engine built."""
    folder = work / "rootless"
    root = work / "rootless-debian"
    try:
        debian("trixie", root, *PACKAGES)
        add_user(root)
        with rootless_engine(root, folder) as engine:
            archive = str(folder / "image.tar")
            machine.docker("save", "--output", archive, default_image)
            engine.docker("load", "--input", archive)
            yield engine
    finally:
        with undisturbed():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def launch(rootless: Machine, action_of_a_release: Path, work: Path) -> Iterator[Launch]:
    folder = work / "rootless-job"
    launch = Launch(action_of_a_release, folder, rootless, become=as_user(USER))
    # Certificate files, which the engine in the other Debian does not see; nothing is fetched.
    for name in ("CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        launch.environment.pop(name, None)
    dist = launch.workspace / "dist"
    dist.mkdir()
    make_wheel(dist)
    make_sdist(dist)
    for path in (folder, *folder.glob("**/*")):
        os.chown(path, USER, USER)
    try:
        yield launch
    finally:
        shutil.rmtree(folder)


def test_what_a_rootless_engine_writes_is_the_callers(
    launch: Launch, rootless: Machine, default_image: str
) -> None:
    assert "name=rootless" in rootless.docker("info", "--format", "{{.SecurityOptions}}")
    prepared = launch.prepare("docker")
    assert prepared == {"runtime": "docker", "image": default_image}
    given = {"INPUT_MODE": "rehearse", "INPUT_ATTESTATIONS_DIR": "kept"}
    with running_world(launch.output.parent / "world") as world:
        done = launch.publish(prepared, world, **given)
    assert done.returncode == 0, done.stdout
    outputs = launch.outputs()
    assert outputs["result"] == "done"
    report = Path(outputs["report"])
    assert {each["status"] for each in json.loads(report.read_text())["files"]} == {"uploaded"}
    made = [report, *(launch.workspace / "kept").iterdir()]
    assert len(made) == 3
    assert {path.stat().st_uid for path in made} == {USER}
    assert "sample" in (launch.output.parent / "summary").read_text()
