"""An index with rules of its own that serves provenance (as pulp does), recognized by its pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from attested_publish.index.index import Dialect
from attested_publish.journey import publish
from attested_publish.settings import understand
from support.makers import make_wheel
from support.plain_index import PASSWORD, OtherIndex, other
from support.releases import SDIST, WHEEL, problem, run
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from attested_publish.report import Report
    from support.releases import Stage

NEW = "sample-1.1-py3-none-any.whl"


def without_serial(page: dict[str, Any]) -> None:
    """Take away what only PyPI's server puts on its pages."""
    page["meta"].pop("_last-serial")


def without_provenance(page: dict[str, Any]) -> None:
    without_serial(page)
    for file in page["files"]:
        file["provenance"] = None


class Another:
    """The embedded index, with another page and the integrity API at another address."""

    def __init__(self, stage: Stage, change: Callable[[dict[str, Any]], None]) -> None:
        self.app = stage.world.index.app
        self.change = change
        self.asked: list[str] = []

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        self.asked.append(path)
        if path.startswith("/integrity/"):
            return Response("", 404)(environ, start_response)
        if path.startswith("/provenance-of/"):
            environ["PATH_INFO"] = path.replace("/provenance-of/", "/integrity/")
        environ.pop("HTTP_ACCEPT_ENCODING", None)
        body, status, headers = run_wsgi_app(self.app, environ, buffered=True)
        text = b"".join(body)
        if path.startswith("/simple/") and status.startswith("200"):
            page = json.loads(text.replace(b"/integrity/", b"/provenance-of/"))
            self.change(page)
            text = json.dumps(page).encode()
        return Response(text, status, content_type=headers["Content-Type"])(environ, start_response)


def published(
    stage: Stage, change: Callable[[dict[str, Any]], None] = without_serial, **settings: str
) -> tuple[Report, str, Another]:
    """Publish a second version there, so that the project has a page."""
    assert stage.run().result == "done"
    (stage.folder / WHEEL).unlink()
    make_wheel(stage.folder, version="1.1")
    index = Another(stage, change)
    with serving(index) as server:
        address = f"{server.url}/legacy/"
        chosen = understand(
            {"packages-dir": str(stage.folder), "repository-url": address, **settings}
        )
        targets = stage.targets_at(address)
        assert targets.index.dialect is Dialect.UNKNOWN
        report, printed = run(publish.publish, chosen, targets)
    return report, printed, index


def test_attestations_are_confirmed_where_the_page_says(stage: Stage) -> None:
    report, printed, index = published(stage)
    assert report.result == "done", printed
    assert "served, with the right digest and provenance" in printed
    assert report.files[NEW].attestations
    assert any(path.startswith("/provenance-of/") for path in index.asked)
    assert not any(path.startswith("/integrity/") for path in index.asked)


def test_a_page_that_lists_no_provenance_is_told(stage: Stage) -> None:
    report, printed, _ = published(stage, without_provenance)
    assert report.result == "done", printed
    assert "None can be added any more" in printed


def test_and_fails_the_run_where_attestations_are_required(stage: Stage) -> None:
    report, _, _ = published(stage, without_provenance, attestations="true")
    assert report.result == "failed"
    assert "public without attestations" in problem(report)


class Exchanging(OtherIndex):
    """It exchanges tokens where PyPI does, and shows on its pages that it is no PyPI."""

    def answer(self, request):
        if request.path == "/_/oidc/audience":
            return Response('{"audience": "octo"}', mimetype="application/json")
        if request.path == "/_/oidc/mint-token":
            token = json.dumps({"token": PASSWORD})
            return Response(token, mimetype="application/json")
        return super().answer(request)


@pytest.mark.parametrize(("attestations", "result"), [("auto", "done"), ("true", "failed")])
def test_what_exchanges_tokens_need_not_serve_provenance(
    stage: Stage, attestations: str, result: str
) -> None:
    """While its project has no page it may be PyPI's server; once it has one, nobody waits."""
    index = Exchanging()
    with other(stage, index) as publisher:
        report = publisher.run(user="__token__", password="", attestations=attestations)
    assert report.result == result, publisher.printed
    assert index.files.keys() == {WHEEL, SDIST}
    assert "next try in" not in publisher.printed
    assert "attestations" in (problem(report) if report.problems else publisher.printed)
