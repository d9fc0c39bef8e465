"""Faults of the embedded services, on request.

A fault is written ``ENDPOINT=KIND[:VALUE][*COUNT]``::

    log=502*2              the log answers 502 twice, then works
    upload=429:1*3         three uploads are answered 429 with ``Retry-After: 1``
    upload=lost*1          one upload is carried out, its answer never arrives
    certificate=sct        every certificate has a timestamp from an unknown log
    mint=expires:3         every API token expires after three seconds

Endpoints are the keys of `ENDPOINTS`. COUNT is the number of affected requests; without it, all
are. Several faults of one endpoint take effect one after the other, in the order given: each
request gets the first one that is not used up. Faults of the *transport*, at every endpoint:

=============  ============================================================================
``refuse``     the connection is closed without an answer, the request is not carried out
``hang``       no answer for VALUE seconds (without VALUE: forever), then as ``refuse``
``slow``       the answer comes VALUE seconds late
``400``-``599``  this status instead of an answer; VALUE is sent as ``Retry-After`` seconds
``html``       200 with an HTML page, the request is not carried out
``garbage``    200 with truncated JSON, the request is not carried out
``reset``      carried out, the connection breaks in the middle of the answer
``lost``       carried out, the connection is closed without an answer
``echo``       status VALUE (400 without one) with the request's credentials in reason
               phrase, headers and body, in many forms; the request is not carried out
``trickle``    headers that never end, a byte every VALUE seconds (without VALUE: 1)
``drip``       200 with a body that never ends, a byte every VALUE seconds (without VALUE: 1)
``continue``   ``100 Continue`` forever
``headers``    headers forever
``endless``    200 with a body that never ends, as fast as possible
``bomb``       200 with 4 GiB, compressed to 4 MB
``objects``    200 with 16 MiB of JSON that needs far more memory when parsed
``nested``     200 with JSON that is nested a million levels deep
``digits``     200 with JSON that contains a number of 10,000 digits
``markup``     400 with HTML of 64 KiB of ``<``
``reason``     503 with control characters and workflow commands in its reason phrase
=============  ============================================================================

Faults of *content* are produced by the service itself, which calls `Faults.take`; they are counted
separately from those of the transport:

=================  ========================================================================
``identity``       ``expired``: the identity token has already expired
``certificate``    ``sct``: its certificate timestamp is signed by another key; ``repository``,
                   ``workflow``: it names another one than the identity token
``log``            ``proof``: the inclusion proof is wrong; ``checkpoint``: the tree head is
                   signed by another key; ``timestamp``: the entry timestamp is signed by
                   another key; ``time``: validly signed, but before the certificate's time;
                   ``signature``: the logged body records another signature
``mint``           ``expires``: the API token expires after VALUE seconds
``upload``         ``unattested``: the file is accepted, its attestations are neither looked
                   at nor kept, as while PyPI has switched them off
``simple``         ``digest``: the files' sha256 are wrong; ``archived``, ``quarantined``: the
                   project has this status, and in quarantine no files
``integrity``      ``provenance``: the provenance of another file is served; ``disabled``: none
                   is, as while PyPI has switched attestations off
=================  ========================================================================
"""

from __future__ import annotations

import re
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Request, Response

from attested_publish.rehearsal import hostile
from attested_publish.rehearsal.echo import echo

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ENDPOINTS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "identity": frozenset({"expired"}),
        "certificate": frozenset({"sct", "repository", "workflow"}),
        "log": frozenset({"proof", "checkpoint", "timestamp", "time", "signature"}),
        "discovery": frozenset(),
        "audience": frozenset(),
        "mint": frozenset({"expires"}),
        "burn": frozenset(),
        "upload": frozenset({"unattested"}),
        "simple": frozenset({"digest", "archived", "quarantined"}),
        "integrity": frozenset({"provenance", "disabled"}),
        "file": frozenset(),
    }
)
"""Every endpoint that can fail, with its own faults of content."""

TRANSPORT = frozenset(
    {"refuse", "hang", "slow", "html", "garbage", "reset", "lost", "echo", *hostile.KINDS}
)
"""Faults of every endpoint, in addition to the statuses 400 to 599."""

