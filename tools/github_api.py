"""GitHub's REST API for this repository, with the token of the job, as the release uses it."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any, Final

_SECONDS: Final = 30
_LONGEST_ANSWER: Final = 10 * 2**20
_LONGEST_REFUSAL: Final = 64 * 2**10
_SAID: Final = 300
"""Characters of what GitHub says of a refusal: what matters is in the first sentence."""

_AGAIN: Final = "Start the job again."


class GitHubError(Exception):
    """GitHub refused a request or did not answer it; the text is a line of whole sentences."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is a refusal: urllib would take the token along, to any host."""

    def redirect_request(self, *_: object) -> None:
        return None


class Repository:
    """The repository of the job; every path is below its own."""

    def __init__(self) -> None:
        self.name: Final = os.environ["GITHUB_REPOSITORY"]
        self._address: Final = f"{os.environ['GITHUB_API_URL']}/repos/{self.name}"
        self._token: Final = os.environ["GH_TOKEN"]
        self._opener: Final = urllib.request.build_opener(_NoRedirects)

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON, whose shape each caller knows
        """Return the JSON object that GitHub answers. Raises `GitHubError`."""
        return self._ask("GET", path, None)

    def find(self, path: str) -> Any | None:  # noqa: ANN401 - as above
        """Return the JSON object that GitHub answers, or None if there is no such thing."""
        try:
            return self.get(path)
        except GitHubError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def post(self, path: str, body: dict[str, object]) -> Any:  # noqa: ANN401 - as above
        """Make something, and return the JSON object that GitHub answers. Raises `GitHubError`."""
        return self._ask("POST", path, body)

    def _ask(self, method: str, path: str, body: dict[str, object] | None) -> Any:  # noqa: ANN401
        request = urllib.request.Request(
            f"{self._address}/{path}".rstrip("/"),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        what = f"{method} {path or self.name}"
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                found = json.loads(answer.read(_LONGEST_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(what, error) from error
        except (OSError, http.client.HTTPException) as error:
            why = error.reason if isinstance(error, urllib.error.URLError) else error
            raise GitHubError(f"GitHub did not answer {what}: {_line(why)}. {_AGAIN}") from error
        except ValueError as error:
            raise GitHubError(f"GitHub's answer to {what} is not JSON. {_AGAIN}") from error
        if not isinstance(found, dict):
            raise GitHubError(f"GitHub's answer to {what} is not a JSON object.")
        return found


def _refusal(what: str, error: urllib.error.HTTPError) -> GitHubError:
    try:
        text = error.read(_LONGEST_REFUSAL)
    except (OSError, http.client.HTTPException):
        text = b""
    why = _line(_said(text) or error.reason)
    sentence = f"GitHub refused {what} with status {error.code}: {why}."
    if until := _limited_until(error):
        sentence += f" Its rate limit is used up: start the job again {until}."
    elif error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        sentence += f" {_AGAIN}"
    return GitHubError(sentence, error.code)


def _said(text: bytes) -> str:
    """Return what an error's JSON says; empty if it is none, such as a page for people."""
    try:
        answer = json.loads(text)
        parts = [
            answer["message"],
            *(
                each if isinstance(each, str) else each.get("message") or each.get("code")
                for each in answer.get("errors") or ()
            ),
        ]
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return ""
    return ": ".join(str(part).rstrip(".") for part in parts if part)


def _line(text: object) -> str:
    """Return a text as one short line without control characters."""
    line = "".join(each if each.isprintable() else "?" for each in " ".join(str(text).split()))
    return f"{line[:_SAID]}…" if len(line) > _SAID else line.rstrip(".")


def _limited_until(error: urllib.error.HTTPError) -> str:
    """Return when a used-up rate limit ends, as part of a sentence; empty if it is not that."""
    if error.code not in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
        return ""
    try:
        if "Retry-After" in error.headers:
            return f"in {int(error.headers['Retry-After'])} seconds"
        if error.headers.get("X-RateLimit-Remaining") == "0":
            end = dt.datetime.fromtimestamp(int(error.headers["X-RateLimit-Reset"]), dt.UTC)
            return f"after {end:%Y-%m-%d %H:%M} UTC"
    except (OSError, OverflowError, TypeError, ValueError):
        pass
    return "later" if error.code == HTTPStatus.TOO_MANY_REQUESTS else ""
