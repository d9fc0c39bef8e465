"""The modes: publish a release to one index or several, check it, or only attest it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attested_publish.console.recorder import Recorder
from attested_publish.identity.tokens import AmbientIdentity
from attested_publish.index.package import get_ready
from attested_publish.journey.ask_index import ask_index, contents_meanwhile
from attested_publish.journey.failures import failures_explained
from attested_publish.journey.files import private_copies
from attested_publish.journey.identify import audience_meanwhile, identify
from attested_publish.journey.judge import judge, mark_checked, stop_if_refused, stop_if_unreadable
from attested_publish.journey.prove import prove_publisher
from attested_publish.journey.releases import print_releases
from attested_publish.journey.run import Means, Run
from attested_publish.journey.trust import may_attest, stop_if_untrusted, trust_of
from attested_publish.net.http import new_session
from attested_publish.net.parallel import meanwhile
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.report import Result
from attested_publish.rules.verdicts import verdicts
from attested_publish.settings import Attestations, WrongUsage

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.index.contents import Contents
    from attested_publish.journey.identify import Signer
    from attested_publish.journey.targets import Targets


def publish(run: Run) -> None:
    """Check, attest, upload and confirm a release.

    Raises a `Problem` where the release has to stop. Nothing irreversible happens while
    anything checkable is unchecked, and what the index has already is done.

    Each of several indexes has its own part of the run; a problem at one is explained there,
    and the next has its turn all the same.
    """
    _at_each_index(run, _publish)


def _publish(run: Run, distributions: Sequence[Distribution]) -> None:
    answer = contents_meanwhile(run, distributions)
    delivery = meanwhile(_delivery)
    if may_attest(run):
        trust_of(run)
    judge(run, distributions)
    contents = ask_index(run, distributions, answer)
    stop_if_refused(run)
    stop_if_untrusted(run)
    missing = contents.missing_of(distributions)
    stop_if_unreadable(run, missing)
    if missing:
        get_ready(run.means.sandbox)
        signer = None if run.settings.password else identify(run, audience_meanwhile(run))
        delivery()(run, missing, contents, signer)
    else:
        run.printer.notice("The index has a file of each name already: there is nothing to upload.")
    print_releases(run)


def _delivery() -> Callable[[Run, Sequence[Distribution], Contents, Signer | None], None]:
    # sigstore and twine take a second to import: that is done here, in the background.
    from attested_publish.journey.deliver import deliver

    return deliver


def check(run: Run) -> None:
    """Find what the index would refuse, for all files at once.

    Where the job has an identity, an API token is minted and revoked at once, to prove
    that the index knows the publisher; nothing else is spent. Several indexes are asked
    as `publish` does it.
    """
    _at_each_index(run, _check)


def _check(run: Run, distributions: Sequence[Distribution]) -> None:
    answer = contents_meanwhile(run, distributions)
    judge(run, distributions)
    contents = ask_index(run, distributions, answer)
    stop_if_refused(run)
    mark_checked(run)
    stop_if_untrusted(run)
    prove_publisher(run, contents.missing_of(distributions), contents)


def check_files(run: Run) -> None:
    """Find what can be known from the files alone, without any network."""
    with _means(run), private_copies(run) as distributions:
        judge(run, distributions)
        stop_if_refused(run)
        mark_checked(run)
    run.result = Result.DONE


def attest(run: Run) -> None:
    """Sign and verify, and leave the attestation files; uploads nothing.

    Raises `WrongUsage` where the settings want no attestations, else a `Problem`.
    """
    if run.settings.attestations is Attestations.NEVER:
        raise WrongUsage("attest makes attestations, but attestations is false: drop one of them.")
    with _means(run), private_copies(run) as distributions:
        # sigstore takes most of a second to import: not for a folder that is not there.
        from attested_publish.journey import attest, deliver

        attest.prove_folders(run, distributions)
        judge(run, distributions)
        stop_if_refused(run)
        deliver.attest_only(run, distributions)
    run.result = Result.DONE


def _at_each_index(run: Run, do: Callable[[Run, Sequence[Distribution]], None]) -> None:
    """Do the same with the files at every index of a run, in order.

    With one index a problem is raised. With several it is explained in the index's part of the
    run, and the worst result of any of them is that of the run.
    """
    if run.targets.further:
        run.parts = [_part(run, targets) for targets in run.targets.each()]
    with _means(run), private_copies(run) as distributions:
        if not run.parts:
            do(run, distributions)
        for part in run.parts:
            part.add_files(distributions)
        for number, part in enumerate(run.parts, 1):
            run.part = part
            part.recorder.current = run.recorder.current
            run.printer.heading(f"{part.name}, index {number} of {len(run.parts)}")
            with failures_explained(part), ended_when_stopped() as afterwards:
                part.means = replace(run.means, afterwards=afterwards)
                do(part, distributions)
                part.result = Result.DONE
            run.recorder.current = part.recorder.current
    run.part = None
    run.result = Result.worst(Result.DONE, *(part.result for part in run.parts))
    if run.parts:
        run.printer.heading(f"{len(run.parts)} indexes")
        for part in run.parts:
            report = run.printer.item if part.result is Result.DONE else run.printer.warning
            report(f"{part.name}: {part.result}")


def _part(run: Run, targets: Targets) -> Run:
    """Return the part of a run at one of its indexes; it shares what is known of the files."""
    recorder = Recorder(run.printer, run.recorder.started)
    part = Run(run.mode, run.settings, recorder, run.mask, run.release, name=targets.index.name)
    part.targets = targets
    return part


@contextlib.contextmanager
def _means(run: Run) -> Iterator[None]:
    """Open what the stages work with, until the end of the block."""
    with (
        verdicts() as found,
        new_session(read=run.targets.deadlines.answer) as session,
        ended_when_stopped() as afterwards,
    ):
        ambient = AmbientIdentity(
            run.targets.ambient,
            run.targets.deadlines.identity,
            run.mask,
            run.printer.waiting,
            is_local=run.targets.is_identity_local,
        )
        run.means = Means(session, ambient, found, afterwards)
        yield
