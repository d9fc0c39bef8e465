"""Who the job is: its ambient OIDC identity tokens, and the publisher they stand for."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from attested_publish.foreign import shown
from attested_publish.problems import IdentityProblem, NoIdentity
from attested_publish.retry import Patience, Tell, persistently

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
SIGSTORE_AUDIENCE = "sigstore"

Ambient = Callable[[str], str]
"""Gives an identity token (a JWT) for an audience, or raises `IdentityProblem`."""

# As PyPI's server reads it: the last path segment before the first "@".
_WORKFLOW_FILE = re.compile(r"([^/]+\.(?:yml|yaml))(?=@)")
# How `id` words a status that will not change: 4xx other than 408 and 429.
_REFUSED = re.compile(r"code=4(?!08|29)\d\d")
_FRESH_SECONDS = 60.0


@dataclass(frozen=True)
class TrustedPublisher:
    """The row that has to be registered on the index for this identity to publish."""

    owner: str
    owner_id: str
    repository: str
    workflow: str
    environment: str | None

    @property
    def slug(self) -> str:
        """`OWNER/REPOSITORY`."""
        return f"{self.owner}/{self.repository}"


@dataclass(frozen=True)
class Identity:
    """The claims of a GitHub Actions identity token that decide over a release."""

    repository: str
    owner: str
    owner_id: str
    workflow_ref: str
    job_workflow_ref: str
    environment: str | None
    ref: str
    sha: str
    event: str
    visibility: str
    issuer: str = GITHUB_ISSUER

    @property
    def publisher(self) -> TrustedPublisher:
        """The publisher that the token exchange looks for: it goes by `job_workflow_ref`."""
        return TrustedPublisher(
            owner=self.owner,
            owner_id=self.owner_id,
            repository=self.repository.partition("/")[2],
            workflow=_workflow_file(self.job_workflow_ref),
            environment=self.environment,
        )

    @property
    def is_reusable_workflow(self) -> bool:
        """Say whether the job stands in a called workflow, not in the one that was started."""
        return self.job_workflow_ref != self.workflow_ref

    @property
    def called_repository(self) -> str:
        """The repository of the workflow file that holds the job."""
        return self.job_workflow_ref.partition("/.github/workflows/")[0]

    def as_json(self) -> dict[str, Any]:
        """Return the claims as the report holds them."""
        return {
            "issuer": self.issuer,
            "repository": self.repository,
            "owner": self.owner,
            "owner_id": self.owner_id,
            "workflow": self.publisher.workflow,
            "workflow_ref": self.workflow_ref,
            "job_workflow_ref": self.job_workflow_ref,
            "environment": self.environment,
            "ref": self.ref,
            "sha": self.sha,
            "event": self.event,
            "visibility": self.visibility,
        }


class AmbientIdentity:
    """The job's identity tokens by audience, kept while they are fresh.

    `mask` is called with every token before anything else is done with it, `tell`
    with every wait. Threads may share it.
    """

    def __init__(
        self, source: Ambient, patience: Patience, mask: Callable[[str], None], tell: Tell
    ) -> None:
        self._source = source
        self._patience = patience
        self._mask = mask
        self._tell = tell
        self._kept: dict[str, str] = {}
        self._lock = threading.Lock()

    def token(self, audience: str) -> str:
        """Return a token for `audience` that is good for another minute, if any lives so long."""
        with self._lock:
            kept = self._kept.get(audience)
            if kept is None or _expiry(kept) - time.time() < _FRESH_SECONDS:
                kept = self._kept[audience] = self.fresh_token(audience)
            return kept

    def fresh_token(self, audience: str) -> str:
        """Return a token that nobody has seen yet: an index takes each one once only."""
        token = persistently(lambda: self._source(audience), self._patience, self._tell)
        self._mask(token)
        return token


def detect(audience: str) -> str:
    """Ask the machine the job runs on for an identity token (the `id` package).

    Raises `IdentityProblem` where there is none to be had, saying which of the
    usual causes it is.
    """
    import id as oidc
    import urllib3

    try:
        token = oidc.detect_credential(audience)
    except oidc.GitHubOidcPermissionCredentialError as error:
        raise _no_permission(os.environ) from error
    except (oidc.IdentityError, urllib3.exceptions.HTTPError) as error:
        raise IdentityProblem(
            "The job's identity token could not be had",
            detail=f"Asked for the audience {shown(audience)!r}: {shown(error)}.",
            remedy="This is between the runner and its identity provider: run the job again. "
            "Nothing was uploaded.",
            may_pass=_REFUSED.search(str(error)) is None,
        ) from error
    if token is None:
        raise NoIdentity(
            "There is no identity to publish with",
            detail="No password is given, and this is not a job whose machine offers OIDC "
            "identity tokens.",
            remedy="Publish from a GitHub Actions job with `permissions: id-token: write`, or "
            "give an API token as password. `attested-publish rehearse` needs neither.",
        )
    return token


def understand(token: str) -> Identity:
    """Read the claims of a GitHub Actions identity token; its signature is the index's to check.

    Raises `IdentityProblem` for a token of another issuer and for a missing claim.
    """
    claims = _claims(token)
    if claims.get("iss") != GITHUB_ISSUER:
        raise IdentityProblem(
            "The job's identity is not one of GitHub Actions",
            detail=f"The identity token was issued by {shown(claims.get('iss'), 200)}.",
            remedy="Publish from a GitHub Actions job, or give an API token as password.",
        )
    identity = Identity(
        repository=_text(claims, "repository"),
        owner=_text(claims, "repository_owner"),
        owner_id=_text(claims, "repository_owner_id"),
        workflow_ref=_text(claims, "workflow_ref"),
        job_workflow_ref=_text(claims, "job_workflow_ref"),
        environment=_text(claims, "environment") if claims.get("environment") else None,
        ref=_text(claims, "ref"),
        sha=_text(claims, "sha"),
        event=_text(claims, "event_name"),
        visibility=str(claims.get("repository_visibility") or "unknown"),
    )
    if not identity.publisher.repository or not identity.publisher.workflow:
        raise IdentityProblem(
            "The job's identity token does not name a workflow file",
            detail=f"repository is {shown(identity.repository)!r}, job_workflow_ref is "
            f"{shown(identity.job_workflow_ref)!r}.",
            remedy="A workflow file must end in .yml or .yaml, in lower case, to be registered "
            "as a trusted publisher.",
        )
    return identity


def _claims(token: str) -> Mapping[str, Any]:
    import jwt

    try:
        claims: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        # The error's text could quote the token.
        raise IdentityProblem(
            "The job's identity token cannot be read",
            detail=f"It is not a JSON web token ({type(error).__name__}).",
            remedy="This is between the runner and its identity provider: run the job again.",
        ) from None
    return claims


def _expiry(token: str) -> float:
    expiry = _claims(token).get("exp")
    return float(expiry) if isinstance(expiry, int | float) else 0.0


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise IdentityProblem(
            f"The job's identity token has no claim {name!r}",
            detail="Without it the index cannot find the trusted publisher.",
            remedy="Publish from a job of a workflow file in a GitHub repository.",
        )
    return value


def _workflow_file(workflow_ref: str) -> str:
    match = _WORKFLOW_FILE.search(workflow_ref)
    return match.group(1) if match else ""


def _no_permission(environment: Mapping[str, str]) -> NoIdentity:
    event = environment.get("GITHUB_EVENT_NAME", "")
    if event == "pull_request":
        cause = (
            "This job was started by a pull request; one from a fork never gets an identity "
            "token, and others only with the permission below."
        )
    else:
        cause = "The job has no permission to ask GitHub for its identity token."
    return NoIdentity(
        "The job may not ask for an identity token",
        detail=f"{cause} Where the job stands in a called workflow, the calling job needs the "
        "permission too. If an API token was meant to be used, the password input was empty: "
        "a missing secret, or one that this event may not see.",
        remedy="Add this to the job that publishes:\n\n    permissions:\n      id-token: write",
    )
