"""The embedded PyPI: its addresses, and how each is answered.

Addresses, statuses, error codes and headers are those of PyPI's server (pypi/warehouse at
6b6215712, 2026-08-21), compared with a running copy of it; the messages are ours. What it does
badly is modelled, too:

* Insert, storage and commit of one project are serial, three or more uploads of one release
  deadlock, and two that create the same release collide: see `commits`.
* A client that goes away after its body was received does not stop its upload.
* Requests that the server fails at are answered 500: see `answers.ServerFailed`.
* Project status (PEP 792), and uploads and provenance while attestations are switched off: see
  `Index.set_status`, and `faults`.

It differs where PyPI's behavior would be a nuisance on loopback: plain http is served, a reason
phrase never contains line breaks, and nothing is cached. It announces its token exchange as in the
draft of PEP 807 (January 2026), which PyPI does not yet.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import Version
from sigstore.verify import Verifier
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, RequestRedirect, Rule
from werkzeug.wrappers import Request, Response

from attested_publish.net.untrusted import shown
from attested_publish.rehearsal.faults import Faults
from attested_publish.rehearsal.jobs import github
from attested_publish.rehearsal.pypi.answers import (
    ServerFailed,
    finish,
    json_answer,
    not_allowed,
    not_found,
    page,
    server_failed,
)
from attested_publish.rehearsal.pypi.commits import Commits
from attested_publish.rehearsal.pypi.exchange import Exchange, ExchangeRefused
from attested_publish.rehearsal.pypi.incoming import UploadRefused
from attested_publish.rehearsal.pypi.json_api import JsonApi
from attested_publish.rehearsal.pypi.reading import Reading
from attested_publish.rehearsal.pypi.store import Status, Store
from attested_publish.rehearsal.pypi.tokens import Tokens
from attested_publish.rehearsal.pypi.uploads import Uploads
from attested_publish.rehearsal.request_log import record_nothing
from attested_publish.rules.bounds import DISTRIBUTION_LIMIT, PROJECT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from sigstore.models import TrustedRoot

    from attested_publish.rehearsal.pypi.registry import Registry
    from attested_publish.rehearsal.pypi.store import StatusName, StoredFile
    from attested_publish.rehearsal.pypi.tokens import ApiToken
    from attested_publish.rehearsal.request_log import Answered

_SMALL = 1024 * 1024
_REASON_LIMIT = 2000

_PAGES = frozenset({"GET", "HEAD", "OPTIONS"})
"""How PyPI's pages may be requested; all three are answered alike."""

_GET = frozenset({"GET"})
_POST = frozenset({"POST"})
_ANY = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})

_PYTP = "application/vnd.pypi.pytp.v1+json"


class _Endpoint(NamedTuple):
    """What answers the requests for an address, and with which methods it may be requested."""

    answer: Callable[..., Response]
    methods: frozenset[str]
    is_cdn: bool = False
    """Whether this is another server on PyPI, files.pythonhosted.org."""


class _SmallRequest(Request):
    """A request whose body is read into memory, and so must not be large."""

    max_content_length = _SMALL


@cache
def _map_of(paths: tuple[str, ...]) -> Map:
    """Return what finds the path that a request is for. Compiling them takes 30 ms."""
    return Map([Rule(path, endpoint=path) for path in paths], merge_slashes=False)


