"""The image and the container: what it may do, and each way to start it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from attested_publish.rehearsal import world as embedded
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from support.e2e.commands import run
from support.e2e.launch import Launch, only_tools
from support.e2e.world import CLAIMS, World, running_world, secrets_in
from support.environment import without_a_job
from support.makers import make_wheel

_PROBE = Path(__file__).parent / "probe.py"


@pytest.fixture(params=["program", "shell"])
def image(request, images):
    """Each target's image: whatever one can do, the other can."""
    return images[request.param]


@pytest.fixture
def prepared(image):
    """What the first step hands over."""
    return {"runtime": "docker", "image": image}


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def containers_of(machine, image):
    return machine.docker("ps", "--all", "--quiet", "--filter", f"ancestor={image}")


def test_as_a_docker_action_exactly_as_the_runner_starts_one(machine, image, world, dist, tmp_path):
    workspace = dist.parent
    temp = tmp_path / "_temp"
    for name in ("_github_home", "_github_workflow", "_runner_file_commands"):
        (temp / name).mkdir(parents=True)
    for name in ("set_output_1", "step_summary_1"):
        (temp / "_runner_file_commands" / name).touch()
    shutil.copy(world.trust_config, workspace)
    # The runner keeps an input's hyphens, and rewrites the host's paths.
    job = world.environment | {
        "INPUT_PACKAGES-DIR": "dist",
        "INPUT_REPOSITORY-URL": world.upload_url,
        "INPUT_SIGSTORE-TRUST-CONFIG": world.trust_config.name,
        "HOME": "/github/home",
        "GITHUB_WORKSPACE": "/github/workspace",
        "GITHUB_OUTPUT": "/github/file_commands/set_output_1",
        "GITHUB_STEP_SUMMARY": "/github/file_commands/step_summary_1",
        "RUNNER_TEMP": "/github/runner_temp",
    }
    del job["GITHUB_ACTIONS"], job["CI"]
    mounts = {
        temp: "/github/runner_temp",
        temp / "_github_home": "/github/home",
        temp / "_github_workflow": "/github/workflow",
        temp / "_runner_file_commands": "/github/file_commands",
        workspace: "/github/workspace",
    }
    said = run(
        *("docker", "run", "--workdir", "/github/workspace", "--rm"),
        *(argument for name in job for argument in ("-e", name)),
        *("-e", "GITHUB_ACTIONS=true", "-e", "CI=true"),
        *("-v", f"{machine.socket}:/var/run/docker.sock"),
        *(argument for host, inner in mounts.items() for argument in ("-v", f"{host}:{inner}")),
        # The runner gives a network of its own; the embedded services are on this host's loopback.
        *("--network", "host", image),
        env=without_a_job() | machine.environment | job,
    )
    assert world.verified("sample") == {path.name: sha256(path) for path in dist.iterdir()}
    outputs = (temp / "_runner_file_commands" / "set_output_1").read_text()
    assert "\ndone\n" in outputs
    assert "sample" in (temp / "_runner_file_commands" / "step_summary_1").read_text()
    # Here the runner has not swallowed its commands yet: every token is in one that masks it.
    # It also shows that the search, which the workflows' logs are held to, finds them.
    masks = [line for line in said.splitlines() if line.startswith("::add-mask::")]
    # Each of them is masked twice: as it is, and as an upload's header has it.
    assert 3 <= len(secrets_in("\n".join(masks))) <= len(masks) / 2
    first = {mask.removeprefix("::add-mask::"): said.index(mask) for mask in masks}
    for secret in first:
        assert said.count(secret) == 1
    assert secrets_in("\n".join(line for line in said.splitlines() if line not in masks)) == []


def test_the_second_call_of_a_job_finds_the_image(launch, images):
    assert launch.prepare("docker") == {"runtime": "docker", "image": images["program"]}


def test_an_image_that_another_job_left_is_not_used(machine, launch, images, tmp_path):
    (name,) = json.loads(
        machine.docker("image", "inspect", "--format", "{{json .RepoTags}}", images["program"])
    )
    # As on a runner that is used again: under the very name stands something else.
    (tmp_path / "planted").mkdir()
    (tmp_path / "planted" / "Dockerfile").write_text(f"FROM {name}\nLABEL planted=yes\n")
    machine.docker("build", "--tag", name, str(tmp_path / "planted"))
    try:
        assert launch.prepare("docker")["image"] == images["program"]
        # Once it is built, the name no longer counts.
        machine.docker("build", "--tag", name, str(tmp_path / "planted"))
        launch.output.write_text("")
        assert launch.prepare("docker")["image"] == images["program"]
        # What a file of another job says, does not count either.
        (record,) = launch.temp.glob("attested-publish-image-*")
        record.write_text(name)
        launch.output.write_text("")
        launch.environment["GITHUB_RUN_ID"] = "another"
        assert launch.prepare("docker")["image"] == images["program"]
    finally:
        machine.docker("tag", images["program"], name)


