"""Project pages of indexes other than PyPI: in HTML, where they have them, for whoever may read."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.html_page import TooManyLinks, tags
from attested_publish.index.index import Dialect, Index
from attested_publish.index.pages import Page, Pages, ProjectStatus
from attested_publish.net.http import new_session
from attested_publish.problems import IndexUnusable
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable

SHA = "1f" * 32
JSON = "application/vnd.pypi.simple.v1+json"
WHEEL = "sample-1.0-py3-none-any.whl"


@dataclass
class Web:
    """Answers by path; whatever else is asked for is not there."""

    answers: dict[str, Response | Callable[[Request], Response]]
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """The paths, and the credentials sent with them."""

    def __call__(self, environ, start_response):
        request = Request(environ)
        self.asked.append((request.path, environ.get("HTTP_AUTHORIZATION")))
        answer = self.answers.get(request.path, Response("nothing here", 404))
        response = answer if isinstance(answer, Response) else answer(request)
        return response(environ, start_response)


def html(body: str) -> Response:
    return Response(body, content_type="text/html; charset=utf-8")


def page_at(
    upload_path: str,
    answers: dict[str, Response | Callable[[Request], Response]],
    credentials: GivenCredentials | None = None,
    asked: list[tuple[str, str | None]] | None = None,
) -> Page | None:
    web = Web(answers, [] if asked is None else asked)
    with serving(web) as server, new_session() as session:
        return Pages(Index.at(f"{server.url}{upload_path}"), session, credentials).page("sample")


@pytest.mark.parametrize(
    ("upload_path", "page"),
    [
        ("/legacy/", "/simple/sample/"),
        ("/", "/simple/sample/"),
        ("/artifactory/api/pypi/local", "/artifactory/api/pypi/local/simple/sample/"),
        ("/repository/hosted/", "/repository/hosted/simple/sample/"),
        ("/api/v4/projects/1/packages/pypi", "/api/v4/projects/1/packages/pypi/simple/sample/"),
        ("/api/packages/octo/pypi", "/api/packages/octo/pypi/simple/sample/"),
        ("/feed/pypi/upload/", "/feed/pypi/simple/sample/"),
        ("/pypi/base/legacy/", "/pypi/base/simple/sample/"),
        ("/pypi/base/simple/", "/pypi/base/simple/sample/"),
        ("/octo/dev/", "/octo/dev/+simple/sample/"),
    ],
)
def test_where_a_page_is(upload_path: str, page: str) -> None:
    found = page_at(upload_path, {page: html(f'<a href="../{WHEEL}#sha256={SHA}">x</a>')})
    assert found is not None
    assert {name: file.sha256 for name, file in found.files.items()} == {WHEEL: SHA}


@pytest.mark.parametrize(
    ("link", "sha256"),
    [
        (f'<a href="/files/{WHEEL}#sha256={SHA}">{WHEEL}</a>', SHA),
        (f"<a href='/files/{WHEEL}#sha256={SHA.upper()}'>{WHEEL}</a>", SHA),
        (f"<A HREF=/files/{WHEEL}#sha256={SHA} >{WHEEL}</A>", SHA),
        (f'<a data-requires-python=">=3.8" href="{WHEEL}#sha256={SHA}">{WHEEL}</a>', SHA),
        (f'<a\n  href = "{WHEEL}#sha256-{SHA}"\n  rel="internal"\n>{WHEEL}</a>', SHA),
        (f'<a href="{WHEEL}?token=1&amp;x=2#sha256={SHA}">{WHEEL}</a>', SHA),
        (f'<a href="{WHEEL.replace("-", "%2D")}#sha256={SHA}">{WHEEL}</a>', SHA),
        (f'<a href="{WHEEL}#md5={"0" * 32}">{WHEEL}</a>', None),
        (f'<a href="{WHEEL}">{WHEEL}</a>', None),
        (f'<a href="{WHEEL}#sha256={SHA}" href="other.whl">{WHEEL}</a>', SHA),
    ],
)
def test_a_link(link: str, sha256: str | None) -> None:
    page = page_at("/legacy/", {"/simple/sample/": html(f"<title>Links</title>{link}")})
    assert page is not None
    assert {name: file.sha256 for name, file in page.files.items()} == {WHEEL: sha256}
    assert page.files[WHEEL].url.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    "body",
    [
        f'<!-- <a href="{WHEEL}"> -->',
        f'<abbr href="{WHEEL}">',
        f'<a name="{WHEEL}">',
        '<a href="index.html">Home</a>',
        f'<a title="<a href={WHEEL}>">x</a>',
    ],
)
def test_what_is_no_link_to_a_distribution(body: str) -> None:
    with pytest.raises(IndexUnusable, match="unexpected") as caught:
        page_at("/legacy/", {"/simple/sample/": html(body)})
    assert "not a project page" in caught.value.detail


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ('<base href="/files/">', f"/files/{WHEEL}"),
        ("<BASE HREF=../x/>", f"/simple/x/{WHEEL}"),
        ('<base href="/files/"><base href="/other/">', f"/files/{WHEEL}"),
        ("<base target=_top>", f"/simple/sample/{WHEEL}"),
    ],
)
def test_the_base_of_the_links(base: str, url: str) -> None:
    body = f'<head>{base}</head><a href="{WHEEL}#sha256={SHA}" data-provenance="{WHEEL}.p">x</a>'
    page = page_at("/legacy/", {"/simple/sample/": html(body)})
    assert page is not None
    file = page.files[WHEEL]
    assert file.sha256 == SHA
    assert file.url.partition("#")[0].endswith(url)
    assert (file.provenance_url or "").endswith(f"{url}.p")


def test_a_page_without_files_is_one_if_it_says_so() -> None:
    empty = '<meta name="pypi:repository-version" content="1.0"><title>Links for sample</title>'
    page = page_at("/legacy/", {"/simple/sample/": html(empty)})
    assert page == Page({})


def test_status_and_provenance_in_html() -> None:
    page = page_at(
        "/legacy/",
        {
            "/simple/sample/": html(
                '<meta name="pypi:repository-version" content="1.4">'
                '<meta name="pypi:project-status" content="archived">'
                '<meta name="pypi:project-status-reason" content="done &amp; over">'
                f'<a href="{WHEEL}" data-provenance="/integrity/x">x</a>'
            )
        },
    )
    assert page is not None
    assert page.status is ProjectStatus.ARCHIVED
    assert page.status_reason == "done & over"
    assert page.has_provenance
    assert (page.files[WHEEL].provenance_url or "").endswith("/integrity/x")


@pytest.mark.parametrize(
    "address", ["http://x:99999/", "//x:99999/", "http://x:port/", "http://[::1/", "http://[x]/"]
)
def test_an_address_that_is_none_is_not_the_index_s(address: str) -> None:
    """It may stand wherever a page has one; nobody has to be able to split it."""
    file = {"filename": WHEEL, "url": address, "hashes": {"sha256": SHA}, "provenance": address}
    text = json.dumps(
        {
            "meta": {"api-version": "1.4", "_last-serial": 1},
            "project-status": {"status": "active"},
            "files": [file],
        }
    )
    page = page_at("/legacy/", {"/simple/sample/": Response(text, content_type=JSON)})
    assert page is not None
    assert list(page.files) == [WHEEL]
    assert not page.is_of_pypi


def test_a_devpi_index_does_not_have_what_its_bases_have() -> None:
    files = [
        {"filename": "sample-1.0.tar.gz", "url": "../../+f/1f/sample-1.0.tar.gz", "hashes": {}},
        {"filename": WHEEL, "url": f"../../../../root/pypi/+f/1f/{WHEEL}", "hashes": {}},
    ]
    text = json.dumps({"meta": {"api-version": "1.0"}, "name": "sample", "files": files})
    page = page_at("/octo/dev/", {"/octo/dev/+simple/sample/": Response(text, content_type=JSON)})
    assert page is not None
    assert list(page.files) == ["sample-1.0.tar.gz"]


def closed(request: Request) -> Response:
    """Show the page to somebody with the right password only."""
    if (request.authorization or {}).get("password") != "secret":
        return Response("Unauthorized", 401, {"WWW-Authenticate": 'Basic realm="x"'})
    return html(f'<a href="{WHEEL}#sha256={SHA}">x</a>')


def test_credentials_are_sent_where_they_are_asked_for() -> None:
    asked: list[tuple[str, str | None]] = []
    credentials = GivenCredentials("me", "secret")
    assert page_at("/legacy/", {"/simple/sample/": closed}, credentials, asked)
    pair = base64.b64encode(b"me:secret").decode()
    assert asked == [("/simple/sample/", None), ("/simple/sample/", f"Basic {pair}")]


@pytest.mark.parametrize("credentials", [None, GivenCredentials("me", "wrong")])
def test_without_the_right_ones_it_is_told(credentials: GivenCredentials | None) -> None:
    with pytest.raises(IndexUnusable) as caught:
        page_at("/legacy/", {"/simple/sample/": closed}, credentials)
    assert "answered 401" in caught.value.detail
    assert "wrong" not in caught.value.detail


def test_credentials_do_not_go_to_another_host() -> None:
    """Neither when the other asks for them, nor when a page that has got them leads there."""
    other = Web({"/simple/sample/": closed})
    with serving(other) as elsewhere:
        away = Response("", 302, {"Location": f"{elsewhere.url}/simple/sample/"})

        def away_if_known(request: Request) -> Response:
            return away if request.authorization else closed(request)

        for answer in (away, away_if_known):
            with pytest.raises(IndexUnusable):
                page_at("/legacy/", {"/simple/sample/": answer}, GivenCredentials("me", "secret"))
    assert {credentials for _, credentials in other.asked} == {None}


@pytest.mark.parametrize(
    "refusal",
    [
        Response("Forbidden", 403),
        Response("There is nothing here", 404),
        html("<form>Sign in</form>"),
        Response("<form>Sign in</form>", 203, content_type="text/html"),
        Response("", 302, {"Location": "/sign-in"}),
    ],
    ids=["forbidden", "hidden", "login page", "login page, 203", "redirect"],
)
@pytest.mark.parametrize("upload_path", ["/legacy/", "/"])
def test_they_are_sent_where_nobody_gets_a_page_without(
    refusal: Response, upload_path: str
) -> None:
    """Not every index asks for credentials with 401."""

    def closed_otherwise(request: Request) -> Response:
        return closed(request) if request.authorization else refusal

    answers = {"/simple/sample/": closed_otherwise, "/sign-in": html("<form>Sign in</form>")}
    page = page_at(upload_path, answers, GivenCredentials("me", "secret"))
    assert page is not None
    assert page.files[WHEEL].sha256 == SHA


def test_they_are_not_sent_where_everybody_gets_the_page() -> None:
    asked: list[tuple[str, str | None]] = []
    answers = {"/simple/sample/": html(f'<a href="{WHEEL}#sha256={SHA}">x</a>')}
    page_at("/legacy/", answers, GivenCredentials("me", "secret"), asked)
    assert asked == [("/simple/sample/", None)]


def test_the_answer_to_everybody_counts_where_a_token_may_only_upload() -> None:
    def for_everybody(request: Request) -> Response:
        return Response("may not read", 403 if request.authorization else 404)

    answers = {"/simple/sample/": for_everybody}
    assert page_at("/legacy/", answers, GivenCredentials("me", "secret")) is None


def test_what_another_host_serves_is_not_the_index_s() -> None:
    """pypiserver sends those who ask for what it does not have to PyPI."""
    pypi = Web({"/simple/sample/": html(f'<a href="{WHEEL}#sha256={SHA}">x</a>')})
    with serving(pypi) as elsewhere:
        away = Response("", 302, {"Location": f"{elsewhere.url}/simple/sample/"})
        assert page_at("/", {"/simple/sample/": away}) is None
    assert len(pypi.asked) == 1


def test_pypi_has_no_html_pages() -> None:
    """A captive portal's page must not look like a project without files."""
    with serving(Web({"/simple/sample/": html(f'<a href="{WHEEL}">x</a>')})) as server:
        index = Index.at(f"{server.url}/legacy/", Dialect.PYPI)
        with new_session() as session, pytest.raises(IndexUnusable) as caught:
            Pages(index, session).page("sample")
    assert "not a JSON object" in caught.value.detail


MIB = 1 << 20
HOSTILE = {
    "open tags": b"<a " * (8 * MIB // 3),
    "open quotations": b'<a "' * (8 * MIB // 4),
    "other quotations": b"<a '\"" * (8 * MIB // 5),
    "open comments": b"<!--" * (8 * MIB // 4),
    "dashes": b"<!--" + b"-" * (8 * MIB),
    "blanks": b"<a" + b" " * (8 * MIB),
    "equals signs": b"<a " + b"x=" * (4 * MIB),
    "names": b"<a " + b"x " * (4 * MIB) + b">",
    "entities": b'<a href="' + b"&amp" * 15_000 + b'">',
    "many tags": b"<a x>" * 99_000,
}


@pytest.mark.parametrize("page", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_page_takes_no_longer_than_its_length(page: bytes) -> None:
    started = time.process_time()
    for tag in tags(page):
        assert not tag.attributes.get("href", "").endswith(".whl")
    assert time.process_time() - started < 5.0


def test_a_page_has_a_hundred_thousand_links_and_no_more() -> None:
    assert len(list(tags(b"<a x>" * 100_000))) == 100_000
    with pytest.raises(TooManyLinks, match="more than 100000 links"):
        list(tags(b"<a x>" * 100_001))