class Index:
    """An index like PyPI, in memory and in one temporary folder that `close` removes.

    `jwks` returns the keys of the only `issuer` it trusts, `trusted_root` is that of the Sigstore
    instance whose attestations it accepts, `registry` says who may publish what. `token_lifetime`
    is in seconds, the limits are in bytes. `store_seconds` returns how long the storage of a file
    takes; where it takes time, uploads of one release that are in flight together may fail, by
    chances drawn from `seed` (see `Commits`). `record` is told about the parts of each upload. Any
    threaded WSGI server can serve `app`; `Index` can be used as a context manager.
    """

    def __init__(
        self,
        *,
        jwks: Callable[[], Mapping[str, Any]],
        issuer: str = github.ISSUER,
        trusted_root: TrustedRoot,
        registry: Registry,
        token_lifetime: float = 900.0,
        audience: str = "pypi",
        faults: Faults | None = None,
        file_limit: int = DISTRIBUTION_LIMIT,
        project_limit: int = PROJECT_LIMIT,
        store_seconds: Callable[[], float] = lambda: 0.0,
        seed: int = 1,
        record: Callable[[Answered], None] = record_nothing,
    ) -> None:
        faults = faults or Faults()
        self._folder = tempfile.TemporaryDirectory(
            prefix="attested-publish-index-", ignore_cleanup_errors=True
        )
        self._tokens = Tokens()
        self._store = Store()
        self._exchange = Exchange(
            issuer=issuer,
            audience=audience,
            jwks=jwks,
            registry=registry,
            store=self._store,
            tokens=self._tokens,
            faults=faults,
            token_lifetime=token_lifetime,
        )
        self._uploads = Uploads(
            store=self._store,
            commits=Commits(
                store_seconds=store_seconds, pause=faults.pause, seed=seed, record=record
            ),
            tokens=self._tokens,
            faults=faults,
            verifier=Verifier(trusted_root=trusted_root),
            folder=Path(self._folder.name),
            is_open=registry.is_open,
            file_limit=file_limit,
            project_limit=project_limit,
        )
        self._endpoints = self._routes(Reading(self._store, faults))
        self._map = _map_of(tuple(self._endpoints))

    def _routes(self, reading: Reading) -> Mapping[str, _Endpoint]:
        described = JsonApi(self._store)
        mint = _Endpoint(partial(_mint, self._exchange), _POST)
        return {
            "/": _Endpoint(reading.front, _PAGES),
            "/.well-known/pytp": _Endpoint(_discovery, _PAGES),
            "/_/oidc/audience": _Endpoint(partial(_audience, self._exchange), _GET),
            "/_/oidc/mint-token": mint,
            "/_/oidc/github/mint-token": mint,
            "/_/oidc/burn-token": _Endpoint(partial(_burn, self._exchange), _POST),
            "/legacy": _Endpoint(_without_slash, _POST),
            "/legacy/": _Endpoint(partial(_upload, self._uploads), _ANY),
            "/simple/": _Endpoint(reading.simple_projects, _PAGES),
            "/simple/<project>/": _Endpoint(reading.simple_project, _PAGES),
            "/integrity/<project>/<version>/<filename>/provenance": _Endpoint(
                reading.provenance, _GET
            ),
            "/project/<project>/": _Endpoint(reading.project_page, _PAGES),
            "/project/<project>/<version>/": _Endpoint(reading.release_page, _PAGES),
            "/pypi/<project>/json": _Endpoint(described.project, _PAGES),
            "/pypi/<project>/<version>/json": _Endpoint(described.release, _PAGES),
            "/files/<path:digest>/<filename>": _Endpoint(reading.file, _PAGES, is_cdn=True),
        }

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (WSGI)."""
        request = Request(environ)
        try:
            path, arguments = self._map.bind_to_environ(environ).match()
            endpoint = self._endpoints[path]
            if request.method not in endpoint.methods:
                answer = not_allowed(endpoint.methods)
            else:
                answer = endpoint.answer(request, **arguments)
            if not endpoint.is_cdn:
                answer = finish(request, answer)
        except ServerFailed:
            answer = server_failed()
        except NotFound:
            answer = finish(request, not_found(request.path))
        except RequestRedirect as error:
            # For an address without its last slash.
            answer = finish(request, _redirect(error.new_url))
        except HTTPException as error:
            answer = finish(request, page(str(error), error.description or "", error.code or 400))
        return answer(environ, start_response)

    @property
    def folder(self) -> Path:
        """Where contents are stored while the index exists."""
        return Path(self._folder.name)

    @property
    def issued_tokens(self) -> list[ApiToken]:
        """All API tokens that were issued, in order; only the digests of the secrets are known."""
        return self._tokens.issued

    def add_user_token(self, projects: Iterable[str] | None = None) -> str:
        """Issue a token like a user's own: it does not expire, and may create projects.

        `projects` are the projects it is valid for, `None` for all.
        """
        scope = None if projects is None else {canonicalize_name(name) for name in projects}
        return self._tokens.issue(publisher=None, projects=scope, expires_at=None)

    def add_project(self, name: str) -> None:
        """Add an empty project, as if it already existed."""
        self._store.hold_project(name)

    def add_release(self, project: str, version: str, uploaded_at: datetime) -> None:
        """Add a release without files, started at `uploaded_at` (with time zone)."""
        self._store.hold_release(project, str(Version(version)), uploaded_at)

    def add_file(
        self, file: StoredFile, *, name: str, metadata: Mapping[str, Sequence[str]]
    ) -> None:
        """Add a file of the project `name`, as if it had been uploaded with this form."""
        self._store.hold_file(file, name=name, metadata=metadata)

    def set_status(self, project: str, status: StatusName, reason: str | None = None) -> None:
        """Change a project's status (PEP 792), as its owners or PyPI's administrators do.

        An archived or quarantined project takes no uploads, a quarantined one lists no files. The
        project is added if it is missing.
        """
        self._store.set_status(project, Status(status, reason))

    def delete_file(self, filename: str) -> None:
        """Delete a file, or act as if there had been one: its name can never be used again."""
        self._store.delete_file(filename)

    def close(self) -> None:
        """Remove everything from disk."""
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _audience(exchange: Exchange, _request: Request) -> Response:
    return json_answer({"audience": exchange.audience})


def _mint(exchange: Exchange, request: Request) -> Response:
    try:
        token, expires = exchange.mint(_SmallRequest(request.environ).get_data())
    except ExchangeRefused as error:
        return _exchange_refused(error)
    return json_answer({"success": True, "token": token, "expires": expires})


def _burn(exchange: Exchange, request: Request) -> Response:
    try:
        exchange.burn(_SmallRequest(request.environ).get_data())
    except ExchangeRefused as error:
        return _exchange_refused(error)
    return Response(status=HTTPStatus.ACCEPTED)


def _discovery(request: Request) -> Response:
    """Announce the token exchange for the upload address (PEP 807, draft of January 2026)."""
    if request.accept_mimetypes and not request.accept_mimetypes.quality(_PYTP):
        return Response(status=HTTPStatus.NOT_ACCEPTABLE)
    if request.args.get("discover") != "/legacy/":
        return Response(status=HTTPStatus.NOT_FOUND)
    exchange = f"{request.host_url}_/oidc"
    return json_answer(
        {
            "audience-endpoint": f"{exchange}/audience",
            "mint-token-endpoint": f"{exchange}/mint-token",
        },
        _PYTP,
    )


def _without_slash(request: Request) -> Response:
    text = (
        "An upload was attempted to /legacy but the expected upload URL is /legacy/ (with a"
        " trailing slash)"
    )
    answer = _with_reason(request, text, HTTPStatus.PERMANENT_REDIRECT)
    answer.headers["Location"] = f"{request.host_url}legacy/"
    return answer


def _redirect(url: str) -> Response:
    answer = page(
        "301 Moved Permanently", f"The resource is at {url}", HTTPStatus.MOVED_PERMANENTLY
    )
    answer.headers["Location"] = url
    return answer


def _upload(uploads: Uploads, request: Request) -> Response:
    if request.method != "POST":
        # What decides is the form, which such a request does not have.
        raise NotFound
    try:
        uploads.receive(request.environ)
    except UploadRefused as error:
        return _with_reason(request, error.text, error.status)
    return page("200 OK", "")


def _exchange_refused(error: ExchangeRefused) -> Response:
    return json_answer(
        {
            "message": "Token request failed",
            "errors": [{"code": error.code, "description": error.description}],
        },
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
    )


def _with_reason(request: Request, text: str, code: int) -> Response:
    """Put the message where PyPI does: in the reason phrase, and in the body as accepted."""
    title = HTTPStatus(code).phrase
    status = f"{code} {shown(text, _REASON_LIMIT)}"
    # A status line is encoded in Latin-1.
    reason = status.encode("latin-1", "replace").decode("latin-1")
    accepted = request.accept_mimetypes
    offers = ["text/html", "application/json", "text/plain"]
    wanted = accepted.best_match(offers, "text/html") if accepted else "text/plain"
    match wanted:
        case "application/json":
            answer = json_answer({"message": text, "code": status, "title": title})
        case "text/plain":
            answer = Response(f"{status}\n\n{title}\n\n{text}\n", mimetype="text/plain")
        case _:
            answer = page(status, text)
    answer.status = reason
    return answer
