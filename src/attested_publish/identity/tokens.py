"""The job's ambient OIDC identity tokens, and the identities in their claims."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import id as oidc
import requests
import urllib3

from attested_publish.identity import circleci, github, gitlab, google
from attested_publish.identity.audiences import RESERVED_AUDIENCES
from attested_publish.identity.other import OtherIdentity
from attested_publish.net.addresses import BadAddress, checked, is_loopback
from attested_publish.net.figures import seconds
from attested_publish.net.http import ask, new_session
from attested_publish.net.parallel import meanwhile
from attested_publish.net.retry import Tell, persistently
from attested_publish.net.unreachable import why_unreachable
from attested_publish.net.untrusted import shown
from attested_publish.problems import IdentityProblem, NoIdentity, Topic, counted

if TYPE_CHECKING:
    from attested_publish.identity.publishers import Identity
    from attested_publish.net.patience import Patience

Ambient = Callable[[str], str]
"""Returns an identity token (a JWT) for an audience, or raises `IdentityProblem`."""

_KNOWN: Mapping[str, Callable[[Mapping[str, Any]], Identity]] = {
    github.ISSUER: github.GitHubIdentity.of,
    gitlab.ISSUER: gitlab.GitLabIdentity.of,
    google.ISSUER: google.GoogleIdentity.of,
    circleci.ISSUER: circleci.CircleCIIdentity.of,
}

# How `id` reports a status that a retry does not change: 4xx other than 408 and 429.
_REFUSED = re.compile(r"code=4(?!08|29)\d\d")
_MAY_PASS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
_NOT_IN_A_NAME = re.compile(r"[^A-Z0-9_]|^[0-9]")
_IDENTITY_TOKEN_LIMIT = 32 << 10
"""Characters; GitHub's have about 2,000. Masking a token takes a kilobyte for each of them."""

_FRESH_SECONDS = 60.0
_LEEWAY_SECONDS = 5.0
"""By which sigstore lets clocks differ, too."""

_PROVIDER_SECONDS = 30.0
_LOOKUP_SECONDS = 2.0
_PROGRAM_SECONDS = 30.0
_HERE = {
    "GITHUB_ACTIONS": "ACTIONS_ID_TOKEN_REQUEST_URL",
    "GITLAB_CI": "CI_SERVER_URL",
    "CIRCLECI": "CIRCLE_BUILD_URL",
}
"""How a job is recognized, and the variable with the address of its provider."""

_RUN_AGAIN = "The problem is between the runner and its identity provider: run the job again."


class AmbientIdentity:
    """The job's identity tokens by audience, kept while they are fresh.

    `mask` is called with every token before it is used, `tell` with every wait. `is_local`
    says whether the provider is on this machine; with `None`, the job's variables decide.
    Threads may share it.
    """

    def __init__(
        self,
        source: Ambient,
        patience: Patience,
        mask: Callable[[str], None],
        tell: Tell,
        *,
        is_local: bool | None = None,
    ) -> None:
        self._source = source
        self._is_local = is_local
        self._patience = patience
        self._mask = mask
        self._tell = tell
        self._kept: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def is_local(self) -> bool:
        """Whether the provider is on loopback, so that its tokens are valid nowhere else.

        The issuer in a token does not decide: a simulated job claims to be a real one.
        """
        return is_provider_local(os.environ) if self._is_local is None else self._is_local

    def token(self, audience: str) -> str:
        """Return a token for `audience` that is valid for another minute, if any is."""
        with self._lock:
            kept = self._kept.get(audience)
            if kept is None or expires_at(kept) - time.time() < _FRESH_SECONDS:
                kept = self._kept[audience] = self.fresh_token(audience)
            return kept

    def fresh_token(self, audience: str) -> str:
        """Return a token that has not been used yet, if the job can get more than one.

        An index accepts each token only once.
        """
        token = persistently(lambda: self._source(audience), self._patience, self._tell)
        if len(token) > _IDENTITY_TOKEN_LIMIT:
            raise no_token(audience, f"its token has {len(token):,} characters", may_pass=False)
        self._mask(token)
        return token


