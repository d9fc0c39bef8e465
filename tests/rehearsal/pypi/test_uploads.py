"""Uploads to the embedded PyPI: the rows of its server, in their order (notes, section 2).

Rows 25 to 33, about attestations, are in test_attestations.py.
"""

from __future__ import annotations

import hashlib
import html
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import requests

from attested_publish.rehearsal.pypi.registry import Registry
from support.index_client import TRUE_ROW, basic, form_of, serving, trusted_root
from support.makers import make_sdist, make_wheel

REGISTRY = Registry.parse(
    json.dumps(
        {
            "publishers": [
                {**TRUE_ROW, "projects": ["sample", "second"]},
                {**TRUE_ROW, "repo": "other", "projects": ["other"]},
            ]
        }
    )
)

OCTETS = b"application/octet-stream"


@pytest.fixture
def served():
    with serving(trusted_root=trusted_root(), registry=REGISTRY) as both:
        yield both


@pytest.fixture(scope="module")
def shared():
    """An index for uploads that are refused, which change nothing in it."""
    with serving(trusted_root=trusted_root(), registry=REGISTRY) as both:
        yield both


@pytest.fixture
def client(served):
    return served[0]


@pytest.fixture
def index(served):
    return served[1]


@pytest.fixture
def token(client):
    return client.token()


@pytest.fixture
def wheel(tmp_path):
    return make_wheel(tmp_path)


def told(answer, status=400):
    """What a refusal says, which has to stand in the reason phrase and in the body."""
    assert answer.status_code == status, answer.reason
    assert answer.headers["Content-Type"].startswith("text/html")
    # A status line is Latin-1, with question marks for all else.
    body = html.unescape(answer.text).encode("latin-1", "replace").decode("latin-1")
    assert answer.reason in body
    return answer.reason


def test_an_upload_is_served(client, token, wheel):
    answer = client.upload(wheel, token)
    assert (answer.status_code, answer.reason) == (200, "OK")
    assert "200 OK" in answer.text
    (file,) = client.simple("sample")["files"]
    assert file["filename"] == wheel.name


# Row 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb", "multipart/form-data"),
        (b"no such boundary", "multipart/form-data; boundary=x"),
        (b"--x\r\n", "multipart/form-data; boundary=x"),
    ],
)
def test_a_malformed_body_is_refused(shared, body, content_type):
    client, _ = shared
    authorization = basic("__token__", client.token())
    answer = requests.post(
        client.url + "/legacy/",
        data=body,
        headers={"Content-Type": content_type, "Authorization": authorization},
        timeout=20,
    )
    assert told(answer) == "Invalid Form Data."


def test_an_endless_field_is_refused_and_the_next_request_is_answered(client, token, wheel):
    answer = client.upload(wheel, token, form={"description": "x" * (33 * 1024 * 1024)})
    assert told(answer) == "Invalid Form Data."
    assert client.upload(wheel, token).status_code == 200


def test_a_missing_slash_is_a_redirect_that_says_so(client):
    answer = requests.post(
        client.url + "/legacy", headers={"Accept": "*/*"}, timeout=20, allow_redirects=False
    )
    assert "(with a trailing slash)" in told(answer, 308)
    assert answer.headers["Location"] == client.url + "/legacy/"


def test_what_is_no_upload_is_not_found(client, token, wheel):
    assert client.get("/legacy/").status_code == 404
    assert requests.post(client.url + "/legacy/", timeout=20).status_code == 404
    for action in (None, "", "other"):
        assert client.upload(wheel, token, form={":action": action}).status_code == 404
    assert client.simple("sample")["files"] == []


@pytest.mark.parametrize("action", ["submit", "submit_pkg_info", "doc_upload"])
def test_what_could_once_be_asked_for_is_gone(client, token, wheel, action):
    told(client.upload(wheel, token, form={":action": action}), 410)


