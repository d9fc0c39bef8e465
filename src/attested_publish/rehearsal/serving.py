"""Serve WSGI applications on loopback, for ordinary clients.

Werkzeug serves and parses; this module adds persistent connections (as with the real services), a
port that is known before serving starts, and a stop that leaves no threads or connections behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import socket
import threading
import time
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast
from wsgiref.handlers import SimpleHandler

from werkzeug.exceptions import BadRequest, HTTPException
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response
from werkzeug.wsgi import LimitedStream

from attested_publish.net.addresses import is_loopback
from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.headers import Headers

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LOOPBACK = "127.0.0.1"

_LARGEST_JSON_BODY = 1 << 20
"""Bytes. The signature of a large file has about 10 KB: its statement contains only digests."""

_IDLE = 120.0
"""Seconds that a connection may be idle, about as long as real servers allow."""

_POLL = 0.02
"""Seconds until `Server.stop` takes effect."""

_CHUNK = 1 << 16
_REACHED = 2.0

_HOST = re.compile(
    r"(?P<name>localhost|[0-9.]{7,15}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.IGNORECASE
)
_LENGTH = re.compile(r"[0-9]{1,15}")

_Connection: TypeAlias = "socket.socket | tuple[bytes, socket.socket]"
_Address: TypeAlias = "tuple[str, int] | str"

_log = logging.getLogger(__name__)


class NoLoopback(OSError):
    """This machine cannot connect to itself."""


def prove_loopback() -> None:
    """Raise `NoLoopback` if servers on loopback cannot be reached.

    Even if the interface is down, a port can be bound.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
            bound.bind((LOOPBACK, 0))
            bound.listen(1)
            socket.create_connection(bound.getsockname(), timeout=_REACHED).close()
    except OSError as error:
        if error.errno in {errno.EMFILE, errno.ENFILE}:
            raise
        raise NoLoopback(errno.EADDRNOTAVAIL, error.strerror or "it does not answer") from error


class Server:
    """One WSGI application on one loopback port, with a thread for each connection.

    The port is bound (0: any free one) when the object is created, so that `url` is known before
    `start`. Raises `OSError` if it is in use. Requests for hosts other than loopback are refused,
    see `for_loopback`. The application's connection is in the environ, as ``werkzeug.socket``.
    """

    def __init__(self, app: WSGIApplication, *, port: int = 0) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
            if os.name == "posix":
                # On other systems the option allows others to take over the port.
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((LOOPBACK, port))
            bound.listen(128)
            self._server = _Server(for_loopback(app), bound)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_POLL,),
            name=f"rehearsal {self.url}",
            daemon=True,
        )

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, without a slash at the end."""
        return f"http://{LOOPBACK}:{self._server.port}"

    def start(self) -> None:
        """Answer requests, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and close every connection; does nothing if it is not running."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.close_connections()


class _Server(ThreadedWSGIServer):
    """Tracks its connections, to close those that clients keep open."""

    def __init__(self, app: WSGIApplication, bound: socket.socket) -> None:
        self._connections: set[_Connection] = set()
        # If it bound the port itself, it would exit the whole program when the port is in use.
        super().__init__(LOOPBACK, bound.getsockname()[1], app, _Handler, fd=bound.fileno())

    def process_request(self, request: _Connection, client_address: _Address) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: _Connection) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        for connection in list(self._connections):
            if isinstance(connection, socket.socket):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: _Connection, client_address: _Address) -> None:  # noqa: ARG002
        # What a client does with its connection does not interest the user of a rehearsal.
        _log.debug("A connection from %s failed", client_address, exc_info=True)


class _Handler(WSGIRequestHandler):
    """Answers one request after another on a connection (RFC 9112, 9.3).

    Werkzeug's own handler closes after each answer.
    """

    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    # One segment for headers and body, and no wait for the client's acknowledgement: without
    # these, each answer takes the 40 ms of a delayed ACK.
    wbufsize = _CHUNK
    disable_nagle_algorithm = True

    def handle_expect_100(self) -> bool:
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        body = environ["wsgi.input"]
        if "wsgi.input_terminated" not in environ:
            if _LENGTH.fullmatch(environ.get("CONTENT_LENGTH") or "0") is None:
                self.close_connection = True
                self.send_error(400, "Content-Length is not a number")
                return
            length = int(environ.get("CONTENT_LENGTH") or "0")
            body = environ["wsgi.input"] = LimitedStream(cast("IO[bytes]", self.rfile), length)
            environ["wsgi.input_terminated"] = True
        exchange = _Exchange(body, cast("IO[bytes]", self.wfile), environ)
        exchange.run(self.server.app)
        if not exchange.complete:
            self.close_connection = True
            return
        # If the answer was sent before the end of the request, the next request begins only
        # after that end; and a client that is still sending would not read the answer.
        while body.read(_CHUNK):
            pass

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        _log.debug("%s: " + message, type, *args)


