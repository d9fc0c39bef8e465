"""Exchange an identity token for a short-lived API token, and revoke it at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests

from attested_publish.identity.tokens import is_taken_once
from attested_publish.index.discovery import TokenExchange, token_exchange, usual_exchange
from attested_publish.index.failures import quoted, unreachable
from attested_publish.index.refusals import exchange_cause, remedy_for_job
from attested_publish.index.site import pending_publishers_url, publishers_url
from attested_publish.net.figures import seconds
from attested_publish.net.http import Answer, ask
from attested_publish.net.parallel import Outcome, meanwhile
from attested_publish.net.retry import GaveUp, Tell, persistently
from attested_publish.net.stopping import is_stopped
from attested_publish.net.unreachable import never_sent
from attested_publish.net.untrusted import shown
from attested_publish.problems import TokenProblem, TokenRefused, Topic

if TYPE_CHECKING:
    from attested_publish.identity.publishers import Identity, TrustedPublisher
    from attested_publish.identity.tokens import AmbientIdentity
    from attested_publish.index.index import Index
    from attested_publish.net.patience import Deadlines

_API_TOKEN_LIMIT = 16 << 10
"""Characters of an API token: no server takes more in a header; PyPI's have some hundred."""

_AUDIENCE_LIMIT = 1000
"""Characters of an audience; it is a word or an address."""

_MARGIN_SECONDS = 120.0
_MINT_SECONDS = 10.0
_BURN_SECONDS = 10.0
_LAST_SECONDS = 1.2
"""The time left for revoking when a run is told to stop: it has to end within 2 s."""

_LOOK_AGAIN = 0.05
_HELP = "https://docs.pypi.org/trusted-publishers/troubleshooting/"


class Revocation(StrEnum):
    """What happened to an API token at the end."""

    REVOKED = "revoked"
    EXPIRES = "left to expire: this index cannot revoke tokens"
    FAILED = "left to expire: the request to revoke it failed"


@dataclass
class ApiToken:
    """A token for uploads; `minted` and `expires`, if it is known, are by `time.monotonic`.

    So a clock that is set meanwhile makes it neither older nor younger.
    """

    value: str = field(repr=False)
    minted: float
    expires: float | None = None

    def is_alive(self, now: float) -> bool:
        """Whether somebody who has it could still use it."""
        return self.expires is None or now < self.expires

    def is_good_for_now(self, now: float) -> bool:
        """Whether it is far from expiring: two minutes, or a fifth of a short lifetime."""
        if self.expires is None:
            return True
        margin = min(_MARGIN_SECONDS, (self.expires - self.minted) / 5)
        return now < self.expires - margin


@dataclass
class Exchange:
    """How to obtain an index's tokens: with which identity, and how patiently.

    `projects` are those of the release, and whether the index has them yet: a refusal
    says which publisher to register where. `mask` is called with each token before it is used.
    """

    index: Index
    addresses: TokenExchange
    ambient: AmbientIdentity
    identity: Identity
    projects: Mapping[str, bool]
    session: requests.Session
    deadlines: Deadlines
    mask: Callable[[str], None]
    tell: Tell
    _spent: set[str] = field(default_factory=set, repr=False)
    _unsure: set[str] = field(default_factory=set, repr=False)

    def mint(self, audience: str, keep: Callable[[ApiToken], None]) -> None:
        """Mint a token for `keep`, with retries and a new identity token for every try.

        PyPI accepts each once (by its `jti`), and a refusal does not count. If the job has only
        one, it is used until the index has certainly accepted it: when a token was minted, or
        when the index says so after an answer was lost. After that, raises `NoSecondToken`.
        """

        def mint_once() -> None:
            identity_token = self.ambient.fresh_token(audience)
            if identity_token in self._spent:
                raise _no_second_token(self.index, self.identity.publisher)
            try:
                token = mint(
                    self.index,
                    self.addresses.mint_url,
                    identity_token,
                    self.identity.publisher,
                    self.projects,
                    session=self.session,
                    mask=self.mask,
                )
            except AnswerLost:
                self._unsure.add(identity_token)
                raise
            except IdentityReused as problem:
                if identity_token in self._unsure:
                    raise _answer_was_lost(self.index, self.identity.publisher, problem) from None
                raise
            keep(token)
            if self.index.works_as_pypi and is_taken_once(identity_token):
                self._spent.add(identity_token)

        persistently(mint_once, self.deadlines.mint, self.tell)

    def revoke(self, token: ApiToken) -> Revocation:
        """Revoke a token, even if the run is stopped; never raises, because it expires anyway."""
        burn_url = self.addresses.burn_url
        if burn_url is None:
            return Revocation.EXPIRES
        seconds = min(_LAST_SECONDS if is_stopped() else _BURN_SECONDS, self.deadlines.answer)
        try:
            return persistently(
                lambda: burn(self.index, burn_url, token, self.session, seconds),
                self.deadlines.burn,
                self.tell,
                GaveUp(heeds_stop=False),
            )
        except TokenProblem:
            return Revocation.FAILED


