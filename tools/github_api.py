"""GitHub's REST API for this repository, with the token of the job, as the release uses it."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any, Final

_SECONDS: Final = 30
_LONGEST_ANSWER: Final = 10 * 2**20
_NOT_FOUND: Final = 404


class Refused(Exception):
    """GitHub refused a request: the status, and what it said."""

    def __init__(self, request: str, status: int, text: str) -> None:
        super().__init__(f"{request}: {status}: {text}")
        self.status = status


class Repository:
    """The repository of the job; every path is below its own."""

    def __init__(self) -> None:
        self.name: Final = os.environ["GITHUB_REPOSITORY"]
        self._address: Final = f"{os.environ['GITHUB_API_URL']}/repos/{self.name}"
        self._token: Final = os.environ["GH_TOKEN"]

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON, whose shape each caller knows
        """Return what GitHub answers, parsed. Raises `Refused` or `OSError`."""
        return self._ask("GET", path, None)

    def find(self, path: str) -> Any | None:  # noqa: ANN401 - as above
        """Return what GitHub answers, or None if there is no such thing."""
        try:
            return self.get(path)
        except Refused as refused:
            if refused.status == _NOT_FOUND:
                return None
            raise

    def post(self, path: str, body: dict[str, object]) -> Any:  # noqa: ANN401 - as above
        """Make something, and return what GitHub answers. Raises `Refused` or `OSError`."""
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
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                return json.loads(answer.read(_LONGEST_ANSWER))
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(2000).decode("utf-8", "replace")
            raise Refused(f"{method} {path}", error.code, text) from error
