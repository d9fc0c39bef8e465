"""An answer is lost on its way, on every kind of job: what was done is not taken for undone."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from typing import TYPE_CHECKING, Any

import pytest

from attested_publish.rehearsal.jobs.pretended import CIRCLECI, GITHUB, GITLAB, GOOGLE, Job
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.keys import issuer_key
from support.releases import Stage, deadlines, problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.sample(3)


EVERY_KIND = [
    pytest.param(GITHUB, id="GitHub"),
    pytest.param(GITLAB, id="GitLab"),
    pytest.param(
        CIRCLECI,
        id="CircleCI",
        marks=pytest.mark.skipif(
            sys.platform == "win32", reason="the program `circleci` is a shell script"
        ),
    ),
    pytest.param(GOOGLE, id="Google"),
]
LOST = ["lost", "reset"]
"""Before its first byte, and in its middle; either way the request was carried out."""


class OneJob:
    """A world whose job has the same variables for as long as it runs."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.environment = world.environment

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)


@contextlib.contextmanager
def staged(dist: Path, job: Job) -> Iterator[Stage]:
    with World(
        claims=job.claims({}, {}), registry=Registry.open(), job=job, issuer_key=issuer_key()
    ) as world:
        # CircleCI's tokens come from a program, which takes its time on a busy machine.
        yield Stage(OneJob(world), dist, deadlines=deadlines(10.0, answer=5.0))


def is_complete(stage: Stage) -> None:
    """Each file is served once, as it is in the folder, and no API token is left behind."""
    served = stage.served()
    assert served.keys() == {path.name for path in stage.folder.iterdir()}
    for path in stage.folder.iterdir():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert served[path.name]["hashes"]["sha256"] == digest


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("job", EVERY_KIND)
def test_of_an_upload(dist: Path, job: Job, kind: str) -> None:
    """The file is there, which the index is asked before it is sent again."""
    with staged(dist, job) as stage:
        stage.fault(f"upload={kind}*1")
        report = stage.run()
        assert report.result == "done", stage.printed
        assert {file.status for file in report.files.values()} == {"uploaded"}
        is_complete(stage)
        assert [token.is_revoked for token in stage.world.index.issued_tokens] == [True]
        assert "next try in" in stage.printed


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("job", EVERY_KIND)
def test_of_every_upload(dist: Path, job: Job, kind: str) -> None:
    """Whoever looks at the index finds all of it, however little the index says."""
    with staged(dist, job) as stage:
        stage.fault(f"upload={kind}")
        report = stage.run()
        assert report.result == "done", stage.printed
        is_complete(stage)


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("job", [each for each in EVERY_KIND if each.id != "GitLab"])
def test_of_the_exchange(dist: Path, job: Job, kind: str) -> None:
    """Another identity token, or the same one where it has no id, gets another API token."""
    with staged(dist, job) as stage:
        stage.fault(f"mint={kind}*1")
        report = stage.run()
        assert report.result == "done", stage.printed
        is_complete(stage)
        lost, used = stage.world.index.issued_tokens
        assert not lost.is_revoked, "nobody knows it; it ends by itself"
        assert used.is_revoked


@pytest.mark.parametrize("kind", LOST)
def test_of_the_exchange_where_the_job_has_one_token_only(dist: Path, kind: str) -> None:
    """GitLab's token is taken once: nothing is public, and the next job has its own."""
    with staged(dist, GITLAB) as stage:
        stage.fault(f"mint={kind}*1")
        report = stage.run()
        assert report.result == "failed"
        assert "was lost" in problem(report)
        assert not stage.served()
        assert len(stage.world.index.issued_tokens) == 1, "asked once only"
        next_job = Stage(stage.world._world, dist, deadlines=stage.deadlines)
        assert next_job.run().result == "done", next_job.printed
        is_complete(next_job)
