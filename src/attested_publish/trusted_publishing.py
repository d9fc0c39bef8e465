"""Exchange an identity token for a short-lived API token, and revoke it on the way out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests

from attested_publish.foreign import sentence, shown
from attested_publish.http import bounded_body
from attested_publish.index import Index, unreachable
from attested_publish.problems import IndexProblem, TokenProblem, TokenRefused
from attested_publish.stopping import not_now

if TYPE_CHECKING:
    from attested_publish.identity import AmbientIdentity, Identity, TrustedPublisher

_ANSWER_LIMIT = 1 << 20
_HELP = "https://docs.pypi.org/trusted-publishers/troubleshooting/"


class Revocation(StrEnum):
    """What became of an API token at the end."""

    REVOKED = "revoked"
    EXPIRES = "left to expire: this index cannot revoke tokens"
    FAILED = "left to expire: the index could not be asked to revoke it"


@dataclass
class ApiToken:
    """A token for uploads, `expires` in epoch seconds where the index says so."""

    value: str = field(repr=False)
    expires: float | None = None
    revocation: Revocation | None = None


@contextlib.contextmanager
def trusted_token(
    index: Index,
    ambient: AmbientIdentity,
    identity: Identity,
    projects: Mapping[str, bool],
    *,
    session: requests.Session,
    mask: Callable[[str], None],
) -> Iterator[ApiToken]:
    """Mint an API token for the job's identity and revoke it on every way out.

    `projects` are those of the release, and whether the index has them yet: they are
    told which publisher to register where. `mask` is called with the token before
    anything else is done with it. Raises `TokenProblem`; `TokenRefused` when it is the
    index that says no.
    """
    audience = audience_of(index, session)
    identity_token = ambient.spend(audience)
    token: ApiToken | None = None
    try:
        with not_now():
            token = mint(index, identity_token, identity, projects, session=session, mask=mask)
        yield token
    finally:
        if token is not None:
            with not_now():
                token.revocation = burn(index, token, session)


def audience_of(index: Index, session: requests.Session) -> str:
    """Ask which audience the index wants named in identity tokens.

    Raises `TokenProblem` where the index does no trusted publishing, or asks for an
    audience under which somebody else would accept the token.
    """
    status, answer, told = _ask(index, "GET", index.audience_url, session)
    if status == HTTPStatus.NOT_FOUND:
        raise TokenProblem(
            f"{index.name} does no trusted publishing",
            detail=f"{index.audience_url} answered 404: {told}.",
            remedy="Give the index's own credentials as user and password.",
        )
    if status != HTTPStatus.OK:
        raise TokenProblem(
            f"{index.name} does not say which identity tokens it takes",
            detail=f"{index.audience_url} answered {status}: {told}.",
            remedy="Trusted publishing may be switched off or out of order there: see the "
            "index's status page, and run again later. Nothing was uploaded.",
        )
    audience = answer.get("audience")
    if not isinstance(audience, str) or not audience:
        raise TokenProblem(
            f"{index.name} does not say which identity tokens it takes",
            detail=f"{index.audience_url} answered without an audience: {told}.",
            remedy="Check that repository-url is the upload address of an index that does "
            "trusted publishing; otherwise give user and password.",
        )
    if not index.may_ask_for(audience):
        raise TokenProblem(
            f"{index.name} asks for an identity token that is valid elsewhere",
            detail=f"It wants the audience {shown(audience, 80)!r}. Whoever holds such a token "
            "could use it there in this job's name, so none was requested.",
            remedy="Check repository-url. If the index is yours, give it an audience of its own.",
        )
    return audience


def mint(
    index: Index,
    identity_token: str,
    identity: Identity,
    projects: Mapping[str, bool],
    *,
    session: requests.Session,
    mask: Callable[[str], None],
) -> ApiToken:
    """Exchange an identity token (spent by this, whatever the answer) for an API token."""
    status, answer, told = _ask(index, "POST", index.mint_url, session, {"token": identity_token})
    value = answer.get("token")
    if status == HTTPStatus.OK and isinstance(value, str) and value:
        mask(value)
        expires = answer.get("expires")
        return ApiToken(value, float(expires) if isinstance(expires, int | float) else None)
    if status == HTTPStatus.OK:
        raise TokenProblem(
            f"{index.name} took the identity but gave no API token",
            detail=f"{index.mint_url} answered 200 without a token.",
            remedy="Run again; if it stays so, tell the operators of the index.",
        )
    if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TokenProblem(
            f"{index.name} could not exchange the identity token",
            detail=f"{index.mint_url} answered {status}: {told}.",
            remedy="The index is out of order: see its status page, and run again later. "
            "Nothing was uploaded.",
        )
    said = f"{index.name} answered {status}: {told}."
    raise _refused(index, said, _codes(answer), identity.publisher, projects)


def burn(index: Index, token: ApiToken, session: requests.Session) -> Revocation:
    """Revoke an API token (PyPI's burn-token); never raises, the token expires anyway."""
    try:
        status, _, _ = _ask(index, "POST", index.burn_url, session, {"token": token.value})
    except IndexProblem:
        return Revocation.FAILED
    if status in {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}:
        return Revocation.REVOKED
    if status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        return Revocation.EXPIRES
    return Revocation.FAILED


def _ask(
    index: Index,
    method: str,
    url: str,
    session: requests.Session,
    payload: dict[str, str] | None = None,
) -> tuple[int, dict[str, Any], str]:
    """Return status, the JSON object (empty if it is none), and the answer as a sentence."""
    try:
        response = session.request(
            method,
            url,
            json=payload,
            headers={"Accept": "application/json"},
            stream=True,
            # A redirect would carry the identity token to another address.
            allow_redirects=False,
        )
        body = bounded_body(response, _ANSWER_LIMIT)
    except requests.RequestException as error:
        raise unreachable(index, url, error) from error
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    reason = response.reason or ""
    # What an index echoes of a request must not carry the secret in it.
    for secret in (payload or {}).values():
        reason = reason.replace(secret, "***")
        body = body.replace(secret.encode(), b"***")
    told = sentence(
        status=response.status_code,
        reason=reason,
        body=body,
        content_type=response.headers.get("Content-Type", ""),
    )
    return response.status_code, answer if isinstance(answer, dict) else {}, told


def _codes(answer: Mapping[str, Any]) -> set[object]:
    errors = answer.get("errors")
    listed = errors if isinstance(errors, list) else ()
    return {error.get("code") for error in listed if isinstance(error, dict)}


def _refused(
    index: Index,
    said: str,
    codes: set[object],
    publisher: TrustedPublisher,
    projects: Mapping[str, bool],
) -> TokenRefused:
    if "invalid-publisher" in codes:
        return TokenRefused(
            f"{index.name} knows no trusted publisher for this job",
            detail=f"{said}\nThis job is:\n{_form_fields(publisher)}",
            remedy="Register a publisher with exactly these fields, or correct the one that "
            f"differs:\n{_form_links(index, publisher, projects)}\nMore: {_HELP}",
        )
    if "invalid-reuse-token" in codes:
        return TokenRefused(
            f"{index.name} has seen this identity token before",
            detail=f"{said}\nEach identity token is taken once.",
            remedy="Run the job again: it gets a fresh one. Nothing was uploaded.",
        )
    if "invalid-token" in codes:
        return TokenRefused(
            f"{index.name} does not accept the job's identity token",
            detail=f"{said}\nIt is expired, not signed by GitHub, or meant for another index.",
            remedy="Run the job again; a self-hosted runner's clock may be wrong.",
        )
    if "invalid-pending-publisher" in codes:
        return TokenRefused(
            f"The pending publisher on {index.name} came too late",
            detail=f"{said}\nSomebody else created a project of that name meanwhile.",
            remedy="Choose another project name, and register a pending publisher for it.",
        )
    if "not-enabled" in codes:
        return TokenRefused(
            f"{index.name} has switched off trusted publishing from GitHub",
            detail=said,
            remedy="See the index's status page, and run again later. Nothing was uploaded.",
        )
    return TokenRefused(
        f"{index.name} refused to exchange the identity token",
        detail=said,
        remedy=f"Check the trusted publisher that is registered on {index.name}. More: {_HELP}",
    )


def _form_fields(publisher: TrustedPublisher) -> str:
    rows = (
        ("Owner", publisher.owner),
        ("Repository name", publisher.repository),
        ("Workflow name", publisher.workflow),
        ("Environment name", publisher.environment or "(leave empty)"),
    )
    return "\n".join(f"    {label}: {shown(value)}" for label, value in rows)


def _form_links(index: Index, publisher: TrustedPublisher, projects: Mapping[str, bool]) -> str:
    """Return where to register the publisher for each project, filled in where PyPI can."""
    fields = {
        "provider": "github",
        "owner": publisher.owner,
        "repository": publisher.repository,
        "workflow_filename": publisher.workflow,
    }
    if publisher.environment:
        fields["environment"] = publisher.environment
    links = [
        f"    {shown(project)}: {index.publishers_url(project, fields)}"
        if exists
        else f"    {shown(project)} (a pending publisher, as the project does not exist yet): "
        f"{index.pending_publishers_url}"
        for project, exists in projects.items()
    ]
    return "\n".join(links)