_NEEDS_VALUE = frozenset({"slow", "expires"})
_TAKES_VALUE = _NEEDS_VALUE | {"hang", "echo"} | hostile.PACED
_STATUS = re.compile(r"[45]\d\d")
_GRAMMAR = re.compile(
    r"(?P<endpoint>[a-z]+)=(?P<kind>[a-z]+|[45]\d\d)"
    r"(?::(?P<value>\d{1,7}(?:\.\d{1,6})?))?(?:\*(?P<count>\d{1,6}))?"
)
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Fault:
    """One fault.

    `value` is seconds for kinds that have a time, and the status of an ``echo``. `count` is the
    number of affected requests, `None` for all. `str()` returns the text that `parse_fault` reads.
    """

    endpoint: str
    kind: str
    value: float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        if self.endpoint not in ENDPOINTS:
            raise ValueError(
                f"{self.endpoint!r} is not an endpoint; choose from {_list(ENDPOINTS)}."
            )
        status = _STATUS.fullmatch(self.kind) is not None
        kinds = TRANSPORT | ENDPOINTS[self.endpoint]
        if not status and self.kind not in kinds:
            raise ValueError(
                f"{self.endpoint!r} has no fault {self.kind!r}; choose from {_list(kinds)},"
                " or a status from 400 to 599."
            )
        if self.value is None and self.kind in _NEEDS_VALUE:
            raise ValueError(f"The fault {self.kind!r} needs seconds, as in '{self.kind}:2'.")
        if self.kind == "echo" and self.value and not _STATUS.fullmatch(f"{self.value:g}"):
            raise ValueError("The value of 'echo' must be a status from 400 to 599.")
        if self.value is not None and not status and self.kind not in _TAKES_VALUE:
            raise ValueError(f"The fault {self.kind!r} takes no value.")
        if self.count is not None and self.count < 1:
            raise ValueError("A fault must happen at least once; leave '*COUNT' out for always.")

    @property
    def of_transport(self) -> bool:
        """Whether it affects the connection, rather than the content of an answer."""
        return self.kind in TRANSPORT or _STATUS.fullmatch(self.kind) is not None

    def __str__(self) -> str:
        value = "" if self.value is None else f":{self.value:g}"
        count = "" if self.count is None else f"*{self.count}"
        return f"{self.endpoint}={self.kind}{value}{count}"


def parse_fault(text: str) -> Fault:
    """Read ``ENDPOINT=KIND[:VALUE][*COUNT]``; the module's docstring lists them.

    Raises `ValueError` with a sentence that says what is wrong.
    """
    match = _GRAMMAR.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text[:80]!r} is not a fault; use ENDPOINT=KIND[:SECONDS][*COUNT], as in 'log=502*2'."
        )
    value, count = match["value"], match["count"]
    return Fault(
        endpoint=match["endpoint"],
        kind=match["kind"],
        value=None if value is None else float(value),
        count=None if count is None else int(count),
    )


