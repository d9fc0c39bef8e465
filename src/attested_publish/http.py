"""HTTP as this project speaks it: always with time limits, never more read than expected."""

from __future__ import annotations

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

from attested_publish import __version__, secrecy
from attested_publish.foreign import sentence, shown
from attested_publish.secrecy import without_credentials

CONNECT_SECONDS = 15.0
BODY_LIMIT = 16 << 20
"""Bytes of an answer that are read; project pages of large projects have a few MiB."""

ANSWER_SECONDS = 300.0
"""How long an answer may take to come in: one that trickles is not waited for."""

_LONGEST_WAIT = 3600.0
_PIECE = 1 << 16

_log = logging.getLogger(__name__)
"""Every request, at level DEBUG: what `verbose` shows."""


class TooSlow(requests.ReadTimeout):
    """An answer was still coming in when its time was over."""


class NoLongerEncrypted(requests.RequestException):
    """An https address sends on to an http one, where anybody on the way could answer."""


class PatientAdapter(HTTPAdapter):
    """Gives every request time limits, also those of libraries that set none."""

    def __init__(self, *, read: float, pool: int = 32) -> None:
        self._limits = (min(CONNECT_SECONDS, read), read)
        super().__init__(pool_maxsize=pool)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - requests' own signature
        """Send `request`, with our time limits where the caller gave none."""
        if options.get("timeout") is None:
            options["timeout"] = self._limits
        started = time.monotonic()
        outcome = "no answer"
        try:
            response = super().send(request, **options)
            outcome = str(response.status_code)
        finally:
            log_request(request.method or "", request.url or "", outcome, started)
        return response


def log_request(method: str, url: str, outcome: str, started: float) -> None:
    """Log a request that was begun at `started` (monotonic): nothing of it that could be secret.

    Headers and bodies hold tokens, queries may, and so may the part of an address
    before its host.
    """
    parts = urlsplit(url)
    address = shown(without_credentials(f"{parts.scheme}://{parts.netloc}") + parts.path, 200)
    _log.debug("%s %s: %s, %.2f s", method, address, outcome, time.monotonic() - started)


def new_session(*, read: float = 60.0) -> requests.Session:
    """Return a session that identifies itself, has time limits, and keeps connections.

    `read` is the longest silence of the other side in seconds.
    """
    session = _Session()
    session.headers["User-Agent"] = f"attested-publish/{__version__}"
    limit_time(session, read=read)
    return session


class _Session(requests.Session):
    """Lets itself be sent on from a GET only, and never from https to http."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """See `requests`; what a redirect says besides is not read, which may be endless."""
        if resp.request.method != "GET":
            return None
        try:
            target = super().get_redirect_target(resp)
            # It may be told relative to where it was.
            scheme = urlsplit(urljoin(resp.url, target or "")).scheme
        except ValueError as error:
            raise requests.exceptions.InvalidURL(str(error)) from error
        if target is None:
            return None
        resp.close()
        if urlsplit(resp.url).scheme == "https" and scheme != "https":
            raise NoLongerEncrypted(f"{resp.url} sends on to {scheme}", response=resp)
        return target


def limit_time(session: requests.Session, *, read: float) -> None:
    """Give a library's own session time limits: `read` seconds of silence, less to connect."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, PatientAdapter(read=read))


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
        """Return the body as a JSON object; `None` where it is none."""
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
    seconds: float = ANSWER_SECONDS,
) -> Answer:
    """Send a request and read the answer, `limit` bytes of it at most, within `seconds`.

    A redirect of a POST is answered as it is: following one would carry what was sent
    to another address. Raises `requests.RequestException`.
    """
    response = session.request(
        method,
        url,
        json=payload,
        headers={**headers, "Accept-Encoding": "gzip"},
        stream=True,
        allow_redirects=method == "GET",
    )
    with response:
        body = bytearray()
        raw = pieces(response, seconds)
        is_zipped = response.headers.get("Content-Encoding", "").lower() == "gzip"
        for piece in _unzipped(raw) if is_zipped else raw:
            body += piece
            if len(body) >= limit:
                break
    return answer_of(response, bytes(body[:limit]))


def pieces(response: requests.Response, seconds: float) -> Iterator[bytes]:
    """Yield what is answered, each piece as it comes, for `seconds` at most.

    Waiting for a full piece, or for enough of it to decompress, a slow server would outlast the
    time: what was compressed on the way stays so. Raises `TooSlow`, `requests.RequestException`.
    """
    until = time.monotonic() + seconds
    try:
        while piece := response.raw.read1(_PIECE, decode_content=False):
            yield piece
            if time.monotonic() > until:
                raise TooSlow(f"not all of it came within {seconds:.0f} s")
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(str(error)) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(str(error)) from error


def _unzipped(zipped: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip (RFC 1952), never much at once."""
    unzip = zlib.decompressobj(wbits=31)
    try:
        for piece in zipped:
            left = piece
            while left:
                yield unzip.decompress(left, _PIECE)
                left = unzip.unconsumed_tail
    except zlib.error as error:
        raise requests.exceptions.ContentDecodingError(str(error)) from error


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
