"""HTTP requests for this project: always with time limits and limits on what is read."""

from __future__ import annotations

import io
import json
import logging
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from attested_publish import __version__
from attested_publish.net import secrecy
from attested_publish.net.addresses import BadAddress, refuse_step
from attested_publish.net.connections import EndlessHead, current_watch, manage, within
from attested_publish.net.routes import certificates, proxies_for
from attested_publish.net.secrecy import without_credentials
from attested_publish.net.sending import count_what_is_sent
from attested_publish.net.untrusted import sentence, shown

if TYPE_CHECKING:
    from requests.auth import AuthBase

CONNECT_SECONDS = 15.0
CONNECTIONS = 48
"""Connections to one host that a session keeps: about as many as uv has at a time."""

BODY_LIMIT = 1 << 20
"""Bytes of an answer that are read, after decompression. Project pages have a larger limit."""

SLOWEST_UPLOAD = 32 * 1024
"""Bytes a second: a request that sends a file gets more time accordingly."""

ANSWER_SECONDS = 60.0
"""How long a request may take by default."""

_LONGEST_WAIT = 86400.0
"""Seconds; a server that asks for more is understood to ask for a day."""
_PIECE = 1 << 16

_log = logging.getLogger(__name__)
"""Logs every request, at level DEBUG, for `verbose`."""


class LedAstray(requests.RequestException):
    """An address redirects to one that is not allowed; the text says which, and why."""


class TooLarge(requests.RequestException):
    """A successful answer is larger than the limit."""


class Unreadable(requests.RequestException):
    """What was received is not an HTTP answer within the limits."""


@dataclass(frozen=True)
class Bounds:
    """How long one request may take.

    `silence` is how long the server may send nothing, `total` how long the whole request may
    take (including redirects and the body of the answer; sending a file adds time according to
    `SLOWEST_UPLOAD`), both in seconds.
    """

    silence: float
    total: float

    def seconds_for(self, request: requests.PreparedRequest) -> float:
        """Return how long a request may take in total, including the body that it sends."""
        length = request.headers.get("Content-Length", "0")
        return self.total + (int(length) / SLOWEST_UPLOAD if length.isdecimal() else 0.0)


