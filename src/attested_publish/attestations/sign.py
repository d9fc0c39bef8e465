"""Sign distributions with the job's identity, and log each signature (Sigstore)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests
from pydantic import ValidationError
from pypi_attestations import Attestation
from pypi_attestations import Distribution as AttestedDistribution
from sigstore.dsse import DigestSet, StatementBuilder, Subject
from sigstore.oidc import ExpiredIdentity, IdentityError, IdentityToken
from sigstore.sign import ExpiredCertificate  # type: ignore[attr-defined] # not in its __all__

from attested_publish.attestations.verify import certificate_of
from attested_publish.identity.audiences import SIGSTORE_AUDIENCE
from attested_publish.identity.tokens import why_not_valid_now
from attested_publish.net.connections import within
from attested_publish.net.http import Bounds, answer_of, bound
from attested_publish.net.parallel import Pace, in_parallel, meanwhile
from attested_publish.net.retry import GaveUp, Tell, persistently
from attested_publish.net.unreachable import may_pass, why_unreachable
from attested_publish.net.untrusted import shown
from attested_publish.problems import Problem, SigningProblem, Topic

if TYPE_CHECKING:
    from cryptography import x509
    from sigstore.sign import Signer

    from attested_publish.attestations.slsa import Predicate
    from attested_publish.attestations.verify import Trust
    from attested_publish.distributions import Distribution
    from attested_publish.identity.tokens import AmbientIdentity
    from attested_publish.net.patience import Deadlines

_SIGNERS = 32
"""Measured with a log that takes 0.7 s: 100 files in 7.2 s with 8, 5.0 with 16, 2.9 with 32."""

_MARGIN_SECONDS = 90.0
_UNSEEN_SECONDS = 600.0 - _MARGIN_SECONDS
"""How long a certificate is used before its dates are known: sigstore returns it with the first
signature. Fulcio's are valid for ten minutes; one that has expired is replaced."""

_LOG_ENTRIES_PER_MINUTE = 450
"""Rekor's public instance accepts about 500 requests a minute."""

_SAFE_AGAIN = "A re-run is safe."
_RUN_AGAIN = f"Run again: the job gets a new identity token. {_SAFE_AGAIN}"


@dataclass(frozen=True)
class Statement:
    """What is signed about a distribution; the predicate of a publish attestation is `None`."""

    distribution: Distribution
    predicate_type: str
    predicate: Predicate | None


