"""SLSA provenance against what others publish about it: in-toto's classes, and sigstore-js."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
import requests
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from pypi_attestations import Attestation

from attested_publish.attestations.sidecars import SLSA
from attested_publish.attestations.slsa import provenance_predicate
from attested_publish.identity.github import GitHubIdentity
from attested_publish.identity.gitlab import GitLabIdentity
from attested_publish.rehearsal.jobs import github, gitlab
from support.independent import judge

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage

KINDS: dict[str, Any] = {
    "github": (github.job_claims, GitHubIdentity),
    "gitlab": (gitlab.job_claims, GitLabIdentity),
}
_ESSENTIAL = {
    *("repository", "repository_owner", "repository_owner_id", "workflow_ref", "job_workflow_ref"),
    *("ref", "sha", "event_name", "project_path", "ci_config_ref_uri", "ref_path"),
}
"""Without one of these there is no release at all."""


def of_claims() -> list[Any]:
    rows = []
    for kind, (claims_of, _) in KINDS.items():
        every = claims_of({}, {})
        rows.append(pytest.param(kind, (), id=f"{kind}, all claims"))
        rows += [
            pytest.param(kind, (name,), id=f"{kind}, without {name}")
            for name in sorted(every.keys() - _ESSENTIAL)
        ]
        rows.append(pytest.param(kind, tuple(every.keys() - _ESSENTIAL), id=f"{kind}, the least"))
    return rows


def checked(predicate: Any) -> Provenance:
    """Parse a predicate into in-toto's message; raises `ParseError` for what it does not know."""
    parsed = ParseDict(predicate, Provenance(), ignore_unknown_fields=False)
    # What SLSA 1.0 requires.
    assert parsed.build_definition.build_type
    assert parsed.build_definition.external_parameters.fields
    assert parsed.run_details.builder.id
    for dependency in parsed.build_definition.resolved_dependencies:
        assert dependency.uri
        assert set(dependency.digest) <= {"gitCommit"}
    return parsed


@pytest.mark.parametrize(("kind", "missing"), of_claims())
def test_the_predicate_is_slsa_provenance(kind: str, missing: tuple[str, ...]) -> None:
    claims_of, identity = KINDS[kind]
    claims = claims_of({}, {})
    for name in missing:
        del claims[name]
    predicate = provenance_predicate(identity.of(claims))
    # Nothing is lost on the way through the published schema.
    assert MessageToDict(checked(predicate)) == without_empty(predicate)


def without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_empty(each) for name, each in value.items()}
    return value


def test_the_schema_refuses_what_it_does_not_know() -> None:
    predicate = provenance_predicate(GitHubIdentity.of(github.job_claims({}, {})))
    assert predicate is not None
    with pytest.raises(ParseError, match="buildTypo"):
        checked({**predicate, "buildTypo": {}})


def test_what_is_served_is_a_statement_that_others_accept(
    stage: Stage, node_modules: Path, tmp_path: Path
) -> None:
    assert stage.run(provenance="true").result == "done", stage.printed
    bundles = []
    for name, file in stage.served().items():
        (bundle,) = requests.get(file["provenance"], timeout=20).json()["attestation_bundles"]
        made = [Attestation.model_validate(each) for each in bundle["attestations"]]
        (slsa,) = (each for each in made if each.statement["predicateType"] == SLSA)
        payload = json.loads(slsa.envelope.statement)
        statement = ParseDict(payload, StatementMessage(), ignore_unknown_fields=False)
        Statement.copy_from_pb(statement).validate()
        assert [each.name for each in statement.subject] == [name]
        checked(payload["predicate"])
        bundles.append(json.loads(slsa.to_bundle().to_json()))
    changed = json.loads(json.dumps(bundles[0]))
    text = base64.b64decode(changed["dsseEnvelope"]["payload"]).replace(b"octo-org", b"evil-org")
    changed["dsseEnvelope"]["payload"] = base64.b64encode(text).decode()
    verdicts = judge(node_modules, tmp_path, stage.world.trusted_root, [*bundles, changed])
    assert [each["accepted"] for each in verdicts] == [True, True, False]
    subject = f"https://github.com/{stage.world.claims['job_workflow_ref']}"
    assert verdicts[0]["subject"] == subject
