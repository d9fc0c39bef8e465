"""What an index says to the exchange of an identity token, and what is made of it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from attested_publish.identity.tokens import understand
from attested_publish.index.api_token import (
    AnswerLost,
    ApiToken,
    IdentityReused,
    Revocation,
    burn,
    mint,
)
from attested_publish.index.discovery import usual_exchange
from attested_publish.index.index import Index
from attested_publish.net.http import new_session
from attested_publish.problems import TokenProblem, TokenRefused, Topic
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.jobs.issuer import Issuer
from support.hostile_peers import Answering, Peer, response

if TYPE_CHECKING:
    import socket


def minted_at(peer: Peer) -> ApiToken:
    token = Issuer(job_claims({}, {})).issue("pypi")
    index = Index.at(f"{peer.url}/legacy/")
    publisher = understand(token).publisher
    with new_session() as session:
        projects = {"sample": True}
        url = usual_exchange(index).mint_url
        return mint(index, url, token, publisher, projects, session=session, mask=lambda _: None)


def minted(body: object, status: str = "200 OK") -> ApiToken:
    answer = response(json.dumps(body).encode(), status=status, kind="application/json")
    with Answering({"/_/oidc/mint-token": answer}) as peer:
        return minted_at(peer)


def burnt(status: str) -> Revocation:
    with (
        Answering({"/_/oidc/burn-token": response(b"", status=status)}) as peer,
        new_session() as session,
    ):
        index = Index.at(f"{peer.url}/legacy/")
        url = f"{peer.url}/_/oidc/burn-token"
        return burn(index, url, ApiToken("secret", time.time()), session)


@pytest.mark.parametrize(
    ("code", "topic", "title", "remedy"),
    [
        ("invalid-publisher", Topic.UNKNOWN_PUBLISHER, "no trusted publisher", "Register"),
        ("invalid-reuse-token", Topic.IDENTITY_REUSED, "already been used", "a new one"),
        ("invalid-token", Topic.IDENTITY_REFUSED, "does not accept", "check the clock"),
        ("invalid-pending-publisher", Topic.PENDING_PUBLISHER_LATE, "is taken", "another project"),
        ("not-enabled", Topic.TRUSTED_PUBLISHING_OFF, "has disabled", "status page"),
        ("invalid-payload", Topic.EXCHANGE_REFUSED, "refused to exchange", "Check the trusted"),
    ],
)
def test_every_refusal_has_its_own_explanation(
    code: str, topic: Topic, title: str, remedy: str
) -> None:
    errors = [{"code": code, "description": "as the index says"}]
    with pytest.raises(TokenRefused) as caught:
        minted({"message": "Token request failed", "errors": errors}, "422 Unprocessable Entity")
    assert caught.value.topic is topic
    assert title in caught.value.title
    assert remedy in caught.value.remedy
    assert "as the index says" in caught.value.detail
    assert not caught.value.may_pass
    assert isinstance(caught.value, IdentityReused) == (code == "invalid-reuse-token")


@pytest.mark.parametrize(
    ("status", "may_pass"),
    [
        ("200 OK", True),
        ("302 Found", False),
        ("429 Too Many Requests", True),
        ("500 Internal Server Error", True),
    ],
)
def test_where_a_token_may_have_been_minted_the_answer_is_lost(
    status: str, *, may_pass: bool
) -> None:
    with pytest.raises(AnswerLost) as caught:
        minted({}, status)
    assert caught.value.topic is Topic.EXCHANGE_FAILED
    assert caught.value.may_pass == may_pass


def test_a_token_is_no_longer_than_a_header_may_be() -> None:
    longest = "x" * (16 << 10)
    assert minted({"token": longest}).value == longest
    with pytest.raises(AnswerLost) as caught:
        minted({"token": f"{longest}x"})
    assert "16,385 characters" in caught.value.detail
    assert not caught.value.may_pass


class HangingUp(Peer):
    """Reads a request, and closes the connection without an answer."""

    def treat(self, connection: socket.socket) -> None:
        self.head(connection)
        connection.close()


def test_an_answer_is_lost_only_where_the_request_may_have_arrived() -> None:
    with HangingUp() as peer, pytest.raises(AnswerLost):
        minted_at(peer)
    # Now nothing listens there.
    with pytest.raises(TokenProblem) as caught:
        minted_at(peer)
    assert not isinstance(caught.value, AnswerLost)
    assert caught.value.topic is Topic.INDEX_UNREACHABLE


@pytest.mark.parametrize(
    ("status", "revocation"),
    [
        ("202 Accepted", Revocation.REVOKED),
        ("204 No Content", Revocation.REVOKED),
        ("404 Not Found", Revocation.EXPIRES),
        ("405 Method Not Allowed", Revocation.EXPIRES),
    ],
)
def test_what_became_of_a_token(status: str, revocation: Revocation) -> None:
    assert burnt(status) is revocation


@pytest.mark.parametrize(
    ("status", "may_pass"), [("200 OK", True), ("503 Down", True), ("403 Forbidden", False)]
)
def test_a_token_that_was_not_revoked(status: str, *, may_pass: bool) -> None:
    with pytest.raises(TokenProblem) as caught:
        burnt(status)
    assert caught.value.may_pass == may_pass