class Signing:
    """Signs statements with one certificate, renewed as needed. Threads may share it.

    A certificate is valid for ten minutes, an identity token for five: if the log is slow or has
    an outage, signing takes longer. The first certificate is requested at once, in the
    background. `tell` is called with every wait.
    """

    def __init__(
        self, trust: Trust, ambient: AmbientIdentity, deadlines: Deadlines, tell: Tell
    ) -> None:
        self.trust = trust
        self._ambient = ambient
        self._deadlines = deadlines
        self._tell = tell
        self._lock = threading.Lock()
        self._signer: Signer | None = None
        self._renew_at = 0.0
        self._given_up = GaveUp()
        self._pace = Pace(_LOG_ENTRIES_PER_MINUTE, 60.0)
        # sigstore sets no time limits, and offers no way to set any.
        self._bounds = Bounds(silence=deadlines.answer, total=deadlines.answer)
        bound(trust.authority, self._bounds, guards_redirects=True)
        self._first_certificate = meanwhile(self._current_signer)

    def sign_all(
        self,
        statements: Sequence[Statement],
        signed: Callable[[Statement, Attestation], None],
        begun: Callable[[Statement], None] = lambda _: None,
    ) -> dict[str, list[Attestation]]:
        """Sign every statement, several at a time.

        `begun` is called with each, from its own thread, `signed` as each is done.

        Returns the attestations by filename, in the order of their statements. Raises
        `SigningProblem`.
        """
        done: dict[tuple[str, str], Attestation] = {}
        self._first_certificate()

        def sign(statement: Statement) -> Attestation:
            begun(statement)
            return self._sign(statement)

        for statement, attestation in in_parallel(
            sign, statements, threads=_SIGNERS, begin=self._limit_log_time
        ):
            done[statement.distribution.filename, statement.predicate_type] = attestation
            signed(statement, attestation)
        attestations: dict[str, list[Attestation]] = {}
        for each in statements:
            filename = each.distribution.filename
            attestations.setdefault(filename, []).append(done[filename, each.predicate_type])
        return attestations

    def _sign(self, statement: Statement) -> Attestation:
        try:
            return persistently(
                lambda: self._sign_once(statement),
                self._deadlines.log,
                self._tell,
                self._given_up,
            )
        except Problem:
            self._given_up.now()
            raise

    def _sign_once(self, statement: Statement) -> Attestation:
        signer = self._current_signer()
        self._pace.wait(self._given_up.wait)
        self._given_up.heed()
        try:
            # Including redirects: the session's limit applies to one request.
            with within(self._bounds.total):
                attestation = _attestation(signer, statement)
            # Shows at once whether PEP 740 supports this kind of log entry.
            attestation.to_bundle()
            self._note_dates(signer, certificate_of(attestation))
        except Exception as error:
            if any(isinstance(link, ExpiredCertificate) for link in _chain(error)):
                self._discard(signer)
            filename = statement.distribution.filename
            title = f"{shown(filename)} could not be signed"
            raise _not_signed(error, title, filename) from error
        return attestation

    def _current_signer(self) -> Signer:
        with self._lock:
            if self._signer is None or time.time() > self._renew_at:
                self._signer = persistently(
                    self._new_signer, self._deadlines.certificate, self._tell, self._given_up
                )
                self._renew_at = time.time() + _UNSEEN_SECONDS
            return self._signer

    def _new_signer(self) -> Signer:
        token = self._ambient.token(SIGSTORE_AUDIENCE)
        try:
            with (
                within(self._bounds.total),
                self.trust.signing.signer(IdentityToken(token)) as signer,
            ):
                return signer
        except Exception as error:
            # sigstore lets any exception of its libraries escape: see `_why_not_signed`.
            problem = _not_signed(error, "No signing certificate could be obtained")
            why = why_not_valid_now(token) if _is_about_identity(_chain(error)) else ""
            if why:
                # sigstore only says that it is malformed.
                problem.detail = f"{why}."
                problem.remedy = f"If this clock is wrong, set it. {_RUN_AGAIN}"
            raise problem from error

    def _note_dates(self, signer: Signer, certificate: x509.Certificate) -> None:
        with self._lock:
            if self._signer is signer:
                self._renew_at = renewal_time(certificate)

    def _discard(self, signer: Signer) -> None:
        with self._lock:
            if self._signer is signer:
                self._signer = None

    def _limit_log_time(self) -> None:
        """Set time limits on this thread's session with the log (sigstore has one per thread)."""
        bound(self.trust.log(), self._bounds, guards_redirects=True)


def _attestation(signer: Signer, statement: Statement) -> Attestation:
    """Sign a statement; `Attestation.sign` makes publish attestations only."""
    name, digest = statement.distribution.filename, statement.distribution.sha256
    if statement.predicate is None:
        return Attestation.sign(signer, AttestedDistribution(name=name, digest=digest))
    subject = Subject(name=name, digest=DigestSet(root={"sha256": digest}))
    built = (
        StatementBuilder()
        .subjects([subject])
        .predicate_type(statement.predicate_type)
        .predicate(statement.predicate)
        .build()
    )
    return Attestation.from_bundle(signer.sign_dsse(built))


def refuse_unnameable(distributions: Iterable[Distribution]) -> None:
    """Raise `SigningProblem` for files whose names no attestation can have, naming all of them.

    An attestation names its file, and pypi-attestations parses that name as a wheel's or an
    sdist's, here and on PyPI.
    """
    why_not = {
        each.filename: why for each in distributions if (why := _why_unnameable(each)) is not None
    }
    if not why_not:
        return
    first = next(iter(why_not))
    raise SigningProblem(
        f"{shown(first)} cannot be attested"
        if len(why_not) == 1
        else f"{len(why_not)} files cannot be attested",
        topic=Topic.NOT_SIGNED,
        detail="\n".join(
            f"An attestation cannot name {shown(filename)}: {why}."
            for filename, why in why_not.items()
        ),
        remedy="Rebuild with a standard file name, or publish these files in a step of their own "
        "with `attestations: false`. Attestations cannot be added after the upload.",
        file=first if len(why_not) == 1 else None,
    )


