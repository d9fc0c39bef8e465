"""The usual audience address is asked at the same time as for an announcement of another."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.index.api_token import Audience, audience_of
from attested_publish.index.index import Index
from attested_publish.net.http import new_session
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable

ANNOUNCEMENT = "/.well-known/pytp"
USUAL = "/_/oidc/audience"
OTHER = "/tp/audience"

_LONG = 10.0
"""Seconds: what is waited for longer than this does not come."""


@dataclass
class AskedIndex:
    """An index that notes what it is asked, and answers as it is told.

    `announced` makes the announcement from the index's own address. `usual` answers at the usual
    audience address. `before` is called with the path before each answer.
    """

    announced: Callable[[str], Response]
    usual: Callable[[], Response]
    before: Callable[[str], object] = lambda _: None
    asked: list[str] = field(default_factory=list)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        self.asked.append(request.path)
        self.before(request.path)
        if request.path == ANNOUNCEMENT:
            response = self.announced(request.host_url.rstrip("/"))
        elif request.path == USUAL:
            response = self.usual()
        elif request.path == OTHER:
            response = said({"audience": "announced"})
        else:
            response = not_found()
        return response(environ, start_response)


def said(value: object) -> Response:
    return Response(json.dumps(value), content_type="application/json")


def not_found(*_: object) -> Response:
    return Response("<h1>404</h1>", 404, content_type="text/html")


def announcing(path: str) -> Callable[[str], Response]:
    return lambda root: said(
        {"audience-endpoint": root + path, "mint-token-endpoint": f"{root}/tp/mint"}
    )


def elsewhere(_: str) -> Response:
    return announcing(OTHER)("https://packages.example.org")


def usual() -> Response:
    return said({"audience": "usual"})


def audience(url: str) -> Audience:
    """Ask the index at this address, as a job whose identity provider is on loopback."""
    with new_session() as session:
        return audience_of(Index.at(f"{url}/legacy/"), session, is_provider_local=True)


USUAL_ONES: dict[str, Callable[[str], Response]] = {
    "the usual one is announced": announcing(USUAL),
    "nothing is announced": not_found,
    "the announcement is not used": elsewhere,
}


@pytest.mark.parametrize("announced", USUAL_ONES.values(), ids=USUAL_ONES)
def test_the_usual_address_is_asked_once(announced: Callable[[str], Response]) -> None:
    index = AskedIndex(announced, usual)
    with serving(index) as server:
        assert audience(server.url).name == "usual"
    assert sorted(index.asked) == [ANNOUNCEMENT, USUAL]


@pytest.mark.parametrize("announced", USUAL_ONES.values(), ids=USUAL_ONES)
def test_both_are_asked_at_the_same_time(announced: Callable[[str], Response]) -> None:
    # Neither is answered before the other is asked.
    both = threading.Barrier(2, timeout=_LONG / 2)

    def meet(_: str) -> None:
        # One that comes too late makes an error of the server, which is no audience.
        both.wait()

    index = AskedIndex(announced, usual, before=meet)
    with serving(index) as server:
        assert audience(server.url).name == "usual"
    assert not both.broken


USUAL_ANSWERS: dict[str, Callable[[], Response]] = {
    "an audience": usual,
    "404": not_found,
    "503": lambda: Response("", 503),
    "garbage": lambda: Response('{"audience": "us', content_type="application/json"),
    "another service's audience": lambda: said({"audience": "sigstore"}),
}


@pytest.mark.parametrize("answer", USUAL_ANSWERS.values(), ids=USUAL_ANSWERS)
def test_the_answer_of_an_announced_address_counts(answer: Callable[[], Response]) -> None:
    has_answered = threading.Event()

    def after_the_usual_one(path: str) -> None:
        if path == OTHER:
            assert has_answered.wait(_LONG)

    def answered() -> Response:
        has_answered.set()
        return answer()

    index = AskedIndex(announcing(OTHER), answered, before=after_the_usual_one)
    with serving(index) as server:
        found = audience(server.url)
        assert found.exchange.audience_url == f"{server.url}{OTHER}"
        assert found.exchange.mint_url == f"{server.url}/tp/mint"
    assert found.name == "announced"
    assert sorted(index.asked) == [ANNOUNCEMENT, USUAL, OTHER]


def test_a_usual_address_that_hangs_is_not_waited_for() -> None:
    is_over, was_in_time = threading.Event(), threading.Event()

    def hang(path: str) -> None:
        if path == USUAL and is_over.wait(_LONG):
            was_in_time.set()

    index = AskedIndex(announcing(OTHER), usual, before=hang)
    with serving(index) as server:
        assert audience(server.url).name == "announced"
        is_over.set()
        assert was_in_time.wait(_LONG)