def is_provider_local(environment: Mapping[str, str]) -> bool:
    """Whether a job's identity provider is on loopback, according to its variables.

    GitLab's jobs have the tokens themselves in variables: a token from an issuer on loopback is
    not valid anywhere else.
    """
    for mark, variable in _HERE.items():
        if environment.get(mark):
            return _is_here(environment.get(variable)) or (
                mark == "GITLAB_CI" and _has_local_tokens(environment)
            )
    return _is_metadata_here()


def _is_metadata_here() -> bool:
    """Whether this machine is the host that issues a Google Cloud machine's tokens."""
    try:
        found = meanwhile(lambda: socket.getaddrinfo(google.METADATA_HOST, 80))(_LOOKUP_SECONDS)
    except (OSError, TimeoutError):
        return False
    return all(is_loopback(str(address[0])) for *_, address in found)


def _has_local_tokens(environment: Mapping[str, str]) -> bool:
    names = (f"{audience.upper()}_ID_TOKEN" for audience in RESERVED_AUDIENCES)
    tokens = [token for name in names if (token := environment.get(name))]
    return bool(tokens) and all(_is_here(_claims(token).get("iss")) for token in tokens)


def _is_here(url: object) -> bool:
    try:
        return isinstance(url, str) and is_loopback(checked(url).hostname or "")
    except BadAddress:
        return False


def detect(audience: str, environment: Mapping[str, str] = os.environ) -> str:
    """Ask the machine the job runs on for an identity token; `environment` has its variables.

    GitHub, GitLab and CircleCI are asked here, within our limits. For all else there is the `id`
    package, which uses the variables of this process. Raises `IdentityProblem` if there is no
    token, with the usual cause.
    """
    if environment.get("GITHUB_ACTIONS"):
        return _from_github(audience, environment)
    # Except on GitHub, the package asks Google's metadata service first, which may be reachable
    # although it is not the identity provider of the job.
    if environment.get("GITLAB_CI"):
        return _from_gitlab(audience, environment)
    if environment.get("CIRCLECI"):
        return _from_circleci(audience, environment)
    try:
        # It uses its own session, and the programs that it starts have no time limit.
        token = meanwhile(lambda: oidc.detect_credential(audience))(_PROGRAM_SECONDS * 2)
    except TimeoutError as error:
        raise no_token(audience, "it did not answer in time") from error
    except (oidc.IdentityError, urllib3.exceptions.HTTPError) as error:
        may_pass = _REFUSED.search(str(error)) is None
        raise no_token(audience, str(error), may_pass=may_pass) from error
    if token is None:
        raise NoIdentity(
            "There is no identity to publish with",
            topic=Topic.NO_IDENTITY,
            detail="No password is given, and this is not a job that can get OIDC identity tokens.",
            remedy="Publish from a GitHub Actions job with `permissions: id-token: write`, or "
            "from a GitLab job with `id_tokens:`, or set an API token as password. "
            "CircleCI jobs and Google Cloud machines have an identity, too. "
            "`attested-publish rehearse` needs none of them.",
        )
    return token


def no_token(
    audience: str, why: str, *, remedy: str = _RUN_AGAIN, may_pass: bool = True
) -> IdentityProblem:
    """Return the problem that the identity provider issued no token."""
    return IdentityProblem(
        "The job's identity token could not be obtained",
        topic=Topic.IDENTITY_SERVICE,
        detail=f"Request for the audience {shown(audience)!r}: {shown(why)}.",
        remedy=remedy,
        may_pass=may_pass,
    )


