"""What an index can say or do that stops a release: project status, attestations switched off."""

from __future__ import annotations

import html
from urllib.parse import quote

import pytest

from attested_publish.rehearsal.faults import Faults, parse_fault
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.index_client import JOB, client_of, sent, serving, sign, trusted_root
from support.keys import issuer_key
from support.makers import make_sdist, make_wheel

JSON = "application/vnd.pypi.simple.v1+json"
PYTP = "application/vnd.pypi.pytp.v1+json"


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def served(faults, tmp_path):
    """An index that has a wheel of `sample`."""
    with serving(trusted_root=trusted_root(), registry=Registry.open(), faults=faults) as both:
        assert both[0].upload(make_wheel(tmp_path), both[0].token()).status_code == 200
        yield both


@pytest.fixture
def client(served):
    return served[0]


@pytest.fixture
def index(served):
    return served[1]


def meta(client):
    """The status in the HTML page."""
    page = client.get("/simple/sample/").text
    return [line for line in page.split("<") if "pypi:project-status" in line]


def test_a_project_is_active(client):
    assert client.simple("sample")["project-status"] == {"status": "active"}
    assert meta(client) == ['meta name="pypi:project-status" content="active">']


@pytest.mark.parametrize("status", ["archived", "quarantined", "deprecated"])
def test_a_status_is_served(client, index, status):
    index.set_status("Sample", status, reason='use "other" <instead>')
    document = client.simple("sample")
    assert document["project-status"] == {"status": status, "reason": 'use "other" <instead>'}
    first, second = meta(client)
    assert first == f'meta name="pypi:project-status" content="{status}">'
    assert html.unescape(second).startswith(
        'meta name="pypi:project-status-reason" content="use "other" <instead>"'
    )
    index.set_status("sample", "active")
    assert client.simple("sample")["project-status"] == {"status": "active"}


def test_a_quarantined_project_lists_no_files(client, index):
    listed = client.get("/simple/", Accept=JSON).json()["projects"]
    assert [each["name"] for each in listed] == ["sample"]
    index.set_status("sample", "quarantined")
    document = client.simple("sample")
    assert (document["files"], document["versions"]) == ([], [])
    assert ".whl" not in client.get("/simple/sample/").text
    assert client.get("/simple/", Accept=JSON).json()["projects"] == []
    index.set_status("sample", "archived")
    assert len(client.simple("sample")["files"]) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [("archived", 403), ("quarantined", 403), ("deprecated", 200), ("active", 200)],
)
def test_where_a_status_stops_uploads(client, index, tmp_path, status, code):
    index.set_status("sample", status)
    # The exchange says nothing of it.
    answer = client.upload(make_sdist(tmp_path), client.token())
    assert answer.status_code == code
    if code != 200:
        assert answer.reason.startswith(
            "The given token isn't allowed to upload to project 'sample'. See "
        )
        index.set_status("sample", "active")
        assert len(client.simple("sample")["files"]) == 1


def test_a_bad_token_is_named_before_the_status(index, client, tmp_path):
    index.set_status("sample", "archived")
    answer = client.upload(make_sdist(tmp_path), index.add_user_token(["other"]))
    assert "not valid for project" in answer.reason


def test_a_status_can_be_a_fault(client, faults):
    faults.plan(parse_fault("simple=archived*1"))
    faults.plan(parse_fault("simple=quarantined*2"))
    document = client.simple("sample")
    assert document["project-status"] == {"status": "archived"}
    assert len(document["files"]) == 1
    document = client.simple("sample")
    assert (document["project-status"], document["files"]) == ({"status": "quarantined"}, [])
    assert meta(client) == ['meta name="pypi:project-status" content="quarantined">']
    assert client.simple("sample")["project-status"] == {"status": "active"}


def test_attestations_that_are_not_kept(tmp_path):
    with World(
        claims=JOB, registry=Registry.open(), faults=[parse_fault("upload=unattested*1")]
    ) as world:
        client = client_of(world)
        wheel, sdist = make_wheel(tmp_path), make_sdist(tmp_path)
        token = client.token()
        # They are not even looked at.
        assert client.upload(wheel, token, attestations="no json").status_code == 200
        (attestation,) = sign(world, sdist)
        assert client.upload(sdist, token, attestations=sent(attestation)).status_code == 200
        provenance = {
            file["filename"]: file["provenance"] is not None
            for file in client.simple("sample")["files"]
        }
        assert provenance == {wheel.name: False, sdist.name: True}


def test_provenance_that_is_switched_off(client, faults):
    path = "/integrity/sample/1.0/sample-1.0-py3-none-any.whl/provenance"
    faults.plan(parse_fault("integrity=disabled*1"))
    assert client.get(path, Accept="image/png").status_code == 406
    answer = client.get(path)
    assert (answer.status_code, answer.reason) == (403, "Forbidden")
    assert answer.json() == {"message": "Attestations temporarily disabled"}
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["message"].startswith("No provenance available for sample-1.0")


@pytest.mark.parametrize("accept", [None, "*/*", PYTP, f"{PYTP}, text/html;q=0.1"])
def test_the_token_exchange_is_announced(client, accept):
    headers = {} if accept is None else {"Accept": accept}
    answer = client.get(f"/.well-known/pytp?discover={quote('/legacy/', safe='')}", **headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, PYTP)
    assert answer.json() == {
        "audience-endpoint": f"{client.url}/_/oidc/audience",
        "mint-token-endpoint": f"{client.url}/_/oidc/mint-token",
    }
    audience = answer.json()["audience-endpoint"].removeprefix(client.url)
    assert client.get(audience).json() == {"audience": "pypi"}


def test_an_announcement_is_on_the_host_that_was_asked(client):
    answer = client.get("/.well-known/pytp?discover=/legacy/", Host="localhost:81")
    assert answer.json()["audience-endpoint"] == "http://localhost:81/_/oidc/audience"


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("", PYTP, 404),
        ("?discover=", PYTP, 404),
        ("?discover=%2Flegacy", PYTP, 404),
        ("?discover=%2Fother%2F", PYTP, 404),
        ("?discover=%252Flegacy%252F", PYTP, 404),
        ("?discover=%2Flegacy%2F", "application/json", 406),
        ("?discover=%2Flegacy%2F", f"{PYTP};q=0", 406),
    ],
)
def test_nothing_else_is_announced(client, query, accept, status):
    answer = client.get(f"/.well-known/pytp{query}", Accept=accept)
    assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize(("fault", "status"), [("discovery=404", 404), ("discovery=503", 503)])
def test_an_announcement_can_fail(fault, status):
    with World(
        claims=JOB, registry=Registry.open(), issuer_key=issuer_key(), faults=[parse_fault(fault)]
    ) as world:
        answer = client_of(world).get("/.well-known/pytp?discover=%2Flegacy%2F")
        assert answer.status_code == status
