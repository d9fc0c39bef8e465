"""Secrets are blotted out in every form they travel in, whole or cut, and soon."""

from __future__ import annotations

import html
import io
import itertools
import json
import os
import random
import re
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from attested_publish.console.github import GitHubPrinter
from attested_publish.console.mask import mask
from attested_publish.console.printer import Printer
from attested_publish.console.recorder import Recorder
from attested_publish.distributions import Distribution
from attested_publish.findings import Finding, Severity
from attested_publish.fronts import cli
from attested_publish.fronts.action import main as act
from attested_publish.fronts.running import mask_secrets, write_json
from attested_publish.fronts.summary import summary
from attested_publish.index.index import Index
from attested_publish.journey.run import Run
from attested_publish.net import secrecy
from attested_publish.net.http import Answer
from attested_publish.net.secrecy import Secrets, credentials_in, secrets_in, without_credentials
from attested_publish.net.untrusted import harmless, sentence, shown
from attested_publish.problems import IndexProblem
from attested_publish.report import FileReport, Report
from attested_publish.settings import Settings
from support.orders import obeyed
from support.secret_forms import FORMS, JWT, TOKEN, b64, leaks

if TYPE_CHECKING:
    from collections.abc import Callable

SECRETS = {
    "API token": TOKEN,
    "identity token": JWT,
    "odd password": "pä\\u0041/s+s &wörd\"%41&lt;'\U0001f511 =x",
    "short password": "h2nT/r?",
    "password with what looks like an entity": "s3cr&tea;%zz&#;pass",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_every_form(name: str, form: str) -> None:
    secret = SECRETS[name]
    sent = FORMS[form](secret)
    text = f"Before {sent} after"
    secrets = Secrets([secret])
    for pieces in (True, False):
        if form == "base64 in lines" and len(sent) > 80 and not pieces:
            continue
        blotted = secrets.blotted(text, pieces=pieces)
        assert secrecy.BLOT in blotted
        assert not leaks(blotted, secret), blotted
        assert secret not in blotted
        assert blotted.startswith("Before ")
        assert blotted.endswith(" after")
        assert secrets.blotted(blotted, pieces=pieces) == blotted


@pytest.mark.sample(20)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["API token", "identity token"])
def test_a_secret_that_somebody_has_cut(name: str, form: str) -> None:
    """At every length, with an ellipsis and without: what is left of it tells nobody anything."""
    secret = SECRETS[name]
    secrets = Secrets([secret])
    sent = FORMS[form](secret)
    step = 1 if len(sent) < 200 else 37
    for length, end in itertools.product(range(8, len(sent), step), ("", "…", "...", '"}')):
        blotted = secrets.blotted(f"No: {sent[:length]}{end}", pieces=True)
        # A piece of Base64 that is cut has as many letters, which are fewer bytes.
        assert not leaks(blotted, secret, 12), (length, blotted)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_cut_before_it_is_blotted(form: str) -> None:
    secrecy.keep([TOKEN])
    sent = FORMS[form](TOKEN)
    for limit in range(10, 200, 7):
        for text in (
            shown(f"It was {sent}, sadly", limit),
            shown(f"{'x' * (limit - 12)} {sent}", limit),
        ):
            assert not leaks(text, TOKEN), (limit, text)


@pytest.mark.parametrize("form", FORMS)
def test_no_answer_is_cut_before_it_is_blotted(form: str) -> None:
    secrecy.keep([TOKEN])
    sent = FORMS[form](TOKEN)
    for text in (
        sentence(status=400, reason=f"400 It was {'x ' * 200}{sent}", body=b""),
        sentence(status=400, reason="", body=f"<p>It was <b>{html.escape(sent)}</b>".encode()),
        sentence(status=400, reason="", body=json.dumps({"message": f"Is {sent}"}).encode()),
        Answer("u", 400, f"It was {sent}, sadly", "", b"").told(),
    ):
        assert not leaks(text, TOKEN), text