class BoundedAdapter(HTTPAdapter):
    """Sends requests within limits, also those of libraries that set none.

    Unless the caller reads a `stream` within a watch of its own, the answer has been read when
    `send` returns, but at most `BODY_LIMIT` bytes of it. With `guards_redirects` it raises
    `LedAstray` for a redirect that must not be followed.
    """

    def __init__(self, bounds: Bounds, *, guards_redirects: bool = False) -> None:
        self.bounds = bounds
        self._guards_redirects = guards_redirects
        super().__init__(pool_maxsize=CONNECTIONS)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """See `requests`; uses our kind of connections."""
        super().init_poolmanager(*arguments, **options)
        manage(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> urllib3.ProxyManager:  # noqa: ANN401
        """See `requests`; uses our kind of connections."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **options)
        manage(manager)
        return manager

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - requests' own signature
        """Send `request`. Raises `requests.RequestException`."""
        if options.get("timeout") is None:
            silence = self.bounds.silence
            options["timeout"] = (min(CONNECT_SECONDS, silence), silence)
        count_what_is_sent(request)
        started = time.monotonic()
        outcome = "no answer"
        try:
            if current_watch() is not None:
                response = self._send(request, options)
            else:
                with within(self.bounds.seconds_for(request)):
                    response = self._send(request, {**options, "stream": False})
            outcome = str(response.status_code)
        finally:
            log_request(request.method or "", request.url or "", outcome, started)
        return response

    def _send(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        url = request.url or ""
        options["proxies"] = proxies_for(url)
        if not options["proxies"]:
            request.headers.pop("Proxy-Authorization", None)
        if options.get("verify", True) is True and urlsplit(url).scheme == "https":
            options["verify"] = certificates()
        if request.headers.get("Accept-Encoding") != "identity":
            # The only encoding that is decompressed within limits.
            request.headers["Accept-Encoding"] = "gzip"
        try:
            response = super().send(request, **options)
        except requests.ConnectionError as error:
            if _is_out_of_bounds(error):
                raise Unreadable("the headers of the answer never end", request=request) from error
            raise
        except urllib3.exceptions.LocationValueError as error:
            # Found out only when it connects: a name that the DNS cannot have.
            raise requests.exceptions.InvalidURL(str(error), request=request) from error
        _refuse_nowhere(response)
        if self._guards_redirects and response.is_redirect:
            refuse_redirect(response, response.headers["Location"])
        if not options.get("stream"):
            with response:
                body = body_of(response)
            response.raw = _already_read(response, body)
        return response


def _is_out_of_bounds(error: BaseException) -> bool:
    """Find an `EndlessHead` among the causes of errors of urllib3 and requests."""
    links: list[object] = [error]
    for link in links:
        if isinstance(link, EndlessHead):
            return True
        if isinstance(link, BaseException):
            links.extend(link.args)
    return False


def _refuse_nowhere(response: requests.Response) -> None:
    """Raise `InvalidURL` where a GET is redirected to no address; else forget the `Location`.

    requests reads it of every redirect, followed or not, and fails if nobody can.
    """
    if not response.is_redirect:
        return
    try:
        # As requests reads it.
        target = response.headers["Location"].encode("latin-1").decode()
        _ = urlsplit(urljoin(response.url, target)).port
    except ValueError as error:
        if response.request.method == "GET":
            response.close()
            raise requests.exceptions.InvalidURL(
                "it redirects to something that is not an address", response=response
            ) from error
        del response.headers["Location"]


def _already_read(response: requests.Response, body: bytes) -> urllib3.HTTPResponse:
    """Return a response that replaces the connection that a library would read from."""
    headers = urllib3.HTTPHeaderDict(response.raw.headers)
    # The body is decompressed, and may be truncated.
    for name in ("Content-Encoding", "Content-Length", "Transfer-Encoding"):
        headers.discard(name)
    return urllib3.HTTPResponse(
        io.BytesIO(body),
        headers,
        status=response.status_code,
        reason=response.reason,
        preload_content=False,
    )


def log_request(method: str, url: str, outcome: str, started: float) -> None:
    """Log a request that was started at `started` (monotonic), without anything secret.

    Headers and bodies contain tokens; queries, and the part of an address before its host, may
    contain some.
    """
    if not _log.isEnabledFor(logging.DEBUG):
        return
    parts = urlsplit(url)
    address = shown(without_credentials(f"{parts.scheme}://{parts.netloc}") + parts.path, 200)
    _log.debug("%s %s: %s, %.2f s", method, address, outcome, time.monotonic() - started)


def new_session(*, read: float = ANSWER_SECONDS) -> requests.Session:
    """Return a session with a user agent, time limits, and persistent connections.

    `read` is how long a request may take in total, in seconds.
    """
    session = _Session()
    session.headers["User-Agent"] = f"attested-publish/{__version__}"
    bound(session, Bounds(silence=read, total=read))
    return session


class _Session(requests.Session):
    """Follows redirects of a GET only, and never to an address that is not allowed."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """See `requests`; the body of a redirect is not read, because it may be endless."""
        if resp.request.method != "GET":
            return None
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        resp.close()
        refuse_redirect(resp, target)
        return target


def refuse_redirect(response: requests.Response, target: str) -> None:
    """Raise `LedAstray` for a redirect that is not allowed, `InvalidURL` for an invalid one."""
    try:
        # It may be relative to the address that was requested.
        refuse_step(response.url, urljoin(response.url, target))
    except BadAddress as error:
        raise LedAstray(f"{shown(target, 200)}, but {error}", response=response) from error
    except ValueError as error:
        raise requests.exceptions.InvalidURL(str(error)) from error


def bound(session: requests.Session, bounds: Bounds, *, guards_redirects: bool = False) -> None:
    """Apply our limits to a session, either ours or a library's.

    A session that follows redirects by itself needs `guards_redirects`. The adapter reads the
    proxies and certificates from the environment, so the session need not: it would read
    `~/.netrc`, too.
    """
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedAdapter(bounds, guards_redirects=guards_redirects))


@dataclass(frozen=True)
class Answer:
    """The answer to an HTTP request, as much of it as was read."""

    url: str
    status: int
    reason: str
    content_type: str
    body: bytes
    retry_after: float | None = None
    location: str | None = None

    @property
    def is_success(self) -> bool:
        """Whether the request was carried out; some indexes answer an upload with 201."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def may_pass(self) -> bool:
        """Whether the same request may succeed later, after an overload or a server error."""
        return (
            self.status == HTTPStatus.TOO_MANY_REQUESTS
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )

    @property
    def is_broken_off(self) -> bool:
        """Whether the answer claims to be JSON, but is not."""
        return "json" in self.content_type.lower() and self.json_object() is None

    def json_object(self) -> dict[str, Any] | None:
        """Return the body as a JSON object; `None` if it is not one, or too large to be parsed."""
        if len(self.body) > BODY_LIMIT:
            return None
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def told(self, secrets: Iterable[str] = ()) -> str:
        """Return the answer's message as a printable sentence, without `secrets` it may echo."""
        secrecy.keep(secrets)
        text = sentence(
            status=self.status,
            reason=self.reason,
            body=self.body,
            content_type=self.content_type,
        )
        return text.rstrip(".")


def ask(
    session: requests.Session,
    method: str,
    url: str,
    *,
    payload: Mapping[str, str] | None = None,
    headers: Mapping[str, str],
    limit: int = BODY_LIMIT,
    seconds: float | None = None,
    follows: bool = True,
    auth: AuthBase | None = None,
) -> Answer:
    """Send a request and read the answer, at most `limit` bytes of it, within `seconds`.

    Without `seconds`, the session's own limit applies. A redirect of a GET is followed, unless
    `follows` is false; that of a POST is returned, because following it would send the body to
    another address. `auth` does not go along to another host or port. Raises
    `requests.RequestException`; `TooLarge` if a successful answer exceeds the limit.
    """
    adapter = session.get_adapter(url)
    if seconds is None:
        seconds = adapter.bounds.total if isinstance(adapter, BoundedAdapter) else ANSWER_SECONDS
    with (
        within(seconds),
        session.request(
            method,
            url,
            json=payload,
            headers=dict(headers),
            stream=True,
            allow_redirects=follows and method == "GET",
            auth=auth,
        ) as response,
    ):
        return answer_of(response, body_of(response, limit))


def body_of(response: requests.Response, limit: int = BODY_LIMIT) -> bytes:
    """Read the body of an answer, decompressed, and at most `limit` bytes of it.

    Of a refusal only the beginning is needed, at most `BODY_LIMIT`, and as much of it as can be
    decompressed: its status is known. Raises `TooLarge` for a successful answer that has more,
    `requests.RequestException`.
    """
    if not response.ok:
        limit = min(limit, BODY_LIMIT)
    body = bytearray()
    raw = pieces(response)
    is_zipped = response.headers.get("Content-Encoding", "").lower() == "gzip"
    try:
        for piece in _unzipped(raw) if is_zipped else raw:
            body += piece
            if len(body) > limit:
                if response.ok:
                    raise TooLarge(f"it has more than {limit} bytes", response=response)
                break
    except requests.exceptions.ContentDecodingError:
        if response.ok:
            raise
    # Not a slice of it, which would be one more copy of a large page.
    del body[limit:]
    return bytes(body)


def pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield the pieces of the body as they arrive.

    Waiting for a full piece, or for enough data to decompress, would allow a slow server to
    block us, so content encodings are not decoded. Raises `requests.RequestException`.
    """
    watch = current_watch()
    try:
        while piece := response.raw.read1(_PIECE, decode_content=False):
            yield piece
            # A session without our adapter has connections that no watch can shut down.
            if watch is not None and watch.is_over:
                break
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(str(error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(str(error)) from error


def _unzipped(zipped: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip (RFC 1952), never much at once; data after its end is not waited for."""
    unzip = zlib.decompressobj(wbits=31)
    taken = given = 0
    try:
        for piece in zipped:
            taken += len(piece)
            left = piece
            while left and not unzip.eof:
                unzipped = unzip.decompress(left, _PIECE)
                given += len(unzipped)
                yield unzipped
                left = unzip.unconsumed_tail
            if unzip.eof:
                return
            _refuse_idling(taken, given)
    except zlib.error as error:
        raise requests.exceptions.ContentDecodingError(str(error)) from error


def _refuse_idling(taken: int, given: int) -> None:
    """Refuse input that produces no output: an endless header, empty blocks."""
    if taken - given > BODY_LIMIT:
        raise requests.exceptions.ContentDecodingError("it decompresses to nothing")


def answer_of(response: requests.Response, body: bytes) -> Answer:
    """Return a library's response as an `Answer` with the part of the body that was read."""
    return Answer(
        url=response.url or "",
        status=response.status_code,
        reason=response.reason or "",
        content_type=response.headers.get("Content-Type", ""),
        body=body,
        retry_after=_seconds(response.headers.get("Retry-After")),
        location=response.headers.get("Location"),
    )


def _seconds(retry_after: str | None) -> float | None:
    """Read `Retry-After` (RFC 9110, 10.2.3): seconds, or a date."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text[:6]), _LONGEST_WAIT)
    try:
        wait = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT)
