"""The journey of a release, and its two shorter forms: check and attest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.http import new_session
from attested_publish.identity import AmbientIdentity
from attested_publish.journey import Journey
from attested_publish.report import Result
from attested_publish.stopping import ended_when_stopped

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.reporter import Reporter
    from attested_publish.services import Services
    from attested_publish.settings import Settings


def publish(settings: Settings, services: Services, reporter: Reporter) -> None:
    """Check, attest, upload and confirm a release; the report tells what became of it.

    Raises a `Problem` where the release has to stop. Nothing irreversible happens
    while anything checkable is unchecked, and what the index holds already is done.
    """
    with _journey(settings, services, reporter) as journey, journey.staged() as distributions:
        asked = journey.asked(distributions)
        trust = journey.trust()
        journey.follow_rules(distributions)
        held = journey.holdings(distributions, asked)
        journey.stop_if_refused(distributions)
        missing = held.missing_of(distributions)
        attestations: Mapping[str, Sequence[Attestation]] = {}
        if not missing:
            reporter.notice("The index holds everything already: there is nothing to upload.")
        elif settings.password:
            journey.upload(missing, {}, held, journey.given_credentials())
        else:
            audience = journey.audience()
            identity, plan = journey.identify(audience)
            ready = journey.judge_ready_made(missing, identity, trust, plan=plan)
            unsigned = ready.unsigned(missing) if plan.attest else []
            signing = journey.signing(trust) if unsigned and trust is not None else None
            with journey.trusted(identity, audience, held) as credentials:
                made = journey.attest(unsigned, identity, signing) if signing is not None else {}
                attestations = ready.together(made)
                journey.upload(missing, attestations, held, credentials)
        if missing and settings.confirm and not held.unreadable:
            journey.confirm(missing, attestations, trust)
        journey.stop_if_doubtful(missing)
        journey.tell_projects()
    reporter.report.result = Result.DONE


def check(settings: Settings, services: Services, reporter: Reporter) -> None:
    """Say what the index would refuse, for all files at once.

    Where the job has an identity, an API token is minted and revoked at once, to prove
    that the index knows the publisher; nothing else is spent.
    """
    with _journey(settings, services, reporter) as journey, journey.staged() as distributions:
        asked = journey.asked(distributions)
        journey.follow_rules(distributions)
        held = journey.holdings(distributions, asked)
        journey.stop_if_refused(distributions)
        journey.mark_checked(distributions)
        journey.prove_publisher(held.missing_of(distributions), held)
    reporter.report.result = Result.DONE


def check_files(settings: Settings, services: Services, reporter: Reporter) -> None:
    """Say what can be told from the files alone, without any network."""
    with _journey(settings, services, reporter) as journey, journey.staged() as distributions:
        journey.follow_rules(distributions)
        journey.stop_if_refused(distributions)
        journey.mark_checked(distributions)
    reporter.report.result = Result.DONE


def attest(settings: Settings, services: Services, reporter: Reporter) -> None:
    """Sign and verify, and leave the attestation files; uploads nothing."""
    with _journey(settings, services, reporter) as journey, journey.staged() as distributions:
        journey.follow_rules(distributions)
        journey.stop_if_refused(distributions)
        trust = journey.trust_for_signing()
        identity = journey.identify_signer()
        ready = journey.judge_ready_made(distributions, identity, trust)
        unsigned = ready.unsigned(distributions)
        made = journey.attest(unsigned, identity, journey.signing(trust)) if unsigned else {}
        journey.keep_attestations(distributions, ready.together(made))
    reporter.report.result = Result.DONE


@contextlib.contextmanager
def _journey(settings: Settings, services: Services, reporter: Reporter) -> Iterator[Journey]:
    with new_session(read=services.deadlines.answer) as session, ended_when_stopped() as after:
        ambient = AmbientIdentity(
            services.ambient, services.deadlines.identity, reporter.mask, reporter.waiting
        )
        yield Journey(settings, services, reporter, session, ambient, after)