def understand(token: str) -> Identity:
    """Read the claims of an identity token, without checking its signature, as the index will.

    Raises `IdentityProblem` for a missing claim.
    """
    claims = _claims(token)
    issuer = claims.get("iss")
    read = _KNOWN.get(issuer, OtherIdentity.of) if isinstance(issuer, str) else OtherIdentity.of
    return read(claims)


def _claims(token: str) -> Mapping[str, Any]:
    # It imports cryptography, which nobody waits for before a request.
    import jwt

    try:
        claims: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    # JSON may contain half a character, which cannot be encoded.
    except (jwt.PyJWTError, UnicodeEncodeError, RecursionError) as error:
        # The text of the error could quote the token.
        raise IdentityProblem(
            "The job's identity token cannot be read",
            topic=Topic.IDENTITY_UNUSABLE,
            detail=f"It is not a JSON web token ({type(error).__name__}).",
            remedy=_RUN_AGAIN,
        ) from None
    return claims


def expires_at(token: str) -> float:
    """Return when an identity token expires, in epoch seconds; 0 if it does not say.

    Raises `IdentityProblem` if it is not a token.
    """
    return seconds(_claims(token).get("exp")) or 0.0


def why_not_valid_now(token: str) -> str:
    """Return why a token is not valid by this machine's clock, as a sentence; nothing if it is.

    Raises `IdentityProblem` if it is not a token.
    """
    claims, now = _claims(token), time.time()
    begins = max(seconds(claims.get(each)) or 0.0 for each in ("iat", "nbf"))
    ends = seconds(claims.get("exp"))
    if begins > now + _LEEWAY_SECONDS:
        distance = f"only begins in {counted(math.ceil((begins - now) / 60), 'minute')}"
    elif ends is not None and ends <= now:
        distance = f"ended {counted(math.ceil((now - ends) / 60), 'minute')} ago"
    else:
        return ""
    clock = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M} UTC"
    return f"The job's identity token {distance}, by this machine's clock ({clock})"


def is_taken_once(token: str) -> bool:
    """Whether PyPI accepts a token only once: it remembers tokens by their `jti`.

    Tokens of GitHub and GitLab have one, those of Google and CircleCI do not.
    """
    return "jti" in _claims(token)


def _from_github(audience: str, environment: Mapping[str, str]) -> str:
    """Request a token from the address in the job's variables, as GitHub's toolkit does."""
    url = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL")
    secret = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if not url or not secret:
        raise _no_permission(environment)
    try:
        parts = checked(url)
    except BadAddress as error:
        raise no_token(
            audience,
            f"ACTIONS_ID_TOKEN_REQUEST_URL is not a valid address, because {error}",
            may_pass=False,
        ) from error
    query = urlencode({**dict(parse_qsl(parts.query)), "audience": audience})
    asked = urlunsplit(parts._replace(query=query))
    headers = {"Authorization": f"bearer {secret}", "Accept": "application/json"}
    try:
        with new_session(read=_PROVIDER_SECONDS) as session:
            answer = ask(session, "GET", asked, headers=headers)
    except requests.RequestException as error:
        why = f"no answer from GitHub's identity provider: {why_unreachable(error)}"
        raise no_token(audience, why) from error
    token = (answer.json_object() or {}).get("value")
    if answer.status == HTTPStatus.OK and isinstance(token, str) and token:
        return token
    if answer.status == HTTPStatus.OK:
        raise no_token(audience, "GitHub's identity provider answered without a token")
    is_final = answer.status < HTTPStatus.INTERNAL_SERVER_ERROR and answer.status not in _MAY_PASS
    host = shown(urlsplit(answer.url).hostname, 80)
    raise no_token(
        audience,
        f"GitHub's identity provider ({host}) answered {answer.status}: {answer.told([secret])}",
        may_pass=not is_final,
    )


