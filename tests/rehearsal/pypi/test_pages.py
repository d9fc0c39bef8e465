"""Headers, methods and pages of the embedded PyPI, as a running copy of PyPI has them."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re

import pytest
import requests

from attested_publish.rehearsal.pypi.registry import Registry
from support.index_client import serving, trusted_root
from support.makers import make_sdist, make_wheel

JSON = "application/vnd.pypi.simple.v1+json"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Max-Age": "86400",
    "Access-Control-Expose-Headers": "X-PyPI-Last-Serial",
}
PAGES = ["/simple/", "/simple/sample/", "/pypi/sample/json", "/pypi/sample/1.0/json"]
INFO = {
    *("author", "author_email", "bugtrack_url", "classifiers", "description"),
    *("description_content_type", "docs_url", "download_url", "downloads", "dynamic", "home_page"),
    *("keywords", "license", "license_expression", "license_files", "maintainer"),
    *("maintainer_email", "name", "package_url", "platform", "project_url", "project_urls"),
    *("provides_extra", "release_url", "requires_dist", "requires_python", "summary", "version"),
    *("yanked", "yanked_reason"),
}
FORM = {
    "license_expression": "MIT",
    "keywords": "one,two",
    "classifiers": ["Typing :: Typed"],
    "project_urls": ["Home, https://example.org/a,b", "Code,https://example.org/code"],
    "requires_dist": ["requests>=2"],
    "provides_extra": ["fast"],
    "author_email": "Me <me@example.org>",
}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    return [make_wheel(folder), make_sdist(folder)]


@pytest.fixture(scope="module")
def client(release):
    """A client of an index with a wheel and an sdist of `sample` 1.0, from which is only read."""
    with serving(trusted_root=trusted_root(), registry=Registry.open()) as (client, _):
        token = client.token()
        for path in release:
            assert client.upload(path, token, form=FORM).status_code == 200
        yield client


def ask(client, method, path, **headers):
    return requests.request(
        method,
        client.url + path,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        allow_redirects=False,
        timeout=20,
    )


@pytest.mark.parametrize("path", PAGES)
def test_pages_may_be_read_from_other_sites(client, path):
    headers = ask(client, "GET", path).headers
    assert headers.items() >= CORS.items()
    assert "If-None-Match" in headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    "path", [*PAGES, "/", "/_/oidc/audience", "/simple/none/", "/elsewhere", "/simple/sample"]
)
def test_every_answer_has_a_referrer_policy(client, path):
    answer = ask(client, "GET", path)
    assert answer.headers["Referrer-Policy"] == "origin-when-cross-origin"
    assert "Accept-Encoding" in answer.headers["Vary"]


@pytest.mark.parametrize("path", ["/simple/", "/simple/sample/"])
def test_pages_vary_with_what_is_accepted(client, path):
    varies = ask(client, "GET", path).headers["Vary"]
    assert {each.strip() for each in varies.split(",")} == {"Accept", "Accept-Encoding"}


@pytest.mark.parametrize("path", PAGES)
def test_what_the_client_has_is_not_sent_again(client, path):
    first = ask(client, "GET", path, Accept_Encoding="identity")
    digest = base64.b64encode(hashlib.md5(first.content).digest()).decode().rstrip("=")
    assert first.headers["ETag"] == f'"{digest}"'
    again = ask(
        client, "GET", path, Accept_Encoding="identity", If_None_Match=first.headers["ETag"]
    )
    assert (again.status_code, again.reason, again.content) == (304, "Not Modified", b"")
    changed = ask(client, "GET", path, If_None_Match='"other"')
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("identity", None),
        ("deflate", None),
        ("gzip;q=0", None),
        ("gzip;q=0.2, identity;q=0.5", None),
    ],
)
@pytest.mark.parametrize("path", ["/simple/sample/", "/pypi/sample/json"])
def test_pages_are_compressed_where_the_client_likes_it(client, path, accepted, encoding):
    plain = ask(client, "GET", path, Accept_Encoding="identity")
    answer = ask(client, "GET", path, Accept_Encoding=accepted)
    assert answer.headers.get("Content-Encoding") == encoding
    assert answer.content == plain.content
    assert (answer.headers["ETag"] == plain.headers["ETag"]) is (encoding is None)
    if encoding:
        assert int(answer.headers["Content-Length"]) < len(plain.content)


def test_files_are_not_compressed(client, release):
    url = client.simple("sample")["files"][0]["url"]
    answer = ask(client, "GET", url.removeprefix(client.url), Accept_Encoding="gzip")
    assert "Content-Encoding" not in answer.headers
    assert answer.content in {path.read_bytes() for path in release}


def test_serials_count_the_changes(tmp_path):
    with serving(trusted_root=trusted_root(), registry=Registry.open()) as (client, index):

        def serials():
            answer = ask(client, "GET", "/simple/", Accept=JSON)
            document = answer.json()
            assert answer.headers["X-PyPI-Last-Serial"] == str(document["meta"]["_last-serial"])
            for each in document["projects"]:
                page = ask(client, "GET", f"/simple/{each['name']}/", Accept=JSON)
                described = ask(client, "GET", f"/pypi/{each['name']}/json")
                assert page.headers["X-PyPI-Last-Serial"] == str(each["_last-serial"])
                assert page.json()["meta"]["_last-serial"] == each["_last-serial"]
                assert (
                    f"<!--SERIAL {each['_last-serial']}-->"
                    in client.get(f"/simple/{each['name']}/").text
                )
                if described.ok:
                    assert described.json()["last_serial"] == each["_last-serial"]
                    assert described.headers["X-PyPI-Last-Serial"] == str(each["_last-serial"])
            return document["meta"]["_last-serial"], {
                each["name"]: each["_last-serial"] for each in document["projects"]
            }

        assert serials() == (0, {})
        index.add_project("first")
        before, projects = serials()
        assert projects == {"first": before}
        token = client.token()
        for path in (make_wheel(tmp_path), make_sdist(tmp_path)):
            assert client.upload(path, token).status_code == 200
            after, projects = serials()
            assert (projects["first"], projects["sample"]) == (1, after)
            assert after > before
            before = after
        assert client.upload(path, token).status_code == 200
        assert serials() == (before, projects)
        index.delete_file(path.name)
        assert serials()[1]["sample"] > before


@pytest.mark.parametrize("path", ["/", *PAGES])
def test_pages_may_be_asked_about(client, path):
    whole = ask(client, "GET", path)
    options = ask(client, "OPTIONS", path)
    assert (options.status_code, options.content) == (200, whole.content)
    head = ask(client, "HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == whole.headers["Content-Length"]
    assert head.headers["ETag"] == whole.headers["ETag"]
    posted = ask(client, "POST", path)
    assert (posted.status_code, posted.reason) == (405, "Method Not Allowed")
    assert posted.headers["Allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST"])
@pytest.mark.parametrize(
    "path",
    ["/_/oidc/audience", "/integrity/sample/1.0/sample-1.0-py3-none-any.whl/provenance"],
)
def test_some_can_only_be_got(client, path, method):
    answer = ask(client, method, path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/simple", "/simple/sample", "/project/sample"])
def test_a_missing_slash_is_a_redirect(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.reason) == (301, "Moved Permanently")
    assert answer.headers["Location"] == f"{client.url}{path}/"


def test_a_slash_too_many_is_not_found(client):
    assert client.get("/simple//sample/").status_code == 404


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/simple/", "OK"),
        ("/simple/none/", "Not Found"),
        ("/simple/Sample/", "Moved Permanently"),
        ("/_/oidc/mint-token", "Method Not Allowed"),
    ],
)
def test_reason_phrases_are_written_as_usual(client, path, reason):
    assert client.get(path).reason == reason


def test_reason_phrases_of_the_exchange(client):
    answer = client.mint("no token")
    assert (answer.status_code, answer.reason) == (422, "Unprocessable Entity")
    assert client.burn("pypi-unknown").reason == "Accepted"
    large = requests.post(client.url + "/_/oidc/mint-token", data=bytes(2 << 20), timeout=20)
    assert (large.status_code, large.reason) == (413, "Request Entity Too Large")


def test_the_project_page_has_no_other_locations(client):
    document = client.simple("sample")
    assert document.keys() == {"meta", "name", "versions", "files", "project-status"}


def test_all_that_the_json_api_says_of_a_release(client):
    document = client.get("/pypi/sample/json").json()
    assert document.keys() == {"info", "last_serial", "releases", "urls", "vulnerabilities"}
    info = document["info"]
    assert info.keys() == INFO
    address = f"{client.url}/project/sample/"
    assert (
        info.items()
        >= {
            "name": "sample",
            "version": "1.0",
            "license_expression": "MIT",
            "license": None,
            "license_files": None,
            "keywords": "one,two",
            "classifiers": ["Typing :: Typed"],
            "project_urls": {"Home": "https://example.org/a,b", "Code": "https://example.org/code"},
            "requires_dist": ["requests>=2"],
            "provides_extra": ["fast"],
            "dynamic": None,
            "author": None,
            "author_email": "Me <me@example.org>",
            "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
            "project_url": address,
            "package_url": address,
            "release_url": f"{address}1.0/",
        }.items()
    )
    assert info["description"].strip()
    assert info["description_content_type"] == "text/plain"


def test_all_that_the_json_api_says_of_a_file(client, release):
    entries = {file["filename"]: file for file in client.simple("sample")["files"]}
    urls = {each["filename"]: each for each in client.get("/pypi/sample/json").json()["urls"]}
    for path in release:
        one = urls[path.name]
        assert one["md5_digest"] == hashlib.md5(path.read_bytes()).hexdigest()
        assert one["core-metadata"] == entries[path.name]["core-metadata"]
        assert (one["comment_text"], one["downloads"], one["has_sig"]) == ("", -1, False)
        precise = dt.datetime.fromisoformat(one["upload_time_iso_8601"])
        assert one["upload_time"] == f"{precise:%Y-%m-%dT%H:%M:%S}"
    assert [urls[path.name]["python_version"] for path in release] == ["py3", "source"]


def test_the_newest_release_is_a_final_one(tmp_path):
    with serving(trusted_root=trusted_root(), registry=Registry.open()) as (client, _):
        token = client.token()
        for version in ("2.0rc1", "1.10", "1.9"):
            wheel = make_wheel(tmp_path, version=version)
            assert client.upload(wheel, token).status_code == 200
            newest = client.get("/pypi/sample/json").json()["info"]["version"]
            assert newest == ("2.0rc1" if version == "2.0rc1" else "1.10")


def test_versions_that_are_equal_are_one_release(tmp_path):
    with serving(trusted_root=trusted_root(), registry=Registry.open()) as (client, _):
        token = client.token()
        wheel, sdist = make_wheel(tmp_path), make_sdist(tmp_path, version="1.0.0")
        for path in (wheel, sdist):
            assert client.upload(path, token).status_code == 200
        assert client.simple("sample")["versions"] == ["1.0"]
        for version in ("1.0", "1", "v1.0.0"):
            urls = client.get(f"/pypi/sample/{version}/json").json()["urls"]
            assert {each["filename"] for each in urls} == {wheel.name, sdist.name}
        another = make_sdist(tmp_path / "more", version="1.0.0.0")
        assert "only one" in client.upload(another, token).reason


def test_a_project_has_a_page_for_people(client):
    for path, words in {
        "/project/sample/": "Releases: 1.0",
        "/project/Sample/": "Releases: 1.0",
        "/project/sample/1.0.0/": "Releases: 1.0",
    }.items():
        answer = client.get(path)
        assert answer.status_code == 200
        assert words in answer.text
        assert re.search(r'href="([^"]+)"', answer.text)[1] == f"{client.url}/simple/sample/"
