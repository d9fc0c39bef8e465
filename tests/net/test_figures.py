"""Numbers and dates from outside, however extreme: reckoned with, or left out; never a crash."""

from __future__ import annotations

import json
import math
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pypi_attestations import Attestation
from werkzeug.wrappers import Request, Response

from attested_publish.attestations.sign import renewal_time
from attested_publish.attestations.verify import AttestationRefused, load_trust, verify_attestation
from attested_publish.distributions import copy_privately
from attested_publish.identity.tokens import AmbientIdentity, expires_at, understand
from attested_publish.index.api_token import ApiToken, Exchange, Revocation, TrustedCredentials
from attested_publish.index.contents import read_contents
from attested_publish.index.discovery import usual_exchange
from attested_publish.index.index import Index
from attested_publish.index.pages import Pages
from attested_publish.net import figures
from attested_publish.net.http import ask, new_session
from attested_publish.rules.on_index import findings_on_index
from support.releases import SHORT, publisher_policy, sign
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.releases import Stage

NUMBERS = (
    *("0", "-1", "-0.0", "1e999", "-1e999", "NaN", "Infinity", "1" + "0" * 400, "-1" + "0" * 400),
    *("9223372036854775807", "9223372036854775808", "1e18", "0.5"),
    *("true", "false", "null", '"12"', '"x"', "[]", "{}", '"9999-12-31"'),
)
"""As they stand in JSON."""