class NoSecondToken(TokenProblem):
    """The job's only identity token has been used, so it can get no other API token."""


class NoTrustedPublishing(TokenProblem):
    """The index has no token exchange."""


class AnswerLost(TokenProblem):
    """The index gave no usable answer, but it may have processed the request."""


class IdentityReused(TokenRefused):
    """The index has already accepted this identity token."""


class TrustedCredentials:
    """API tokens for the job's identity, minted as they are needed and revoked at the end.

    Uploads can take longer than a token lives (PyPI: 15 minutes), so it is renewed before it
    expires, or when the index reports it as expired. Threads may share it. `password` raises
    `TokenProblem`; `TokenRefused` if the index refuses.
    """

    user = "__token__"

    def __init__(self, exchange: Exchange, audience: str) -> None:
        self._exchange = exchange
        self._audience = audience
        self._lock = threading.Lock()
        self._tokens: list[ApiToken] = []

    @property
    def password(self) -> str:
        """A token that is currently valid."""
        with self._lock:
            if not self._tokens:
                self._mint()
            elif not self._tokens[-1].is_good_for_now(time.monotonic()):
                self._renew_early()
            return self._tokens[-1].value

    def renew(self, refused: str) -> bool:
        """Replace a token that the index reports as expired."""
        with self._lock:
            if self._tokens[-1].value == refused:
                self._mint()
            return True

    def revoke(self) -> Callable[[], Revocation | None]:
        """Start revoking all tokens; the returned function gives the outcome.

        `None` means that there was no token. Never raises, because tokens expire anyway; for
        several tokens, it is the worst outcome. A token that is just being minted is waited for.
        A run that is told to stop waits only a moment, whatever the index does.
        """
        return partial(_unless_stopped, meanwhile(self._revoke))

    def _revoke(self) -> Revocation | None:
        begun: list[Callable[[], Revocation]] = []

        def begin() -> None:
            new = self._tokens[len(begun) :]
            begun.extend(meanwhile(partial(self._exchange.revoke, token)) for token in new)

        # Also those that have expired by this machine's clock: the clock of the index may differ.
        begin()
        if self._lock.acquire(timeout=_LAST_SECONDS / 2 if is_stopped() else _MINT_SECONDS):
            self._lock.release()
            begin()
        outcomes = [outcome() for outcome in begun]
        return max(outcomes, key=tuple(Revocation).index, default=None)

    def _renew_early(self) -> None:
        try:
            self._mint()
        except NoSecondToken:
            # Then it is used until it expires.
            if not self._tokens[-1].is_alive(time.monotonic()):
                raise

    def _mint(self) -> None:
        self._exchange.mint(self._audience, self._tokens.append)


def _is_audience(text: str) -> bool:
    """Whether identity providers can be asked for it: control characters and the like cannot be."""
    return 0 < len(text) <= _AUDIENCE_LIMIT and text.isprintable()


@dataclass(frozen=True)
class Audience:
    """The audience that an index wants in identity tokens, and where it exchanges them."""

    name: str
    exchange: TokenExchange


