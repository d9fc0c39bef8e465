"""The embedded PyPI: its addresses, and what stands behind each.

Same addresses, statuses and error codes as PyPI; the sentences are ours. It differs where the
real one would only be in the way on loopback: plain http is served, a reason phrase never
holds line breaks, and what makes PyPI's server answer 500 by accident is refused in words.
"""

from __future__ import annotations

import json
import tempfile
from html import escape
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version
from sigstore.verify import Verifier
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from attested_publish.net.untrusted import shown
from attested_publish.rehearsal.faults import Faults
from attested_publish.rehearsal.jobs import github
from attested_publish.rehearsal.pypi.exchange import Exchange, ExchangeBroken, ExchangeRefused
from attested_publish.rehearsal.pypi.incoming import UploadRefused
from attested_publish.rehearsal.pypi.reading import Reading
from attested_publish.rehearsal.pypi.store import Store
from attested_publish.rehearsal.pypi.tokens import Tokens
from attested_publish.rehearsal.pypi.uploads import Uploads
from attested_publish.rules.bounds import DISTRIBUTION_LIMIT, PROJECT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from sigstore.models import TrustedRoot

    from attested_publish.rehearsal.pypi.registry import Registry
    from attested_publish.rehearsal.pypi.tokens import ApiToken

_SMALL = 1024 * 1024
_REASON_LIMIT = 2000


class _SmallRequest(Request):
    """A request whose body is read into memory, and so may not be large."""

    max_content_length = _SMALL


class Index:
    """An index like PyPI, in memory and in one temporary folder that `close` removes.

    `jwks` gives the keys of the one `issuer` it trusts, `trusted_root` is the Sigstore whose
    attestations it takes, `registry` says who may publish what. `token_lifetime` is in seconds,
    the limits are in bytes. `app` is served by any threaded WSGI server; `Index` may be used as
    a context manager.
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
            tokens=self._tokens,
            verifier=Verifier(trusted_root=trusted_root),
            folder=Path(self._folder.name),
            is_open=registry.is_open,
            file_limit=file_limit,
            project_limit=project_limit,
        )
        self._map = self._routes(Reading(self._store, faults))

    def _routes(self, reading: Reading) -> Map:
        return Map(
            [
                Rule("/", endpoint=reading.front, methods=["GET"]),
                Rule("/_/oidc/audience", endpoint=self._audience, methods=["GET"]),
                Rule("/_/oidc/mint-token", endpoint=self._mint, methods=["POST"]),
                Rule("/_/oidc/github/mint-token", endpoint=self._mint, methods=["POST"]),
                Rule("/_/oidc/burn-token", endpoint=self._burn, methods=["POST"]),
                Rule("/legacy/", endpoint=self._upload, methods=["POST"]),
                Rule("/simple/", endpoint=reading.simple_projects, methods=["GET"]),
                Rule("/simple/<project>/", endpoint=reading.simple_project, methods=["GET"]),
                Rule(
                    "/integrity/<project>/<version>/<filename>/provenance",
                    endpoint=reading.provenance,
                    methods=["GET"],
                ),
                Rule("/pypi/<project>/json", endpoint=reading.project_json, methods=["GET"]),
                Rule(
                    "/pypi/<project>/<version>/json",
                    endpoint=reading.release_json,
                    methods=["GET"],
                ),
                Rule("/files/<path:digest>/<filename>", endpoint=reading.file, methods=["GET"]),
            ]
        )

    def app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (WSGI)."""
        adapter = self._map.bind_to_environ(environ)
        try:
            endpoint, arguments = adapter.match()
            response: Response = endpoint(Request(environ), **arguments)
        except HTTPException as error:
            return error(environ, start_response)
        return response(environ, start_response)

    @property
    def folder(self) -> Path:
        """Where contents lie while the index is there."""
        return Path(self._folder.name)

    @property
    def issued_tokens(self) -> list[ApiToken]:
        """All API tokens ever issued, in order; of the secrets only the digest is known."""
        return self._tokens.issued

    def add_user_token(self, projects: Iterable[str] | None = None) -> str:
        """Issue a token as a user makes it: it does not end, and may create projects.

        `projects` are the projects it is good for, `None` for all.
        """
        scope = None if projects is None else {canonicalize_name(name) for name in projects}
        return self._tokens.issue(publisher=None, projects=scope, expires_at=None)

    def add_project(self, name: str) -> None:
        """Hold an empty project that was there before."""
        self._store.hold_project(name)

    def add_release(self, project: str, version: str, uploaded_at: datetime) -> None:
        """Hold a release without files, whose first file came at `uploaded_at` (with time zone)."""
        self._store.hold_release(project, str(Version(version)), uploaded_at)

    def delete_file(self, filename: str) -> None:
        """Delete a file, or pretend there was one: its name can never be used again."""
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

    def _audience(self, _request: Request) -> Response:
        return _json({"audience": self._exchange.audience})

    def _mint(self, request: Request) -> Response:
        try:
            token, expires = self._exchange.mint(_SmallRequest(request.environ).get_data())
        except ExchangeRefused as error:
            return _exchange_refused(error)
        except ExchangeBroken as error:
            raise InternalServerError from error
        return _json({"success": True, "token": token, "expires": expires})

    def _burn(self, request: Request) -> Response:
        try:
            self._exchange.burn(_SmallRequest(request.environ).get_data())
        except ExchangeRefused as error:
            return _exchange_refused(error)
        return Response(status=HTTPStatus.ACCEPTED)

    def _upload(self, request: Request) -> Response:
        try:
            self._uploads.receive(request.environ)
        except UploadRefused as error:
            return _upload_refused(request, error)
        return _page("200 OK", "")


def _exchange_refused(error: ExchangeRefused) -> Response:
    return _json(
        {
            "message": "Token request failed",
            "errors": [{"code": error.code, "description": error.description}],
        },
        HTTPStatus.UNPROCESSABLE_ENTITY,
    )


def _upload_refused(request: Request, error: UploadRefused) -> Response:
    """Put the sentence where PyPI does: into the reason phrase, and into the body as accepted."""
    title = HTTPStatus(error.status).phrase
    status = f"{error.status} {shown(error.text, _REASON_LIMIT)}"
    # A status line is Latin-1.
    reason = status.encode("latin-1", "replace").decode("latin-1")
    accepted = request.accept_mimetypes
    offers = ["text/html", "application/json", "text/plain"]
    wanted = accepted.best_match(offers, "text/html") if accepted else "text/plain"
    match wanted:
        case "application/json":
            response = _json({"message": error.text, "code": status, "title": title})
        case "text/plain":
            response = Response(f"{status}\n\n{title}\n\n{error.text}\n", mimetype="text/plain")
        case _:
            response = _page(status, error.text)
    response.status = reason
    return response


def _page(status: str, text: str) -> Response:
    return Response(
        f"<html>\n <head>\n  <title>{escape(status)}</title>\n </head>\n <body>\n"
        f"  <h1>{escape(status)}</h1>\n  {escape(text)}\n </body>\n</html>",
        mimetype="text/html",
    )


def _json(document: object, status: int = HTTPStatus.OK) -> Response:
    return Response(json.dumps(document), status, mimetype="application/json")
