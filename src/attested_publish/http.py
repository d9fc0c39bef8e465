"""HTTP as this project speaks it: always with time limits, never more read than expected."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter

from attested_publish import __version__

CONNECT_SECONDS = 15.0
READ_SECONDS = 60.0
BODY_LIMIT = 16 << 20
"""Bytes of an answer that are read; project pages of large projects have a few MiB."""


class PatientAdapter(HTTPAdapter):
    """Gives every request time limits, also those of libraries that set none."""

    def __init__(
        self, *, connect: float = CONNECT_SECONDS, read: float = READ_SECONDS, pool: int = 32
    ) -> None:
        self._limits = (connect, read)
        super().__init__(pool_maxsize=pool)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - requests' own signature
        """Send `request`, with our time limits where the caller gave none."""
        if options.get("timeout") is None:
            options["timeout"] = self._limits
        return super().send(request, **options)


def new_session() -> requests.Session:
    """Return a session that identifies itself, has time limits, and keeps connections."""
    session = requests.Session()
    session.headers["User-Agent"] = f"attested-publish/{__version__}"
    limit_time(session)
    return session


def limit_time(session: requests.Session, *, read: float = READ_SECONDS) -> None:
    """Give a library's own session time limits (connect 15 s, `read` seconds by default)."""
    for scheme in ("https://", "http://"):
        session.mount(scheme, PatientAdapter(read=read))


def bounded_body(response: requests.Response, limit: int = BODY_LIMIT) -> bytes:
    """Return an answer's body, `limit` bytes at most; what is beyond is not read.

    `response` was requested with `stream=True`; it is closed afterwards.
    """
    with response:
        body = bytearray()
        for chunk in response.iter_content(1 << 16):
            body += chunk
            if len(body) >= limit:
                break
        return bytes(body[:limit])