def audience_of(index: Index, session: requests.Session, *, is_provider_local: bool) -> Audience:
    """Ask the index for the audience of identity tokens.

    `is_provider_local` says whether the tokens come from loopback. Raises `TokenProblem`:
    `NoTrustedPublishing` if the index does not support it, and another if it asks for an
    audience for which another service would accept the token.
    """
    # Few indexes announce another address than the usual one, so both are asked at once.
    usual_url = usual_exchange(index).audience_url
    usual_answer = meanwhile(lambda: _ask(index, "GET", usual_url, session))
    exchange = token_exchange(index, session)
    url = exchange.audience_url
    answer = usual_answer() if url == usual_url else _ask(index, "GET", url, session)
    if answer.status == HTTPStatus.NOT_FOUND:
        raise NoTrustedPublishing(
            f"{index.name} does not support trusted publishing",
            topic=Topic.NO_TRUSTED_PUBLISHING,
            detail=f"{url} answered {quoted(index, answer)}.",
            remedy="Set the index's own credentials as user and password.",
        )
    if answer.status != HTTPStatus.OK:
        raise TokenProblem(
            f"{index.name} does not report its audience",
            topic=Topic.AUDIENCE_UNKNOWN,
            detail=f"{url} answered {quoted(index, answer)}.",
            remedy="Trusted publishing may be disabled or have an outage there: see the "
            "index's status page, and run again later.",
            may_pass=answer.may_pass,
            retry_after=answer.retry_after,
        )
    audience = (answer.json_object() or {}).get("audience")
    if not isinstance(audience, str) or not _is_audience(audience):
        raise TokenProblem(
            f"{index.name} does not report its audience",
            topic=Topic.AUDIENCE_UNKNOWN,
            detail=f"{url} answered without an audience ({quoted(index, answer)}).",
            remedy="Check that repository-url is the upload address of an index that supports "
            "trusted publishing; otherwise set user and password.",
            may_pass=answer.is_broken_off,
        )
    if not index.may_ask_for(audience, is_provider_local=is_provider_local):
        raise TokenProblem(
            f"{index.name} asks for an identity token meant for another service",
            topic=Topic.FOREIGN_AUDIENCE,
            detail=f"It asks for the audience {shown(audience, 80)!r}. Whoever has such a token "
            "could use it there in this job's name, so none was requested.",
            remedy="Check repository-url. If the index is yours, configure it with an audience of "
            "its own (a copy of PyPI's server: OIDC_AUDIENCE), or use an identity provider on "
            "loopback, too.",
        )
    return Audience(audience, exchange)


def mint(
    index: Index,
    url: str,
    identity_token: str,
    publisher: TrustedPublisher,
    projects: Mapping[str, bool],
    *,
    session: requests.Session,
    mask: Callable[[str], None],
) -> ApiToken:
    """Exchange an identity token for an API token at `url`.

    Raises `TokenRefused` if the index refuses, `AnswerLost` if it may have minted one anyway,
    and another `TokenProblem` if the index was certainly not reached.
    """
    try:
        answer = _ask(index, "POST", url, session, identity_token)
    except TokenProblem as problem:
        if isinstance(problem.__cause__, requests.RequestException) and not never_sent(
            problem.__cause__
        ):
            raise _unanswered(problem) from problem.__cause__
        raise
    if answer.status == HTTPStatus.OK:
        return _granted(index, url, answer, identity_token, mask)
    told = answer.told([identity_token])
    said = f"{index.name} answered {answer.status}: {told}."
    is_refusal = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    if answer.may_pass or not is_refusal:
        raise AnswerLost(
            f"{index.name} could not exchange the identity token",
            topic=Topic.EXCHANGE_FAILED,
            detail=f"{url} answered {answer.status}: {told}.",
            remedy="The index has an outage: see its status page, and run again later.",
            may_pass=answer.may_pass,
            retry_after=answer.retry_after,
        )
    raise _refused(index, said, _errors(answer.json_object() or {}), publisher, projects)


def _granted(
    index: Index, url: str, answer: Answer, identity_token: str, mask: Callable[[str], None]
) -> ApiToken:
    granted = answer.json_object() or {}
    value = granted.get("token")
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= _API_TOKEN_LIMIT:
        mask(value)
        minted = time.monotonic()
        expires = seconds(granted.get("expires"))
        lifetime = 0.0 if expires is None else expires - time.time()
        # A token that has already expired would be renewed at every use: one of the clocks is
        # wrong, and the index will report when the token expires.
        return ApiToken(value, minted, minted + lifetime if lifetime > 0 else None)
    title = f"{index.name} accepted the identity but issued no API token"
    if isinstance(value, str) and len(value) > _API_TOKEN_LIMIT:
        raise AnswerLost(
            title,
            topic=Topic.EXCHANGE_FAILED,
            detail=f"{url} answered 200 with a token of {len(value):,} characters, "
            "which no server would accept in a header.",
            remedy="Check that repository-url is the upload address of the right index.",
        )
    raise AnswerLost(
        title,
        topic=Topic.EXCHANGE_FAILED,
        detail=f"{url} answered 200 without a token: {answer.told([identity_token])}.",
        remedy="Run again; if this happens every time, tell the operators of the index.",
        may_pass=True,
    )


