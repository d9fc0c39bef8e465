"""The journey of a release, to one index or several, and its shorter forms: check and attest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.identity.tokens import AmbientIdentity
from attested_publish.journey.failures import told
from attested_publish.journey.stages import Journey
from attested_publish.journey.telling import tell_projects
from attested_publish.net.http import new_session
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.report import Report, Result
from attested_publish.rules.verdicts import verdicts
from attested_publish.settings import Attestations, WrongUsage

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.console.reporter import Reporter
    from attested_publish.distributions import Distribution
    from attested_publish.identity.publishers import Identity
    from attested_publish.journey.targets import Services
    from attested_publish.settings import Settings


def publish(settings: Settings, services: Services, reporter: Reporter) -> None:
    """Check, attest, upload and confirm a release; the report tells what became of it.

    Raises a `Problem` where the release has to stop. Nothing irreversible happens
    while anything checkable is unchecked, and what the index holds already is done.

    With several indexes each has its own turn, and its own report among the report's
    `indexes`; a problem at one is told there, and the next has its turn all the same.
    """
    _at_each_index(_publish, settings, services, reporter)


def _publish(journey: Journey, distributions: Sequence[Distribution]) -> None:
    settings, attesting = journey.settings, journey.attesting
    asked = journey.asked(distributions)
    trust = attesting.trust()
    journey.follow_rules(distributions)
    held = journey.holdings(distributions, asked)
    journey.stop_if_refused(distributions)
    attesting.prove_trust_config()
    missing = held.missing_of(distributions)
    journey.stop_if_unreadable(missing)
    attestations: Mapping[str, Sequence[Attestation]] = {}
    identity: Identity | None = None
    sent: Sequence[Distribution] = ()
    if not missing:
        journey.reporter.notice(
            "The index has a file of each name already: there is nothing to upload."
        )
    elif settings.password:
        sent = journey.upload(missing, {}, held, journey.given_credentials())
    else:
        audience = journey.audience()
        identity, plan = journey.identify(audience)
        if settings.attestations_dir is not None and plan.sends:
            attesting.prove_folders(missing)
        ready = attesting.judge(missing, identity, trust, plan=plan)
        attesting.reuse(ready, missing, identity, trust, plan)
        unsigned = ready.unsigned(missing) if plan.attest else []
        signing = attesting.signing(trust) if unsigned and trust is not None else None
        with journey.trusted(identity, audience, held) as credentials:
            made = attesting.sign(unsigned, identity, signing) if signing is not None else {}
            attestations = ready.together(made)
            sent = journey.upload(missing, attestations, held, credentials)
    if sent and settings.confirm and not held.unreadable:
        journey.confirm(sent, attestations, trust, identity)
    journey.stop_if_doubtful(missing)
    tell_projects(journey.reporter)


def check(settings: Settings, services: Services, reporter: Reporter) -> None:
    """Say what the index would refuse, for all files at once.

    Where the job has an identity, an API token is minted and revoked at once, to prove
    that the index knows the publisher; nothing else is spent. Several indexes are asked
    as `publish` does it.
    """
    _at_each_index(_check, settings, services, reporter)


def _check(journey: Journey, distributions: Sequence[Distribution]) -> None:
    asked = journey.asked(distributions)
    journey.follow_rules(distributions)
    held = journey.holdings(distributions, asked)
    journey.stop_if_refused(distributions)
    journey.mark_checked(distributions)
    journey.attesting.prove_trust_config()
    journey.prove_publisher(held.missing_of(distributions), held)


def check_files(settings: Settings, services: Services, reporter: Reporter) -> None:
    """Say what can be told from the files alone, without any network."""
    with _journey(settings, services, reporter) as journey, journey.staged() as distributions:
        journey.follow_rules(distributions)
        journey.stop_if_refused(distributions)
        journey.mark_checked(distributions)
    reporter.report.result = Result.DONE


def attest(settings: Settings, services: Services, reporter: Reporter) -> None:
    """Sign and verify, and leave the attestation files; uploads nothing.

    Raises `WrongUsage` where the settings want no attestations, else a `Problem`.
    """
    if settings.attestations is Attestations.NEVER:
        raise WrongUsage("attest makes attestations, but attestations is false: drop one of them.")
    with _journey(settings, services, reporter) as journey, journey.staged() as distributions:
        attesting = journey.attesting
        attesting.prove_folders(distributions)
        journey.follow_rules(distributions)
        journey.stop_if_refused(distributions)
        trust = attesting.trust_for_signing()
        identity = journey.identify_signer()
        ready = attesting.judge(distributions, identity, trust)
        unsigned = ready.unsigned(distributions)
        made: Mapping[str, Attestation] = {}
        if unsigned:
            journey.refuse_to_sign(identity)
            made = attesting.sign(unsigned, identity, attesting.signing(trust))
        attesting.keep(distributions, ready, made)
    reporter.report.result = Result.DONE


def _at_each_index(
    do: Callable[[Journey, Sequence[Distribution]], None],
    settings: Settings,
    services: Services,
    reporter: Reporter,
) -> None:
    """Stage the files once and go to every index with them, in order.

    With one index a problem comes out. With several, it is told, and the worst that came
    of any of them is the result.
    """
    report = reporter.report
    several = services.each() if services.further else []
    report.indexes = [Report(report.mode, there.index.upload_url) for there in several]
    with _journey(settings, services, reporter) as journey, journey.staged() as distributions:
        if not several:
            do(journey, distributions)
        for part in report.indexes:
            part.add_files(distributions)
        for number, (there, part) in enumerate(zip(several, report.indexes, strict=True), 1):
            name = there.index.name
            reporter.heading(f"{name}, index {number} of {len(several)}")
            with reporter.recording(part, name), told(reporter):
                with journey.at(there) as onward:
                    do(onward, distributions)
                part.result = Result.DONE
    report.result = Result.worst(Result.DONE, *(part.result for part in report.indexes))
    if several:
        reporter.heading(f"{len(several)} indexes")
        for there, part in zip(several, report.indexes, strict=True):
            tell = reporter.item if part.result is Result.DONE else reporter.warning
            tell(f"{there.index.name}: {part.result}")


@contextlib.contextmanager
def _journey(settings: Settings, services: Services, reporter: Reporter) -> Iterator[Journey]:
    with (
        verdicts() as judging,
        new_session(read=services.deadlines.answer) as session,
        ended_when_stopped() as after,
    ):
        ambient = AmbientIdentity(
            services.ambient,
            services.deadlines.identity,
            reporter.mask,
            reporter.waiting,
            is_local=services.is_identity_local,
        )
        yield Journey(settings, services, reporter, session, ambient, after, judging)
