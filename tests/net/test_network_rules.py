"""What leaves this machine, to whom, and what is made of what comes back."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from rich.console import Console
from urllib3.util import parse_url

from attested_publish.consumer.download import Limits, NotFetched, address, sha256_of
from attested_publish.fronts.running import carry_out
from attested_publish.identity.tokens import detect, is_provider_local
from attested_publish.index.api_token import audience_of
from attested_publish.index.index import Index
from attested_publish.index.pages import IndexFile, Pages
from attested_publish.index.project_page import FILES_LIMIT, PAGE_LIMIT, NotAPage, entries
from attested_publish.index.provenance import provenance_at
from attested_publish.journey.targets import Targets
from attested_publish.net import secrecy
from attested_publish.net.addresses import BadAddress, checked, refuse_step
from attested_publish.net.connections import TooSlow
from attested_publish.net.http import Bounds, LedAstray, ask, bound, new_session
from attested_publish.net.routes import NoRoute
from attested_publish.net.secrecy import without_credentials
from attested_publish.net.unreachable import why_unreachable
from attested_publish.net.untrusted import sentence, shown, without_markup
from attested_publish.problems import IdentityProblem, IndexProblem, TokenProblem
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.jobs.pretended import CIRCLECI, GITHUB, GITLAB
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from attested_publish.settings import Settings
from support.environment import in_job
from support.hostile_peers import (
    Answering,
    Peer,
    Silent,
    SlowAtLast,
    SlowHandshake,
    SlowReader,
    json_response,
    response,
)
from support.keys import issuer_key
from support.paths import TESTS
from support.releases import problem, run_to, staged

if TYPE_CHECKING:
    from attested_publish.journey.run import Run

pytestmark = pytest.mark.sample(3)


PYPI = "https://upload.pypi.org"
MISLEADING = (
    "https://upload.pypi.org\\.evil.example/legacy/",
    "https://evil.example\\@upload.pypi.org/legacy/",
    "https://upload.pypi.org%2eevil.example/legacy/",
    "https://upload.pypi.org%00.evil.example/legacy/",
    "https://upload.pypi.org\t.evil.example/legacy/",
    "https://upload.pypi.org\n.evil.example/legacy/",
    "https://upload.pypi.org .evil.example/legacy/",
    "https://upload.pypi.org\u3002evil.example/legacy/",
    "https://upload\uff0epypi.org/legacy/",
    "https://upload.pypi\u00ad.org/legacy/",
    "https://uplo\u0430d.pypi.org/legacy/",
    "https://\u202egro.ipyp.daolpu/legacy/",
    "https://upload.pypi.org./legacy/",
    "https://.upload.pypi.org/legacy/",
    "https://upload..pypi.org/legacy/",
    "https://upload.pypi.org:+443/legacy/",
    "https://upload.pypi.org:0443/legacy/",
    "https://upload.pypi.org:-1/legacy/",
    "https://upload.pypi.org:65536/legacy/",
    "https://upload.pypi.org:443443443/legacy/",
    "https://upload.pypi.org:/legacy/",
    "https://upload.pypi.org:\u0664\u0664\u0663/legacy/",
    "https://upload.pypi.org:443@evil.example/legacy/",
    "https://upload.pypi.org@evil.example/legacy/",
    "https://user:geheim@evil.example/legacy/",
    "https://user:geheim@evil.example\\/legacy/",
    "https://user:ge/heim@evil.example/legacy/",
    "https:/upload.pypi.org/legacy/",
    "https:upload.pypi.org/legacy/",
    "https:///upload.pypi.org/legacy/",
    "https:\\\\upload.pypi.org\\legacy\\",
    "//upload.pypi.org/legacy/",
    " https://upload.pypi.org/legacy/",
    "https://[::1%25lo]/legacy/",
    "https://[fe80::1%25eth0]/legacy/",
    "https://[::1/legacy/",
    "https://[::1].evil.example/legacy/",
    "https://[v1.evil]/legacy/",
    "https://[]/legacy/",
    "https://2130706433/legacy/",
    "https://127.1/legacy/",
    "https://0x7f.0.0.1/legacy/",
    "https://0177.0.0.1/legacy/",
    "https://127.0.0.1.1/legacy/",
    "https://upload_pypi.org/legacy/",
    "https://*.pypi.org/legacy/",
    "https://upload.pypi.org;evil.example/legacy/",
    "https://upload.pypi.org&evil.example/legacy/",
    "https://upload.pypi.org/le\rgacy/",
    "https://upload.pypi.org/legacy/\x00",
    "ftp://upload.pypi.org/legacy/",
    "file:///etc/passwd",
    "https://",
    "",
)
PLAIN = (
    "https://upload.pypi.org/legacy/",
    "https://UPLOAD.pypi.ORG/legacy/",
    "HTTPS://upload.pypi.org:443/legacy/",
    "https://packages.example.com:8443/a%20b/legacy/",
    "https://packages.example.com/legacy/?x=@y",
    "https://10.0.0.7/legacy/",
    "https://[2001:db8::1]:8443/legacy/",
    "http://127.0.0.1:8080/legacy/",
    "http://[::1]:8080/legacy/",
    "http://localhost:8080/legacy/",
    "https://xn--bcher-kva.example/legacy/",
    "https://a/legacy/",
)


class TestAddresses:
    @pytest.mark.parametrize("url", MISLEADING)
    def test_what_could_mislead_is_refused_and_no_secret_shown(self, url: str) -> None:
        with pytest.raises(BadAddress):
            checked(url)
        with pytest.raises(IndexProblem) as caught:
            Index.at(url)
        assert "geheim" not in f"{caught.value.title} {caught.value.detail}"
        assert "heim" not in without_credentials(url)

    @pytest.mark.parametrize("url", PLAIN)
    def test_what_is_plain_means_the_same_to_everybody(self, url: str) -> None:
        parts = checked(url)
        assert parts.hostname == (parse_url(url).host or "").strip("[]").lower()
        prepared = requests.Request("GET", url).prepare().url
        assert parse_url(prepared).host.strip("[]") == parts.hostname
        assert Index.at(url).host

    def test_capitals_do_not_hide_pypi(self) -> None:
        assert Index.at("HTTPS://Upload.PyPI.org/legacy/").is_pypi

    @pytest.mark.parametrize(
        ("page", "target"),
        [
            ("https://a.example/simple/x/", "http://127.0.0.1:8000/x.whl"),
            ("https://a.example/simple/x/", "https://127.0.0.1:8000/x.whl"),
            ("https://a.example/simple/x/", "https://[::1]/x.whl"),
            ("https://a.example/simple/x/", "https://[::ffff:127.0.0.1]/x.whl"),
            ("https://a.example/simple/x/", "https://0.0.0.0/x.whl"),
            ("https://a.example/simple/x/", "https://localhost/x.whl"),
            ("https://a.example/simple/x/", "https://me.localhost/x.whl"),
            ("https://a.example/simple/x/", "http://a.example/x.whl"),
            ("https://a.example/simple/x/", "http://10.0.0.1/x.whl"),
            ("https://a.example/simple/x/", "https://127.1/x.whl"),
            ("https://a.example/simple/x/", "https://a.example\\@127.0.0.1/x.whl"),
            ("https://a.example/simple/x/", "file:///etc/passwd"),
            ("https://a.example/simple/x/", "//[x/x.whl"),
        ],
    )
    def test_a_page_does_not_lead_here_or_into_the_open(self, page: str, target: str) -> None:
        with pytest.raises(NotFetched):
            address(target, page)

    def test_a_page_leads_elsewhere(self) -> None:
        page = "https://a.example/simple/x/"
        assert address("../../x.whl", page) == "https://a.example/x.whl"
        assert address("https://files.b.example/x.whl", page) == "https://files.b.example/x.whl"
        here = "http://127.0.0.1:8080/simple/x/"
        assert address("http://127.0.0.1:9/x.whl", here) == "http://127.0.0.1:9/x.whl"
        refuse_step("https://localhost/a", "https://127.0.0.1/b")

    def test_the_address_for_identity_tokens_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "geheim")
        with Answering({}) as peer:
            monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"https://a\\@127.0.0.1:{peer.port}")
            with pytest.raises(IdentityProblem, match="could not be obtained") as caught:
                detect("pypi")
            assert "is not a valid address" in caught.value.detail
            assert not peer.requests


def read_apart(page: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in entries(page):
        if name == "files":
            found.setdefault(name, []).extend([] if value is None else [value])
        else:
            found[name] = value
    return found


class TestProjectPages:
    def test_read_apart_it_is_the_same(self) -> None:
        page = {
            "meta": {"api-version": "1.4"},
            "name": "sämple \U0001f600",
            "versions": [f"1.{number}" for number in range(20_000)],
            "files": [
                {
                    "filename": f"s-1.{n}.whl",
                    "hashes": {"sha256": "ab" * 32},
                    "size": n,
                    "x": "é" * n,
                }
                for n in range(3_000)
            ],
            "count": 12,
        }
        for text in (
            json.dumps(page),
            json.dumps(page, ensure_ascii=False),
            json.dumps(page, indent=2),
        ):
            assert read_apart(text.encode()) == page
            assert read_apart(b"\xef\xbb\xbf" + text.encode() + b"\n") == page
        assert read_apart(b"{}") == {}
        assert read_apart(b'{"files": []}') == {"files": []}

    @pytest.mark.parametrize(
        "page",
        [
            b"",
            b"[]",
            b"{",
            b'{"files"',
            b'{"files": [',
            b'{"files": [{}',
            b'{"files": [{},]',
            b'{"files": [{}]} x',
            b'{"files": [{} {}]}',
            b"{1: 2}",
            b'{"a": ' + b"9" * 5000 + b"}",
            b'{"a": ' + b"[" * 500_000,
            b'{"files": ' + b"[" * 500_000,
            b'{"files": [{"filename": "' + b"a" * 70_000 + b'"}]}',
            b'{"files": [' + b"{}," * (FILES_LIMIT + 1) + b"{}]}",
            b'{"versions": [' + b"[]," * 1_000_000 + b"[]]}",
            b"\xff\xfe{\0}\0",
        ],
    )
    def test_anything_else_is_none(self, page: bytes) -> None:
        with pytest.raises(NotAPage):
            read_apart(page)

    @pytest.mark.slow
    def test_the_largest_page_takes_little_time_and_memory(self) -> None:
        """32 MiB: five times the largest one on PyPI."""
        number = 40_000
        files = b",".join(
            b'{"core-metadata":{"sha256":"%064x"},"data-dist-info-metadata":{"sha256":"%064x"},'
            b'"filename":"sample-%d-cp313-cp313-manylinux_2_28_x86_64.whl","hashes":{"sha256":'
            b'"%064x"},"provenance":"https://packages.example.com/integrity/sample/%d/'
            b'sample-%d-cp313-cp313-manylinux_2_28_x86_64.whl/provenance","requires-python":'
            b'">=3.9","size":123456,"upload-time":"2026-01-01T00:00:00.000000Z","url":'
            b'"https://packages.example.com/packages/00/11/%064x/sample-%d-cp313-cp313-'
            b'manylinux_2_28_x86_64.whl","yanked":false}' % ((n,) * 8)
            for n in range(number)
        )
        page = b'{"files":[' + files + b'],"meta":{"api-version":"1.4"},"name":"sample"}'
        assert PAGE_LIMIT * 0.8 < len(page) < PAGE_LIMIT
        with Answering({"/simple/sample/": response(page, kind="application/json")}) as peer:
            done = subprocess.run(
                [sys.executable, "-c", READ_A_PAGE, f"{peer.url}/legacy/"],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
            )
        found, seconds, peak = json.loads(done.stdout)
        assert found == number
        assert seconds < 10
        assert peak < 200 << 20, "signing needs another 50 MB in the same process"

    @pytest.mark.sample(3)
    @pytest.mark.parametrize("status", ["200 OK", "500 Out of order"])
    @pytest.mark.parametrize(
        "page",
        [
            b'{"versions": [' + b"[]," * 10_000_000 + b"[]]}",
            b'{"files": [' + b"{}," * 10_000_000 + b"{}]}",
            b'{"files": [{"filename": "\xf0\x9f\x98\x80", "x": [' + b"{}," * 10_000_000 + b"{}]}]}",
            b'{"message": [' + b"{}," * 10_000_000 + b"{}]}",
        ],
    )
    def test_a_hostile_page_is_not_parsed_whole(self, page: bytes, status: str) -> None:
        answer = response(page, status=status, kind="application/json")
        with Answering({"/simple/sample/": answer}) as peer:
            done = subprocess.run(
                [sys.executable, "-c", READ_A_PAGE, f"{peer.url}/legacy/"],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
                env={**os.environ, "PYTHONPATH": str(TESTS)},
            )
        found, seconds, peak = json.loads(done.stdout)
        assert found == "127.0.0.1"
        assert seconds < 10
        assert peak < 200 << 20


READ_A_PAGE = """
import json, sys, time
from support.measuring import peak
from attested_publish.net.http import new_session
from attested_publish.index.index import Dialect, Index
from attested_publish.index.pages import Pages
from attested_publish.problems import IndexProblem
started = time.monotonic()
with new_session() as session:
    try:
        found = len(Pages(Index.at(sys.argv[1], Dialect.PYPI), session).page("sample").files)
    except IndexProblem as problem:
        found = problem.title.partition(":")[0]
