"""An index that is not PyPI, and a job that publishes to it: a password, and words of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from attested_publish.journey import publish
from attested_publish.settings import understand
from support.releases import run
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

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
        targets = self.stage.targets_at(self.address)
        report, self.printed = run(publish.publish, understand(values), targets)
        return report
