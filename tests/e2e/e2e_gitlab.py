"""A job of GitLab CI/CD in the image: its component's script, in a shell."""

from __future__ import annotations

import json
import shutil

import pytest

from support.checkout import digests
from support.e2e.commands import run
from support.e2e.world import running_world, secrets_in
from support.environment import without_a_job
from support.gitlab import PROJECT, ROW, component
from support.provenance import verified

# What GitLab's runner starts in a job's image: a shell, looked for, that reads the script.
_SHELL = "if [ -x /bin/bash ]; then exec /bin/bash; else exec /bin/sh; fi"


@pytest.fixture
def image(images):
    return images["shell"]


@pytest.fixture
def world(tmp_path):
    rows = tmp_path / "registry.json"
    rows.write_text(json.dumps({"publishers": [{**ROW, "projects": ["sample"]}]}))
    job = {"project_path": PROJECT, "environment": "release", "ref": "v1.0.0"}
    # Empty: the claims of GitHub that the other tests pretend.
    github = {"repository": "", "workflow_ref": ""}
    with running_world(
        tmp_path / "world", "--job=gitlab", f"--registry={rows}", **job, **github
    ) as world:
        yield world


def start_as_the_runner_does(machine, image, job, folder, script):
    """Run a job's script as the runner's Docker executor does; return what it printed.

    With `entrypoint: [""]` the image's own is dropped. The script comes on standard input, the
    variables with their names only.
    """
    where = f"/builds/{PROJECT}"
    return run(
        *("docker", "run", "--rm", "--interactive", "--entrypoint", "", "--workdir", where),
        *(argument for name in job for argument in ("--env", name)),
        # The runner gives a network of its own; the embedded services are on this host's loopback.
        *("--volume", f"{folder}:{where}", *machine.run_arguments.split()),
        *(image, "sh", "-c", _SHELL),
        env=without_a_job() | machine.environment | job,
        stdin=script,
    )


def test_a_job_with_the_component_publishes(machine, image, world, dist, tmp_path):
    folder = dist.parent
    shutil.copy(world.trust_config, folder)
    made = component(
        image=image,
        environment="release",
        repository_url=world.upload_url,
        sigstore_trust_config=world.trust_config.name,
    )
    assert made.job["image"] == {"name": image, "entrypoint": [""]}
    script = tmp_path / "script.sh"
    script.write_text(f"set -eu\n{made.script}\necho 'The script went on.'\n")
    with script.open() as text:
        log = start_as_the_runner_does(
            machine, image, world.environment | made.variables, folder, text
        )
    assert log.endswith("The script went on.\n")
    assert secrets_in(log) == []
    served = {file["filename"]: file["hashes"]["sha256"] for file in world.served("sample")}
    assert served == digests(dist)
    found = verified(world.served("sample"), world.export / "trusted_root.json")
    publishers = [each.attestation_bundles[0].publisher for each in found.values()]
    assert {(each.kind, each.repository, each.workflow_filepath) for each in publishers} == {
        ("GitLab", PROJECT, ".gitlab-ci.yml")
    }
    report = json.loads((folder / "attested-publish.json").read_text())
    assert report["result"] == "done"
    assert {path.name for path in (folder / "attestations").iterdir()} == {
        f"{path.name}.publish.attestation" for path in dist.iterdir()
    }


def test_a_job_that_fails_ends_its_script(machine, image, world, dist, tmp_path):
    script = tmp_path / "script.sh"
    address = world.upload_url
    script.write_text(f"set -eu\nattested-publish publish dist --repository-url {address}\n")
    job = world.environment
    del job["SIGSTORE_ID_TOKEN"]
    with script.open() as text, pytest.raises(RuntimeError) as caught:
        start_as_the_runner_does(machine, image, job, dist.parent, text)
    assert "ended with 1" in str(caught.value)
    assert "SIGSTORE_ID_TOKEN:" in str(caught.value)
    assert world.served("sample") == []
