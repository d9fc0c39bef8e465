"""GitHub's identities from elsewhere than github.com, and what of github.com's does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish.identity.github import ISSUER, other_issuer
from attested_publish.identity.tokens import understand
from attested_publish.index.index import Dialect, Index
from attested_publish.journey import publish
from attested_publish.journey.attestation_plan import advice, attestation_plan, refuse_hopeless
from attested_publish.problems import IdentityProblem
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.jobs.issuer import Issuer
from attested_publish.settings import Attestations
from support.keys import issuer_key
from support.releases import problem, staged

if TYPE_CHECKING:
    from pathlib import Path

    from attested_publish.identity.publishers import Identity

CLOUD = f"{ISSUER}/octo-enterprise"
SERVER = "https://github.example.org/_services/token"
RESIDENT = "https://token.actions.octocorp.ghe.com"
ADDRESSES = ("https://upload.pypi.org/legacy/", "https://test.pypi.org/legacy/")


def identity_of(issuer: str, **claims: str) -> Identity:
    return understand(
        Issuer(claims=job_claims({}, {"iss": issuer, **claims}), key=issuer_key()).issue("pypi")
    )


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    ("issuer", "what", "remedy"),
    [
        (CLOUD, "the enterprise octo-enterprise", "include_enterprise_slug=false"),
        (SERVER, "the GitHub server github.example.org", "a repository on github.com"),
        (RESIDENT, "the GitHub server octocorp.ghe.com", "a repository on github.com"),
    ],
)
def test_pypi_accepts_none_of_them(issuer: str, what: str, remedy: str, address: str) -> None:
    with pytest.raises(IdentityProblem) as caught:
        refuse_hopeless(identity_of(issuer), Index.at(address))
    assert issuer in caught.value.detail
    assert what in caught.value.detail
    assert remedy in caught.value.remedy
    assert "API token" in caught.value.remedy


@pytest.mark.parametrize("issuer", [CLOUD, SERVER, RESIDENT])
def test_for_other_indexes_it_is_no_obstacle(issuer: str) -> None:
    index = Index.at("https://packages.example.org/legacy/", Dialect.OTHER)
    refuse_hopeless(identity_of(issuer), index)
    # Not even with a Sigstore of their own: what its certificates contain is not known here.
    plan = attestation_plan(Attestations.AUTO, identity_of(issuer), index, is_public_log=False)
    assert not plan.sends
    assert issuer in plan.why_not
    with pytest.raises(IdentityProblem, match="required"):
        attestation_plan(Attestations.REQUIRED, identity_of(issuer), index, is_public_log=False)


@pytest.mark.parametrize(
    "issuer",
    [ISSUER, f"{ISSUER}/", "https://issuer.example.org", "https://a/b/_services/token", ""],
)
def test_others_are_left_to_the_index(issuer: str) -> None:
    assert other_issuer(issuer) is None


def test_it_is_told_before_anything_is_spent(dist: Path) -> None:
    with staged(dist, claims={"iss": CLOUD}) as stage:
        for do in (publish.check, publish.publish):
            report = stage.run(do)
            assert report.result != "done"
            assert report.problems[0].stage == "identity"
            assert "octo-enterprise" in problem(report)
        assert not stage.world.index.issued_tokens
        assert not stage.served()


def test_a_customized_subject_does_not_matter(dist: Path) -> None:
    subject = "repository_owner_id:1:environment:pypi:anything"
    with staged(dist, claims={"sub": subject}) as stage:
        report = stage.run()
        assert report.result == "done", stage.printed
        assert subject not in stage.printed
    assert advice(identity_of(ISSUER, sub=subject)) == advice(identity_of(ISSUER))