def burn(
    index: Index, url: str, token: ApiToken, session: requests.Session, seconds: float | None = None
) -> Revocation:
    """Revoke an API token at `url` (PyPI's burn-token), within `seconds`.

    Raises `TokenProblem` if that fails.
    """
    answer = _ask(index, "POST", url, session, token.value, seconds=seconds)
    # PyPI answers 202; a 200 may come from something in between, such as a proxy.
    if answer.status in {HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}:
        return Revocation.REVOKED
    if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
        return Revocation.EXPIRES
    raise TokenProblem(
        f"{index.name} does not revoke its API token",
        detail=f"{url} answered {answer.status}: {answer.told([token.value])}.",
        may_pass=answer.may_pass or answer.status == HTTPStatus.OK,
        retry_after=answer.retry_after,
    )


def _ask(
    index: Index,
    method: str,
    url: str,
    session: requests.Session,
    token: str | None = None,
    *,
    seconds: float | None = None,
) -> Answer:
    """Send a request to one of the exchange's addresses, with a `token` if one is exchanged."""
    payload = None if token is None else {"token": token}
    headers = {"Accept": "application/json"}
    try:
        return ask(session, method, url, payload=payload, headers=headers, seconds=seconds)
    except requests.RequestException as error:
        why = unreachable(index, url, error)
        raise TokenProblem(
            why.title,
            detail=why.detail,
            remedy=why.remedy,
            topic=why.topic,
            may_pass=why.may_pass,
        ) from error


def _unless_stopped(outcome: Outcome[Revocation | None]) -> Revocation | None:
    """Wait for the outcome, but only for a moment once the run is told to stop."""
    ends = None
    while True:
        try:
            return outcome(_LOOK_AGAIN)
        except TimeoutError:
            if ends is None and is_stopped():
                ends = time.monotonic() + _LAST_SECONDS
            if ends is not None and time.monotonic() > ends:
                return Revocation.FAILED