def _why_unnameable(distribution: Distribution) -> str | None:
    try:
        AttestedDistribution(name=distribution.filename, digest=distribution.sha256)
    except ValidationError as error:
        return shown(error.errors()[0]["msg"].removeprefix("Value error, ")).rstrip(".")
    return None


def renewal_time(certificate: x509.Certificate) -> float:
    """Return when a certificate should be replaced (epoch seconds): well before its end.

    The time of a log entry must be within the certificate's validity, even if the log is slow. If
    the certificate's dates cannot be read, it is now: verification will report what is wrong.
    """
    try:
        end = certificate.not_valid_after_utc.timestamp()
        life = end - certificate.not_valid_before_utc.timestamp()
    except (ValueError, OverflowError, OSError):
        return time.time()
    return end - min(_MARGIN_SECONDS, max(life, 0.0) / 5)


def _not_signed(error: Exception, title: str, filename: str | None = None) -> SigningProblem:
    links = _chain(error)
    return SigningProblem(
        title,
        topic=Topic.NOT_SIGNED,
        detail=f"{_why_not_signed(links)}.",
        remedy=_remedy(links),
        file=filename,
        may_pass=_may_pass(links),
        retry_after=_retry_after(links),
    )


def _may_pass(links: Sequence[BaseException]) -> bool:
    """Whether signing again may succeed: no answer, an overload, or something has expired."""
    for link in links:
        if isinstance(link, requests.HTTPError) and link.response is not None:
            return answer_of(link.response, b"").may_pass
        if isinstance(link, requests.RequestException):
            return may_pass(link)
        if isinstance(link, ExpiredIdentity | ExpiredCertificate):
            return True
    # An answer with status 200 that is not JSON comes from something in between.
    return any(isinstance(link, ValueError) and "JSON" in repr(link) for link in links)


def _retry_after(links: Sequence[BaseException]) -> float | None:
    for link in links:
        if isinstance(link, requests.HTTPError) and link.response is not None:
            return answer_of(link.response, b"").retry_after
    return None


def _why_not_signed(links: Sequence[BaseException]) -> str:
    """Find the service that refused among the errors that sigstore and pypi-attestations wrap.

    Fulcio's and Rekor's client errors have the HTTP error as cause or argument; connection
    errors are not wrapped; errors about expired identities have no text.
    """
    for link in links:
        if isinstance(link, requests.HTTPError) and link.response is not None:
            answer = answer_of(link.response, link.response.content)
            return f"{_service(answer.url)} answered {answer.status}: {answer.told()}"
        if isinstance(link, requests.RequestException):
            url = link.request.url if link.request is not None else None
            return f"No answer from {_service(url)}: {why_unreachable(link)}"
        if isinstance(link, ExpiredIdentity):
            return "The job's identity token expired before the signature was made"
        if isinstance(link, ExpiredCertificate):
            return "The signing certificate expired before the signature was made"
    texts = [shown(link) for link in links if str(link)]
    return texts[0].rstrip(".") if texts else type(links[0]).__name__


def _chain(error: BaseException) -> list[BaseException]:
    links: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo:
        link = todo.pop(0)
        if link is None or link in links:
            continue
        links.append(link)
        todo.append(link.__cause__)
        todo.extend(part for part in link.args if isinstance(part, BaseException))
        todo.append(link.__context__)
    return links


def _service(url: str | None) -> str:
    if url is None:
        return "Sigstore"
    if "signingCert" in url:
        return f"Sigstore's certificate authority ({shown(url, 200)})"
    if "log/entries" in url:
        return f"Sigstore's transparency log ({shown(url, 200)})"
    return shown(url, 200)


def _is_about_identity(links: Sequence[BaseException]) -> bool:
    return any(isinstance(link, IdentityError | ExpiredIdentity) for link in links)


def _remedy(links: Sequence[BaseException]) -> str:
    if _is_about_identity(links):
        return _RUN_AGAIN
    if any(isinstance(link, requests.RequestException) for link in links):
        return (
            "If this is an outage, it is Sigstore's, not the index's: see its status page and "
            f"run again later. {_SAFE_AGAIN} `attestations: false` publishes without attestations, "
            "but they cannot be added after the upload."
        )
    return f"Check the Sigstore instance (sigstore-trust-config) and run again. {_SAFE_AGAIN}"