class _Exchange(SimpleHandler):
    """One request and its answer."""

    http_version = "1.1"
    # Requests must not see the environment of the process.
    os_environ: dict[str, str] = {}  # noqa: RUF012

    # Set by `start_response`, but missing in the type stubs.
    headers: Headers
    status: str

    def __init__(self, body: IO[bytes], answer: IO[bytes], environ: WSGIEnvironment) -> None:
        super().__init__(body, answer, environ["wsgi.errors"], environ, multithread=True)
        self.complete = False
        self._has_length = False

    def cleanup_headers(self) -> None:
        super().cleanup_headers()
        self._has_length = "Content-Length" in self.headers or self.status[:3] in {"204", "304"}
        if not self._has_length:
            # In that case the end of the connection is the end of the answer.
            self.headers["Connection"] = "close"

    def close(self) -> None:
        # Called only at the end of a complete answer.
        super().close()
        self.complete = self._has_length

    def log_exception(self, exc_info: OptExcInfo) -> None:
        _log.error("The rehearsal failed: %s", shown(repr(exc_info[1])))
        _log.debug("The rehearsal failed", exc_info=exc_info)


def for_loopback(app: WSGIApplication) -> WSGIApplication:
    """Let `app` answer only requests whose `Host` is loopback; others are answered with 421.

    A web page can make its own name resolve to loopback (DNS rebinding), and the browser would
    then let it read the answers, including tokens. No page can change the header.
    """

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if _names_loopback(environ.get("HTTP_HOST", "")):
            return app(environ, start_response)
        refusal = Response(
            "The Host header must be a loopback name, such as 127.0.0.1 or localhost: these "
            "services are only for programs on this machine, not for web pages (DNS rebinding).\n",
            421,
            mimetype="text/plain",
        )
        return refusal(environ, start_response)

    return respond


def _names_loopback(host: str) -> bool:
    match = _HOST.fullmatch(host.strip(" \t"))
    return match is not None and is_loopback(match["name"])


class Refused(Exception):
    """A JSON service refuses a request: the status, the code in the body, and the reason."""

    def __init__(self, status: int, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = status if code is None else code


def json_app(answer: Callable[[Request], Response]) -> WSGIApplication:
    """Make an application from a function that answers or raises `Refused`.

    Bodies are limited to 1 MiB. A refusal is answered as by Fulcio and Rekor, with
    ``{"code": ..., "message": ...}``.
    """

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        request.max_content_length = _LARGEST_JSON_BODY
        try:
            response = answer(request)
        except Refused as refusal:
            response = _refusal(refusal.status, refusal.code, refusal.message)
        except HTTPException as refusal:
            status = refusal.code or BadRequest.code
            response = _refusal(status, status, refusal.description or "")
        return response(environ, start_response)

    return app


def _refusal(status: int, code: int, message: str) -> Response:
    return json_response({"code": code, "message": message}, status)


def json_response(value: object, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(json.dumps(value), status, mimetype="application/json")


def json_body(request: Request) -> dict[str, Any]:
    """Read the JSON object in a request, whatever its content type.

    Raises `werkzeug.exceptions.BadRequest` if it is something else.
    """
    try:
        value = json.loads(request.get_data())
    except (ValueError, RecursionError):
        raise BadRequest("The request body is not JSON.") from None
    if not isinstance(value, dict):
        raise BadRequest("The request body is not a JSON object.")
    return value


def delayed(
    app: WSGIApplication,
    stage_of: Callable[[WSGIEnvironment], str | None],
    latency: Mapping[str, float],
    pause: Callable[[float], object] = time.sleep,
) -> WSGIApplication:
    """Delay every answer of `app` by the seconds in `latency` for its stage.

    The time of an ``upload`` passes before the request is carried out: that is its transfer.
    `pause` waits for that time; that of `World` returns early when the services stop.
    """

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        stage = stage_of(environ)
        seconds = latency.get(stage, 0.0) if stage is not None else 0.0
        if stage == "upload":
            pause(seconds)
        answer = app(environ, start_response)
        if stage != "upload":
            pause(seconds)
        return answer

    return respond
