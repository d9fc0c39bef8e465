"""What an index can do is learned from its answers; loopback means nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.index.index import Dialect, Index
from attested_publish.journey import publish
from attested_publish.settings import understand
from support.makers import make_wheel
from support.releases import WHEEL, run_to
from support.servers import serving

if TYPE_CHECKING:
    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


JSON = "application/vnd.pypi.simple.v1+json"
FILE = {"filename": "sample-0.9-py3-none-any.whl", "url": "x", "hashes": {"sha256": "0" * 64}}


STATUS = {"project-status": {"status": "active"}}
ELSEWHERE = {**FILE, "provenance": "https://pypi.org/integrity/sample/0.9/x/provenance"}


def page(meta: dict[str, Any], *files: dict[str, Any], **members: Any) -> Response:
    text = json.dumps({"meta": meta, "name": "sample", "files": files, **members})
    return Response(text, content_type=JSON)


@dataclass
class Answering:
    """An index with one page and perhaps an audience."""

    page: Response | None
    audience: str | None = None
    asked: list[str] = field(default_factory=list)

    def __call__(self, environ, start_response):
        request = Request(environ)
        self.asked.append(request.path)
        answer = Response("", 404)
        if request.path == "/simple/sample/" and self.page is not None:
            answer = self.page
        if request.path == "/_/oidc/audience" and self.audience is not None:
            answer = Response(json.dumps({"audience": self.audience}), mimetype="application/json")
        return answer(environ, start_response)


def learned(stage: Stage, index: Answering, **settings: str) -> Dialect:
    """Return what a check of the folder finds out about an index."""
    from io import StringIO

    from rich.console import Console

    from attested_publish.fronts.running import carry_out

    with serving(index) as server:
        address = f"{server.url}/legacy/"
        chosen = understand(
            {"packages-dir": str(stage.folder), "repository-url": address, **settings}
        )
        targets = stage.targets_at(address)
        run = run_to(targets, chosen, Console(file=StringIO()))
        carry_out(lambda: publish.check(run), run)
        return run.targets.index.dialect


@pytest.mark.parametrize(
    ("answer", "audience", "dialect"),
    [
        (page({"api-version": "1.4", "_last-serial": 7}, **STATUS), None, Dialect.PYPI),
        # As pulp has it, and as a proxy passes on PyPI's own page.
        (page({"api-version": "1.1", "_last-serial": 10**9}, FILE), None, Dialect.OTHER),
        (page({"api-version": "1.4", "_last-serial": 7}), None, Dialect.ATTESTING),
        (
            page({"api-version": "1.4", "_last-serial": 7}, ELSEWHERE, **STATUS),
            None,
            Dialect.ATTESTING,
        ),
        (page({"api-version": "1.4"}), None, Dialect.ATTESTING),
        (page({"api-version": "1.4"}), "octo", Dialect.ATTESTING),
        (page({"api-version": "1.0"}, {**FILE, "provenance": None}), None, Dialect.ATTESTING),
        (page({"api-version": "1.0"}, FILE), None, Dialect.OTHER),
        (page({"api-version": "1.0"}, FILE), "octo", Dialect.OTHER),
        (page({}, FILE), None, Dialect.OTHER),
        (Response('<a href="sample-0.9.tar.gz">x</a>', mimetype="text/html"), None, Dialect.OTHER),
        (None, None, Dialect.OTHER),
        (None, "octo", Dialect.PYPI),
        (None, "pypi", Dialect.PYPI),
        (Response("<h1>Hello</h1>", mimetype="text/html"), None, Dialect.OTHER),
        (Response("<h1>Hello</h1>", mimetype="text/html"), "octo", Dialect.PYPI),
    ],
)
def test_by_what_it_answers(
    stage: Stage, answer: Response | None, audience: str | None, dialect: Dialect
) -> None:
    assert learned(stage, Answering(answer, audience)) is dialect


def test_its_audience_is_asked_for_once(stage: Stage) -> None:
    index = Answering(None, "octo")
    learned(stage, index)
    assert index.asked.count("/_/oidc/audience") == 1


def test_a_password_is_enough(stage: Stage) -> None:
    index = Answering(None, "octo")
    assert learned(stage, index, password="secret") is Dialect.OTHER
    assert "/_/oidc/audience" not in index.asked


def test_the_embedded_index_is_recognized(stage: Stage) -> None:
    """By its exchange while the project is new, by its page afterwards."""
    assert Index.at(stage.world.upload_url).dialect is Dialect.UNKNOWN
    assert stage.run().result == "done"
    assert "pending trusted publisher" in stage.printed
    (stage.folder / WHEEL).unlink()
    make_wheel(stage.folder, version="1.1")
    report = stage.run()
    assert report.result == "done"
    assert report.files["sample-1.1-py3-none-any.whl"].attestations
