"""SLSA provenance is what in-toto and SLSA publish as their schemas, read with in-toto's library.

Its classes are generated from the protobuf definitions of Statement v1 and Provenance v1.
"""

from __future__ import annotations

import json
from base64 import b64decode
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import BuildMetadata, Provenance
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage

from attested_publish.attestations.sidecars import SLSA
from attested_publish.attestations.slsa import provenance_predicate
from attested_publish.identity.github import GitHubIdentity
from attested_publish.identity.gitlab import GitLabIdentity
from attested_publish.problems import IdentityProblem
from attested_publish.rehearsal.jobs.pretended import GITHUB, GITLAB
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.keys import issuer_key
from support.releases import SDIST, WHEEL, Stage, problem

if TYPE_CHECKING:
    from pathlib import Path

    from attested_publish.rehearsal.jobs.pretended import Job

pytestmark = pytest.mark.skipif(
    BuildMetadata.DESCRIPTOR.fields_by_name["invocation_id"].json_name != "invocationId",
    reason="protobuf spells names by the locale, and in Turkish an i has another capital",
)

JOBS = {"github": (GITHUB, GitHubIdentity), "gitlab": (GITLAB, GitLabIdentity)}
CLAIMS = [(name, claim) for name, (job, _) in JOBS.items() for claim in job.claims({}, {})]


def check(statement: dict[str, Any]) -> None:
    """Hold a statement against both schemas; raises `ParseError` or `ValueError`.

    Names of fields are taken as they are in the JSON: the library would also read those of the
    protobuf definition, and drop what is empty.
    """
    read = ParseDict(statement, StatementMessage(), ignore_unknown_fields=False)
    Statement.copy_from_pb(read).validate()
    predicate = ParseDict(statement["predicate"], Provenance(), ignore_unknown_fields=False)
    definition, details = predicate.build_definition, predicate.run_details
    for dependency in definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(dependency).validate()
    # What SLSA requires; protobuf knows no required fields.
    for name, value in {
        "buildType": definition.build_type,
        "externalParameters": definition.HasField("external_parameters"),
        "builder.id": details.builder.id,
    }.items():
        if not value:
            raise ValueError(f"{name} is required")
    if MessageToDict(read) != statement or MessageToDict(predicate) != statement["predicate"]:
        raise ValueError("something is spelled otherwise, or empty")


def about(predicate: Any) -> dict[str, Any]:
    """Return a statement as it is signed, without the signature."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": WHEEL, "digest": {"sha256": "ab" * 32}}],
        "predicateType": SLSA,
        "predicate": predicate,
    }


def served(stage: Stage, filename: str) -> dict[str, Any]:
    """Return the provenance statement that the index serves about a file."""
    answer = requests.get(stage.served()[filename]["provenance"], timeout=20).json()
    (bundle,) = answer["attestation_bundles"]
    statements = [
        json.loads(b64decode(each["envelope"]["statement"])) for each in bundle["attestations"]
    ]
    (found,) = (each for each in statements if each["predicateType"] == SLSA)
    return found


@pytest.mark.parametrize("job", [GITHUB, GITLAB], ids=["github", "gitlab"])
def test_what_an_index_serves(dist: Path, job: Job) -> None:
    claims = job.claims({}, {"environment": "pypi"})
    with World(claims=claims, registry=Registry.open(), job=job, issuer_key=issuer_key()) as world:
        stage = Stage(world, dist)
        report = stage.run(provenance="true")
        assert report.result == "done", problem(report)
        for filename in (WHEEL, SDIST):
            statement = served(stage, filename)
            check(statement)
            (subject,) = statement["subject"]
            assert subject["name"] == filename


@pytest.mark.parametrize(("provider", "missing"), CLAIMS)
def test_without_a_claim(provider: str, missing: str) -> None:
    job, kind = JOBS[provider]
    claims = job.claims({}, {"environment": "pypi"})
    del claims[missing]
    # Without some there is no identity, and nothing is signed.
    with suppress(IdentityProblem):
        check(about(provenance_predicate(kind.of(claims))))


@pytest.mark.parametrize("provider", JOBS)
def test_with_the_claims_alone_that_an_identity_needs(provider: str) -> None:
    job, kind = JOBS[provider]
    claims = dict(job.claims({}, {}))
    for name in list(claims):
        fewer = {other: value for other, value in claims.items() if other != name}
        with suppress(IdentityProblem):
            kind.of(fewer)
            claims = fewer
    assert 3 <= len(claims) < 12
    check(about(provenance_predicate(kind.of(claims))))


def _tampered() -> dict[str, dict[str, Any]]:
    good = about(provenance_predicate(GitHubIdentity.of(GITHUB.claims({}, {}))))
    changed = {}

    def change(name: str) -> dict[str, Any]:
        changed[name] = deepcopy(good)
        return changed[name]

    change("an unknown field")["predicate"]["buildDefinition"]["parameters"] = {}
    change("a number as digest")["subject"][0]["digest"]["sha256"] = 7
    change("no digest")["subject"][0].pop("digest")
    change("no subject")["subject"] = []
    change("an older statement")["_type"] = "https://in-toto.io/Statement/v0.1"
    change("no predicate type").pop("predicateType")
    change("no build type")["predicate"]["buildDefinition"].pop("buildType")
    change("no parameters")["predicate"]["buildDefinition"].pop("externalParameters")
    change("no builder")["predicate"]["runDetails"].pop("builder")
    change("a builder as text")["predicate"]["runDetails"]["builder"] = "https://github.com"
    change("an empty dependency")["predicate"]["buildDefinition"]["resolvedDependencies"] = [{}]
    definition = change("another spelling")["predicate"]["buildDefinition"]
    definition["build_type"] = definition.pop("buildType")
    change("an empty invocation")["predicate"]["runDetails"]["metadata"]["invocationId"] = ""
    return changed


@pytest.mark.parametrize("name", TAMPERED := _tampered())
def test_what_the_schemas_refuse(name: str) -> None:
    with pytest.raises((ParseError, ValueError)):
        check(TAMPERED[name])