def _from_gitlab(audience: str, environment: Mapping[str, str]) -> str:
    """Return the token that GitLab has set in a variable of the job."""
    variable = f"{_NOT_IN_A_NAME.sub('_', audience.upper())}_ID_TOKEN"
    token = environment.get(variable, "").strip()
    if not token:
        raise NoIdentity(
            f"The job has no identity token for {shown(audience, 80)}",
            topic=Topic.NO_PERMISSION,
            detail=f"GitLab sets it in the variable {shown(variable, 80)}, which is not set. If "
            "you meant to use an API token, the password is empty: protected variables are "
            "available on protected branches and tags only.",
            remedy="Add this to the job that publishes:\n\n    id_tokens:\n"
            f"      {shown(variable, 80)}:\n        aud: {shown(audience, 80)}",
        )
    if _claims(token).get("aud") != audience:
        raise IdentityProblem(
            f"{shown(variable, 80)} is a token for another audience",
            topic=Topic.IDENTITY_UNUSABLE,
            detail=f"Its audience is {shown(_claims(token).get('aud'), 80)!r}, not "
            f"{shown(audience, 80)!r} alone.",
            remedy=f"Set this in the job's id_tokens:\n\n    {shown(variable, 80)}:\n"
            f"      aud: {shown(audience, 80)}",
        )
    return token


def _from_circleci(audience: str, environment: Mapping[str, str]) -> str:
    """Return a token from the program that CircleCI provides in its jobs.

    The token is from the issuer that all organizations share, which is the one PyPI accepts.
    """
    program = shutil.which("circleci", path=environment.get("PATH"))
    if program is None:
        raise no_token(
            audience,
            "there is no program `circleci` to request it with",
            remedy="Run attested-publish in the job itself, which has this program, and not in a "
            "container that the job starts.",
            may_pass=False,
        )
    claims = json.dumps({"aud": audience})
    try:
        done = subprocess.run(  # noqa: S603 - CircleCI's own program, no shell
            [program, "run", "oidc", "get", "--claims", claims, "--root-issuer"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROGRAM_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise no_token(audience, "the program `circleci` did not answer in time") from None
    except OSError as error:
        why = f"the program `circleci` could not be started ({error.strerror})"
        raise no_token(audience, why, may_pass=False) from error
    token = done.stdout.strip()
    if done.returncode != 0 or not token:
        said = done.stderr.strip() or "nothing"
        raise no_token(audience, f"the program `circleci` gave no token, and said: {said}")
    return token


def _no_permission(environment: Mapping[str, str]) -> NoIdentity:
    event = environment.get("GITHUB_EVENT_NAME", "")
    if event == "pull_request" and _is_from_fork(environment):
        return NoIdentity(
            "The job is not allowed to request an identity token",
            topic=Topic.NO_PERMISSION,
            detail="This job was started by a pull request from a fork. GitHub gives such a job "
            "neither an identity token nor secrets, whatever permissions it requests.",
            remedy="Publish from a workflow that runs on a release or on a tag. In pull requests, "
            "`mode: check` and `mode: rehearse` need no identity.",
        )
    if event == "pull_request":
        cause = (
            "This job was started by a pull request; one from a fork never gets an identity "
            "token, and others only with the permission below."
        )
    else:
        cause = "The job has no permission to request its identity token from GitHub."
    return NoIdentity(
        "The job is not allowed to request an identity token",
        topic=Topic.NO_PERMISSION,
        detail=f"{cause} If the job is defined in a reusable workflow, the calling job needs the "
        "permission too. If you meant to use an API token, the password input is empty: the secret "
        "does not exist, or is not available to this event.",
        remedy="Add this to the job that publishes. If that job is defined in a reusable workflow, "
        "add it to the job that calls it, too:\n\n    permissions:\n      id-token: write",
    )


def _is_from_fork(environment: Mapping[str, str]) -> bool:
    """Whether the event was a pull request from a fork, as far as its payload can be read."""
    try:
        text = Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8")
        return json.loads(text)["pull_request"]["head"]["repo"]["fork"] is True
    except (KeyError, OSError, ValueError, TypeError):
        return False
