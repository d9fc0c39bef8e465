"""Services that repeat what they were given: no secret gets into anything that a run leaves."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.fronts import action, cli
from attested_publish.rehearsal.serving import Server
from support.action import job, run_action
from support.environment import in_job
from support.releases import ENDPOINTS, staged
from support.secret_forms import FORMS, JWT, TOKEN, leaks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from support.releases import Stage

PASSWORD = "pass/w0rd?+&of=th3 1nd3x"


@contextlib.contextmanager
def both_streams() -> Iterator[io.TextIOWrapper]:
    """Catch what is printed to either stream, which a front wants to be a real one."""
    with (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        yield stream


def run(environment: Mapping[str, str], front: str, verbose: str) -> str:
    """Run one of the fronts in a job; return everything that it left behind, masks aside."""
    files = [Path(environment[name]) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")]
    report = files[0].with_name("report.json")
    for file in files:
        file.unlink(missing_ok=True)
    with in_job(environment), both_streams() as stream:
        if front == "action":
            action.main({**environment, "INPUT_VERBOSE": verbose})
        else:
            options = [
                f"--{name.removeprefix('INPUT_').lower()}={value}"
                for name, value in environment.items()
                if name.startswith("INPUT_") and name != "INPUT_PASSWORD"
            ]
            before = os.environ.get(cli.PASSWORD_VARIABLE)
            os.environ[cli.PASSWORD_VARIABLE] = environment.get("INPUT_PASSWORD", "")
            try:
                cli.main(["publish", *options, f"--verbose={verbose}", f"--report={report}"])
            finally:
                os.environ.pop(cli.PASSWORD_VARIABLE)
                if before is not None:
                    os.environ[cli.PASSWORD_VARIABLE] = before
        stream.seek(0)
        log = stream.read()
    if front == "action":
        reports = sorted(files[0].parent.glob("attested-publish-*.json"))
        report = reports[-1]
        for other in reports[:-1]:
            other.unlink()
    json.loads(report.read_text())
    left = "".join(file.read_text() for file in files if file.exists())
    lines = (line for line in log.splitlines() if not line.startswith("::add-mask::"))
    return "\n".join((*lines, report.read_text(), left))


def secrets_of(stage: Stage, issued: list[str]) -> list[str]:
    return [*issued, stage.world.issuer.request_token]


@pytest.fixture
def echoing(dist: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Stage, list[str]]]:
    """A world, and the list of the secrets that it gives out."""
    from attested_publish.net import secrecy

    issued: list[str] = []
    keep = secrecy.keep

    def noted(secrets: object) -> None:
        given = [each for each in list(secrets) if len(each) >= 8]  # type: ignore[call-overload]
        issued.extend(given)
        keep(given)

    monkeypatch.setattr(secrecy, "keep", noted)
    with staged(dist) as stage:
        yield stage, issued


_QUICK = {("reason", "command"), ("json", "action")}


@pytest.mark.sample(5)
@pytest.mark.parametrize(
    ("front", "verbose"),
    [
        ("command", "true"),
        pytest.param("command", "false", marks=pytest.mark.slow),
        pytest.param("action", "true", marks=pytest.mark.slow),
        ("action", "false"),
    ],
)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_service_that_echoes(
    echoing: tuple[Stage, list[str]], endpoint: str, front: str, verbose: str
) -> None:
    stage, issued = echoing
    stage.fault(f"{endpoint}=echo")
    environment = job(stage.world, stage.folder, confirm="false")
    left = run(environment, front, verbose)
    if endpoint in {"identity", "mint", "certificate", "upload"}:
        assert "***" in left
        assert "400" in left
    assert issued
    for secret in secrets_of(stage, issued):
        assert not leaks(left, secret), (secret, left)


@pytest.mark.parametrize("front", ["action", "command"])
def test_an_index_that_echoes_a_password(dist: Path, front: str) -> None:
    with staged(dist) as stage:
        stage.fault("upload=echo:403")
        left = run(job(stage.world, stage.folder, user="me", password=PASSWORD), front, "true")
        assert "403" in left
        assert "***" in left
        assert not leaks(left, PASSWORD)


@pytest.mark.parametrize(
    "endpoint",
    ["mint", *(pytest.param(each, marks=pytest.mark.slow) for each in ("upload", "certificate"))],
)
def test_a_step_in_a_process_of_its_own(dist: Path, endpoint: str) -> None:
    """With whatever the libraries log by themselves, on either stream."""
    with staged(dist) as stage:
        stage.fault(f"{endpoint}=echo:{451 if endpoint == 'upload' else 400}")
        environment = job(stage.world, stage.folder, verbose="true")
        if endpoint == "upload":
            environment |= {"INPUT_USER": "me", "INPUT_PASSWORD": PASSWORD}
        done = run_action(environment)
        masks = re.findall(r"(?m)^::add-mask::(.*)$", done.stdout)
        told = re.sub(r"(?m)^::add-mask::.*$", "", done.stdout) + done.stderr
        assert done.returncode == 1
        assert "***" in told
        headers = [each for each in masks if is_header(each)]
        assert len(headers) * 2 == len(masks) >= 2
        for secret in {*masks} - {*headers}:
            assert not leaks(told, secret.replace("%25", "%")), told
        for header in headers:
            assert header[-20:] not in told


def is_header(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return base64.b64decode(text, validate=True).startswith((b"me:", b"__token__:"))
    return False


class CarelessIndex:
    """Answers an upload with a credential in one form, in one place, cut at some length."""

    def __init__(self) -> None:
        self.place = ""
        self.text = ""
        self.status = 403

    def __call__(self, environ: object, start_response: object) -> object:
        request = Request(environ)  # type: ignore[arg-type]
        return self.answer(request)(environ, start_response)  # type: ignore[arg-type]

    def answer(self, request: Request) -> Response:
        if request.method != "POST":
            return Response("nothing here", 404)
        told = f"Not good: {self.text}"
        line = told.encode("ascii", "replace").decode().replace("\n", " ")
        match self.place:
            case "reason":
                return Response("", f"{self.status} {line} is not good for this index")
            case "html":
                return Response(f"<html><p>{told}</p></html>", self.status, mimetype="text/html")
            case "json":
                return Response(
                    json.dumps({"message": told}), self.status, mimetype="application/json"
                )
            case "errors":
                errors = {"errors": [{"code": self.text, "description": told}]}
                return Response(json.dumps(errors), self.status, mimetype="application/json")
            case "text":
                return Response(told, self.status, mimetype="text/plain")
        response = Response("", 308)
        response.headers["Location"] = f"/{line}"
        response.autocorrect_location_header = False
        return response


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "front"),
    [
        pytest.param(place, front, marks=[] if (place, front) in _QUICK else pytest.mark.slow)
        for place in ("reason", "html", "json", "errors", "text", "location")
        for front in ("action", "command")
    ],
)
def test_an_index_that_cuts_what_it_echoes(dist: Path, place: str, front: str) -> None:
    """One form after the other, each with another cut, as a password that the index is given."""
    index = CarelessIndex()
    server = Server(index)  # type: ignore[arg-type]
    server.start()
    with staged(dist) as stage:
        environment = job(stage.world, stage.folder, password=TOKEN, attestations="false")
        environment["INPUT_REPOSITORY-URL"] = f"{server.url}/legacy/"
        index.place = place
        for number, (name, form) in enumerate(FORMS.items()):
            sent = form(TOKEN)
            for length in (None, 12 + number * 5 % (len(sent) - 12)):
                index.text = sent[:length]
                left = run(environment, front, "true" if number % 2 else "false")
                assert "Not good" in left or place == "location", left
                assert not leaks(left, TOKEN, 12), (name, length, left)
    server.stop()


def test_the_tests_would_see_a_leak() -> None:
    for form in FORMS.values():
        for secret in (TOKEN, JWT):
            assert leaks(f"x {form(secret)} y", secret)
            assert leaks(f"x {form(secret)[: len(form(secret)) // 2]}", secret)
