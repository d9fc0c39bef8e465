"""A person who signs in with a browser: Sigstore's own issuer (OAuth 2.0, RFC 6749 and 7636).

There is no interaction: the only person always agrees.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from werkzeug.utils import redirect

from attested_publish.rehearsal.serving import Refused, json_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Request, Response

ISSUER = "https://oauth2.sigstore.dev/auth"
EMAIL = "octocat@example.org"
CLAIMS: dict[str, Any] = {
    "sub": "octocat",
    "email": EMAIL,
    "email_verified": True,
    "federated_claims": {"connector_id": "https://github.com/login/oauth", "user_id": "1"},
}


class SignIn:
    """Issues a code for a consent, and a token for a code, each once.

    `issue` creates the token for an audience. Threads may share it.
    """

    def __init__(self, issue: Callable[[str], str]) -> None:
        self._issue = issue
        self._challenges: dict[str, str] = {}
        self._lock = threading.Lock()

    def agree(self, request: Request) -> Response:
        """Answer the browser: redirect it to the client, with a code."""
        back = request.args.get("redirect_uri", "")
        if not back.startswith("http://localhost:") or "code_challenge" not in request.args:
            raise Refused(400, "The request has no redirect address on this machine.")
        code = secrets.token_urlsafe(16)
        with self._lock:
            self._challenges[code] = request.args["code_challenge"]
        answer = {"code": code, "state": request.args.get("state", "")}
        return redirect(f"{back}?{urlencode(answer)}")

    def token(self, request: Request) -> Response:
        """Answer the client: issue a token for the code that it got from the browser."""
        with self._lock:
            challenge = self._challenges.pop(request.form.get("code", ""), None)
        digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
        verifier = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if challenge is None or challenge.rstrip("=") != verifier:
            raise Refused(400, "There is no such code, or it belongs to another client.")
        token = self._issue("sigstore")
        return json_response({"access_token": token, "id_token": token, "token_type": "Bearer"})
