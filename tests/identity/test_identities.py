"""Identities of other machines than GitHub's and GitLab's: what is told of them, and foretold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
from pypi_attestations import CircleCIPublisher, GooglePublisher

from attested_publish.attestations.verify import publisher_of
from attested_publish.identity.circleci import ISSUER as CIRCLECI
from attested_publish.identity.google import ISSUER as GOOGLE
from attested_publish.identity.tokens import understand
from attested_publish.index.index import Index
from attested_publish.journey.attestation_plan import advice, attestation_plan
from attested_publish.problems import IdentityProblem
from attested_publish.settings import Attestations
from support.releases import problem, staged

if TYPE_CHECKING:
    from pathlib import Path

    from attested_publish.identity.publishers import Identity

PYPI = Index.at("https://upload.pypi.org/legacy/")
ACCOUNT = {
    "iss": GOOGLE,
    "email": "release@sample-project.iam.example.org",
    "email_verified": True,
    "sub": "1234",
}
JOB = {
    "iss": CIRCLECI,
    "sub": "org/1/project/2/user/3",
    "oidc.circleci.com/org-id": "00000000-0000-0000-0000-000000000001",
    "oidc.circleci.com/project-id": "00000000-0000-0000-0000-000000000002",
    "oidc.circleci.com/pipeline-definition-id": "00000000-0000-0000-0000-000000000003",
    "oidc.circleci.com/vcs-ref": "refs/tags/v1",
    "oidc.circleci.com/vcs-origin": "github.com/octo-org/sample-project",
}


def of(claims: dict[str, Any]) -> Identity:
    return understand(jwt.encode(claims, "a key that is long enough for the signature", "HS256"))


def test_google_cloud() -> None:
    identity = of(ACCOUNT)
    assert identity.publisher.fields == {"Email": ACCOUNT["email"], "Subject": "1234"}
    assert identity.publisher.query["provider"] == "google"
    assert publisher_of(identity.publisher) == GooglePublisher(email=str(ACCOUNT["email"]))
    assert identity.as_json() == {"issuer": GOOGLE, "email": ACCOUNT["email"], "subject": "1234"}
    plan = attestation_plan(Attestations.AUTO, identity, PYPI, is_public_log=True)
    assert plan.attest, "PyPI takes attestations of service accounts"
    (told,) = advice(identity)
    assert str(ACCOUNT["email"]) in told


def test_circleci() -> None:
    identity = of(JOB)
    ids = [JOB[f"oidc.circleci.com/{name}"] for name in ("org-id", "project-id")]
    assert list(identity.publisher.fields.values())[:2] == ids
    assert identity.origin == "refs/tags/v1"
    assert publisher_of(identity.publisher) == CircleCIPublisher(
        project_id=ids[1], pipeline_definition_id="00000000-0000-0000-0000-000000000003"
    )
    plan = attestation_plan(Attestations.AUTO, identity, PYPI, is_public_log=True)
    assert not plan.attest
    assert "PyPI accepts no attestations from CircleCI" in plan.why_not
    with pytest.raises(IdentityProblem, match="cannot be made from CircleCI"):
        attestation_plan(Attestations.REQUIRED, identity, PYPI, is_public_log=True)
    assert attestation_plan(
        Attestations.REQUIRED,
        identity,
        Index.at("https://packages.example.org/legacy/"),
        is_public_log=False,
    ).attest


@pytest.mark.parametrize(
    "claims", [{**ACCOUNT, "email": ""}, {**JOB, "oidc.circleci.com/project-id": None}]
)
def test_a_claim_that_is_missing_is_named(claims: dict[str, Any]) -> None:
    with pytest.raises(IdentityProblem, match=r"has no claim '(email|oidc.*/project-id)'"):
        of(claims)


@pytest.mark.parametrize(
    ("claims", "name"),
    [(JOB, "CircleCI"), ({"iss": "https://jobs.example.org"}, "https://jobs.example.org")],
)
def test_the_index_is_asked_and_quoted(dist: Path, claims: dict[str, Any], name: str) -> None:
    """Nobody is stricter than the index: it may know by now what is not known here."""
    with staged(dist, claims=claims) as stage:
        report = stage.run()
        assert f"accepts no attestations from {name}" in stage.printed
        told = problem(report)
        assert report.problems[0].stage == "token"
        assert "unknown trusted publishing issuer" in told


def test_what_an_unknown_job_would_sign_is_not_signed(dist: Path) -> None:
    from attested_publish.journey import publish

    with staged(dist, claims={"iss": "https://jobs.example.org"}) as stage:
        told = problem(stage.run(publish.attest))
        assert "certificates for this identity" in told
        assert not list(dist.glob("*.attestation"))


@pytest.mark.parametrize(
    "token", ["\ud800.\ud800.x", "e30.\udfff.x", "é.é.é", f"e30.{'W1tb' * 8_000}.x", "..", "x"]
)
def test_what_is_no_token_is_a_problem(token: str) -> None:
    with pytest.raises(IdentityProblem, match="cannot be read"):
        understand(token)
