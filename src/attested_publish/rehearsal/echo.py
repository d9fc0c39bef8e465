"""An answer that repeats the credentials of a request, as careless servers do."""

from __future__ import annotations

import base64
import binascii
import html
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment

_LONGEST_BODY = 1 << 20
_CUT = 40
"""Characters of a credential in a shortened quotation."""


def echo(environ: WSGIEnvironment, status: int) -> Response:
    """Answer with this status, and with the request's credentials in every part of the answer.

    They are in the reason phrase, in headers and in the body, in the forms of `_forms`.
    """
    request = Request(environ)
    given = list(dict.fromkeys(each for each in _credentials(request) if each))
    forms = [form for each in given for form in _forms(each)]
    reason = " ".join(("Cannot take", *(form for form in forms if form.isascii())))
    if "html" in request.headers.get("Accept", ""):
        body, kind = f"<p>{html.escape(' '.join(forms))}</p>", "text/html"
    else:
        body, kind = json.dumps({"message": f"Cannot take {' '.join(forms)}"}), "application/json"
    response = Response(body, f"{status} {reason}", mimetype=kind)
    if given:
        response.headers["X-Echo"] = quote(given[0])
        response.headers["Location"] = f"/{quote(given[0], safe='')}"
    return response


def _credentials(request: Request) -> Iterator[str]:
    """Yield the secrets in a request: in its `Authorization` header, and in a JSON body."""
    header = request.headers.get("Authorization", "")
    scheme, _, credentials = header.partition(" ")
    yield header
    yield credentials
    if scheme.lower() == "basic":
        try:
            user_and_password = base64.b64decode(credentials).decode()
        except (binascii.Error, UnicodeDecodeError):
            user_and_password = ""
        yield user_and_password.partition(":")[2]
    if "json" in request.content_type.lower() if request.content_type else False:
        request.max_content_length = _LONGEST_BODY
        yield from _tokens(json.loads(request.get_data()))


def _tokens(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield the values of a JSON body that are named as tokens."""
    if isinstance(value, dict):
        for name, each in value.items():
            if isinstance(each, str) and "token" in name.lower():
                yield each
            else:
                yield from _tokens(each)


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a secret may come back: raw, truncated, and encoded."""
    yield secret
    yield secret[:_CUT]
    yield base64.b64encode(secret.encode()).decode()
    yield base64.b64encode(f"__token__:{secret}".encode()).decode()
    yield base64.urlsafe_b64encode(f"?{secret}".encode()).decode()
    yield "".join(f"%{byte:02x}" for byte in secret.encode())
    yield "".join(f"\\u{ord(char):04x}" for char in secret)
