"""The embedded PyPI's token exchange: every documented answer (pypi-server notes, section 1)."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from attested_publish.rehearsal.faults import Faults, parse_fault
from attested_publish.rehearsal.pypi.registry import Registry
from support.index_client import JOB, TRUE_ROW, serving, trusted_root
from support.makers import make_wheel

OTHER_SHA = "f" * 40


def registry(*publishers, pending=()):
    return Registry.parse(
        json.dumps({"publishers": list(publishers), "pending_publishers": list(pending)})
    )


def row(**changes):
    return {**TRUE_ROW, "projects": ["sample"], **changes}


@pytest.fixture(scope="module")
def index():
    """An index where `JOB` may publish `sample`; exchanges do not get in each other's way."""
    with serving(trusted_root=trusted_root(), registry=registry(row())) as (client, _):
        yield client


@pytest.fixture(scope="module")
def open_index():
    with serving(trusted_root=trusted_root(), registry=Registry.open()) as (client, _):
        yield client


def refusal(answer, status=422):
    """The code and the description of a refused exchange, whose shape is checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    document = answer.json()
    assert document.keys() == {"message", "errors"}
    assert document["message"] == "Token request failed"
    (error,) = document["errors"]
    assert error.keys() == {"code", "description"}
    return error["code"], error["description"]


def test_audience(index):
    answer = index.get("/_/oidc/audience")
    assert answer.status_code == 200
    assert answer.json() == {"audience": "pypi"}


@pytest.mark.parametrize("path", ["/_/oidc/mint-token", "/_/oidc/github/mint-token"])
def test_mint(index, path):
    before = int(time.time())
    answer = index.mint(index.identity(), path)

    assert answer.status_code == 200
    document = answer.json()
    assert document.keys() == {"success", "token", "expires"}
    assert document["success"] is True
    assert document["token"].startswith("pypi-")
    assert before + 900 <= document["expires"] <= time.time() + 900


def test_mint_does_not_look_at_the_content_type_and_ignores_other_keys(index):
    answer = requests.post(
        index.url + "/_/oidc/mint-token",
        data=json.dumps({"token": index.identity(), "more": 1}),
        headers={"Content-Type": "text/x-anything"},
        timeout=20,
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[]", b"{}", b'{"token": 7}', b'{"token": null}', b"\xff", b"[" * 9999],
)
@pytest.mark.parametrize("path", ["/_/oidc/mint-token", "/_/oidc/burn-token"])
def test_a_malformed_body_is_an_invalid_payload(index, path, body):
    code, _ = refusal(requests.post(index.url + path, data=body, timeout=20))
    assert code == "invalid-payload"


def test_the_text_about_a_malformed_body_does_not_repeat_it(index):
    answer = requests.post(
        index.url + "/_/oidc/mint-token", data='{"token": ["secret-text"]}', timeout=20
    )
    assert refusal(answer)[0] == "invalid-payload"
    assert "secret-text" not in answer.text


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a.b", "é.é.é"])
def test_what_is_no_jwt_is_an_invalid_payload(index, token):
    code, description = refusal(index.mint(token))
    assert code == "invalid-payload"
    assert "malformed JWT" in description


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"remove": "iss"}, "invalid-payload", "malformed JWT"),
        ({"iss": "https://issuer.example"}, "invalid-payload", "unknown trusted publishing issuer"),
        ({"headers": {"kid": "another"}}, "invalid-token", ""),
        ({"headers": {"kid": None}}, "invalid-token", ""),
        ({"aud": "testpypi"}, "invalid-token", ""),
        ({"aud": ["pypi"]}, "invalid-token", ""),
        ({"remove": "aud"}, "invalid-token", ""),
        ({"remove": "exp"}, "invalid-token", ""),
        ({"remove": "iat"}, "invalid-token", ""),
        ({"exp": int(time.time()) - 60}, "invalid-token", ""),
        ({"nbf": int(time.time()) + 3600}, "invalid-token", ""),
        ({"iat": int(time.time()) + 3600}, "invalid-token", ""),
        ({"remove": "jti"}, "invalid-publisher", "Missing claim 'jti'"),
        ({"remove": "ref"}, "invalid-publisher", "Missing claim 'ref'"),
        ({"remove": "repository"}, "invalid-publisher", "Missing claim 'repository'"),
        ({"repository": "Octo-Org/sample-project"}, "invalid-publisher", "was not found"),
        ({"repository": "octo-org/other"}, "invalid-publisher", "was not found"),
        ({"repository_owner_id": "1"}, "invalid-publisher", "was not found"),
        ({"repository_owner": "other"}, "invalid-publisher", "'repository_owner'"),
        (
            {"job_workflow_ref": "octo-org/sample-project/.github/workflows/x.YML@refs/tags/v1"},
            "invalid-publisher",
            "workflow's file name",
        ),
        (
            {"job_workflow_ref": JOB["job_workflow_ref"].replace("release", "build")},
            "invalid-publisher",
            "was not found",
        ),
        (
            {"job_workflow_ref": JOB["job_workflow_ref"].replace("octo-org", "elsewhere")},
            "invalid-publisher",
            "job_workflow_ref claim does not match",
        ),
        (
            {"job_workflow_ref": JOB["job_workflow_ref"].partition("@")[0] + "@refs/heads/x"},
            "invalid-publisher",
            "job_workflow_ref claim does not match",
        ),
        ({"ref": "", "sha": ""}, "invalid-publisher", "ref and sha claims are empty"),
        ({"event_name": "pull_request_target"}, "invalid-publisher", "pull_request_target"),
    ],
)
def test_an_identity_is_refused(index, changes, code, says):
    told_code, description = refusal(index.mint(index.identity(**changes)))
    assert told_code == code
    assert says in description


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": 7},
        {"repository": ""},
        {"repository": "no-slash"},
        {"repository": 7},
        {"repository_owner_id": int(JOB["repository_owner_id"])},
    ],
)
def test_an_identity_that_breaks_the_server(index, changes):
    assert_failed(index.mint(index.identity(**changes)))


def assert_failed(answer):
    assert (answer.status_code, answer.reason) == (500, "Internal Server Error")
    assert answer.headers["Content-Type"] == "text/html"


def test_all_faults_of_a_token_itself_get_the_same_words(index):
    told = {
        refusal(index.mint(index.identity(**changes)))
        for changes in (
            {"aud": "testpypi"},
            {"exp": 1},
            {"headers": {"kid": "x"}},
            {"key": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
            {"algorithm": "RS512"},
            {"algorithm": "HS256", "key": "k" * 64},
        )
    }
    assert told == {("invalid-token", "malformed or invalid token")}


def test_unsigned_tokens_are_refused(index):
    token = jwt.encode(
        jwt.decode(index.identity(), options={"verify_signature": False}),
        None,
        algorithm="none",
        headers={"kid": index.issuer.key_id},
    )
    assert refusal(index.mint(token))[0] == "invalid-token"


@pytest.mark.parametrize(
    "changes",
    [
        {"event_name": "pull_request"},
        {"event_name": "workflow_run"},
        {"sub": "repo:somebody/else", "workflow_ref": "x", "repository_id": "0"},
        {"environment": "anything"},
        {
            "sha": OTHER_SHA,
            "job_workflow_ref": JOB["job_workflow_ref"].partition("@")[0] + f"@{OTHER_SHA}",
        },
        {"repository": JOB["repository"], "unheard-of": "claim"},
    ],
)
def test_an_identity_is_accepted(index, changes):
    assert index.mint(index.identity(**changes)).status_code == 200


@pytest.mark.parametrize(("claim", "seconds"), [("exp", -10), ("iat", 10), ("nbf", 10)])
def test_clocks_may_differ_a_little(index, claim, seconds):
    assert index.mint(index.identity(**{claim: int(time.time()) + seconds})).status_code == 200


def test_an_identity_token_is_good_once(index):
    identity = index.identity()
    assert index.mint(identity).status_code == 200
    assert refusal(index.mint(identity))[0] == "invalid-reuse-token"


def test_the_id_of_an_identity_token_is_good_once_for_everybody():
    second = row(repo="second", projects=["second"])
    with serving(trusted_root=trusted_root(), registry=registry(row(), second)) as (client, _):
        assert client.mint(client.identity(jti="same")).status_code == 200
        there = {
            "repository": "octo-org/second",
            "job_workflow_ref": JOB["job_workflow_ref"].replace("sample-project", "second"),
        }
        code, _ = refusal(client.mint(client.identity(jti="same", **there)))
        assert code == "invalid-reuse-token"


def test_a_refused_identity_token_is_not_used_up(index):
    refused = index.identity(jti="kept", event_name="pull_request_target")
    assert refusal(index.mint(refused))[0] == "invalid-publisher"
    assert index.mint(index.identity(jti="kept")).status_code == 200


def test_of_many_exchanges_of_one_identity_token_one_succeeds(index):
    identity = index.identity()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(index.mint, [identity] * 8))
    assert sorted(answer.status_code for answer in answers) == [200] + [422] * 7


@pytest.mark.parametrize(
    ("environment", "claim", "is_accepted"),
    [
        ("pypi", "pypi", True),
        ("PyPI", "pypi", True),
        ("pypi", "PYPI", True),
        ("pypi", "other", False),
        ("pypi", "", False),
        ("pypi", None, False),
        ("", "other", True),
        ("", None, True),
    ],
)
def test_environments(environment, claim, is_accepted):
    rows = registry(row(environment=environment))
    with serving(trusted_root=trusted_root(), registry=rows) as (client, _):
        claims = {} if claim is None else {"environment": claim}
        answer = client.mint(client.identity(**claims))
        assert (answer.status_code == 200) is is_accepted
        if not is_accepted:
            assert "was not found" in refusal(answer)[1]


def test_the_publisher_with_the_environment_is_preferred():
    rows = registry(row(), row(environment="pypi", projects=["special"]))
    with serving(trusted_root=trusted_root(), registry=rows) as (client, index):
        client.token(environment="PyPI")
        client.token(environment="other")
        assert [token.projects for token in index.issued_tokens] == [{"special"}, {"sample"}]


def test_a_token_is_good_for_all_projects_of_its_publisher():
    rows = registry(row(projects=["Sample", "Other.One"]), row(repo="x", projects=["third"]))
    with serving(trusted_root=trusted_root(), registry=rows) as (client, index):
        client.token()
        (token,) = index.issued_tokens
        assert token.projects == {"sample", "other-one"}
        assert token.expires_at == pytest.approx(time.time() + 900, abs=30)


def test_a_pending_publisher_creates_its_project_at_the_exchange(tmp_path):
    rows = registry(pending=[{**TRUE_ROW, "project": "Sample"}])
    with serving(trusted_root=trusted_root(), registry=rows) as (client, _):
        assert client.get("/simple/sample/").status_code == 404
        token = client.token()
        assert client.simple("sample")["files"] == []
        assert client.upload(make_wheel(tmp_path), token).status_code == 200
        # From now on it is a publisher like any other.
        assert client.mint(client.identity()).status_code == 200


def test_a_pending_publisher_joins_the_publisher_that_is_there(tmp_path):
    rows = registry(row(), pending=[{**TRUE_ROW, "project": "new"}])
    with serving(trusted_root=trusted_root(), registry=rows) as (client, index):
        client.token()
        assert index.issued_tokens[0].projects == {"sample", "new"}


def test_a_pending_publisher_whose_project_exists_is_refused_once():
    rows = registry(row(), pending=[{**TRUE_ROW, "project": "SAMPLE"}])
    with serving(trusted_root=trusted_root(), registry=rows) as (client, _):
        identity = client.identity()
        assert refusal(client.mint(identity))[0] == "invalid-pending-publisher"
        # The pending publisher is gone, and the identity token was not used up.
        assert client.mint(identity).status_code == 200


@pytest.mark.parametrize("name", ["json", "sampIe", "s-ample"])
def test_a_pending_publisher_whose_project_may_not_be_created(name):
    rows = registry(row(repo="other"), pending=[{**TRUE_ROW, "project": name}])
    with serving(trusted_root=trusted_root(), registry=rows) as (client, _):
        code, description = refusal(client.mint(client.identity()))
        assert code == "invalid-payload"
        assert name in description


def test_other_pending_publishers_of_a_created_project_are_gone():
    mine, other = {**TRUE_ROW, "project": "new"}, {**TRUE_ROW, "repo": "x", "project": "New"}
    rows = registry(pending=[mine, other])
    with serving(trusted_root=trusted_root(), registry=rows) as (client, _):
        client.token()
        there = {
            "repository": "octo-org/x",
            "job_workflow_ref": JOB["job_workflow_ref"].replace("sample-project", "x"),
        }
        code, description = refusal(client.mint(client.identity(**there)))
        assert (code, "was not found" in description) == ("invalid-publisher", True)


def test_a_used_identity_token_that_meets_a_pending_publisher_breaks_the_server():
    # PyPI answers 500 here. The first exchange removes its own pending publisher, so it takes
    # a second one that matches: the one without an environment.
    rows = registry(
        pending=[
            {**TRUE_ROW, "environment": "pypi", "project": "one"},
            {**TRUE_ROW, "project": "two"},
        ]
    )
    with serving(trusted_root=trusted_root(), registry=rows) as (client, _):
        identity = client.identity(environment="pypi")
        assert client.mint(identity).status_code == 200
        assert_failed(client.mint(identity))


def test_without_a_registry_any_identity_may_publish_anything(open_index, tmp_path):
    claims = {
        "repository": "somebody/else",
        "repository_owner": "somebody",
        "job_workflow_ref": "somebody/else/.github/workflows/x.yaml@" + JOB["ref"],
        "environment": "Anywhere",
    }
    token = open_index.token(**claims)
    assert open_index.upload(make_wheel(tmp_path, "brand-new"), token).status_code == 200


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"event_name": "pull_request_target"}, "pull_request_target"),
        ({"repository": "octo-org/other"}, "job_workflow_ref claim does not match"),
        ({"repository_owner": "other"}, "'repository_owner'"),
        ({"remove": "sha"}, "Missing claim 'sha'"),
    ],
)
def test_without_a_registry_an_identity_still_has_to_be_sound(open_index, changes, says):
    code, description = refusal(open_index.mint(open_index.identity(**changes)))
    assert code == "invalid-publisher"
    assert says in description


def test_without_a_registry_an_identity_token_is_still_good_once(open_index):
    identity = open_index.identity()
    assert open_index.mint(identity).status_code == 200
    assert refusal(open_index.mint(identity))[0] == "invalid-reuse-token"


def test_a_burnt_token_is_not_known_any_more(index, tmp_path):
    token = index.token()
    answer = index.burn(token)
    assert answer.status_code == 202
    answer = index.upload(make_wheel(tmp_path), token)
    assert answer.status_code == 403
    assert "revoked" in answer.reason
    assert index.burn(token).status_code == 202


def test_burning_tells_nobody_which_tokens_exist(index):
    assert index.burn("pypi-unknown").status_code == 202


def test_only_minted_tokens_can_be_burnt(tmp_path):
    with serving(trusted_root=trusted_root(), registry=registry(row())) as (client, index):
        token = index.add_user_token()
        assert client.burn(token).status_code == 202
        assert client.upload(make_wheel(tmp_path), token).status_code == 200


def test_tokens_are_kept_as_digests_only():
    with serving(trusted_root=trusted_root(), registry=registry(row())) as (client, index):
        token = client.token()
        assert token not in repr(index.issued_tokens)
        client.burn(token)
        assert [one.is_revoked for one in index.issued_tokens] == [True]


def test_a_token_can_be_made_to_live_shortly(tmp_path):
    faults = Faults([parse_fault("mint=expires:0.2*1")])
    with serving(trusted_root=trusted_root(), registry=registry(row()), faults=faults) as (
        client,
        _,
    ):
        token = client.token()
        time.sleep(0.3)
        answer = client.upload(make_wheel(tmp_path), token)
        assert (answer.status_code, "token is expired" in answer.reason) == (403, True)
        assert client.upload(make_wheel(tmp_path), client.token()).status_code == 200
