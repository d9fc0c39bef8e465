"""What an index says to an upload, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish.distributions import copy_privately
from attested_publish.index.contents import New
from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.index import Index
from attested_publish.index.upload import Delivery, Outcome, upload
from attested_publish.problems import Problem, Topic
from attested_publish.sandbox.pool import shared_sandbox
from support.hostile_peers import Answering, response
from support.makers import make_wheel
from support.releases import deadlines

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_wheel(tmp_path)
    return tmp_path


def outcome(
    folder: Path,
    status: str,
    body: str = "",
    *,
    is_there: bool = False,
    skip_existing: bool = False,
    **headers: str,
) -> Outcome:
    """Upload the wheel in `folder` to an index that answers like this."""
    answer = response(body.encode(), status=status, kind="text/plain", **headers)
    outcomes = []
    with Answering({"/legacy/": answer}) as peer, copy_privately([folder]) as staged:
        delivery = Delivery(
            index=Index.at(f"{peer.url}/legacy/"),
            credentials=GivenCredentials("__token__", "secret"),
            parallel=1,
            skip_existing=skip_existing,
            deadlines=deadlines(0.2),
            is_there=lambda _: is_there,
            tell=lambda _: None,
            sandbox=shared_sandbox(),
        )
        upload(
            staged.distributions,
            {},
            delivery,
            new=New(),
            begun=lambda _: None,
            done=lambda _, outcome: outcomes.append(outcome),
        )
    (only,) = outcomes
    return only


def test_a_redirect_says_where_to(folder: Path) -> None:
    with pytest.raises(Problem) as caught:
        outcome(folder, "302 Found", Location="https://packages.example.org/legacy/")
    assert caught.value.topic is Topic.UPLOAD_ELSEWHERE
    assert "packages.example.org/legacy/" in caught.value.detail


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("409 Conflict", ""),
        ("400 File Already Exists", ""),
        ("400 Bad Request", "This file Already Exists."),
    ],
)
def test_a_name_that_is_taken_is_known_by_status_reason_or_body(
    folder: Path, status: str, body: str
) -> None:
    assert outcome(folder, status, body, is_there=True) is Outcome.THERE
    assert outcome(folder, status, body, skip_existing=True) is Outcome.NAME_TAKEN
    with pytest.raises(Problem) as caught:
        outcome(folder, status, body)
    assert not caught.value.may_pass


def test_another_refusal_is_no_name_that_is_taken(folder: Path) -> None:
    for status, body in (("400 Bad", "no"), ("403 Forbidden", "it does already exist")):
        with pytest.raises(Problem):
            outcome(folder, status, body, is_there=True, skip_existing=True)


def test_what_could_not_be_accepted_may_have_arrived(folder: Path) -> None:
    """A file that is there is uploaded, and only one that is there."""
    assert outcome(folder, "503 Down", is_there=True) is Outcome.UPLOADED
    with pytest.raises(Problem) as caught:
        outcome(folder, "503 Down")
    assert caught.value.may_pass