# Another job gives the name to its own image as soon as ours is built.
_RENAMED = """\
#!/bin/sh
{docker} "$@" || exit
[ "$1" != build ] || {docker} tag {other} {name}
"""


def test_an_image_that_another_job_builds_at_the_same_time_is_not_used(machine, launch, images):
    (name,) = json.loads(
        machine.docker("image", "inspect", "--format", "{{json .RepoTags}}", images["program"])
    )
    tools = launch.temp / "bin"
    tools.mkdir()
    command = _RENAMED.format(docker=shutil.which("docker"), other=images["shell"], name=name)
    (tools / "docker").write_text(command)
    (tools / "docker").chmod(0o755)
    launch.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    try:
        assert launch.prepare("docker")["image"] == images["program"]
        other = machine.docker("image", "inspect", "--format", "{{.Id}}", images["shell"])
        assert machine.docker("image", "inspect", "--format", "{{.Id}}", name) == other
    finally:
        machine.docker("tag", images["program"], name)


def test_several_indexes_in_one_step(launch, prepared, dist, tmp_path):
    claims = job_claims({}, CLAIMS)
    indexes = {"registry": Registry.open(), "further": [Registry.open()]}
    with embedded.World(claims=claims, **indexes) as both:
        both.export(tmp_path / "world")
        first = World(both.index_url, both.upload_url, both.environment, claims, tmp_path / "world")
        second = replace(first, index_url=both.further[0].index_url)
        addresses = f"{both.upload_url}\n{both.further[0].upload_url}"
        done = launch.publish(prepared, first, INPUT_REPOSITORY_URL=addresses)
        assert done.returncode == 0, done.stdout
        files = {path.name: sha256(path) for path in dist.iterdir()}
        assert [each.verified("sample") for each in (first, second)] == [files, files]
        assert len(both.log) == len(files)
    report = json.loads(Path(launch.outputs()["report"]).read_text())
    assert [each["index"] for each in report["indexes"]] == addresses.split()
    assert report["result"] == "done"


