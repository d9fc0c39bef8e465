"""An index that is not PyPI, on this machine: no trusted publishing, words of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.targets import Targets
from attested_publish.settings import understand
from support.releases import SDIST, SHORT, WHEEL, problem, run, staged
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attested_publish.report import Report
    from support.releases import Stage

PASSWORD = "of-somebody"


@dataclass
class OtherIndex:
    """What pypiserver and its like do: a password, uploads, project pages; nothing of PyPI's."""

    speaks_json: bool = True
    taken: int = 409
    files: dict[str, str] = field(default_factory=dict)
    """What it holds: SHA-256 by filename."""
    asked: list[str] = field(default_factory=list)
    fields: list[set[str]] = field(default_factory=list)
    """The names of the form fields of each upload."""

    def __call__(self, environ, start_response):
        with Request(environ) as request:
            self.asked.append(f"{request.method} {request.path}")
            return self.answer(request)(environ, start_response)

    def answer(self, request: Request) -> Response:
        if request.method == "POST" and request.path == "/legacy/":
            return self.take(request)
        if request.path == "/simple/sample/" and self.files:
            return self.page(request)
        return Response("Not found: 'nothing here'", 404)

    def take(self, request: Request) -> Response:
        if (request.authorization or {}).get("password") != PASSWORD:
            return Response("Forbidden", 403)
        upload = request.files["content"]
        self.fields.append(set(request.form) | set(request.files))
        if upload.filename in self.files:
            return Response("Conflict: the package already exists", self.taken)
        self.files[upload.filename] = hashlib.sha256(upload.stream.read()).hexdigest()
        return Response("")

    def page(self, request: Request) -> Response:
        links = {name: f"/files/{name}" for name in self.files}
        if not self.speaks_json:
            page = "".join(f'<a href="{url}">{name}</a>' for name, url in links.items())
            return Response(page, content_type="text/html")
        files = [
            {"filename": name, "url": url, "hashes": {"sha256": self.files[name]}}
            for name, url in links.items()
        ]
        page = json.dumps({"meta": {"api-version": "1.0"}, "name": "sample", "files": files})
        return Response(page, content_type="application/vnd.pypi.simple.v1+json")


@contextlib.contextmanager
def other(stage: Stage, index: OtherIndex) -> Iterator[Publisher]:
    with serving(index) as server:
        yield Publisher(stage, f"{server.url}/legacy/")


@dataclass
class Publisher:
    """A job that publishes to another index; `printed` is what the last run said."""

    stage: Stage
    address: str
    printed: str = ""

    def run(self, **settings: str) -> Report:
        values = {
            "packages-dir": str(self.stage.folder),
            "repository-url": self.address,
            "user": "somebody",
            "password": PASSWORD,
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
        world = self.stage.world
        targets = Targets(
            Index.at(self.address),
            world.trust_config,
            ambient=world.ambient,
            is_identity_local=True,
            deadlines=SHORT,
        )
        report, self.printed = run(publish.publish, understand(values), targets)
        return report


@pytest.mark.parametrize("speaks_json", [True, False])
def test_it_gets_the_files_and_no_attestations(stage: Stage, *, speaks_json: bool) -> None:
    index = OtherIndex(speaks_json=speaks_json)
    with other(stage, index) as publisher:
        report = publisher.run()
    assert report.result == "done", publisher.printed
    assert {file.status for file in report.files.values()} == {"uploaded"}
    assert index.files == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in stage.folder.iterdir()
    }
    assert not any("attestations" in fields for fields in index.fields)
    assert not [asked for asked in index.asked if "oidc" in asked], "the password is enough"
    assert PASSWORD not in publisher.printed


def test_a_second_run_sends_nothing(stage: Stage) -> None:
    index = OtherIndex()
    with other(stage, index) as publisher:
        publisher.run()
        index.asked.clear()
        report = publisher.run()
    assert report.result == "done"
    assert {file.status for file in report.files.values()} == {"already-there"}
    assert not [asked for asked in index.asked if asked.startswith("POST")]


@pytest.mark.parametrize("taken", [400, 409])
def test_a_name_that_is_taken(stage: Stage, taken: int) -> None:
    """Without its page nobody knows which bytes are there, and it is not passed over."""
    index = OtherIndex(speaks_json=False, taken=taken, files={WHEEL: "other bytes"})
    with other(stage, index) as publisher:
        report = publisher.run(confirm="false")
        assert report.result == "refused"
        assert "already exists" in problem(report)
        assert index.files[WHEEL] == "other bytes"
        skipped = publisher.run(skip_existing="true", confirm="false")
    assert skipped.result == "done", publisher.printed
    assert index.files.keys() == {WHEEL, SDIST}


def test_a_wrong_password(stage: Stage) -> None:
    index = OtherIndex()
    with other(stage, index) as publisher:
        report = publisher.run(password="of-nobody")
    assert report.result == "refused"
    assert "answered 403" in problem(report)
    assert not index.files
    assert index.asked.count("POST /legacy/") == 1, "not tried again"


def test_without_a_password_it_is_told_that_one_is_needed(stage: Stage) -> None:
    index = OtherIndex()
    with other(stage, index) as publisher:
        report = publisher.run(password="", user="__token__")
    assert report.result == "failed"
    assert "password" in problem(report)
    assert not index.files
    assert not stage.world.index.issued_tokens


def test_the_index_of_the_rehearsal_is_not_meant(stage: Stage, tmp_path: Path) -> None:
    """Two indexes of one run, on one machine: each is treated as what it is."""
    index = OtherIndex()
    with other(stage, index) as publisher, staged(stage.folder) as real:
        assert publisher.run().result == "done", publisher.printed
        assert real.run().result == "done", real.printed
    assert index.files.keys() == {WHEEL, SDIST}
    assert len(real.world.index.issued_tokens) == 1
