"""Where an identity token goes, whatever an index announces (PEP 807)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.journey import publish
from attested_publish.settings import understand
from support.releases import problem, run
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from attested_publish.report import Report
    from support.releases import Stage

ANNOUNCEMENT = "/.well-known/pytp"
UPLOAD = "/octo/dev/legacy/"


@dataclass
class Announcing:
    """An index that announces a token exchange; it issues tokens wherever it is asked.

    `announced` makes the announcement from the index's own address.
    """

    announced: Callable[[str], Any]
    audience: str = "octo"
    tokens: list[str] = field(default_factory=list)
    """The paths that identity tokens were sent to."""
    uploads: list[str] = field(default_factory=list)
    """The API tokens of the uploads."""
    discoveries: list[tuple[str, str]] = field(default_factory=list)
    """The query and the `Accept` header of each request for an announcement."""

    def __call__(self, environ, start_response):
        with Request(environ) as request:
            return self.answer(request)(environ, start_response)

    def answer(self, request: Request) -> Response:
        if request.path == ANNOUNCEMENT:
            accepted = request.headers.get("Accept", "")
            self.discoveries.append((request.query_string.decode(), accepted))
            announced = self.announced(request.host_url.rstrip("/"))
            return announced if isinstance(announced, Response) else said(announced)
        if request.method == "POST" and request.path == UPLOAD:
            self.uploads.append(str((request.authorization or {}).get("password")))
            return Response("")
        if request.method == "POST":
            self.tokens.append(request.path)
            if "burn" in request.path:
                return Response(status=202)
            return said({"token": f"token-{len(self.tokens)}"})
        if "audience" in request.path:
            return said({"audience": self.audience})
        return Response("", 404)


def said(value: object) -> Response:
    return Response(json.dumps(value), content_type="application/json")


def announcement(root: str, audience: str = "/tp/audience", mint: str = "/tp/mint") -> Any:
    return {"audience-endpoint": root + audience, "mint-token-endpoint": root + mint}


def published(stage: Stage, index: Announcing, *, is_local: bool = True) -> tuple[Report, str]:
    """Publish there as a job without a password."""
    with serving(index) as server:
        address = f"{server.url}{UPLOAD}"
        values = {
            "packages-dir": str(stage.folder),
            "repository-url": address,
            "attestations": "false",
            "confirm": "false",
        }
        stage.is_identity_local = is_local
        targets = stage.targets_at(address)
        return run(publish.publish, understand(values), targets)


def test_tokens_are_exchanged_where_the_index_announces(stage: Stage) -> None:
    index = Announcing(announcement)
    report, printed = published(stage, index)
    assert report.result == "done", printed
    assert index.tokens == ["/tp/mint"], "nothing is revoked: the draft has no address for it"
    assert index.uploads == ["token-1", "token-1"]
    assert "cannot revoke tokens" in printed
    assert index.discoveries == [
        ("discover=%2Focto%2Fdev%2Flegacy%2F", "application/vnd.pypi.pytp.v1+json")
    ]


def not_found(_: str) -> Response:
    return Response("<h1>404</h1>", 404, content_type="text/html")


def elsewhere_by_redirect(root: str) -> Response:
    return Response("", 302, {"Location": f"{root.replace('127.0.0.1', 'localhost')}/announced"})


UNUSABLE: dict[str, Callable[[str], Any]] = {
    "none": not_found,
    "an error": lambda _: Response("", 503),
    "a redirect": elsewhere_by_redirect,
    "a page": lambda _: Response("<h1>Hello</h1>", content_type="text/html"),
    "nonsense": lambda _: Response("{", content_type="application/json"),
    "a list": lambda _: [],
    "half of it": lambda root: {"audience-endpoint": f"{root}/tp/audience"},
    "a number": lambda root: {**announcement(root), "mint-token-endpoint": 1},
    "nothing": lambda root: {**announcement(root), "mint-token-endpoint": ""},
}

HOSTILE: dict[str, Callable[[str], Any]] = {
    "another host": lambda root: {
        **announcement(root),
        "mint-token-endpoint": "https://packages.example.org/mint",
    },
    "another name of this machine": lambda root: {
        **announcement(root),
        "mint-token-endpoint": f"{root.replace('127.0.0.1', 'localhost')}/tp/mint",
    },
    "another port": lambda root: {**announcement(root), "mint-token-endpoint": f"{root}1/tp/mint"},
    "audience elsewhere": lambda root: {
        **announcement(root),
        "audience-endpoint": "https://packages.example.org/audience",
    },
    "credentials": lambda root: {
        **announcement(root),
        "mint-token-endpoint": f"{root.replace('//', '//me:secret@')}/tp/mint",
    },
    "a host before the at sign": lambda root: {
        **announcement(root),
        "mint-token-endpoint": f"{root}@packages.example.org/tp/mint",
    },
    "plain http": lambda root: {
        **announcement(root),
        "mint-token-endpoint": "http://packages.example.org/tp/mint",
    },
    "no encryption": lambda root: {**announcement(root), "mint-token-endpoint": "ftp://x/y"},
    "a path": lambda root: {**announcement(root), "mint-token-endpoint": "/tp/mint"},
    "control characters": lambda root: {
        **announcement(root),
        "mint-token-endpoint": f"{root}/tp/mint\r\nHost: packages.example.org",
    },
    "too long": lambda root: {**announcement(root), "mint-token-endpoint": f"{root}/{'x' * 3000}"},
}


@pytest.mark.parametrize("announced", UNUSABLE.values(), ids=UNUSABLE)
def test_what_says_nothing_leaves_the_usual_addresses(
    stage: Stage, announced: Callable[[str], Any]
) -> None:
    index = Announcing(announced)
    report, printed = published(stage, index)
    assert report.result == "done", printed
    assert index.tokens == ["/_/oidc/mint-token", "/_/oidc/burn-token"]


@pytest.mark.sample(6)
@pytest.mark.parametrize("announced", HOSTILE.values(), ids=HOSTILE)
def test_no_token_leaves_the_host_of_the_upload_address(
    stage: Stage, announced: Callable[[str], Any]
) -> None:
    index = Announcing(announced)
    report, printed = published(stage, index)
    assert report.result == "done", printed
    assert index.tokens == ["/_/oidc/mint-token", "/_/oidc/burn-token"]
    assert "announces a token exchange that is not used" in printed
    assert "secret" not in printed


@pytest.mark.parametrize("audience", ["pypi", "testpypi", "sigstore"])
def test_no_token_for_the_audience_of_another_service(stage: Stage, audience: str) -> None:
    index = Announcing(announcement, audience=audience)
    report, _ = published(stage, index, is_local=False)
    assert report.result == "failed"
    assert "meant for another service" in problem(report)
    assert index.tokens == []
    assert index.uploads == []
