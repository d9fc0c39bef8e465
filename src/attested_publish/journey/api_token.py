"""The fifth stage: an API token of the index for this identity, revoked on the way out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from attested_publish.index.api_token import Exchange, Revocation, TrustedCredentials
from attested_publish.index.credentials import Credentials, GivenCredentials
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.problems import IdentityProblem, Stage, TokenRefused, Topic
from attested_publish.settings import Attestations

if TYPE_CHECKING:
    from attested_publish.identity.publishers import Identity
    from attested_publish.index.api_token import Audience
    from attested_publish.index.contents import Contents
    from attested_publish.journey.run import Run

_NO_ATTESTATIONS = (
    "Uploading with a password: no attestations are made, because they need the identity of a "
    "trusted publisher. They cannot be added after the upload."
)
_MOVE_TO_TRUSTED_PUBLISHING = (
    f"{_NO_ATTESTATIONS} Register such a publisher on the index, give the job `permissions: "
    "id-token: write` (GitHub) or `id_tokens` (GitLab), and leave the password out: then no "
    "long-lived secret has to be kept, either."
)


@contextlib.contextmanager
def api_token(
    run: Run, identity: Identity, audience: Callable[[], Audience], contents: Contents
) -> Iterator[Credentials]:
    """Mint API tokens for the job's identity, and revoke them on every way out.

    The revocation goes on in the background, and is waited for at the end of the run. Raises
    `TokenProblem`.
    """
    index = run.targets.index
    with ended_when_stopped() as until_done:
        with run.recorder.stage(Stage.TOKEN, f"an API token of {index.name} for this identity"):
            wanted = audience()
            if wanted.exchange.ignored:
                run.printer.notice(
                    f"{index.name} announces a token exchange that is not used "
                    f"({wanted.exchange.ignored})."
                )
            exchange = Exchange(
                index=index,
                addresses=wanted.exchange,
                ambient=run.means.ambient,
                identity=identity,
                projects=contents.projects,
                session=run.means.session,
                deadlines=run.targets.deadlines,
                mask=run.mask,
                tell=run.printer.waiting,
            )
            credentials = TrustedCredentials(exchange, wanted.name)
            until_done.callback(_revoke_meanwhile, run, credentials)
            try:
                _ = credentials.password
            except TokenRefused as problem:
                if problem.topic is Topic.UNKNOWN_PUBLISHER and index.works_as_pypi:
                    # What differs from the job that published the release before? It reads a
                    # certificate with sigstore, which takes a second to import.
                    from attested_publish.journey.publisher_differences import differences

                    differ = differences(identity.publisher, contents, index, run.means.session)
                    problem.detail = "\n".join((problem.detail, *differ))
                raise
            run.printer.item("minted", "short-lived, for this release only")
        yield credentials


def given_credentials(run: Run) -> Credentials:
    """Return the given user and password. Raises `IdentityProblem` where attestations are required.

    An index accepts attestations from trusted publishers only.
    """
    if run.settings.attestations is Attestations.REQUIRED:
        raise IdentityProblem(
            "Attestations are required, but a password is given",
            topic=Topic.ATTESTATIONS_AND_PASSWORD,
            detail="Indexes accept attestations only from trusted publishers, whose identity "
            "they can verify the signatures with.",
            remedy="Leave the password out and publish with a trusted publisher, or set "
            "attestations to auto.",
        )
    run.mask(run.settings.password, run.settings.user)
    # Few other indexes have trusted publishers.
    can_improve = run.targets.index.takes_attestations
    run.recorder.improvement(_MOVE_TO_TRUSTED_PUBLISHING if can_improve else _NO_ATTESTATIONS)
    if run.settings.provenance:
        run.printer.warning("provenance is true, but no SLSA provenance is made with a password.")
    return GivenCredentials(run.settings.user, run.settings.password)


def _revoke_meanwhile(run: Run, credentials: TrustedCredentials) -> None:
    revocation = credentials.revoke()

    def report() -> None:
        outcome = revocation()
        if outcome is Revocation.REVOKED:
            run.printer.item("API token revoked")
        elif outcome is not None:
            run.printer.notice(f"The API token is {outcome}.")

    run.means.afterwards.callback(report)
