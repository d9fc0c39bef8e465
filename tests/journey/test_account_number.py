"""The number of the owner's account, which PyPI compares although nobody can enter it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish.identity.gitlab import GitLabTrustedPublisher
from attested_publish.index.api_token import _form_fields
from attested_publish.rehearsal.jobs.github import job_claims
from support.makers import make_wheel
from support.releases import problem, registry_of, staged

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage

NEW = "424242"
HINT = "it is another account of that name"


def published_before(stage: Stage) -> str:
    """Publish the first release; return the number of its account."""
    report = stage.run()
    assert report.result == "done", stage.printed
    make_wheel(stage.folder, version="1.1")
    return str(stage.world.issuer.claims["repository_owner_id"])


def test_the_number_and_where_to_compare_it_are_told(dist: Path) -> None:
    with staged(dist, registry=registry_of("sample", owner_id="1")) as stage:
        report = stage.run()
        number = str(stage.world.issuer.claims["repository_owner_id"])
    text = problem(report)
    assert f"the number of the account octo-org, which is {number} here" in text
    assert "https://api.github.com/users/octo-org" in text
    assert "remove the publisher and add it again" in text
    # Nothing was published before that it could be compared with.
    assert HINT not in text


def test_another_account_of_the_same_name_is_named(dist: Path) -> None:
    with staged(dist, registry=registry_of("sample")) as stage:
        before = published_before(stage)
        stage.world.issuer.claims |= {"repository_owner_id": NEW}
        text = problem(stage.run())
    assert "invalid-publisher" in text
    assert f"was published by the account number {before!r}" in text
    assert f"octo-org now has {NEW!r}: {HINT}" in text


@pytest.mark.parametrize(
    "claims",
    [
        # The account is the same, something else differs.
        {"environment": "other"},
        # The account is another one by name, which says it all.
        {"repository": "new-org/sample-project", "repository_owner_id": NEW},
    ],
)
def test_otherwise_it_is_not_suspected(claims: dict[str, str], dist: Path) -> None:
    registry = registry_of("sample", environment="pypi")
    with staged(dist, registry=registry, claims={"environment": "pypi"}) as stage:
        published_before(stage)
        stage.world.issuer.claims |= job_claims({}, {"environment": "pypi", **claims})
        text = problem(stage.run())
    assert "invalid-publisher" in text
    assert "Differs: " in text
    assert HINT not in text


def test_gitlab_s_numbers_are_not_compared() -> None:
    """PyPI leaves `namespace_id` unchecked (warehouse, `oidc/models/gitlab.py`)."""
    publisher = GitLabTrustedPublisher("group", "sample", ".gitlab-ci.yml", None)
    assert "number" not in _form_fields(publisher)
