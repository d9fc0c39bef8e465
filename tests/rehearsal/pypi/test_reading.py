"""What the embedded PyPI serves: simple index, JSON API, files (PEP 503, 658, 691, 700, 740)."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
import sys
import zipfile
from html.parser import HTMLParser

import pytest
import requests

from attested_publish.rehearsal.faults import Faults, parse_fault
from attested_publish.rehearsal.pypi.registry import Registry
from support.index_client import serving, trusted_root
from support.makers import make_sdist, make_wheel

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"


@pytest.fixture
def served():
    with serving(trusted_root=trusted_root(), registry=Registry.open()) as both:
        yield both


@pytest.fixture
def empty(served):
    """A client of an index in which there is nothing yet."""
    return served[0]


@pytest.fixture(scope="module")
def client():
    """A client of an index from which is only read."""
    with serving(trusted_root=trusted_root(), registry=Registry.open()) as (client, _):
        yield client


@pytest.fixture(scope="module")
def release(client, tmp_path_factory):
    """A wheel and an sdist of `Some.Sample` 1.0, uploaded; their paths."""
    folder = tmp_path_factory.mktemp("release")
    paths = [make_wheel(folder, "some-sample"), make_sdist(folder, "some-sample")]
    token = client.token()
    for path in paths:
        answer = client.upload(path, token, form={"name": "Some.Sample"})
        assert answer.status_code == 200, answer.text
    return paths


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links = []
        self.meta = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "a":
            self.links.append(dict(attrs))
        if tag == "meta" and dict(attrs).get("name"):
            self.meta[dict(attrs)["name"]] = dict(attrs)["content"]


def test_the_front_page_says_what_it_is(client):
    answer = client.get("/")
    assert answer.status_code == 200
    assert "not PyPI" in answer.text
    assert f"{client.url}/legacy/" in answer.text


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (JSON, JSON),
        (HTML, HTML),
        ("text/html", "text/html; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("image/png", "text/html; charset=utf-8"),
        (f"{JSON};q=0.2, {HTML};q=0.9", HTML),
        (f"{JSON}, {HTML}; q=0.1, text/html; q=0.01", JSON),
    ],
)
@pytest.mark.parametrize("path", ["/simple/", "/simple/some-sample/"])
@pytest.mark.usefixtures("release")
def test_content_negotiation(client, path, accept, content_type):
    answer = client.get(path, Accept=accept)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, content_type)


@pytest.mark.usefixtures("release")
def test_the_projects(client):
    document = client.get("/simple/", Accept=JSON).json()
    assert [each["name"] for each in document["projects"]] == ["Some.Sample"]
    page = Links(client.get("/simple/", Accept=HTML).text)
    assert page.links == [{"href": "/simple/some-sample/"}]
    assert page.meta == {"pypi:repository-version": "1.4"}


def test_a_project_as_json(client, release):
    wheel, sdist = release
    before = dt.datetime.now(dt.UTC)
    document = client.simple("some-sample")

    assert document["meta"]["api-version"] == "1.4"
    assert document["name"] == "some-sample"
    assert document["versions"] == ["1.0"]
    assert document["project-status"] == {"status": "active"}
    by_name = {file["filename"]: file for file in document["files"]}
    assert by_name.keys() == {wheel.name, sdist.name}
    entry = by_name[wheel.name]
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read("some_sample-1.0.dist-info/METADATA")
    assert entry["hashes"] == {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
    assert entry["size"] == wheel.stat().st_size
    assert entry["requires-python"] == ">=3.9"
    assert entry["yanked"] is False
    assert entry["provenance"] is None
    assert entry["core-metadata"] == {"sha256": hashlib.sha256(metadata).hexdigest()}
    assert entry["url"].startswith(client.url + "/files/")
    assert entry["upload-time"].endswith("Z")
    age = before - dt.datetime.fromisoformat(entry["upload-time"])
    assert dt.timedelta(0) <= age < dt.timedelta(minutes=10)
    assert by_name[sdist.name]["core-metadata"] is False


def test_a_project_as_html(client, release):
    wheel, _ = release
    links = Links(client.get("/simple/some-sample/", Accept=HTML).text).links
    assert len(links) == 2
    (link,) = (link for link in links if ".whl" in link["href"])
    entry = next(
        file for file in client.simple("some-sample")["files"] if file["filename"] == wheel.name
    )
    assert link == {
        "href": f"{entry['url']}#sha256={entry['hashes']['sha256']}",
        "data-requires-python": ">=3.9",
        "data-core-metadata": f"sha256={entry['core-metadata']['sha256']}",
        "data-dist-info-metadata": f"sha256={entry['core-metadata']['sha256']}",
    }


@pytest.mark.usefixtures("release")
def test_names_that_are_not_normalized_are_redirected(client):
    answer = client.get("/simple/Some.Sample/")
    assert answer.status_code == 301
    assert answer.headers["Location"] == "/simple/some-sample/"


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        *(
            (path, "text/plain; charset=utf-8")
            for path in ("/simple/unknown/", "/simple/Un.Known/", "/simple/%00%0d%0aX:%20y/")
        ),
        *(
            (f"/pypi/{path}/json", "application/json")
            for path in (
                "unknown",
                "some-sample/2.0",
                "some-sample/garbage",
                f"some-sample/{'9' * 5000}",
            )
        ),
        *(
            (path, "text/html; charset=utf-8")
            for path in (
                "/integrity/unknown/1.0/x.whl/provenance",
                "/integrity/some-sample/1.0/x.whl/provenance",
                "/integrity/some-sample/2.0/some_sample-1.0-py3-none-any.whl/provenance",
                "/files/00/00/00/some_sample-1.0-py3-none-any.whl",
                "/files/00/00/00/../../../../etc/passwd",
                "/files/%2e%2e/%2e%2e/etc/passwd",
                "/project/unknown/",
                "/project/some-sample/2.0/",
                "/elsewhere",
            )
        ),
    ],
)
@pytest.mark.usefixtures("release")
def test_what_is_not_there(client, path, content_type):
    answer = client.get(path)
    assert (answer.status_code, answer.reason) == (404, "Not Found")
    assert answer.headers["Content-Type"] == content_type


def test_an_empty_project_is_there(served):
    client, index = served
    index.add_project("empty")
    assert client.simple("empty")["files"] == []
    assert client.get("/pypi/empty/json").status_code == 404


def test_files_and_their_metadata(client, release):
    for path in release:
        (entry,) = (
            file for file in client.simple("some-sample")["files"] if file["filename"] == path.name
        )
        assert requests.get(entry["url"], timeout=20).content == path.read_bytes()
        part = requests.get(entry["url"], headers={"Range": "bytes=2-5"}, timeout=20)
        assert (part.status_code, part.content) == (206, path.read_bytes()[2:6])
        metadata = requests.get(entry["url"] + ".metadata", timeout=20)
        if entry["core-metadata"]:
            assert hashlib.sha256(metadata.content).hexdigest() == entry["core-metadata"]["sha256"]
        else:
            assert metadata.status_code == 404


def test_files_can_be_asked_about(client, release):
    url = client.simple("some-sample")["files"][0]["url"]
    answer = requests.head(url, timeout=20)
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) in {path.stat().st_size for path in release}


def test_addresses_follow_the_host_that_was_asked(client, release):
    assert release
    answer = client.get("/simple/some-sample/", Accept=JSON, Host="localhost:81")
    assert answer.json()["files"][0]["url"].startswith("http://localhost:81/files/")


def test_the_json_api(client, release):
    document = client.get("/pypi/Some_Sample/json").json()
    assert document["info"]["name"] == "Some.Sample"
    assert document["info"]["version"] == "1.0"
    assert document["info"]["summary"] == "A sample project"
    assert {one["filename"] for one in document["urls"]} == {path.name for path in release}
    assert document["releases"].keys() == {"1.0"}
    of_release = client.get("/pypi/some-sample/1.0/json").json()
    assert of_release["urls"] == document["urls"]
    assert "releases" not in of_release
    for one in document["urls"]:
        content = next(path for path in release if path.name == one["filename"]).read_bytes()
        assert one["digests"] == {
            "sha256": hashlib.sha256(content).hexdigest(),
            "md5": hashlib.md5(content).hexdigest(),
            "blake2b_256": hashlib.blake2b(content, digest_size=32).hexdigest(),
        }


def test_a_release_is_described_by_its_first_file(empty, tmp_path):
    token = empty.token()
    first, second = make_wheel(tmp_path, "new"), make_sdist(tmp_path, "new")
    assert empty.upload(first, token, form={"summary": "first"}).status_code == 200
    assert empty.upload(second, token, form={"summary": "second"}).status_code == 200
    assert empty.get("/pypi/new/json").json()["info"]["summary"] == "first"


def test_versions_are_sorted_as_versions(empty, tmp_path):
    token = empty.token()
    for version in ("1.10", "1.9", "2.0rc1"):
        assert empty.upload(make_wheel(tmp_path, version=version), token).status_code == 200
    assert empty.simple("sample")["versions"] == ["1.9", "1.10", "2.0rc1"]


def test_there_is_no_provenance_where_nothing_was_attested(client, release):
    path = f"/integrity/Some.Sample/1.0/{release[0].name}/provenance"
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/json")
    assert release[0].name in answer.json()["message"]


def test_wrong_digests_can_be_served(tmp_path):
    faults = Faults([parse_fault("simple=digest*2")])
    with serving(trusted_root=trusted_root(), registry=Registry.open(), faults=faults) as (
        client,
        _,
    ):
        wheel = make_wheel(tmp_path)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        assert client.upload(wheel, client.token()).status_code == 200
        assert client.simple("sample")["files"][0]["hashes"]["sha256"] != digest
        assert digest not in client.get("/simple/sample/", Accept=HTML).text
        assert client.simple("sample")["files"][0]["hashes"]["sha256"] == digest


def test_pip_installs_from_it(client, release, tmp_path):
    wheel, _ = release
    target = tmp_path / "installed"
    done = subprocess.run(
        [
            sys.executable,
            *("-I", "-m", "pip", "--isolated", "--disable-pip-version-check", "install"),
            *("--index-url", f"{client.url}/simple/", "--no-cache-dir", "--no-deps"),
            *("--target", str(target), "--require-hashes", "--only-binary", ":all:"),
            *("--requirement", str(_requirements(tmp_path, wheel))),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (target / "some_sample" / "__init__.py").is_file()


def _requirements(folder, wheel):
    path = folder / "requirements.txt"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    path.write_text(f"some-sample==1.0 --hash=sha256:{digest}\n")
    return path
