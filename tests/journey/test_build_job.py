"""What a job that builds and signs may do, and what its statements reveal; see docs/provenance.md.

The publisher on the index names the environment of the job that publishes. The job that builds is
of the same workflow run, may ask for identity tokens, and has no environment.
"""

from __future__ import annotations

import json
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import pytest
import requests
from cryptography import x509
from pypi_attestations import Attestation

from attested_publish.journey import publish
from attested_publish.rehearsal.jobs.pretended import GITHUB, GITLAB
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.index_client import TRUE_ROW, client_of
from support.keys import issuer_key
from support.makers import make_wheel
from support.releases import SDIST, WHEEL, Stage, problem, staged
from support.sidecars import PUBLISH, SLSA, attestation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attested_publish.rehearsal.jobs.pretended import Job

_SIGSTORE = "1.3.6.1.4.1.57264.1."


def registry() -> Registry:
    row = {**TRUE_ROW, "environment": "pypi", "projects": ["sample"]}
    return Registry.parse(json.dumps({"publishers": [row], "pending_publishers": []}))


def test_it_signs_and_another_job_with_the_environment_publishes(dist: Path) -> None:
    with staged(dist, registry=registry()) as stage:
        assert "environment" not in stage.world.claims
        built = stage.run(publish.attest, provenance="true")
        assert built.result == "done", problem(built)
        entries = len(stage.world.log)

        by_the_builder = stage.run()
        assert by_the_builder.problems[0].stage == "token"
        assert stage.served() == {}

        stage.world.issuer.claims |= {"environment": "pypi"}
        report = stage.run()
        assert report.result == "done", problem(report)
        assert len(stage.world.log) == entries, "nothing is signed again"
        for name in (WHEEL, SDIST):
            kinds = [each.predicate_type for each in report.files[name].attestations]
            assert kinds == [PUBLISH, SLSA]


def test_the_environment_protects_no_attestation(dist: Path, tmp_path: Path) -> None:
    """What the builder signs about any bytes is accepted with the token of the publishing job."""
    with staged(dist, registry=registry()) as stage:
        client = client_of(stage.world)
        assert client.mint(client.identity()).status_code == 422
        wheel = make_wheel(tmp_path / "another", version="6.6.6")
        made = [
            attestation(stage.world, wheel, predicate_type=kind).model_dump_json()
            for kind in (PUBLISH, SLSA)
        ]
        token = client.token(environment="pypi")
        answer = client.upload(wheel, token, attestations=f"[{','.join(made)}]")
        assert answer.status_code == 200, answer.text


def texts(value: Any) -> Iterator[str]:
    """Yield every text of a predicate; of the addresses, those that it is made of."""
    match value:
        case dict():
            for each in value.values():
                yield from texts(each)
        case list():
            for each in value:
                yield from texts(each)
        case _:
            yield from str(value).removeprefix("git+").split("@", 1)


@pytest.mark.parametrize(
    ("job", "beyond"),
    [(GITHUB, []), (GITLAB, ["pipeline_id", "runner_id"])],
    ids=["github", "gitlab"],
)
def test_what_it_reveals_beyond_the_certificate(dist: Path, job: Job, beyond: list[str]) -> None:
    """Values that occur nowhere else, so that none is found by chance."""
    claims = job.claims({}, {"environment": "pypi"})
    numbers = ("repository_id", "repository_owner_id", "run_id", "run_attempt", "project_id")
    numbers += ("namespace_id", "pipeline_id", "job_id", "runner_id")
    claims |= {name: str(7700000 + number) for number, name in enumerate(numbers) if name in claims}
    with World(claims=claims, registry=Registry.open(), job=job, issuer_key=issuer_key()) as world:
        stage = Stage(world, dist)
        report = stage.run(provenance="true")
        assert report.result == "done", problem(report)
        answer = requests.get(stage.served()[WHEEL]["provenance"], timeout=20).json()
    (bundle,) = answer["attestation_bundles"]
    made = [Attestation.model_validate(each) for each in bundle["attestations"]]
    by_kind = {each.statement["predicateType"]: each for each in made}
    certificate = x509.load_der_x509_certificate(
        b64decode(bundle["attestations"][0]["verification_material"]["certificate"])
    )
    named = b"\n".join(
        each.value.value
        for each in certificate.extensions
        if each.oid.dotted_string.startswith(_SIGSTORE)
        and isinstance(each.value, x509.UnrecognizedExtension)
    ).decode(errors="replace")
    predicate = by_kind[SLSA].statement["predicate"]
    predicate["buildDefinition"].pop("buildType")
    path = next(iter(predicate["buildDefinition"]["externalParameters"].values()))["path"]
    unknown = {text for text in texts(predicate) if text not in named}
    assert path not in unknown
    assert unknown == {claims[name] for name in beyond}
