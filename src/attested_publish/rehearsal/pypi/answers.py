"""The form of the embedded PyPI's answers: pages, errors, and the headers of every answer.

They are those of PyPI's server (warehouse: `cache/http.py`, `utils/compression.py`,
`referrer_policy.py`, `utils/cors.py`, `views.py`) and, for a request that it fails at, of the
gunicorn in which it runs.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING

from werkzeug.http import HTTP_STATUS_CODES
from werkzeug.wrappers import Response

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Headers": (
        "Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since"
    ),
    "Access-Control-Allow-Methods": "GET",
    "Access-Control-Max-Age": "86400",
    "Access-Control-Expose-Headers": "X-PyPI-Last-Serial",
}
"""The headers with which pages on other sites may read an answer."""

SERIAL = "X-PyPI-Last-Serial"

_JSON_API = re.compile(r"/pypi/[^/]+(?:/[^/]+)?/json/?")
_FAILED = """\
<html>
  <head>
    <title>Internal Server Error</title>
  </head>
  <body>
    <h1><p>Internal Server Error</p></h1>

  </body>
</html>
"""


class ServerFailed(Exception):
    """PyPI's server does not handle what happens here, and answers status 500."""


def json_answer(
    document: object,
    content_type: str = "application/json",
    status: int = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> Response:
    """Answer with JSON as PyPI writes it: sorted and without blanks."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return Response(text, status, content_type=content_type, headers=headers)


def page(title: str, text: str, status: int = HTTPStatus.OK) -> Response:
    """Answer with a small HTML page."""
    return Response(
        f"<html>\n <head>\n  <title>{escape(title)}</title>\n </head>\n <body>\n"
        f"  <h1>{escape(title)}</h1>\n  {escape(text)}\n </body>\n</html>",
        status,
        mimetype="text/html",
    )


def not_found(path: str) -> Response:
    """Answer that nothing is at `path`, in the form that PyPI has for such an address."""
    if path.startswith("/simple/"):
        return Response("404 Not Found", HTTPStatus.NOT_FOUND, mimetype="text/plain")
    if _JSON_API.fullmatch(path):
        return json_answer({"message": "Not Found"}, status=HTTPStatus.NOT_FOUND)
    return page("404 Not Found", "There is nothing at this address.", HTTPStatus.NOT_FOUND)


def not_allowed(methods: frozenset[str]) -> Response:
    """Answer that only these methods are allowed."""
    answer = page(
        "405 Method Not Allowed",
        "The method is not allowed for this address.",
        HTTPStatus.METHOD_NOT_ALLOWED,
    )
    answer.headers["Allow"] = ", ".join(sorted(methods))
    return answer


def server_failed() -> Response:
    """Answer as gunicorn does for an exception that the server does not handle."""
    return Response(_FAILED, "500 Internal Server Error", content_type="text/html")


def finish(request: Request, answer: Response) -> Response:
    """Complete an answer of PyPI's server: reason phrase, headers, compression, `ETag`.

    A request for what the client has already (`If-None-Match`) is answered 304.
    """
    _use_standard_phrase(answer)
    answer.headers["Referrer-Policy"] = "origin-when-cross-origin"
    _compress(request, answer)
    if answer.status_code == HTTPStatus.OK and request.method in {"GET", "HEAD"}:
        digest = hashlib.md5(answer.get_data(), usedforsecurity=False).digest()
        answer.set_etag(base64.b64encode(digest).decode().rstrip("="))
        answer.make_conditional(request)
        _use_standard_phrase(answer)
    return answer


def _use_standard_phrase(answer: Response) -> None:
    """Undo the upper case in which Werkzeug writes reason phrases."""
    phrase = HTTP_STATUS_CODES.get(answer.status_code, "")
    if answer.status == f"{answer.status_code} {phrase.upper()}":
        answer.status = f"{answer.status_code} {phrase}"


def _compress(request: Request, answer: Response) -> None:
    """Use gzip where the client prefers it and the answer becomes smaller."""
    answer.vary.add("Accept-Encoding")
    accepted = request.accept_encodings
    if accepted.quality("gzip") <= accepted.quality("identity"):
        return
    body = answer.get_data()
    # Without a time, equal pages have equal tags.
    compressed = gzip.compress(body, mtime=0)
    if len(compressed) <= len(body):
        answer.set_data(compressed)
        answer.headers["Content-Encoding"] = "gzip"