def test_markup_that_is_part_of_a_secret() -> None:
    secrecy.keep(["abcd<ef>ghij"])
    told = sentence(status=400, reason="", body=b"<p>Wrong: abcd<ef>ghij", content_type="html")
    assert told == "Wrong: ***"


def test_a_secret_that_is_added_later_changes_nothing() -> None:
    """What is encoded together with a secret is masked with it, also for the earlier ones."""
    secrets = Secrets([TOKEN])
    secrets.add([JWT])
    for secret in (TOKEN, JWT):
        assert secrets.blotted(f"is {b64(f'somebody:{secret}')}.", pieces=True) == "is ***."


def test_many_secrets_take_time_in_proportion() -> None:
    """A long release has many identity tokens: a lonely machine needs 0.3 s for these."""
    numbers = random.Random(7)
    secrets = Secrets()
    started = time.process_time()
    for _ in range(60):
        parts = (b64("", numbers.randbytes(size)) for size in (60, 900, 256))
        secrets.add([f"eyJ{'.'.join(parts)}"])
    assert time.process_time() - started < 4.0


@pytest.mark.parametrize("part", range(3))
def test_parts_of_a_json_web_token(part: int) -> None:
    secrets = Secrets([JWT])
    assert secrets.blotted(f"is {JWT.split('.')[part]}.") == "is ***."


def test_what_is_no_secret_stays() -> None:
    secrecy.keep(["correct-publishing-horse", "abc", JWT, TOKEN])
    for text in (
        "The publication of sample-1.0.tar.gz: the token is expired, abc",
        "octo-org/x/.github/workflows/release.yml@refs/tags/v1.0.0",
        "https://github.com/o/r/.github/workflows/release.yml@refs/heads/main",
        "gitlab.com/group/project//.gitlab-ci.yml@refs/heads/main",
        "somebody@example.org, name @ https://example.org/x",
        "Basic authentication is required; a bearer token is missing; token bearer",
        "C:\\users\\new 100%, AT&T; 50%25",
    ):
        assert harmless(text) == text
        assert shown(text) == text


def test_a_part_of_a_password_is_a_word_in_our_own_texts() -> None:
    secrecy.keep(["publishing-by-hand"])
    assert harmless("no trusted publishing") == "no trusted publishing"
    assert harmless("it is publishing-by-hand") == "it is ***"
    assert shown("it is publishing-by-han") == "it is ***"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Basic QWxhZGRpbjpvcGVu",
        "Authorization: token QWxhZGRpbjpvcGVu",
        "authorization=QWxhZGRpbjpvcGVu",
        '{"Authorization": "Bearer QWxhZGRpbjpvcGVu"}',
        "Proxy-Authorization: Basic QWxhZGRpbjpvcGVu",
        "bearer QWxhZGRpbjpvcGVu",
        "bearer token QWxhZGRpbjpvcGVu",
        "BASIC   QWxhZGRpbjpvcGVu",
        "Basic%20QWxhZGRpbjpvcGVu",
        "Basic\\u0020QWxhZGRpbjpvcGVu",
        "token QWxhZGRpbjpvcGVu12",
        "Bearer QWxhZGRpbjpvcGVu, and more",
    ],
)
def test_what_follows_a_scheme(text: str) -> None:
    assert "QWxhZG" not in shown(text)
    assert "QWxhZG" not in harmless(text)