@pytest.mark.parametrize("path", ["/legacy", "/_/oidc/mint-token", "/_/oidc/burn-token"])
def test_what_is_posted_to_cannot_be_read(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


# Row 2


def test_a_field_sent_as_a_file_is_refused(client, token, wheel):
    answer = client.upload(wheel, token, files={"attestations": ("a.json", b"[]")})
    assert "attestations" in told(answer)


def test_a_gpg_signature_may_be_a_file(client, token, wheel):
    files = {"gpg_signature": ("x.asc", b"-----BEGIN PGP SIGNATURE-----")}
    assert client.upload(wheel, token, files=files).status_code == 200


def test_unknown_is_as_good_as_nothing(client, token, wheel):
    form = {"requires_python": "UNKNOWN", "attestations": "UNKNOWN"}
    assert client.upload(wheel, token, form=form).status_code == 200
    assert client.simple("sample")["files"][0]["requires-python"] is None


# Rows 3 and 4


@pytest.mark.parametrize("scheme", ["basic", "Bearer", "token", "TOKEN"])
def test_ways_to_show_a_token(client, token, wheel, scheme):
    shown = basic("__token__", token) if scheme == "basic" else f"{scheme} {token}"
    assert client.upload(wheel, authorization=shown).status_code == 200


def test_user_names_and_passwords_are_refused(client, wheel):
    answer = client.upload(wheel, authorization=basic("octocat", "hunter2"))
    assert "user names and passwords" in told(answer, 403).lower()


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic !!!",
        "Basic X190b2tlbl9f",
        "Bearer",
        "Bearer x=y",
        "Digest a=b",
        "Bearer pypi-unknown",
        basic("__token__", "pypi-unknown"),
        basic("__token__", "pypi-é"),
    ],
)
def test_a_token_that_is_missing_or_unknown(shared, wheel, authorization):
    client, _ = shared
    assert "authentication information" in told(
        client.upload(wheel, authorization=authorization), 403
    )


def test_who_may_not_upload_hears_of_nothing_else(client, wheel):
    told(client.upload(wheel, form={"protocol_version": "2", "name": ""}), 403)


# Row 5


@pytest.mark.parametrize("version", [None, "2", "", ["1", "1"]])
def test_the_protocol_version(shared, wheel, version):
    client, _ = shared
    answer = client.upload(wheel, client.token(), form={"protocol_version": version})
    assert told(answer) == "Unknown protocol version."


# Rows 6 and 7: form and metadata, before the permission


@pytest.mark.parametrize(
    "form",
    [
        {"name": None},
        {"name": "-sample"},
        {"filetype": None},
        {"filetype": "bdist_egg"},
        {"pyversion": None},
        {"filetype": "sdist"},
        {"sha256_digest": "xyz"},
        {"blake2_256_digest": "xyz"},
        {"md5_digest": None, "sha256_digest": None, "blake2_256_digest": None},
        {"metadata_version": "2.0"},
        {"metadata_version": None},
        {"metadata_version": "2.6"},
        {"metadata_version": "9" * 5000},
        {"version": None},
        {"version": "9" * 5000},
        {"version": "not a version"},
        {"version": "1.0+local"},
        {"summary": "x" * 513},
        {"summary": "two\nlines"},
        {"classifiers": ["No :: Such"]},
        {"classifiers": ["Natural Language :: Ukranian"]},
        {"classifiers": ["Typing :: Typed "]},
        {"author_email": "nobody"},
        {"maintainer_email": "nobody@localhost"},
        {"home_page": "ftp://example.org"},
        {"download_url": "mailto:me@example.org"},
        {"project_urls": [f"{'x' * 33}, https://example.org"]},
        {"dynamic": ["version"]},
        {"requires_dist": ["x @ https://example.org/x.whl"]},
        {"summary": ["one", "two"]},
        {"license": "MIT", "license_expression": "MIT"},
        {"license_expression": "No-Such-License"},
        {"description_content_type": "text/html"},
        {"requires_python": "three"},
        {"provides_extra": ["?"]},
    ],
)
def test_form_and_metadata_come_before_the_permission(shared, wheel, form):
    client, index = shared
    told(client.upload(wheel, index.add_user_token(["other"]), form=form), 400)


# Row 8


def test_without_a_file(client, token, wheel):
    answer = requests.post(
        client.url + "/legacy/",
        files={name: (None, value) for name, value in form_of(wheel).items()},
        headers={"Authorization": basic("__token__", token), "Accept": "*/*"},
        timeout=20,
    )
    assert "does not have a file" in told(answer)


def test_content_as_a_plain_field_breaks_the_server(client, token, wheel):
    fields = {name: (None, value) for name, value in form_of(wheel).items()}
    answer = requests.post(
        client.url + "/legacy/",
        files={**fields, "content": (None, b"PK")},
        headers={"Authorization": basic("__token__", token), "Accept": "*/*"},
        timeout=20,
    )
    assert (answer.status_code, answer.reason) == (500, "Internal Server Error")


# Rows 9 and 10


def test_a_publisher_cannot_create_projects(client, token, tmp_path):
    answer = client.upload(make_wheel(tmp_path, "brand-new"), token)
    assert "cannot create new projects, such as 'brand_new'" in told(answer)
    assert client.get("/simple/brand-new/").status_code == 404


def test_a_user_can_create_projects(client, index, tmp_path):
    token = index.add_user_token()
    assert client.upload(make_wheel(tmp_path, "brand-new"), token).status_code == 200
    assert client.simple("brand-new")["files"]