DATES = (
    *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01", "9999-12-31"),
    *("10000-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "2026-02-30T00:00:00Z", "", "x", "1e999"),
    *("-2026-01-01T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00+99:99"),
)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_finite_and_in_range(number: str) -> None:
    value = json.loads(number)
    found = figures.seconds(value)
    assert found is None or (isinstance(found, float) and abs(found) <= 1e12)
    counted = figures.count(value)
    assert counted is None or 0 <= counted < 1 << 63
    if isinstance(value, bool | str | list | dict | None):
        assert found is None
        assert counted is None


def test_plain_numbers_and_dates_are_read() -> None:
    assert figures.seconds(json.loads("1800000000")) == 1.8e9
    assert figures.seconds(json.loads("1.5")) == 1.5
    assert figures.count(json.loads("12345")) == 12345
    assert figures.moment("2026-08-21T10:00:00.5Z") == datetime(2026, 8, 21, 10, 0, 0, 500000, UTC)
    assert figures.moment("2026-08-21T10:00:00+02:00") == datetime(2026, 8, 21, 8, tzinfo=UTC)


def page_of(number: str, date: str) -> str:
    return (
        '{"files": [{"filename": "sample-1.0.tar.gz", "url": "x", "hashes": {}, '
        f'"size": {number}, "upload-time": {json.dumps(date)}}}]}}'
    )


@pytest.mark.parametrize(
    ("number", "date"),
    [*((number, "2026-01-01T00:00:00Z") for number in NUMBERS), *(("1", date) for date in DATES)],
)
def test_a_project_page(number: str, date: str, dist: Path) -> None:
    kind = "application/vnd.pypi.simple.v1+json"
    app = Request.application(lambda _: Response(page_of(number, date), content_type=kind))
    with serving(app) as server, new_session() as session, copy_privately([dist]) as files:
        index = Index.at(f"{server.url}/legacy/")
        (file,) = Pages(index, session).page("sample").files.values()
        assert 0 <= file.size < 1 << 63
        there = read_contents(files.distributions, Pages(index, session)).by_project
        for each, finding in findings_on_index(files.distributions, there, datetime.now(UTC)):
            assert each.filename
            assert finding.message


@pytest.mark.parametrize(
    "text",
    [
        *("0", "-1", "1e999", "9" * 5000, "NaN", "", " 5 ", "5.5", "٣", "true"),
        *("Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359"),
        *("Fri, 31 Dec 99999 23:59:59 GMT", "Fri, 32 Dec 2026 00:00:00 GMT"),
        *("Fri, 27 Nov 2026 00:00:00 +99999999999", "Fri, 27 Nov 2026 00:00:00 -0000", "x"),
        "Fri, 27 Nov 99999999999999999999 00:00:00 GMT",
        f"Fri, 27 Nov 2026 00:00:00 +{'9' * 20}",
        "Fri, 27 Nov 2099 00:00:00 GMT",
    ],
)
def test_a_time_to_wait(text: str) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("503 Busy", [("Retry-After", text.encode().decode("latin-1"))])
        return [b""]

    with serving(app) as server, new_session() as session:
        answer = ask(session, "GET", f"{server.url}/", headers={})
    assert answer.retry_after is None or 0 <= answer.retry_after <= 86400


@pytest.mark.parametrize("number", NUMBERS)
def test_the_end_of_an_api_token(number: str, stage: Stage) -> None:
    """Whatever it is, the token is kept, used and revoked."""
    burned: list[str] = []

    def app(environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        token = json.loads(Request(environ).get_data())["token"]
        if environ["PATH_INFO"].endswith("burn-token"):
            burned.append(token)
            start_response("202 Accepted", [])
            return [b"{}"]
        start_response("200 OK", [("Content-Type", "application/json")])
        minted.append(f"pypi-{len(minted)}")
        return [f'{{"token": "{minted[-1]}", "expires": {number}}}'.encode()]

    minted: list[str] = []
    ambient = AmbientIdentity(
        stage.world.issuer.issue, SHORT.identity, lambda _: None, lambda _: None
    )
    with serving(app) as server, new_session() as session:
        index = Index.at(f"{server.url}/legacy/")
        exchange = Exchange(
            index=index,
            addresses=usual_exchange(index),
            ambient=ambient,
            identity=understand(ambient.token("pypi")),
            projects={},
            session=session,
            deadlines=SHORT,
            mask=lambda _: None,
            tell=lambda _: None,
        )
        credentials = TrustedCredentials(exchange, "pypi")
        assert credentials.password == credentials.password == "pypi-0"
        assert minted == ["pypi-0"], "it is not renewed at every look"
        assert credentials.revoke()() is Revocation.REVOKED
        assert burned == minted


def test_the_end_of_a_token_is_heeded_where_it_can_be() -> None:
    now = time.time()
    assert not ApiToken("x", now - 900, now + 10).is_good_for_now(now)


@pytest.mark.parametrize("claim", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("number", NUMBERS)
def test_the_times_of_an_identity_token(claim: str, number: str) -> None:
    key = "a key that is long enough for everybody"
    token = jwt.encode({"iss": "https://issuer.example"}, key, algorithm="HS256")
    head, _, mark = token.split(".")
    payload = f'{{"iss": "https://issuer.example", "{claim}": {number}}}'
    forged = f"{head}.{jwt.utils.base64url_encode(payload.encode()).decode()}.{mark}"
    assert math.isfinite(expires_at(forged))
    asked: list[str] = []

    def source(audience: str) -> str:
        asked.append(audience)
        return forged

    ambient = AmbientIdentity(source, SHORT.identity, lambda _: None, lambda _: None)
    assert ambient.token("pypi") == ambient.token("pypi") == forged
    assert len(asked) in {1, 2}


@pytest.mark.parametrize("name", ["integratedTime", "logIndex"])
@pytest.mark.parametrize(
    "value", ["0", "-1", "9" * 18, "-" + "9" * 18, "9" * 400, "NaN", "1e999", "", "x"]
)
def test_the_numbers_of_a_log_entry(name: str, value: str, stage: Stage) -> None:
    trust = load_trust(stage.world.trust_config)
    with copy_privately([stage.folder]) as files:
        (each, *_) = files.distributions
        document = json.loads(sign(stage, [each], trust)[each.filename].model_dump_json())
        entry = document["verification_material"]["transparency_entries"][0]
        assert name in entry
        for changed in (value, float(value) if value in {"NaN", "1e999"} else True):
            entry[name] = changed
            with pytest.raises((AttestationRefused, ValueError)):
                verify_attestation(
                    Attestation.model_validate(document),
                    filename=each.filename,
                    sha256=each.sha256,
                    policy=publisher_policy("octo-org/sample-project", "release.yml"),
                    verifier=trust.verifier,
                )


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (datetime(1950, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (datetime(1950, 1, 1, tzinfo=UTC), datetime(1950, 1, 1, tzinfo=UTC)),
        (datetime(9999, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_the_dates_of_a_certificate(begin: datetime, end: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    certificate = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, end).sign(
        key, hashes.SHA256()
    )
    assert renewal_time(certificate) <= end.timestamp()
