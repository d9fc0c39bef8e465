"""Indexes that differ in ways that no well-known software does, and credentials of every kind."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.targets import Targets
from attested_publish.settings import understand
from support.releases import SHORT, WHEEL, run
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from attested_publish.report import Report


def link(name: str, content: bytes) -> str:
    return f'<a href="../../files/{name}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a>'


@dataclass
class PlainIndex:
    """Stores each name once, and lists what it has; `password` is what it takes, if not any."""

    link: Callable[[str, bytes], str] = link
    password: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    authorizations: set[str | None] = field(default_factory=set)

    def __call__(self, environ, start_response):
        with Request(environ) as request:
            return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        authorization = request.headers.get("Authorization")
        self.authorizations.add(authorization)
        if self.password is not None:
            pair = base64.b64encode(f"me:{self.password}".encode()).decode()
            if authorization != f"Basic {pair}":
                return Response("Unauthorized", 401)
        if request.method == "POST":
            sent = request.files["content"]
            if sent.filename in self.files:
                return Response("already exists", 409)
            self.files[sent.filename or ""] = sent.stream.read()
            return Response("")
        if request.path != "/simple/sample/" or not self.files:
            return Response("Not found", 404)
        links = "".join(self.link(name, content) for name, content in self.files.items())
        return Response(f"<html>{links}</html>", content_type="text/html")


def published(index: PlainIndex, folder: Path, **settings: str) -> tuple[Report, str]:
    with serving(index) as server:
        address = f"{server.url}/legacy/"
        given = {"packages-dir": str(folder), "repository-url": address, "user": "me"}
        chosen = understand({"password": "secret", **given, **settings})
        return run(publish.publish, chosen, Targets(Index.at(address), deadlines=SHORT))


@pytest.mark.parametrize("password", ["pässwörd", "10 € a day", "пароль", "a:b"])
def test_a_password_is_sent_in_utf_8_for_pages_and_uploads(dist: Path, password: str) -> None:
    index = PlainIndex(password=password)
    report, printed = published(index, dist, password=password)
    assert report.result == "done", printed
    assert WHEEL in index.files
    assert len(index.authorizations) == 2, "none at first, then always the same"
    assert password not in printed


def other_spelling(name: str, content: bytes) -> str:
    return link(name.replace("sample-1.0", "Sample-1.0"), content)


def test_a_name_that_is_spelled_in_another_way_is_found_by_its_bytes(dist: Path) -> None:
    index = PlainIndex(other_spelling)
    report, printed = published(index, dist)
    assert report.result == "done", printed
    assert "served, with the right digest" in printed
    assert "not confirmed" not in printed
    again, printed = published(index, dist)
    assert again.result == "done", printed
    assert {file.status for file in again.files.values()} == {"already-there"}


def test_the_bytes_of_another_release_are_not_this_one(dist: Path) -> None:
    index = PlainIndex(
        lambda name, content: link(name.replace("sample-1.0", "sample-0.9"), content)
    )
    _, printed = published(index, dist)
    assert "not confirmed in time" in printed


@pytest.mark.parametrize("fragment", ["", "#md5=d41d8cd98f00b204e9800998ecf8427e"])
def test_nothing_is_claimed_of_bytes_that_the_page_does_not_give(dist: Path, fragment: str) -> None:
    index = PlainIndex(lambda name, _: f'<a href="../../files/{name}{fragment}">{name}</a>')
    report, printed = published(index, dist)
    assert report.result == "done", printed
    assert "served, without a digest" in printed
    assert "right digest" not in printed
    report, printed = published(index, dist)
    assert report.result == "refused"
    assert "already exists" in printed
    assert "another file" not in printed
    report, printed = published(index, dist, **{"skip-existing": "true"})
    assert report.result == "done", printed
    assert "does not say with which bytes" in printed
    assert "other bytes" not in printed.replace("[other-bytes]", "")


@dataclass
class Astray(PlainIndex):
    """An index whose pages lead nowhere."""

    page: Callable[[Request], Response] = lambda _: Response("")

    def _answer(self, request: Request) -> Response:
        return self.page(request) if request.method == "GET" else super()._answer(request)


def endless(request: Request) -> Response:
    return Response("", 302, {"Location": f"{request.path}a"})


def elsewhere(_: Request) -> Response:
    return Response("", 302, {"Location": "ftp://sso.example/"})


def too_large(_: Request) -> Response:
    return Response(b"<p>" * (11 << 20), content_type="text/html")


@pytest.mark.parametrize("page", [endless, elsewhere, too_large])
def test_pages_that_lead_nowhere_do_not_stop_an_upload(
    dist: Path, page: Callable[[Request], Response]
) -> None:
    index = Astray(page=page)
    report, printed = published(index, dist)
    assert report.result == "done", printed
    assert WHEEL in index.files
    assert "does not say which files it has" in printed
    assert "nothing will be confirmed" in printed
