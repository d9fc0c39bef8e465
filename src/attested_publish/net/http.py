"""HTTP as this project speaks it: always with time limits, never more read than expected."""

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
from typing import Any
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
from attested_publish.net.untrusted import sentence, shown

CONNECT_SECONDS = 15.0
BODY_LIMIT = 1 << 20
"""Bytes of an answer that are read, after decompression. Only project pages may be larger."""

SLOWEST_UPLOAD = 32 * 1024
"""Bytes a second: a request that sends a file has that much more time."""

ANSWER_SECONDS = 60.0
"""How long a request may take, where nothing else is said."""

_LONGEST_WAIT = 3600.0
_PIECE = 1 << 16

_log = logging.getLogger(__name__)
"""Every request, at level DEBUG: what `verbose` shows."""


class LedAstray(requests.RequestException):
    """An address sends on to one that it must not lead to; the text says which and why."""


class TooLarge(requests.RequestException):
    """A successful answer is larger than what is read of one."""


class Unreadable(requests.RequestException):
    """What came is not an HTTP answer within bounds."""


@dataclass(frozen=True)
class Bounds:
    """What one request may take.

    `silence` is the longest that the other side may be silent, `total` how long all of it may
    take (redirects and the answer's body included; sending a file gets `SLOWEST_UPLOAD` on
    top), both in seconds.
    """

    silence: float
    total: float

    def seconds_for(self, request: requests.PreparedRequest) -> float:
        """Return how long a request may take in all, with the body that it sends."""
        length = request.headers.get("Content-Length", "0")
        return self.total + (int(length) / SLOWEST_UPLOAD if length.isdecimal() else 0.0)