print(json.dumps([found, time.monotonic() - started, peak()]))
"""


class TestForeignTexts:
    @pytest.mark.parametrize(
        "body",
        [
            b"<" * (1 << 20),
            b"<script" * (1 << 17),
            b"<script>" * (1 << 17),
            b"<style></style" * (1 << 16),
            b"<a " * (1 << 18) + b">",
            b"<" + b" " * (1 << 20),
            b" " * (1 << 20),
            b"&" * (1 << 20),
            b"<p>&#" + b"9" * (1 << 20),
            b"<p>&#x" + b"f" * (1 << 20),
            b'{"message": "' + b"x" * (1 << 20) + b'"}',
            b'{"errors": [' + b"{}," * (1 << 18) + b"{}]}",
            b'{"message": ' + b"[" * (1 << 20),
            b"\xe2\x80\xae" * (1 << 18),
        ],
    )
    def test_any_answer_is_told_soon_and_in_one_line(self, body: bytes) -> None:
        started = time.process_time()
        told = sentence(status=400, reason="Bad Request", body=body, content_type="text/html")
        assert time.process_time() - started < 1
        assert len(told) < 5000
        assert told.isprintable()

    def test_markup(self) -> None:
        page = (
            "<html><HEAD><title>no</title></head><body>one<script>no</script >"
            "<b>two</b><style>no</style>&lt;three&gt; 4 < 5"
        )
        told = sentence(status=400, reason="", body=page.encode(), content_type="text/html")
        assert told == "one two <three> 4 < 5"
        assert without_markup("<script>never").strip() == ""

    def test_a_text_is_looked_at_only_as_far_as_it_is_shown(self) -> None:
        text = " \u202ea\r\n\x1b" + "b" * 50_000_000
        started = time.process_time()
        assert shown(text, 20).startswith("\\u202ea \\x1bbb")
        assert time.process_time() - started < 0.5


def run_printing_to(printed: io.StringIO, *, verbose: bool) -> Run:
    settings = replace(Settings(), verbose=verbose)
    return run_to(Targets(Index.at(f"{PYPI}/legacy/")), settings, Console(file=printed, width=200))


@pytest.mark.parametrize("verbose", [True, False])
def test_what_libraries_log_goes_through_the_printer(
    capfd: pytest.CaptureFixture[str], *, verbose: bool
) -> None:
    printed = io.StringIO()
    evil = "503: \r::error::x\x1b[31m ##[error] \u202e geheim12"
    run = run_printing_to(printed, verbose=verbose)
    secrecy.keep(["geheim12"])

    def work() -> None:
        for name in ("twine.repository", "sigstore._internal", "tuf.api", "urllib3", "whoever", ""):
            logging.getLogger(name or None).warning("%s", evil)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(evil, stacklevel=1)
        logging.getLogger("twine").info("not shown")
        logging.getLogger("whoever").error("%s", evil)

    carry_out(work, run)
    logging.getLogger("twine").warning("afterwards")
    told = printed.getvalue()
    assert told.count("\\x1b[31m") == (8 if verbose else 1)
    assert "not shown" not in told
    assert "geheim12" not in told
    assert not {"\r", "\x1b", "\u202e"} & set(told)
    assert not any(line.lstrip().startswith("::") for line in told.splitlines())
    outside = capfd.readouterr()
    assert outside.out == outside.err == ""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a netrc that has a password for everybody."""
    (tmp_path / ".netrc").write_text("default login somebody password geheim\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


class TestNetrc:
    def test_it_is_asked_by_nobody(self, home: Path) -> None:
        with Answering({"/": response(b"{}")}) as peer:
            with requests.Session() as plain:
                plain.get(peer.url)
                assert b"Basic" in peer.requests.pop(), "an ordinary session would"
            with new_session() as ours:
                ask(ours, "GET", peer.url, headers={"Authorization": "bearer mine"})
            with requests.Session() as library:
                bound(library, Bounds(5, 5))
                library.post(peer.url, data="x", headers={"Authorization": "Bearer mine"})
                library.get(peer.url)
        assert [b"earer mine" in head for head in peer.requests] == [True, True, False]
        assert not any(b"Basic" in head for head in peer.requests)

    def test_not_on_the_way_of_a_redirect_either(self, home: Path) -> None:
        onward = response(b"", status="307 Go on", Location="/there")
        peer = Answering({"/": onward, "/there": response(b"{}")})
        with peer, requests.Session() as library:
            bound(library, Bounds(5, 5))
            library.post(peer.url, data="x", headers={"Authorization": "Bearer mine"})
        assert len(peer.requests) == 2
        assert all(b"Bearer mine" in head for head in peer.requests)

    def test_a_library_is_not_led_astray(self, encrypted: tuple[str, str]) -> None:
        url, certificate = encrypted
        with Answering({}) as here, requests.Session() as library:
            bound(library, Bounds(5, 5), guards_redirects=True)
            library.verify = certificate
            with pytest.raises(LedAstray):
                library.get(f"{url}/?to={here.url}/")
            assert not here.requests

    def test_a_whole_release_does_without(self, home: Path, dist: Path) -> None:
        with staged(dist) as stage:
            report = stage.run()
            assert report.result == "done", stage.printed


class TestRoutes:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    @pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
    def test_no_proxy_for_this_machine(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, host: str
    ) -> None:
        with Answering({}) as proxy, Answering({"/": response(b"{}")}) as peer:
            monkeypatch.setenv(variable, proxy.url)
            with new_session() as session:
                ask(session, "GET", f"http://{host}:{peer.port}/", headers={})
            assert len(peer.requests) == 1
            assert not proxy.requests

    def test_a_whole_release_passes_the_proxy_by(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, dist: Path
    ) -> None:
        with Answering({}) as proxy, staged(dist) as stage:
            for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
                monkeypatch.setenv(name, proxy.url)
            report = stage.run()
            assert report.result == "done", stage.printed
            assert not proxy.requests

    def test_others_are_asked_through_it(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with Answering({"/x": response(b'{"through": "it"}')}) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//me:geheim@"))
            with new_session() as session:
                answer = ask(session, "GET", "http://index.invalid/x", headers={})
            assert answer.json_object() == {"through": "it"}
            (head,) = proxy.requests
            assert base64.b64encode(b"me:geheim") in head

    def test_a_proxy_that_we_do_not_speak_to(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", "socks5h://me:geheim@127.0.0.1:1080")
        with new_session() as session, pytest.raises(NoRoute) as caught:
            ask(session, "GET", "https://index.invalid/x", headers={})
        told = why_unreachable(caught.value)
        assert "socks5h proxies are not supported" in told
        assert "geheim" not in told

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
    def test_certificates(
        self,
        encrypted: tuple[str, str],
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        variable: str,
    ) -> None:
        url, certificate = encrypted
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
            monkeypatch.delenv(name, raising=False)
        with new_session() as session, pytest.raises(requests.exceptions.SSLError):
            ask(session, "GET", url, headers={})
        monkeypatch.setenv(variable, certificate)
        with new_session() as session:
            assert ask(session, "GET", url, headers={}).status == 200
        (tmp_path / "other.pem").write_text("nothing")
        for path, words in (
            ("gone.pem", "cannot be read"),
            ("other.pem", "not a certificate file"),
        ):
            monkeypatch.setenv(variable, str(tmp_path / path))
            with new_session() as session, pytest.raises(NoRoute) as caught:
                ask(session, "GET", url, headers={})
            told = why_unreachable(caught.value)
            assert variable in told
            assert words in told


class TestDeadlines:
    @pytest.mark.parametrize(
        ("peer", "scheme"),
        [(Silent, "http"), (Silent, "https"), (SlowHandshake, "https"), (SlowReader, "http")],
    )
    def test_any_request_ends(self, peer: type[Peer], scheme: str) -> None:
        with peer() as there, new_session(read=0.8) as session:
            started = time.monotonic()
            url = f"{scheme}://127.0.0.1:{there.port}/"
            with pytest.raises(requests.RequestException) as caught:
                session.request("POST", url, data=b"x" * 1000, verify=False)
            assert time.monotonic() - started < 6
            assert "time" in why_unreachable(caught.value)

    def test_so_does_one_on_a_connection_that_was_kept(self) -> None:
        with SlowAtLast() as there, new_session(read=0.8) as session:
            assert ask(session, "GET", there.url, headers={}).body == b"{}"
            with pytest.raises(TooSlow):
                ask(session, "GET", there.url, headers={})
            assert len(there._open) == 1

    def test_a_file_may_take_as_long_as_its_size(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("attested_publish.net.http.SLOWEST_UPLOAD", 16 << 20)
        with SlowReader() as there, requests.Session() as session:
            bound(session, Bounds(silence=5, total=0.5))
            started = time.monotonic()
            with pytest.raises(TooSlow):
                session.post(there.url, data=io.BytesIO(b"x" * (24 << 20)))
            assert 1.5 < time.monotonic() - started < 8

    def test_a_name_that_nobody_looks_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        is_over = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: is_over.wait(20))
        started = time.monotonic()
        with new_session(read=0.3) as session, pytest.raises(requests.RequestException) as caught:
            ask(session, "GET", "https://index.invalid/", headers={})
        is_over.set()
        assert time.monotonic() - started < 10
        assert "time" in why_unreachable(caught.value)

    def test_an_idle_connection_is_used_again(self) -> None:
        world = World(claims=job_claims({}, {}), registry=Registry.open())
        with world, new_session() as session:
            for _ in range(3):
                ask(session, "GET", world.index_url, headers={})
            asked = requests.Request("GET", world.index_url).prepare()
            pool = session.get_adapter("http://").get_connection_with_tls_context(asked, True)
            assert pool.num_connections == 1

    def test_nothing_is_left_open(self) -> None:
        before = open_files()
        with Answering({"/": response(b"{}")}) as peer:
            for _ in range(20):
                with new_session() as session:
                    ask(session, "GET", peer.url, headers={})
        time.sleep(0.1)
        assert open_files() <= before + 5


def open_files() -> int:
    """How many files this process has open, where that can be seen."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def secret_service() -> dict[str, bytes]:
    return {"/secret": response(b'{"message": "the secret of a service here"}', status="403 No")}


class TestWhoIsAsked:
    def test_an_https_index_cannot_send_here(
        self, encrypted: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Neither with a link, nor with a redirect from an address of its own."""
        url, certificate = encrypted
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate)
        with Answering(secret_service()) as here, new_session() as session:
            with pytest.raises(LedAstray) as caught:
                ask(session, "GET", f"{url}/?to={here.url}/secret", headers={})
            assert not here.requests
        assert "not encrypted" in why_unreachable(caught.value)
        file = IndexFile("x.whl", None, f"{here.url}/secret", None)
        with new_session() as session, pytest.raises(NotFetched):
            sha256_of(file, "https://a.example/simple/x/", session, Limits())

    def test_answers_of_others_are_not_quoted(self) -> None:
        with Answering(secret_service()) as other, Answering({}) as own:
            own.answers["/simple/x/"] = response(
                b"", status="302 Go", Location=f"{other.url}/secret"
            )
            own.answers["/_/oidc/audience"] = own.answers["/simple/x/"]
            own.answers["/own"] = response(b'{"message": "our own words"}', status="403 No")
            index = Index.at(f"{own.url}/legacy/")
            with new_session() as session:
                for ask_it in (
                    lambda session: Pages(index, session).page("x"),
                    partial(provenance_at, f"{other.url}/secret", index),
                    partial(audience_of, index, is_provider_local=True),
                ):
                    with pytest.raises((IndexProblem, TokenProblem)) as caught:
                        ask_it(session=session)
                    assert "403" in caught.value.detail
                    assert "secret of" not in caught.value.detail
                with pytest.raises(IndexProblem, match="unexpected") as caught:
                    provenance_at(f"{own.url}/own", index, session)
                assert "our own words" in caught.value.detail
            assert len(other.requests) == 3


class TestAudiences:
    """A token that PyPI would take goes to PyPI, and to a stranger on loopback never."""

    @pytest.mark.parametrize(
        ("index", "audience", "is_local", "may"),
        [
            ("https://upload.pypi.org/legacy/", "pypi", False, True),
            ("https://upload.pypi.org/legacy/", "testpypi", False, False),
            ("https://upload.pypi.org/legacy/", "sigstore", False, False),
            ("https://test.pypi.org/legacy/", "testpypi", False, True),
            ("https://test.pypi.org/legacy/", "pypi", False, False),
            ("https://upload.pypi.org.example/legacy/", "pypi", True, False),
            ("https://packages.example.com/legacy/", "pypi", True, False),
            ("https://packages.example.com/legacy/", "packages", False, True),
            ("http://127.0.0.1:8080/legacy/", "pypi", False, False),
            ("http://127.0.0.1:8080/legacy/", "testpypi", False, False),
            ("http://127.0.0.1:8080/legacy/", "pypi", True, True),
            ("http://localhost:8080/legacy/", "testpypi", True, True),
            ("http://127.0.0.1:8080/legacy/", "sigstore", True, False),
            ("http://127.0.0.1:8080/legacy/", "dev", False, True),
        ],
    )
    def test_who_may_have_which(
        self, index: str, audience: str, *, is_local: bool, may: bool
    ) -> None:
        assert Index.at(index).may_ask_for(audience, is_provider_local=is_local) is may

    @pytest.mark.parametrize("job", [GITHUB, GITLAB, CIRCLECI])
    def test_the_embedded_providers_are_on_loopback(self, job: Any) -> None:
        claims = job.claims({}, {})
        with World(
            claims=claims, registry=Registry.open(), job=job, issuer_key=issuer_key()
        ) as world:
            assert is_provider_local(world.environment)

    @pytest.mark.parametrize(
        "environment",
        [
            {},
            {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:1/"},
            {"GITHUB_ACTIONS": "true"},
            {"GITHUB_ACTIONS": "true", "CI_SERVER_URL": "http://127.0.0.1"},
            {
                "GITHUB_ACTIONS": "true",
                "ACTIONS_ID_TOKEN_REQUEST_URL": "https://127.0.0.1.actions.example/?a=b",
            },
            {
                "GITHUB_ACTIONS": "true",
                "ACTIONS_ID_TOKEN_REQUEST_URL": "https://127.0.0.1\\@actions.example/",
            },
            {"GITLAB_CI": "true", "CI_SERVER_URL": "https://gitlab.com"},
            {"CIRCLECI": "true", "CIRCLE_BUILD_URL": "https://circleci.com/gh/a/b/1"},
        ],
    )
    def test_the_real_ones_are_not(self, environment: dict[str, str]) -> None:
        assert not is_provider_local(environment)

    def test_gitlab_by_the_issuer_of_its_tokens(self) -> None:
        import jwt

        def token(issuer: str) -> str:
            return jwt.encode({"iss": issuer}, "k" * 32, algorithm="HS256")

        here, real = token("http://127.0.0.1:3000"), token("https://gitlab.com")
        there = {"GITLAB_CI": "true", "CI_SERVER_URL": "https://gitlab.com"}
        assert is_provider_local({**there, "PYPI_ID_TOKEN": here})
        assert not is_provider_local({**there, "PYPI_ID_TOKEN": real})
        assert not is_provider_local({**there, "PYPI_ID_TOKEN": here, "SIGSTORE_ID_TOKEN": real})

    @pytest.mark.parametrize("audience", ["pypi", "testpypi", "sigstore"])
    def test_a_stranger_on_loopback_gets_no_token(
        self, dist: Path, monkeypatch: pytest.MonkeyPatch, audience: str
    ) -> None:
        """The provider is asked by a name that is not loopback's, as a real one would be."""
        with staged(dist) as stage, Answering({}) as stranger, Answering({}) as provider:
            stranger.answers["/_/oidc/audience"] = json_response({"audience": audience})
            token = stage.world.issuer.issue("sigstore")
            provider.answers["/token"] = json_response({"value": token})
            real = "actions.provider.test"
            resolve = socket.getaddrinfo
            monkeypatch.setattr(
                socket,
                "getaddrinfo",
                lambda host, *rest, **more: resolve(
                    "127.0.0.1" if host == real else host, *rest, **more
                ),
            )
            url = f"{provider.url.replace('127.0.0.1', real)}/token"
            changed = {"ACTIONS_ID_TOKEN_REQUEST_URL": url}
            monkeypatch.setattr(
                type(stage.world),
                "environment",
                property(lambda world: {**ENVIRONMENT(world), **changed}),
            )
            stage.is_identity_local = None
            with in_job(stage.world.environment):
                report = stage.run(repository_url=f"{stranger.url}/legacy/")
            told = problem(report)
            assert "asks for an identity token meant for another service" in told
            assert "OIDC_AUDIENCE" in told
            heads = b"".join(stranger.requests)
            assert b"mint-token" not in heads
            assert b"eyJ" not in heads


ENVIRONMENT = World.environment.fget


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (b"{" + b",".join([b'"a":1'] * 1_000_000) + b"}", "more than 100 members"),
        (
            b'{"files":[' + b",".join([b'"' + "\u4e2d".encode() * 1400 + b'"'] * 7900) + b"]}",
            "takes too long",
        ),
    ],
)
def test_a_page_is_read_in_linear_time(page: bytes, why: str) -> None:
    started = time.process_time()
    with pytest.raises(NotAPage, match=why):
        list(entries(page))
    assert time.process_time() - started < 3


@pytest.mark.parametrize("junk", [b"\0" * 65536, gzip.compress(b"")], ids=["zeros", "zip"])
def test_what_follows_a_zipped_answer_is_not_read(junk: bytes) -> None:
    """It would be kept and copied with each piece."""
    answer = gzip.compress(b'{"files": []}')
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n"

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(head + answer)
            while True:
                connection.sendall(junk)

    with socket.create_server(("127.0.0.1", 0)) as server, new_session(read=5) as session:
        threading.Thread(target=lambda: serve(server.accept()[0]), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        started = time.monotonic()
        got = ask(session, "GET", url, headers={})
        assert got.json_object() == {"files": []}
        assert time.monotonic() - started < 4.5
