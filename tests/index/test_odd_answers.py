"""Answers of an index that libraries cannot read: each is told as what it is, not as our fault."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.problems import Topic
from support.plain_index import PASSWORD, OtherIndex, other
from support.releases import problem

if TYPE_CHECKING:
    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


NOWHERE = {
    "a label that is too long": f"http://{'a' * 70}.com/",
    "not UTF-8": "/\xff",
    "Latin-1": "/caf\xe9",
    "no host": "//[",
    "no port": "http://127.0.0.1:port/",
    "a port out of range": "http://127.0.0.1:99999/",
}


class Odd(OtherIndex):
    """It answers some requests with what `answers` has for their path."""

    def __init__(self, answers: dict[str, Response], **options: object) -> None:
        super().__init__(**options)
        self.answers = answers

    def answer(self, request: Request) -> Response:
        odd = self.answers.get(f"{request.method} {request.path}")
        return super().answer(request) if odd is None else odd


def led(location: str, status: int) -> Response:
    """Redirect to exactly that: Werkzeug would correct it."""
    response = Response("", status)
    response.autocorrect_location_header = False
    response.headers["Location"] = location
    # What it is on the wire is decided by the server, as Latin-1.
    response.get_wsgi_headers = lambda _: response.headers
    return response


def said(value: object) -> Response:
    return Response(json.dumps(value), mimetype="application/json")


@pytest.mark.parametrize("location", NOWHERE.values(), ids=NOWHERE)
def test_an_upload_that_is_redirected_nowhere(stage: Stage, location: str) -> None:
    index = Odd({"POST /legacy/": led(location, 307)})
    with other(stage, index) as publisher:
        report = publisher.run()
    assert report.result == "failed"
    assert report.problems[0].read_on == Topic.UPLOAD_ELSEWHERE.link
    assert "answered 307" in problem(report)


@pytest.mark.parametrize("location", NOWHERE.values(), ids=NOWHERE)
def test_a_page_that_is_redirected_nowhere_is_no_page(stage: Stage, location: str) -> None:
    index = Odd({"GET /simple/sample/": led(location, 302)})
    with other(stage, index) as publisher:
        report = publisher.run(confirm="false")
    assert not [each for each in report.problems if each.read_on == Topic.UNEXPECTED.link]
    assert "unexpected happened" not in publisher.printed


@pytest.mark.parametrize("path", ["/_/oidc/audience", "/.well-known/pytp"])
@pytest.mark.parametrize("location", NOWHERE.values(), ids=NOWHERE)
def test_an_exchange_that_is_redirected_nowhere(stage: Stage, location: str, path: str) -> None:
    index = Odd({f"GET {path}": led(location, 302)})
    with other(stage, index) as publisher:
        report = publisher.run(password="", user="__token__")
    assert report.result == "failed"
    assert report.problems[0].read_on != Topic.UNEXPECTED.link, problem(report)


@pytest.mark.parametrize("audience", ["\ud800", "a\nb", "a\0b", "x" * 1001])
def test_an_audience_that_nobody_can_be_asked_for(stage: Stage, audience: str) -> None:
    index = Odd({"GET /_/oidc/audience": said({"audience": audience})})
    with other(stage, index) as publisher:
        report = publisher.run(password="", user="__token__")
    assert report.result == "failed"
    assert "without an audience" in problem(report)


@pytest.mark.sample(1)
@pytest.mark.parametrize("token", ["abc\ud800", "abc\r\nHost: x", "\0"])
def test_a_token_that_no_header_can_have(stage: Stage, token: str) -> None:
    answers = {
        "GET /_/oidc/audience": said({"audience": "octo"}),
        "POST /_/oidc/mint-token": said({"token": token}),
    }
    index = Odd(answers)
    with other(stage, index) as publisher:
        report = publisher.run(password="", user="__token__", attestations="false")
    assert report.result == "failed"
    assert "issued no API token" in problem(report)
    assert "POST /legacy/" not in index.asked


@pytest.mark.parametrize(
    "body",
    [b"zzz", gzip.compress(b"File already there", mtime=0)[:20]],
    ids=["not zipped", "cut off"],
)
def test_a_refusal_is_one_whatever_its_body_is(stage: Stage, body: bytes) -> None:
    broken = Response(body, 400, {"Content-Encoding": "gzip", "Content-Type": "text/plain"})
    index = Odd({"POST /legacy/": broken})
    with other(stage, index) as publisher:
        report = publisher.run()
    assert report.result == "refused"
    assert "answered 400" in problem(report)
    assert index.asked.count("POST /legacy/") == 1, "the first file, and no second try"
    assert PASSWORD not in publisher.printed