def test_what_the_container_may_do(machine, launch, prepared, world, dist):
    before = {path.name: sha256(path) for path in dist.iterdir()}
    context = launch.temp / "context"
    context.mkdir()
    shutil.copy(_PROBE, context)
    (context / "Dockerfile").write_text(
        f"FROM {prepared['image']}\n"
        "COPY probe.py /probe.py\n"
        'ENTRYPOINT ["python", "-I", "/probe.py"]\n'
    )
    machine.docker("build", "--tag", "attested-publish-probe", str(context))
    kept = launch.workspace / "kept"
    done = launch.publish(
        prepared | {"image": "attested-publish-probe"},
        world,
        INPUT_ATTESTATIONS_DIR="kept",
        AWS_SECRET_ACCESS_KEY="not for the container",
        GITHUB_TOKEN="neither",
        HTTPS_PROXY="http://proxy.invalid:3128",
    )
    told = json.loads(done.stdout)
    assert told["uid"] == os.getuid()
    assert told["gid"] == os.getgid()
    assert told["status"]["CapEff"] == "0" * 16
    assert told["status"]["CapPrm"] == "0" * 16
    assert told["status"]["NoNewPrivs"] == "1"
    assert told["docker_socket"] is False
    writable = {"kept", "RUNNER_TEMP", "TMPDIR", "HOME", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"}
    assert {place for place, could in told["written"].items() if could} == writable
    assert {"dist", "dist/sample-1.0.tar.gz", ".", "/", "/opt/attested-publish"} <= set(
        told["written"]
    ) - writable
    assert told["listed"] == sorted(before)
    assert not {"AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"} & set(told["variables"])
    needed = {"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "GITHUB_REPOSITORY", "HTTPS_PROXY"}
    assert needed <= set(told["variables"])
    assert {path.name: sha256(path) for path in dist.iterdir()} == before
    assert [path.name for path in kept.iterdir()] == ["written-by-probe"]


@pytest.mark.skipif(os.getuid() != 0, reason="all other tests run as another user here already")
def test_as_another_user_than_root(machine, action, images, work):
    user, group = 23456, Path(machine.socket).stat().st_gid
    folder = work / "another-user"
    become = ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups")
    launch = Launch(action, folder, machine, become=become)
    dist = launch.workspace / "dist"
    dist.mkdir()
    make_wheel(dist)
    with running_world(folder / "world") as world:
        for path in (folder, *folder.glob("**/*")):
            os.chown(path, user, group)
        done = launch.publish(launch.prepare("docker"), world)
        assert done.returncode == 0, done.stdout
        assert world.verified("sample") == {path.name: sha256(path) for path in dist.iterdir()}
    report = Path(launch.outputs()["report"])
    assert report.stat().st_uid == user


def test_a_file_that_changes_after_the_check_is_uploaded_as_it_was(
    launch, prepared, dist, tmp_path
):
    before = {path.name: sha256(path) for path in dist.iterdir()}
    with running_world(tmp_path / "world", "--latency", "certificate=2") as world:
        said = []
        with launch.start("publish", launch.variables(prepared, world, {})) as process:
            for line in process.stdout:
                said.append(line)
                if line.startswith("::group::signatures"):
                    for path in dist.iterdir():
                        path.write_bytes(b"something else")
        assert process.returncode == 0, "".join(said)
        assert world.verified("sample") == before
    assert {sha256(path) for path in dist.iterdir()} == {
        hashlib.sha256(b"something else").hexdigest()
    }


@pytest.mark.usefixtures("dist")
@pytest.mark.parametrize(
    ("image", "number"),
    [("program", signal.SIGINT), ("shell", signal.SIGTERM)],
    indirect=["image"],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_cancelled_job_leaves_no_token_behind(machine, launch, prepared, tmp_path, number):
    # The runner signals the step's first process only, a second time if that does not end it;
    # every process on the way has to be replaced or to pass it on.
    with running_world(tmp_path / "world", "--latency", "upload=5") as world:
        said = []
        with launch.start("publish", launch.variables(prepared, world, {})) as process:
            for line in process.stdout:
                said.append(line)
                if line.startswith("::group::upload"):
                    process.send_signal(number)
                    time.sleep(0.3)
                    process.send_signal(signal.SIGTERM)
    log = "".join(said)
    assert process.returncode == 1, log
    assert f"It received {number.name}" in log
    assert "API token revoked" in log
    assert "cannot run here" not in log
    assert launch.outputs()["result"] == "failed"
    assert containers_of(machine, prepared["image"]) == ""


# Before Docker's command listens to signals.
_EARLY_SIGNAL = """\
#!{python} -I
import os, signal, sys, time
if sys.argv[1] == "run":
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(1)
os.execv("{docker}", ["docker", *sys.argv[1:]])
"""


@pytest.mark.usefixtures("dist")
def test_a_job_that_is_cancelled_before_the_container_starts(machine, launch, images, world):
    tools = launch.temp / "bin"
    tools.mkdir()
    command = _EARLY_SIGNAL.format(python=sys.executable, docker=shutil.which("docker"))
    (tools / "docker").write_text(command)
    (tools / "docker").chmod(0o755)
    launch.environment["PATH"] = f"{tools}:{os.environ['PATH']}"
    prepared = {"runtime": "docker", "image": images["program"]}
    done = launch.publish(prepared, world)
    assert done.returncode != 0
    assert "cannot run here" not in done.stdout
    assert world.served("sample") == []
    assert containers_of(machine, prepared["image"]) == ""


@pytest.mark.parametrize(
    ("image", "folder"), [("program", ""), ("shell", "dist")], indirect=["image"]
)
def test_signing_only_writes_where_it_is_asked_to(launch, prepared, world, dist, folder):
    before = {path.name for path in dist.iterdir()}
    done = launch.publish(prepared, world, INPUT_MODE="attest", INPUT_ATTESTATIONS_DIR=folder)
    assert done.returncode == 0, done.stdout
    told = Path(launch.outputs()["attestations-dir"])
    assert told.is_relative_to(launch.temp) or str(told) == folder
    made = {path.name for path in (launch.workspace / told).glob("*.publish.attestation")}
    assert made == {f"{name}.publish.attestation" for name in before}
    assert {path.name for path in dist.iterdir()} - before == (made if folder else set())
    assert world.served("sample") == []


def test_patterns_begin_anywhere(launch, images, world, tmp_path):
    prepared = {"runtime": "docker", "image": images["program"]}
    for folder in (launch.workspace / "built" / "one", tmp_path / "else where" / "two"):
        folder.mkdir(parents=True)
        make_wheel(folder, folder.name)
    patterns = f"*/one/*.whl\n{tmp_path}/else where/*/"
    done = launch.publish(prepared, world, INPUT_PACKAGES_DIR=patterns)
    assert done.returncode == 0, done.stdout
    assert {each["project"] for each in json.loads(launch.outputs()["files"])} == {"one", "two"}


@pytest.mark.usefixtures("dist")
@pytest.mark.parametrize("summary", ["gone", "nowhere/gone"])
def test_a_summary_that_is_missing_does_not_stop_the_release(
    launch, images, world, tmp_path, summary
):
    prepared = {"runtime": "docker", "image": images["program"]}
    page = tmp_path / summary
    done = launch.publish(prepared, world, GITHUB_STEP_SUMMARY=str(page))
    assert done.returncode == 0, done.stdout
    assert launch.outputs()["result"] == "done"
    if summary == "gone":
        assert "sample" in page.read_text()
    else:
        assert "could not be written" in done.stdout


@pytest.mark.usefixtures("dist")
def test_an_attestations_dir_that_cannot_be_made_is_named(launch, images, world):
    prepared = {"runtime": "docker", "image": images["program"]}
    (launch.workspace / "file").touch()
    for folder, says in {
        "file/inside": "attestations-dir is file/inside, which could not be created",
        "file": "The attestation files could not be written",
    }.items():
        done = launch.publish(prepared, world, INPUT_ATTESTATIONS_DIR=folder)
        assert done.returncode == 1
        assert "::error title=" in done.stdout
        assert says in done.stdout
        assert world.served("sample") == []


@pytest.mark.usefixtures("dist")
def test_the_image_that_the_commit_names(machine, action_of_a_release, images, world, tmp_path):
    launch = Launch(action_of_a_release, tmp_path, machine)
    prepared = launch.prepare("docker")
    assert prepared["image"] == images["program"]
    done = launch.publish(prepared, world)
    assert done.returncode == 0, done.stdout
    assert len(world.verified("sample")) == 2


def test_an_image_that_cannot_be_had(action, machine, tmp_path):
    released = tmp_path / "released"
    shutil.copytree(action, released)
    (released / "image.txt").write_text(f"registry.invalid/tool@sha256:{'0' * 64}\n")
    launch = Launch(released, tmp_path, machine)
    launch.environment["PATH"] = only_tools(tmp_path / "bin", "docker", "realpath", "timeout")
    for runtime, says in {
        "docker": "runtime is docker, but the image could not be pulled or built",
        "auto": "There is nothing to run in: the image could not be pulled or built",
    }.items():
        with pytest.raises(AssertionError) as refused:
            launch.prepare(runtime)
        said = str(refused.value)
        assert "The image could not be pulled from registry.invalid." in said
        assert f"::error title=attested-publish cannot run here::{says}" in said
    assert "no Python 3.11 or newer" in said


def test_on_a_laptop(machine, image, dist):
    said = machine.docker("run", "--rm", "-v", f"{dist}:/dist:ro", image, "rehearse", "/dist")
    assert "This is a rehearsal" in said
    assert said.count("served, with the right digest and provenance") == 2


def test_as_the_image_of_a_gitlab_job(machine, images, dist):
    # GitLab replaces the entry point and hands scripts to a shell.
    said = machine.docker(
        *("run", "--rm", "--entrypoint", "", "-v", f"{dist}:/builds/dist", "-w", "/builds"),
        *(images["shell"], "sh", "-c", "attested-publish check --offline dist && id -u"),
    )
    assert "2 files passed" in said
    assert said.endswith("\n0\n")


def test_the_systems_folders_stay_outside(launch, images, world):
    prepared = {"runtime": "docker", "image": images["program"]}
    (launch.workspace / "link").symlink_to("/run")
    (Path("/run") / "attested-publish-e2e").touch()
    try:
        for folder in ("/run/missing", "/run", "/var/run/missing", "/missing", "link"):
            done = launch.publish(prepared, world, INPUT_PACKAGES_DIR=folder)
            # The program says itself that nothing is there.
            assert done.returncode == 1, folder
            assert "::error" in done.stdout, folder
            assert "attested-publish-e2e" not in done.stdout, folder
            assert launch.outputs()["result"] == "failed", folder
    finally:
        (Path("/run") / "attested-publish-e2e").unlink()