class Faults:
    """The planned faults, and how often each is still to happen. Thread-safe."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lock = threading.Lock()
        self._pending: list[tuple[Fault, int | None]] = []
        self._stopped = threading.Event()
        self.met = 0
        """How many faults have happened so far."""
        for fault in faults:
            self.plan(fault)

    def plan(self, fault: Fault) -> None:
        """Add a fault, after those that are already planned."""
        with self._lock:
            self._pending.append((fault, fault.count))

    def clear(self) -> None:
        """Remove all planned faults."""
        with self._lock:
            self._pending.clear()

    def take(self, endpoint: str, *kinds: str) -> Fault | None:
        """Use up one occurrence of the first fault planned for `endpoint` of one of `kinds`.

        A service calls this when it would produce the fault, once for each request.
        """
        return self._take(lambda fault: fault.endpoint == endpoint and fault.kind in kinds)

    def take_transport(self, endpoint: str) -> Fault | None:
        """Use up one occurrence of the first fault of the transport planned for `endpoint`."""
        return self._take(lambda fault: fault.endpoint == endpoint and fault.of_transport)

    def _take(self, wanted: Callable[[Fault], bool]) -> Fault | None:
        with self._lock:
            for position, (fault, left) in enumerate(self._pending):
                if not wanted(fault):
                    continue
                if left == 1:
                    del self._pending[position]
                elif left is not None:
                    self._pending[position] = (fault, left - 1)
                self.met += 1
                return fault
        return None

    def stop(self) -> None:
        """End every hanging answer, now and in future, because the servers are stopping."""
        self._stopped.set()

    def pause(self, seconds: float) -> bool:
        """Wait, but not beyond `stop`; return whether that came first."""
        return self._stopped.wait(seconds)

    def harm(self, connection: socket.socket, sent: hostile.Sent) -> None:
        """Send what a malicious server would, until it ends, the client disconnects, or `stop`."""
        for piece in sent:
            if isinstance(piece, bytes):
                connection.sendall(piece)
            else:
                self._stopped.wait(piece)
            if self._stopped.is_set():
                return

    def hang(self, connection: socket.socket, seconds: float | None) -> None:
        """Wait for `seconds` (`None`: forever), until the client disconnects, or until `stop`."""
        deadline = None if seconds is None else time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            while not self._stopped.is_set():
                left = 0.1 if deadline is None else min(0.1, deadline - time.monotonic())
                if left <= 0:
                    return
                if selector.select(left):
                    if not connection.recv(1, socket.MSG_PEEK):
                        return
                    self._stopped.wait(left)


def faulty(
    app: WSGIApplication,
    endpoint_of: Callable[[WSGIEnvironment], str | None],
    faults: Faults,
) -> WSGIApplication:
    """Make the transport of `app` fail as planned.

    `endpoint_of` returns the endpoint of a request, `None` for one that never fails. Works only on
    a `serving.Server`, which provides its connection in the environ.
    """

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        endpoint = endpoint_of(environ)
        fault = None if endpoint is None else faults.take_transport(endpoint)
        if fault is None:
            return app(environ, start_response)
        match fault.kind:
            case "refuse":
                raise ConnectionAbortedError
            case "hang":
                _exhaust(environ)
                faults.hang(environ["werkzeug.socket"], fault.value)
                raise ConnectionAbortedError
            case "slow":
                if faults.pause(fault.value or 0.0):
                    raise ConnectionAbortedError
                return app(environ, start_response)
            case "lost":
                run_wsgi_app(app, environ, buffered=True)
                raise ConnectionAbortedError
            case "reset":
                body, status, headers = run_wsgi_app(app, environ, buffered=True)
                start_response(status, headers.to_wsgi_list())
                return _half(b"".join(body))
            case kind if kind in hostile.KINDS:
                _exhaust(environ)
                pace = 1.0 if fault.value is None else fault.value
                faults.harm(environ["werkzeug.socket"], hostile.KINDS[kind](pace))
                raise ConnectionAbortedError
            case _:
                return _wrong_answer(fault, environ)(environ, start_response)

    return respond


def _wrong_answer(fault: Fault, environ: WSGIEnvironment) -> WSGIApplication:
    match fault.kind:
        case "echo":
            return echo(environ, int(fault.value or HTTPStatus.BAD_REQUEST))
        case "html":
            return Response(
                "<!doctype html><title>Rehearsal</title><h1>Not what you asked for</h1>\n",
                mimetype="text/html",
            )
        case "garbage":
            return Response('{"rehearsal": ["breaks off', mimetype="application/json")
        case status:
            return _with_status(int(status), fault.value)


def _with_status(status: int, retry_after: float | None) -> Response:
    phrase = HTTPStatus(status).phrase if status in list(HTTPStatus) else "Fault"
    response = Response(
        f"{status} {phrase}: a fault of the rehearsal\n",
        f"{status} {phrase}",
        mimetype="text/plain",
    )
    if retry_after is not None:
        # HTTP allows only whole seconds (RFC 9110, 10.2.3).
        response.headers["Retry-After"] = str(max(0, round(retry_after)))
    return response


def _half(body: bytes) -> Iterator[bytes]:
    # Content-Length remains that of the whole body, so that the client can notice.
    if len(body) > 1:
        yield body[: len(body) // 2]
    raise ConnectionAbortedError


def _exhaust(environ: WSGIEnvironment) -> None:
    # Data that the client is still sending would hide that it has disconnected.
    stream = Request(environ).stream
    while stream.read(_CHUNK):
        pass


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


_INDEX_PATHS = (
    ("/.well-known/pytp", "discovery"),
    ("/_/oidc/audience", "audience"),
    ("/_/oidc/mint-token", "mint"),
    ("/_/oidc/github/mint-token", "mint"),
    ("/_/oidc/burn-token", "burn"),
    ("/legacy/", "upload"),
    ("/simple/", "simple"),
    ("/integrity/", "integrity"),
    ("/files/", "file"),
)


def index_endpoint(environ: WSGIEnvironment) -> str | None:
    """Return which endpoint of the embedded PyPI a request is for."""
    path = environ.get("PATH_INFO", "")
    for prefix, endpoint in _INDEX_PATHS:
        if path.startswith(prefix) or path == prefix.rstrip("/"):
            return endpoint
    return None