def test_a_project_is_created_only_with_a_file_that_is_taken(client, index, tmp_path):
    answer = client.upload(
        make_wheel(tmp_path, "brand-new"), index.add_user_token(), form={"md5_digest": "0" * 32}
    )
    told(answer)
    assert client.get("/simple/brand-new/").status_code == 404


@pytest.mark.parametrize("name", ["samp1e", "json"])
def test_a_user_cannot_create_any_project(client, index, tmp_path, name):
    # The name is looked at before the file.
    answer = client.upload(
        make_wheel(tmp_path, name), index.add_user_token(), form={"md5_digest": "0" * 32}
    )
    assert f"The name '{name}'" in told(answer)


def test_the_scope_of_a_token(client, index, token, tmp_path):
    other = make_wheel(tmp_path, "other")
    assert "OIDC scoped token is not valid for project 'other'" in told(
        client.upload(other, token), 403
    )
    scoped = index.add_user_token(["Second"])
    assert "project-scoped token is not valid" in told(client.upload(other, scoped), 403)
    assert client.upload(make_wheel(tmp_path, "second"), scoped).status_code == 200


def test_a_token_that_has_expired(wheel):
    with serving(trusted_root=trusted_root(), registry=REGISTRY, token_lifetime=-1) as (client, _):
        answer = client.upload(wheel, client.token())
        assert told(answer, 403) == "Invalid API Token: token is expired"


def test_a_name_need_not_be_normalized(client, index, wheel):
    answer = client.upload(wheel, index.add_user_token(["sample"]), form={"name": "Sample"})
    assert answer.status_code == 200


# Rows 12, 14, 22 to 24: more in test_rows.py


def test_metadata_that_cannot_be_read(client, token, wheel):
    content = bytearray(wheel.read_bytes())
    place = content.index(b"sample-1.0.dist-info/METADATA") + len("sample-1.0.dist-info/METADATA")
    content[place + 5] ^= 0xFF
    wheel.write_bytes(content)
    told(client.upload(wheel, token, form={"description": None}))
    assert client.simple("sample")["files"] == []


# Rows 15 to 17


def test_a_file_sent_as_a_picture_or_as_nothing(client, token, wheel):
    answer = client.upload(wheel, token, content_type="image/png")
    assert "Invalid distribution file" in told(answer)
    answer = client.upload(wheel, token, edit=lambda body: body.replace(OCTETS, b""))
    assert "Invalid distribution file" in told(answer)


def test_a_file_need_not_be_sent_as_anything(client, token, wheel):
    answer = client.upload(
        wheel, token, edit=lambda body: body.replace(b"Content-Type: " + OCTETS + b"\r\n", b"")
    )
    assert answer.status_code == 200


def test_sizes(tmp_path):
    wheel, sdist = make_wheel(tmp_path), make_sdist(tmp_path)
    size = wheel.stat().st_size
    options = {"trusted_root": trusted_root(), "registry": REGISTRY}
    with serving(**options, file_limit=size - 1) as (client, _):
        assert "File too large" in told(client.upload(wheel, client.token()))
    with serving(**options, file_limit=size, project_limit=size) as (client, _):
        token = client.token()
        assert client.upload(wheel, token).status_code == 200
        assert "Project size too large" in told(client.upload(sdist, token))


@pytest.mark.parametrize(
    ("field", "length"), [("md5_digest", 32), ("sha256_digest", 64), ("blake2_256_digest", 64)]
)
def test_digests(client, token, wheel, field, length):
    answer = client.upload(wheel, token, form={field: "0" * length})
    assert "digest supplied does not match" in told(answer)
    assert field in answer.reason
    assert client.simple("sample")["files"] == []


def test_one_digest_is_enough_and_its_case_does_not_matter(client, token, wheel):
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest().upper()
    form = {"md5_digest": None, "blake2_256_digest": None, "sha256_digest": digest}
    assert client.upload(wheel, token, form=form).status_code == 200


# Rows 18 to 21


def test_the_same_file_again_is_no_error_and_changes_nothing(client, token, wheel):
    assert client.upload(wheel, token).status_code == 200
    before = client.simple("sample")
    # Attestations are not even looked at.
    answer = client.upload(wheel, token, attestations="no json")
    assert (answer.status_code, answer.reason) == (200, "OK")
    assert client.simple("sample") == before


def test_other_bytes_under_a_name_that_is_there(client, token, tmp_path, wheel):
    assert client.upload(wheel, token).status_code == 200
    other = make_wheel(tmp_path / "other", extra_files={"sample/more.py": b"1"})
    text = told(client.upload(other, token))
    assert text.startswith("File already exists")
    assert wheel.name in text
    assert hashlib.blake2b(other.read_bytes(), digest_size=32).hexdigest() in text


