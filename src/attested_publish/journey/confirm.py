"""The last stage: the index serves each file, with its digest and provenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.attestations.sidecars import KINDS
from attested_publish.attestations.verify import policy_for
from attested_publish.console.progress import progress_of
from attested_publish.journey.ask_index import note_served
from attested_publish.journey.made import note_attestation, note_publisher
from attested_publish.journey.run import State
from attested_publish.journey.served import Provenances, wait_until_served
from attested_publish.journey.trust import trust_of
from attested_publish.net.untrusted import first_shown, shown
from attested_publish.problems import ConfirmationProblem, Stage, Topic, counted
from attested_publish.settings import Attestations

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.distributions import Distribution
    from attested_publish.identity.publishers import Identity
    from attested_publish.index.pages import IndexFile
    from attested_publish.journey.run import Run
    from attested_publish.journey.served import Provenanced, Unattested


def provenances_of(
    run: Run, attestations: Mapping[str, Sequence[Attestation]], identity: Identity
) -> Provenances | None:
    """Return what compares the provenances on the index with these attestations, if any are sent.

    They have to be those of `identity`, which need not have signed them in this run.
    """
    if not any(attestations.values()):
        return None
    return Provenances(attestations, run.pages, trust_of(run)(), policy_for(identity.publisher))


def confirm(run: Run, sent: Sequence[Distribution], provenances: Provenances | None) -> None:
    """Wait until the index serves what was uploaded, and compare it with what was sent.

    What is late is a warning, and so is a file without attestations, unless they are required.
    Raises `ConfirmationProblem`.
    """
    index, deadlines = run.targets.index, run.targets.deadlines
    incomplete: dict[frozenset[str], list[str]] = {}

    def seen(distribution: Distribution, served: IndexFile, provenance: Provenanced | None) -> None:
        file = run.files[distribution.filename]
        note_served(run, distribution, served)
        lacks = frozenset() if provenance is None else provenance.lacks
        is_whole = provenance is not None and not lacks
        right = ["digest"] * (served.sha256 is not None) + ["provenance"] * is_whole
        note = (
            f"served, with the right {' and '.join(right)}" if right else "served, without a digest"
        )
        if lacks:
            note += f", without the {_kinds(lacks)}"
            incomplete.setdefault(lacks, []).append(distribution.filename)
            for predicate_type in lacks:
                file.attestations.pop(predicate_type, None)
        if provenance is not None and not provenance.is_own:
            file.attestations.clear()
            for attestation in provenance.attestations.values():
                note_attestation(run, distribution, attestation)
            file.state = State.THERE
            note += "; another run uploaded it"
        elif file.state is not State.THERE:
            file.state = State.ARRIVED
        progress.done(distribution.filename, distribution.size, note)

    with (
        run.recorder.stage(Stage.CONFIRMATION, f"until {index.name} serves every file"),
        progress_of(sent, run.printer) as progress,
    ):
        served = wait_until_served(
            sent,
            provenances,
            run.pages,
            patience=deadlines.confirmation
            if index.works_as_pypi
            else deadlines.confirmation_elsewhere,
            seen=seen,
            tell=run.printer.waiting,
        )
        note_publisher(run, served.publisher)
        for filename, reason in served.late.items():
            if run.files[filename].state in {State.ARRIVED, State.THERE}:
                run.printer.warning(
                    f"{shown(filename)} is uploaded, but not confirmed in time: {reason}."
                )
        _note_unattested(run, served.unattested)
        for lacks, names in incomplete.items():
            _tell_incomplete(run, names, lacks)


def _tell_incomplete(run: Run, names: Sequence[str], lacks: frozenset[str]) -> None:
    """Warn of files that are served with one kind of attestation, but not with the other.

    Raises `ConfirmationProblem` where attestations are required.
    """
    index, number, lack = run.targets.index.name, len(names), _kinds(lacks)
    files = first_shown(names)
    if run.settings.attestations is not Attestations.REQUIRED:
        run.printer.warning(
            f"{files}: served by {index} without the {lack} that was sent. None can be added any "
            "more."
        )
        return
    raise ConfirmationProblem(
        f"{counted(number, 'file')} {'is' if number == 1 else 'are'} public without the {lack}",
        topic=Topic.NOT_ATTESTED,
        detail=f"{index} serves {files} with other attestations only: it did not keep it, or "
        "another run uploaded the file without one.",
        remedy="None can be added to these files any more. Publish a new version if you need it.",
        file=names[0],
    )


def _kinds(predicate_types: Iterable[str]) -> str:
    return f"{' and '.join(sorted(KINDS[each] for each in predicate_types))} attestation"


def _note_unattested(run: Run, unattested: Mapping[str, Unattested]) -> None:
    """Note what the index serves without its attestations; raise if these are required."""
    for filename, found in unattested.items():
        file = run.files[filename]
        if not found.is_listed:
            file.attestations.clear()
        if file.state is not State.THERE:
            file.state = State.ARRIVED
        note_served(run, file.distribution, found.file)
    # Those that are lost for good come first.
    for is_listed in (False, True):
        names = [name for name, found in unattested.items() if found.is_listed is is_listed]
        if names:
            _tell_unattested(run, names, unattested[names[0]])


def _tell_unattested(run: Run, names: Sequence[str], found: Unattested) -> None:
    """Warn that files are served without attestations, or raise if these are required."""
    index, number = run.targets.index.name, len(names)
    files = first_shown(names)
    are = "is" if number == 1 else "are"
    title = f"{counted(number, 'file')} {are} public without attestations"
    if found.is_listed:
        title += " for now"
        warning = f". {index} lists them, but does not serve them ({found.why}); that may change."
        detail = f"and lists the attestations, but does not serve them: {found.why}."
        remedy = (
            "Look again later, with `attested-publish verify`. If the attestations are not "
            "served then, publish a new version: they cannot be added to these files."
        )
    else:
        warning = f", but {index} serves none ({found.why}). None can be added any more."
        detail = f"but serves no attestations: {found.why}."
        remedy = (
            "No attestations can be added to these files any more. Publish a new version once "
            "the index accepts attestations again (see its status page)."
        )
    if run.settings.attestations is not Attestations.REQUIRED:
        run.printer.warning(f"{files}: uploaded with attestations{warning}")
        return
    raise ConfirmationProblem(
        title,
        topic=Topic.NOT_ATTESTED,
        detail=f"{index} accepted {files}, {detail}",
        remedy=remedy,
        file=names[0],
    )


def doubtful_of(run: Run, sent: Sequence[Distribution]) -> list[Distribution]:
    """Return those of which the index did not clearly say that it has them."""
    return [each for each in sent if run.files[each.filename].state is State.DOUBTFUL]


def stop_if_doubtful(run: Run) -> None:
    """Raise `ConfirmationProblem` where an upload seemed to succeed, but the file is not served."""
    doubtful = [file.distribution.filename for file in run.in_state(State.DOUBTFUL)]
    if doubtful:
        raise ConfirmationProblem(
            f"{counted(len(doubtful), 'file')} may not have been stored",
            topic=Topic.ARRIVAL_DOUBTFUL,
            detail=f"{run.targets.index.name} answered with success, but with a web page instead "
            f"of an index's usual words, and does not list: {shown(', '.join(doubtful))}.",
            remedy="Check that repository-url is the address for uploads: a web page may answer "
            "at any other, and so may a proxy or a portal in between. Then run again: what has "
            "been stored is not sent twice.",
            file=doubtful[0],
        )