ADDRESSES = (
    "https://user:pw-secret@host/legacy/",
    "https://user:pw-secret@host",
    "https:/user:pw-secret@host/legacy/",
    "https//user:pw-secret@host/legacy/",
    "https:user:pw-secret@host/legacy/",
    "https:///user:pw-secret@host/legacy/",
    "user:pw-secret@host/legacy/",
    "//user:pw-secret@host/legacy/",
    "://user:pw-secret@host/legacy/",
    " https://user:pw-secret@host/legacy/ ",
    "https://user: pw-secret@host/legacy/",
    "https://us er:pw-secret@host/legacy/",
    "https ://user:pw-secret@host/legacy/",
    "ht tps://user:pw-secret@host/legacy/",
    "https:\\\\user:pw-secret@host\\legacy\\",
    "https://user\\:pw-secret@host/legacy/",
    "https://user@mail:pw-secret@host/legacy/",
    "https://user:pw-secret@other@host/legacy/",
    "https://user:pw-secret@@host/legacy/",
    "https://us\ter:pw-secret@host/legacy/",
    "https://us\x00er:pw-secret@host/legacy/",
    "HTTPS://USER:pw-secret@HOST/LEGACY/",
    "https://user:pw-secret%40host/legacy/",
    "https://user:pw-secret%2540host/legacy/",
    "https://user%3Apw-secret@host/legacy/",
    "https://user:pw-secret\uff20host/legacy/",
    "https://user:pw-secret@host:port/legacy/",
    "https://user:pw-secret@[::1/legacy/",
    "https://user:pw/pw-secret@host/legacy/",
    "https://user:pw?pw-secret@host/legacy/",
    "https://user:pw#pw-secret@host/legacy/",
    "https://:pw-secret@host/legacy/",
    "https://pw-secret@host/legacy/",
    "ftp://user:pw-secret@host/legacy/",
    "https://user:pw-secret@",
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_stands_before_at_in_an_address(
    address: str, dist: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "pw-secret" not in without_credentials(address)
    with pytest.raises(IndexProblem) as caught:
        Index.at(address)
    assert "pw-secret" not in shown(caught.value.title)
    with pytest.raises(SystemExit, match="2"):
        cli.main(["check", str(dist), "--repository-url", address, "--verbose", "true"])
    printed = capsys.readouterr()
    assert "pw-secret" not in printed.out + printed.err
    assert "repository-url is" in printed.err


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_where_something_else_is_wanted(
    address: str, dist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (
        ["services", "--port", address],
        ["publish", "--job", "x", f"--repository-ulr={address}"],
        ["publish", "--repository-ulr", address],
        ["rehearse", "--job", address],
    ):
        with pytest.raises(SystemExit) as ended:
            cli.main(options)
        assert ended.value.code == 2
        told = capsys.readouterr().err
        assert "pw-secret" not in told
        assert len(told.rstrip("\n").splitlines()[-1]) < 700
    environment = {
        "INPUT_PACKAGES-DIR": str(dist),
        "INPUT_REPOSITORY-URL": address,
        "INPUT_MODE": "check",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"),
    }
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    before, sys.stdout = sys.stdout, stream
    try:
        assert act(environment) == 2
    finally:
        sys.stdout = before
    stream.seek(0)
    told = "".join(
        [stream.read(), (tmp_path / "output").read_text(), (tmp_path / "summary").read_text()]
    )
    assert "pw-secret" not in re.sub(r"(?m)^::add-mask::.*$", "", told)


def test_an_address_without_credentials_stays() -> None:
    for address in ("https://host/legacy/", "https://host:8080/simple/@scope/", "host", ""):
        assert without_credentials(address) == address
        assert list(credentials_in(address)) == []


def test_a_password_that_is_mistyped_as_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--pasword", "hunter-two-2"], ["--passwrd=hunter-two-2"]):
        with pytest.raises(SystemExit):
            cli.main(["publish", *options])
        told = capsys.readouterr().err
        assert "hunter" not in told
        assert options[0].partition("=")[0] in told


def test_secrets_among_variables() -> None:
    found = set(
        secrets_in(
            {
                "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request",
                "PYPI_ID_TOKEN": "gitlab",
                "https_proxy": "http://me:proxy%2Fpw@proxy:3128",
                "HTTP_PROXY": "http://proxy:3128",
                "GITHUB_EVENT": '{"url": "https://a", "mail": "b:c@d"}',
                "PIP_INDEX_URL": "https://me:index-pw@host/simple",
            }
        )
    )
    assert found == {"request", "gitlab", "proxy%2Fpw", "index-pw"}
    assert Secrets(found).blotted("proxy/pw proxy%2fpw") == "*** ***"


@pytest.mark.slow
def test_a_proxy_that_is_not_there(
    dist: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://me:proxy-pw-1@127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    options = ["--verbose", "true", "--repository-url", "https://index.invalid/legacy/"]
    assert cli.main(["check", str(dist), *options]) == 1
    printed = capsys.readouterr()
    assert "ProxyError" in printed.out
    assert "proxy-pw-1" not in printed.out + printed.err
    printer, masks = console(GitHubPrinter)
    assert isinstance(printer, GitHubPrinter)
    mask_secrets(printer.mask, Settings(), os.environ)
    assert "::add-mask::proxy-pw-1\n" in masks.getvalue()


def test_the_record_has_no_secret(dist: Path, tmp_path: Path) -> None:
    """Also where somebody forgot to blot something out when it was recorded."""
    secrecy.keep([TOKEN])
    report = Report(mode="publish", index=f"https://{TOKEN}/")
    report.identity = {"sub": [TOKEN, {"a": f"x{TOKEN}"}]}
    report.files["f"] = FileReport(
        "f", "f", "1", 1, "", findings=[Finding("r", Severity.NOTICE, TOKEN, b64(TOKEN))], url=TOKEN
    )
    report.story.remarks.append(TOKEN)
    path = tmp_path / "report.json"
    write_json(report.as_json(), path)
    assert not leaks(path.read_text(), TOKEN)
    assert not leaks(secrecy.blotted(summary(report, 1 << 20)), TOKEN)
    assert json.loads(path.read_text())["files"][0]["url"] == secrecy.BLOT


def test_a_finding_that_quotes_a_part_of_a_secret() -> None:
    secrecy.keep([TOKEN])
    for kind in (Printer, GitHubPrinter):
        printer, printed = console(kind)
        run = Run("publish", Settings(), Recorder(printer), mask)
        distribution = Distribution(Path("f-1.tar.gz"), Path("dist/f-1.tar.gz"), 1, "")
        cut = f"'{TOKEN[:60]}…'"
        run.add_files([distribution])
        run.add_findings(distribution, [Finding("r", Severity.ERROR, f"Is {cut}.", f"Not {cut}.")])
        (found,) = run.files["f-1.tar.gz"].findings
        assert (found.message, found.remedy) == ("Is '***…'.", "Not '***…'.")
        assert not leaks(printed.getvalue(), TOKEN)


class Torn(io.StringIO):
    """A stream that lets other threads go on between what is written at once and what is not."""

    def write(self, text: str) -> int:
        time.sleep(0.0001)
        return super().write(text)


def console(kind: type[Printer] = Printer) -> tuple[Printer, io.StringIO]:
    printed = Torn()
    return kind(Console(file=printed, width=200)), printed


COMMANDS = ("::set-output name=x::y", "##[group]x", "##[error]x")
ENDS = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_line_that_a_runner_would_obey(command: str, end: str) -> None:
    printer, printed = console()
    text = f"before{end} \u3000{command}"
    for tell in (
        *(printer.item, printer.detail, printer.notice, printer.warning, printer.request),
        *(printer.waiting, Recorder(printer).remark, printer.heading),
    ):
        tell(text)
    printer._line((f"before{end}  ", ""), (command[:1], "bold"), (command[1:], "dim"))
    printer._line((command[:2], ""), (command[2:], ""))
    printer._line((f"{end} ", ""), (":", ""), (":error::x", ""), (" #", ""), ("#[x", ""))
    assert not obeyed(printed.getvalue()), printed.getvalue()
    assert "set-output" in printed.getvalue() or "##" in printed.getvalue()
    assert harmless(harmless(text)) == harmless(text)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_an_annotation(command: str, end: str) -> None:
    printer, printed = console(GitHubPrinter)
    assert isinstance(printer, GitHubPrinter)
    for title in (None, f"a{end}{command}"):
        printer._annotate("warning", f"b{end}{command}", title=title, file=f"c{end}{command}")
    lines = obeyed(printed.getvalue())
    assert len(lines) == 2
    assert all(line.startswith("::warning ") and "##[" not in line for line in lines)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_among_wrong_arguments(
    command: str, end: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in (
        ["publish", f"--attestations=x{end}{command}"],
        ["services", "--port", f"x{end}{command}"],
        ["services", f"x{end}{command}"],
        ["services", "--fault", f"x{end}{command}"],
        ["services", f"--x{end}{command}"],
        [f"x{end}{command}"],
        ["convert", f"x{end}{command}", "--to", "bundle"],
        ["verify", f"x{end}{command}"],
    ):
        try:
            assert cli.main(options) == 1
        except SystemExit as ended:
            assert ended.code == 2  # noqa: PT017 - it may end in either way
        told = capsys.readouterr()
        assert told.err
        assert not obeyed(told.out + told.err), told.err
        assert re.sub("[\n\u200b]", "", told.err).isprintable()


def test_masks_while_others_print() -> None:
    """With real threads: none fails, no line is torn, and no secret is shown once it is known."""
    printer, printed = console(GitHubPrinter)
    assert isinstance(printer, GitHubPrinter)
    failures: list[BaseException] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def mask(number: int) -> None:
        for each in range(12):
            printer.mask(f"secret-{number}-{each}-{'x' * 20}")

    def tell(number: int) -> None:
        for each in range(60):
            secret = f"secret-{number}-{each % 12}-{'x' * 20}"
            printer.item(f"<{number} {each}", "told>")
            harmless(f"{secret} {secret}")
            printer._command("debug", f"<{number} {each} told>")

    def guarded(work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - any is a failure
            failures.append(error)

    threads = [
        threading.Thread(target=guarded, args=(work, number))
        for number in range(4)
        for work in (mask, tell)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    assert failures == []
    lines = printed.getvalue().splitlines()
    assert len(lines) == 4 * 60 * 2 + 4 * 12 * 2
    whole = re.compile(
        r"  ✓ <\d \d+  told>|::debug::<\d \d+ told>|::add-mask::(secret-\d-\d+-x{20}|[\w=]+)"
    )
    assert [line for line in lines if not whole.fullmatch(line)] == []
    for number, each in itertools.product(range(4), range(12)):
        assert "secret" not in harmless(f"secret-{number}-{each}-{'x' * 20}")


def test_a_step_masks_what_an_upload_is_authorized_with() -> None:
    printer, printed = console(GitHubPrinter)
    assert isinstance(printer, GitHubPrinter)
    printer.mask("first\nsecond", "me")
    assert printed.getvalue().splitlines() == [
        *("::add-mask::first", "::add-mask::second"),
        f"::add-mask::{b64('first', b'me:')[:8]}{b64('me:first' + chr(10) + 'second')[8:]}",
    ]


HOSTILE = {
    "prose": "The quick brown fox jumps over the lazy dog. " * 23_302,
    "escapes": "%41" * 349_525,
    "escapes in escapes": ("%" + "25" * 60) * 8_665,
    "the secret": f"{TOKEN} " * 14_000,
    "most of it": f"{JWT[:-1]} " * 2_000,
    "its Base64": b64(JWT * 1_500)[: 1 << 20],
    "at signs": "a:b@" * (1 << 18),
    "colons": "a:" * (1 << 19),
    "slashes": "/" * (1 << 20) + "a@",
    "schemes": "Basic " * 174_762,
    "credentials": "Bearer x " * 116_508,
    "entities": "&#65;" * 209_715,
    "random": random.Random(3).randbytes(1 << 20).decode("latin-1"),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_long_text_takes_time_in_proportion(name: str) -> None:
    """1 MiB and ten secrets; a lonely machine needs 0.1 to 0.8 s, one that others use more."""
    numbers = random.Random(5)
    tokens = [f"pypi-{b64('', numbers.randbytes(90))}" for _ in range(5)]
    jwts = [f"{JWT}{b64('', numbers.randbytes(90))}" for _ in range(4)]
    secrets = Secrets([*tokens, *jwts, TOKEN])
    started = time.process_time()
    secrets.blotted(HOSTILE[name][: 1 << 20], pieces=True)
    assert time.process_time() - started < 3.0
    secrecy.keep([TOKEN])
    started = time.process_time()
    shown(HOSTILE[name])
    assert time.process_time() - started < 0.5
