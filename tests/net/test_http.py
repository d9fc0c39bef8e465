"""Answers that take no end, have no bottom, or send on to where anybody could answer."""

from __future__ import annotations

import gzip
import json
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import requests
from werkzeug.wrappers import Response

from attested_publish.net.connections import TooSlow
from attested_publish.net.http import Answer, LedAstray, TooLarge, ask, new_session
from attested_publish.net.unreachable import why_unreachable
from attested_publish.rehearsal.serving import Server
from support.hostile_peers import Answering, response

if TYPE_CHECKING:
    from collections.abc import Iterator

NESTED = b"[" * 100_000


@pytest.fixture
def trickle() -> Iterator[str]:
    """A server that sends a byte now and then, each well before a client gives up."""

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            time.sleep(0.05)
            yield b"x"

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        return Response(endless())(environ, start_response)

    server = Server(app)
    server.start()
    yield server.url
    server.stop()


def test_an_answer_that_trickles_has_its_time(trickle: str) -> None:
    started = time.monotonic()
    with new_session(read=1.0) as session, pytest.raises(TooSlow) as caught:
        ask(session, "GET", trickle, headers={}, seconds=0.5)
    assert time.monotonic() - started < 2.5
    assert "in time" in why_unreachable(caught.value)


def test_an_answer_has_its_size(trickle: str) -> None:
    with new_session(read=1.0) as session, pytest.raises(TooLarge) as caught:
        ask(session, "GET", trickle, headers={}, limit=5)
    assert "too large" in why_unreachable(caught.value)


def test_json_without_a_bottom_is_none_and_can_be_told() -> None:
    answer = Answer("http://127.0.0.1/", 400, "Bad Request", "application/json", NESTED)
    assert answer.json_object() is None
    assert answer.is_broken_off
    assert answer.told().startswith("[[[")


def test_what_is_compressed_is_read_and_has_its_time() -> None:
    whole = gzip.compress(b"x" * 200_000)

    def dribble() -> Iterator[bytes]:
        # A header that names a file, and does not come to its end.
        yield b"\x1f\x8b\x08\x08\0\0\0\0\0\xff"
        for _ in range(60):
            time.sleep(0.05)
            yield b"n"

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        body = dribble() if environ["PATH_INFO"] == "/slow" else [whole[:-20]]
        if environ["PATH_INFO"] == "/whole":
            body = [whole]
        return Response(body, headers={"Content-Encoding": "gzip"})(environ, start_response)

    server = Server(app)
    server.start()
    try:
        with new_session(read=1.0) as session:
            get = partial(ask, session, "GET", headers={}, seconds=0.5)
            assert get(url=f"{server.url}/whole").body == b"x" * 200_000
            assert len(get(url=f"{server.url}/whole", limit=200_000).body) == 200_000
            with pytest.raises(TooLarge):
                get(url=f"{server.url}/whole", limit=1000)
            with pytest.raises(TooSlow):
                get(url=f"{server.url}/slow")
    finally:
        server.stop()


def test_a_redirect_is_followed_from_a_get_only_and_not_read() -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(60):
            time.sleep(0.05)
            yield b"x"

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        if path == "/there":
            return Response("{}")(environ, start_response)
        there = "http://[x" if path == "/nowhere" else "/there"
        start_response("308 Moved", [("Location", there), ("Content-Type", "application/json")])
        return endless() if path == "/endless" else [b'{"message": "it has moved"}']

    server = Server(app)
    server.start()
    try:
        with new_session(read=1.0) as session:
            started = time.monotonic()
            assert ask(session, "GET", f"{server.url}/endless", headers={}).body == b"{}"
            assert time.monotonic() - started < 2.5
            answer = ask(session, "POST", f"{server.url}/moved", payload={}, headers={})
            assert (answer.status, answer.told()) == (308, "it has moved")
            assert ask(session, "POST", f"{server.url}/nowhere", headers={}).status == 308
            with pytest.raises(requests.exceptions.InvalidURL):
                ask(session, "GET", f"{server.url}/nowhere", headers={})
    finally:
        server.stop()


@pytest.mark.parametrize("interim", ["100 Continue", "102 Processing", "103 Early Hints"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_interim_answer_is_not_the_answer(method: str, interim: str) -> None:
    final = response(b"{}", status="201 Created")
    answer = f"HTTP/1.1 {interim}\r\nLink: </a>\r\n\r\n".encode() + final
    with Answering({"/": answer}) as peer, new_session(read=5.0) as session:
        assert ask(session, method, f"{peer.url}/", headers={}).status == 201


def test_what_is_encrypted_stays_so(encrypted: tuple[str, str], trickle: str) -> None:
    url, certificate = encrypted
    with new_session(read=5.0) as session:
        session.verify = certificate
        session.trust_env = False
        for onward in ("/there", f"{url}/there"):
            answer = ask(session, "GET", f"{url}/?to={onward}", headers={})
            assert json.loads(answer.body) == {}
        with pytest.raises(LedAstray) as caught:
            ask(session, "GET", f"{url}/?to={trickle}", headers={})
    assert "not encrypted" in why_unreachable(caught.value)
    with requests.Session() as plain:
        plain.verify, plain.trust_env = certificate, False
        answer = plain.get(f"{url}/?to={trickle}", stream=True, timeout=5)
        assert answer.url.startswith("http:"), "an ordinary session goes there"