def test_the_same_bytes_under_another_name(client, token, tmp_path, wheel):
    assert client.upload(wheel, token).status_code == 200
    twin = tmp_path / "sample-1.0-py2.py3-none-any.whl"
    twin.write_bytes(wheel.read_bytes())
    assert told(client.upload(twin, token)).startswith(f"File already exists ({twin.name!r}")


def test_a_name_that_was_deleted(client, index, token, wheel):
    assert client.upload(wheel, token).status_code == 200
    index.delete_file(wheel.name)
    assert client.simple("sample")["files"] == []
    assert "previously used" in told(client.upload(wheel, token))


def test_a_release_is_closed_after_two_weeks(client, index, token, tmp_path):
    index.add_release("sample", "1.0", datetime.now(UTC) - timedelta(days=13.9))
    assert client.upload(make_wheel(tmp_path), token).status_code == 200
    index.add_release("sample", "2.0", datetime.now(UTC) - timedelta(days=14.1))
    answer = client.upload(make_wheel(tmp_path, version="2.0"), token)
    assert "older than 14 days" in told(answer)


def test_a_file_that_is_there_may_be_sent_to_a_closed_release(client, index, token, wheel):
    assert client.upload(wheel, token).status_code == 200
    index.add_release("sample", "1.0", datetime.now(UTC) - timedelta(days=20))
    assert client.upload(wheel, token).status_code == 200


def test_one_sdist_a_release(client, index, token, tmp_path):
    assert client.upload(make_sdist(tmp_path), token).status_code == 200
    other = make_sdist(tmp_path, filename="Sample-1.0.tar.gz", extra_files={"sample-1.0/x": b""})
    answer = client.upload(other, token, form={"name": "sample"})
    assert "only one" in told(answer)
    assert client.upload(make_sdist(tmp_path, version="2.0"), token).status_code == 200


# The answer's form


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; charset=utf-8"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("*/*", "text/html; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("image/png", "text/html; charset=utf-8"),
    ],
)
def test_a_refusal_takes_the_form_that_was_asked_for(shared, wheel, accept, content_type):
    client, _ = shared
    answer = client.upload(wheel, "pypi-wrong", accept=accept)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"] == content_type
    assert answer.reason in answer.text


def test_a_refusal_as_json(client, token, tmp_path):
    answer = client.upload(make_wheel(tmp_path, "unknown"), token, accept="application/json")
    document = answer.json()
    assert document.keys() == {"message", "code", "title"}
    assert document["title"] == "Bad Request"
    assert document["code"] == f"400 {answer.reason}"
    assert document["message"] == answer.reason


def test_a_reason_phrase_is_one_line_of_latin_1(client, token, wheel):
    form = {"sha256_digest": None, "md5_digest": None}
    answer = client.upload(
        wheel, token, files={"na→me\r\nX-Injected: 1": ("a", b"")}, form=form, accept="text/plain"
    )
    assert answer.status_code == 400
    assert "→" not in answer.reason
    assert "X-Injected" not in answer.headers


def test_a_refusal_is_escaped_in_html(client, token, wheel):
    answer = client.upload(wheel, token, files={"<script>": ("a", b"")})
    assert answer.status_code == 400
    assert "<script>" not in answer.text


# Several at once, and large ones


def test_a_whole_release_at_once(client, token, tmp_path):
    wheels = [make_wheel(tmp_path, tag=f"py3{minor}-none-any") for minor in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda path: client.upload(path, token), wheels))
    assert [answer.status_code for answer in answers] == [200] * 12
    held = client.simple("sample")
    assert {file["filename"] for file in held["files"]} == {path.name for path in wheels}
    assert held["versions"] == ["1.0"]


def test_of_many_files_of_one_name_at_once_one_is_taken(client, index, token, tmp_path):
    wheels = [
        make_wheel(tmp_path / str(n), extra_files={"sample/n.py": str(n).encode()})
        for n in range(8)
    ]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda path: client.upload(path, token), wheels))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert len(client.simple("sample")["files"]) == 1
    assert len(list(index.folder.iterdir())) == 1


def test_nothing_stays_on_disk(client, index, token, wheel, tmp_path):
    assert client.upload(wheel, token).status_code == 200
    told(client.upload(wheel, token, form={"md5_digest": "0" * 32}))
    assert client.upload(wheel, token).status_code == 200
    folder = index.folder
    assert len(list(folder.iterdir())) == 1
    index.close()
    assert not folder.exists()