def _errors(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the descriptions of the errors that the index lists, by their codes."""
    errors = answer.get("errors")
    listed = errors if isinstance(errors, list) else ()
    return {
        str(error["code"]): str(error.get("description", ""))
        for error in listed
        if isinstance(error, dict) and isinstance(error.get("code"), str)
    }


def _refused(
    index: Index,
    said: str,
    errors: Mapping[str, str],
    publisher: TrustedPublisher,
    projects: Mapping[str, bool],
) -> TokenRefused:
    """Return the problem with the remedy for the first error that the index gives (one, so far)."""
    if "invalid-publisher" in errors:
        return _no_publisher(index, said, errors["invalid-publisher"], publisher, projects)
    if "invalid-reuse-token" in errors:
        return IdentityReused(
            f"The identity token has already been used at {index.name}",
            topic=Topic.IDENTITY_REUSED,
            detail=f"{said}\nEach identity token is accepted once."
            + (" A check in the same job uses it up, too." if publisher.has_one_token else ""),
            remedy="Run the job again: it gets a new one.",
        )
    if "invalid-token" in errors:
        return TokenRefused(
            f"{index.name} does not accept the job's identity token",
            topic=Topic.IDENTITY_REFUSED,
            detail=f"{said}\nIt has expired, is not signed by {shown(publisher.provider)}, or is "
            "meant for another index.",
            remedy="Run the job again. On a self-hosted runner, check the clock.",
        )
    if "invalid-pending-publisher" in errors:
        return TokenRefused(
            f"The pending publisher's project name is taken on {index.name}",
            topic=Topic.PENDING_PUBLISHER_LATE,
            detail=f"{said}\nA project of that name has been created in the meantime, which ends "
            "the pending publisher.",
            remedy="If the project is yours, register this job's publisher on it:\n"
            f"{_links_to_existing(index, publisher, projects)}\n"
            "Otherwise choose another project name, and register a pending publisher for it.",
        )
    if "not-enabled" in errors:
        return TokenRefused(
            f"{index.name} has disabled trusted publishing from {shown(publisher.provider)}",
            topic=Topic.TRUSTED_PUBLISHING_OFF,
            detail=said,
            remedy="See the index's status page, and run again later.",
        )
    return _not_exchanged(index, said, errors, publisher)


def _not_exchanged(
    index: Index, said: str, errors: Mapping[str, str], publisher: TrustedPublisher
) -> TokenRefused:
    """Return the problem for an error whose code names no cause (`invalid-payload`), if any."""
    cause = exchange_cause(next(iter(errors.values()), ""))
    topic = Topic.EXCHANGE_REFUSED
    if cause is not None:
        topic, remedy = cause.topic, remedy_for_job(cause, index, publisher)
    elif errors:
        remedy = f"Check the trusted publisher that is registered on {index.name}. More: {_HELP}"
    else:
        remedy = (
            "An index with trusted publishing gives its reason in another form, so this may come "
            "from a firewall or proxy in front of it: ask its operators, and check repository-url."
        )
    return TokenRefused(
        f"{index.name} refused to exchange the identity token",
        topic=topic,
        detail=said,
        remedy=remedy,
    )


def _no_publisher(
    index: Index,
    said: str,
    description: str,
    publisher: TrustedPublisher,
    projects: Mapping[str, bool],
) -> TokenRefused:
    """Return the problem that no publisher corresponds, by the reason that PyPI gives for it."""
    cause = exchange_cause(description)
    forms = f"{_form_links(index, publisher, projects)}\nMore: {_HELP}"
    if cause is not None and cause.topic is not Topic.UNKNOWN_PUBLISHER:
        return TokenRefused(
            f"{index.name} accepts no publisher for this job",
            topic=cause.topic,
            detail=said,
            remedy=f"{remedy_for_job(cause, index, publisher)}\nMore: {_HELP}",
        )
    what = (
        "Register a publisher with exactly these fields, or correct the one that differs:"
        if cause is None
        else remedy_for_job(cause, index, publisher)
    )
    return TokenRefused(
        f"{index.name} has no trusted publisher for this job",
        topic=Topic.UNKNOWN_PUBLISHER,
        detail=f"{said}\nThis job is:\n{_form_fields(publisher)}",
        remedy=f"{what}\n{forms}",
    )


def _no_second_token(index: Index, publisher: TrustedPublisher) -> NoSecondToken:
    return NoSecondToken(
        f"The API token has expired, and {index.name} accepts this job's identity token only once",
        topic=Topic.IDENTITY_REUSED,
        detail=f"{shown(publisher.provider)} gives a job one identity token for each audience, "
        f"{index.name} accepts each once, and the API token it issues expires after 15 minutes.",
        remedy="Run the job again: files that were received are not sent twice. If a release takes "
        "longer every time, publish its files in several jobs, one after the other.",
    )


def _answer_was_lost(
    index: Index, publisher: TrustedPublisher, refusal: TokenRefused
) -> NoSecondToken:
    return NoSecondToken(
        f"The answer of {index.name} was lost, and it accepts this job's identity token only once",
        topic=Topic.IDENTITY_REUSED,
        detail=f"{refusal.cause}.\nIt minted an API token for an earlier request, but that answer "
        f"was lost; {shown(publisher.provider)} gives the job no second identity token to try "
        "with. Nobody received that API token, which expires after 15 minutes.",
        remedy="Run the job again: it gets a new identity token. Nothing was uploaded with this "
        "one.",
    )


def _unanswered(problem: TokenProblem) -> AnswerLost:
    return AnswerLost(
        problem.title,
        detail=problem.detail,
        remedy=problem.remedy,
        topic=problem.topic,
        may_pass=problem.may_pass,
    )


def _form_fields(publisher: TrustedPublisher) -> str:
    """List what to enter, a line each; then what is compared besides, if anything is."""
    lines = [
        f"    {label}: {shown(value) or '(leave empty)'}"
        for label, value in publisher.fields.items()
    ]
    if publisher.compared_besides:
        lines.append(publisher.compared_besides)
    return "\n".join(lines)


def _form_links(index: Index, publisher: TrustedPublisher, projects: Mapping[str, bool]) -> str:
    """Return where to register the publisher for each project, prefilled if PyPI can."""
    links = [
        f"    {shown(project)}: {publishers_url(index, project, publisher.query)}"
        if exists
        else f"    {shown(project)} (a pending publisher, as the project does not exist yet): "
        f"{pending_publishers_url(index)}"
        for project, exists in projects.items()
    ]
    return "\n".join(links)


def _links_to_existing(
    index: Index, publisher: TrustedPublisher, projects: Mapping[str, bool]
) -> str:
    """Return where to register the publisher, now that every project exists."""
    return _form_links(index, publisher, dict.fromkeys(projects, True))
