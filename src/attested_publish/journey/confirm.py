"""The last stage: the index serves each file, with its digest and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.attestations.verify import policy_for
from attested_publish.console.progress import progress_of
from attested_publish.journey.ask_index import note_served
from attested_publish.journey.made import note_attestation, note_publisher
from attested_publish.journey.run import State
from attested_publish.journey.served import wait_until_served
from attested_publish.journey.trust import trust_of
from attested_publish.net.untrusted import shown
from attested_publish.problems import ConfirmationProblem, Stage, Topic, counted

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.distributions import Distribution
    from attested_publish.identity.publishers import Identity
    from attested_publish.index.index import IndexFile
    from attested_publish.journey.run import Run
    from attested_publish.journey.served import Provenanced


def confirm(
    run: Run,
    sent: Sequence[Distribution],
    attestations: Mapping[str, Sequence[Attestation]],
    identity: Identity | None,
) -> None:
    """Wait until the index serves what was uploaded, and compare it with what was sent.

    Attestations have to be those of `identity`, which need not have signed them in this run.
    What is late is a warning. Raises `ConfirmationProblem`.
    """
    index = run.targets.index

    def seen(distribution: Distribution, served: IndexFile, provenance: Provenanced | None) -> None:
        file = run.files[distribution.filename]
        note_served(run, distribution, served)
        note = f"served, {'digest' if provenance is None else 'digest and provenance'} right"
        if provenance is not None and not provenance.is_own:
            file.attestations.clear()
            for attestation in provenance.attestations.values():
                note_attestation(run, distribution, attestation)
            file.state = State.THERE
            note += "; another run uploaded it"
        elif file.state is not State.THERE:
            file.state = State.ARRIVED
        progress.done(distribution.filename, distribution.size, note)

    is_attested = any(attestations.values())
    with (
        run.recorder.stage(Stage.CONFIRMATION, f"until {index.name} serves every file"),
        progress_of(sent, run.printer) as progress,
    ):
        served = wait_until_served(
            sent,
            attestations,
            index,
            run.means.session,
            trust=trust_of(run)() if is_attested else None,
            policy=policy_for(identity.publisher) if identity and attestations else None,
            patience=run.targets.deadlines.confirmation,
            seen=seen,
            tell=run.printer.waiting,
        )
        note_publisher(run, served.publisher)
        for filename, reason in served.late.items():
            if run.files[filename].state in {State.ARRIVED, State.THERE}:
                run.printer.warning(
                    f"{shown(filename)} is uploaded, but not confirmed in time: {reason}."
                )


def stop_if_doubtful(run: Run) -> None:
    """Raise `ConfirmationProblem` where an upload seemed to succeed, but the file is not served."""
    doubtful = [file.distribution.filename for file in run.in_state(State.DOUBTFUL)]
    if doubtful:
        raise ConfirmationProblem(
            f"{counted(len(doubtful), 'file')} may not have been received",
            topic=Topic.ARRIVAL_DOUBTFUL,
            detail=f"{run.targets.index.name} answered 200, but not in the index's usual words, "
            f"and does not serve: {shown(', '.join(doubtful))}.",
            remedy="Something between this runner and the index may have answered in its "
            "place (a proxy, a portal). Run again: what has arrived is not sent twice.",
            file=doubtful[0],
        )
