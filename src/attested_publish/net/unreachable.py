"""Why a request got no answer, and whether the same request may get one later."""

from __future__ import annotations

import requests
import urllib3

from attested_publish.net.connections import TooSlow
from attested_publish.net.http import LedAstray, TooLarge, Unreadable
from attested_publish.net.routes import NoRoute

_FINAL = (
    requests.exceptions.SSLError,
    requests.exceptions.InvalidURL,
    LedAstray,
    NoRoute,
    TooLarge,
    Unreadable,
)
"""Errors for which a retry is pointless."""


def may_pass(error: requests.RequestException) -> bool:
    """Whether the same request may get an answer later."""
    return not isinstance(error, _FINAL)


def never_sent(error: requests.RequestException) -> bool:
    """Whether a request certainly did not reach the server: there was no connection."""
    if isinstance(
        error,
        requests.ConnectTimeout
        | requests.exceptions.ProxyError
        | requests.exceptions.SSLError
        | requests.exceptions.InvalidURL,
    ):
        return True
    # requests has one class for this and for lost connections; urllib3 has two.
    wrapped = error.args[0] if error.args else None
    reason = getattr(wrapped, "reason", wrapped)
    return isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    )


_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (requests.exceptions.SSLError, "its certificate was not accepted"),
    (Unreadable, "the headers of its answer never end"),
    (TooSlow, "its answer did not arrive in time"),
    (requests.TooManyRedirects, "it redirects endlessly"),
    (requests.Timeout, "it did not answer in time"),
    (requests.exceptions.JSONDecodeError, "its answer is not JSON"),
    (
        requests.exceptions.ChunkedEncodingError,
        "the connection was lost in the middle of the answer",
    ),
    (requests.exceptions.ProxyError, "the proxy refused or could not be reached"),
)
"""The meaning of kinds of errors; the first match counts."""

_SIGNS = {
    "too many open files": "this machine does not allow more open files (ulimit -n)",
    "timed out": "it did not answer in time",
    "nameresolution": "its host name could not be resolved",
    "getaddrinfo": "its host name could not be resolved",
    "refused": "the connection was refused",
    "remotedisconnected": "the connection was closed without an answer",
    "reset": "the connection was closed without an answer",
    "aborted": "the connection was closed without an answer",
}
"""The meaning of words in errors that the libraries wrap; the first match counts."""


def why_unreachable(error: BaseException) -> str:
    """Return the cause of a failed request, without the wrapping of the libraries."""
    match error:
        case LedAstray():
            return f"it redirects to {error}"
        case NoRoute():
            return str(error)
        case TooLarge():
            return f"its answer is too large: {error}"
        case _:
            return _cause_in_words(error)


def _cause_in_words(error: BaseException) -> str:
    for kind, meaning in _CAUSES:
        if isinstance(error, kind):
            return meaning
    text = repr(error).lower()
    for sign, meaning in _SIGNS.items():
        if sign in text:
            return meaning
    return f"the connection failed ({type(error).__name__})"