class BoundedAdapter(HTTPAdapter):
    """Sends requests within bounds, also those of libraries that set none.

    Unless the caller reads a `stream` within a watch of its own, the answer has been read when
    `send` returns, `BODY_LIMIT` bytes of it at most. With `guards_redirects` it raises
    `LedAstray` for one that must not be followed.
    """

    def __init__(self, bounds: Bounds, *, guards_redirects: bool = False, pool: int = 32) -> None:
        self.bounds = bounds
        self._guards_redirects = guards_redirects
        super().__init__(pool_maxsize=pool)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        """See `requests`; connections are of our kind."""
        super().init_poolmanager(*arguments, **options)
        manage(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> urllib3.ProxyManager:  # noqa: ANN401
        """See `requests`; connections are of our kind."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(proxy, **options)
        manage(manager)
        return manager

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - requests' own signature
        """Send `request`. Raises `requests.RequestException`."""
        if options.get("timeout") is None:
            silence = self.bounds.silence
            options["timeout"] = (min(CONNECT_SECONDS, silence), silence)
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
            # The one kind that is decompressed within bounds.
            request.headers["Accept-Encoding"] = "gzip"
        try:
            response = super().send(request, **options)
        except requests.ConnectionError as error:
            if _is_out_of_bounds(error):
                raise Unreadable("the head of the answer has no end", request=request) from error
            raise
        if self._guards_redirects and response.is_redirect:
            refuse_redirect(response, response.headers["Location"])
        if not options.get("stream"):
            with response:
                body = body_of(response)
            response.raw = _already_read(response, body)
        return response


def _is_out_of_bounds(error: BaseException) -> bool:
    """Find the end of an endless head behind the errors of urllib3 and requests."""
    links: list[object] = [error]
    for link in links:
        if isinstance(link, EndlessHead):
            return True
        if isinstance(link, BaseException):
            links.extend(link.args)
    return False


def _already_read(response: requests.Response, body: bytes) -> urllib3.HTTPResponse:
    """Return what takes the place of a connection that a library would read from."""
    headers = urllib3.HTTPHeaderDict(response.raw.headers)
    # The body is decompressed, and may be cut.
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
    """Log a request that was begun at `started` (monotonic): nothing of it that could be secret.

    Headers and bodies hold tokens, queries may, and so may the part of an address
    before its host.
    """
    parts = urlsplit(url)
    address = shown(without_credentials(f"{parts.scheme}://{parts.netloc}") + parts.path, 200)
    _log.debug("%s %s: %s, %.2f s", method, address, outcome, time.monotonic() - started)


def new_session(*, read: float = ANSWER_SECONDS) -> requests.Session:
    """Return a session that identifies itself, has time limits, and keeps connections.

    `read` is how long a request may take in all, in seconds.
    """
    session = _Session()
    session.headers["User-Agent"] = f"attested-publish/{__version__}"
    bound(session, Bounds(silence=read, total=read))
    return session


class _Session(requests.Session):
    """Lets itself be sent on from a GET only, and never to where an address must not lead."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """See `requests`; what a redirect says besides is not read, which may be endless."""
        if resp.request.method != "GET":
            return None
        target = super().get_redirect_target(resp)
        if target is None:
            return None
        resp.close()
        refuse_redirect(resp, target)
        return target


def refuse_redirect(response: requests.Response, target: str) -> None:
    """Raise `LedAstray` for a redirect that must not be followed, `InvalidURL` for none at all."""
    try:
        # It may be told relative to where it was.
        refuse_step(response.url, urljoin(response.url, target))
    except BadAddress as error:
        raise LedAstray(f"{shown(target, 200)}, but {error}", response=response) from error
    except ValueError as error:
        raise requests.exceptions.InvalidURL(str(error)) from error


def bound(session: requests.Session, bounds: Bounds, *, guards_redirects: bool = False) -> None:
    """Keep a session within bounds, be it ours or a library's.

    One that follows redirects by itself needs `guards_redirects`.
    The adapter knows the proxies and certificates of the environment, so that the session need
    not read it: it would find `~/.netrc` there, too.
    """
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, BoundedAdapter(bounds, guards_redirects=guards_redirects))


@dataclass(frozen=True)
class Answer:
    """What an HTTP request was answered, as much of it as was read."""

    url: str
    status: int
    reason: str
    content_type: str
    body: bytes
    retry_after: float | None = None
    location: str | None = None

    @property
    def is_success(self) -> bool:
        """Say whether the request was carried out; some indexes answer an upload 201."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def may_pass(self) -> bool:
        """Say whether the same request may succeed later: overload, or a server out of order."""
        return (
            self.status == HTTPStatus.TOO_MANY_REQUESTS
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )

    @property
    def is_broken_off(self) -> bool:
        """Say whether the answer claims to be JSON, but is none."""
        return "json" in self.content_type.lower() and self.json_object() is None

    def json_object(self) -> dict[str, Any] | None:
        """Return the body as a JSON object; `None` where it is none, or too large to be parsed."""
        if len(self.body) > BODY_LIMIT:
            return None
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None

    def told(self, secrets: Iterable[str] = ()) -> str:
        """Return what the answer says as a printable sentence, without `secrets` it may echo."""
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
) -> Answer:
    """Send a request and read the answer, `limit` bytes of it at most, within `seconds`.

    Without `seconds`, it is the session's own bound. A redirect of a POST is answered as it
    is: following one would carry what was sent to another address. Raises
    `requests.RequestException`; `TooLarge` where a success does not end within the limit.
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
            allow_redirects=method == "GET",
        ) as response,
    ):
        return answer_of(response, body_of(response, limit))


def body_of(response: requests.Response, limit: int = BODY_LIMIT) -> bytes:
    """Read what is answered, decompressed, and no more than `limit` bytes of it.

    Of a refusal the beginning is enough, `BODY_LIMIT` at most. Raises `TooLarge` for a success
    that has more, `requests.RequestException`.
    """
    if not response.ok:
        limit = min(limit, BODY_LIMIT)
    body = bytearray()
    raw = pieces(response)
    is_zipped = response.headers.get("Content-Encoding", "").lower() == "gzip"
    for piece in _unzipped(raw) if is_zipped else raw:
        body += piece
        if len(body) > limit:
            if response.ok:
                raise TooLarge(f"it has more than {limit} bytes", response=response)
            break
    return bytes(body[:limit])


def pieces(response: requests.Response) -> Iterator[bytes]:
    """Yield what is answered, each piece as it comes.

    Waiting for a full piece, or for enough of it to decompress, a slow server would keep us:
    what was compressed on the way stays so. Raises `requests.RequestException`.
    """
    watch = current_watch()
    try:
        while piece := response.raw.read1(_PIECE, decode_content=False):
            yield piece
            # A session that is not bound has connections that no watch can shut down.
            if watch is not None and watch.is_over:
                break
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(str(error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(str(error)) from error


def _unzipped(zipped: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip (RFC 1952), never much at once; what follows its end is not waited for."""
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
    """Refuse what is taken without anything being given: a header without end, empty blocks."""
    if taken - given > BODY_LIMIT:
        raise requests.exceptions.ContentDecodingError("it does not unpack to anything")


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
