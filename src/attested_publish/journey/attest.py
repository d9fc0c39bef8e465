"""The sixth stage: how the files get their attestations: existing ones, or signed in this run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.attestations import existing, files
from attested_publish.attestations.sidecars import (
    KINDS,
    Existing,
    Ready,
    attestation_file,
)
from attested_publish.attestations.sign import Signing, Statement, refuse_unnameable
from attested_publish.attestations.verify import (
    AttestationRefused,
    log_index,
    policy_for,
    publisher_of,
    verify,
    verify_attestation,
)
from attested_publish.console.progress import progress_of
from attested_publish.journey.made import note_attestation, note_publisher
from attested_publish.journey.run import State
from attested_publish.journey.trust import beside, may_attest, trust_of
from attested_publish.net.untrusted import shown
from attested_publish.problems import AttestationNotAccepted, Stage, Topic, counted
from attested_publish.settings import Attestations

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.attestations.sidecars import Fault
    from attested_publish.distributions import Distribution
    from attested_publish.identity.publishers import Identity
    from attested_publish.journey.attestation_plan import AttestationPlan
    from attested_publish.journey.run import Run

_SHOWN = 20
"""How many files are listed with the reason why they are not used."""


def verify_existing(
    run: Run,
    distributions: Sequence[Distribution],
    identity: Identity,
    plan: AttestationPlan,
) -> Existing:
    """Find which attestation files beside the distributions the index will accept.

    They are in the log already, so they are uploaded even where the `plan` is not to sign.
    Raises `AttestationNotAccepted` where attestations are required and one of them is not valid;
    otherwise one that is not valid is named and not used.
    """
    paths = beside(run, distributions)
    if not paths or not plan.sends:
        return Existing()
    printer = run.printer
    policy = policy_for(identity.publisher)
    with run.recorder.stage(Stage.VERIFICATION, "the attestations beside the files"):
        verifier = trust_of(run)().verifier
        found = existing.verify_beside(paths, distributions, policy, verifier, run.sandbox)
        for each in distributions:
            for ready in found.usable.get(each.filename, ()):
                note_attestation(run, each, ready.attestation)
                printer.item(shown(ready.path.name), f"valid for {shown(each.filename)}")
        _notices(
            run,
            (
                f"{shown(spare.path.name)} is not used: it is valid, but another file has an "
                f"attestation of the same kind ({spare.predicate_type}), and one is enough."
                for spare in found.spare
            ),
        )
        refused = [fault for fault in found.faults if fault.was_made_for_upload]
        if refused and run.settings.attestations is Attestations.REQUIRED:
            raise _not_accepted(refused)
        _notices(run, (_not_used(fault) for fault in found.faults))
        replaced = {fault.path.name for fault in refused}
        again = [
            each
            for each in unsigned(found, distributions, plan)
            if attestation_file(each.distribution.filename, each.predicate_type) in replaced
        ]
        if again:
            printer.notice(f"{counted(len(again), 'attestation')} will be made again.")
    return found


def unsigned(
    ready: Existing, distributions: Iterable[Distribution], plan: AttestationPlan
) -> list[Statement]:
    """Return what is to be signed: what the `plan` wants of each file, and is not `ready`."""
    return [
        Statement(each, predicate_type, predicate)
        for each in distributions
        for predicate_type, predicate in plan.predicates.items()
        if ready.lacks(each, predicate_type)
    ]


def reuse(
    run: Run,
    ready: Existing,
    distributions: Sequence[Distribution],
    identity: Identity,
    plan: AttestationPlan,
) -> None:
    """Add to what is `ready` the attestations that this run has signed for another index.

    They are in the log, so they are uploaded even where the `plan` is not to sign. Each is
    verified for this index's publisher; one that is not valid is signed again.
    """
    before = [
        (each, predicate_type, attestation)
        for each in distributions
        for predicate_type, attestation in run.release.signed.get(each.filename, {}).items()
        if ready.lacks(each, predicate_type)
    ]
    if not before or not plan.sends or not may_attest(run):
        return
    policy = policy_for(identity.publisher)
    valid = 0
    with run.recorder.stage(Stage.VERIFICATION, "what was signed for the index before"):
        for each, predicate_type, attestation in before:
            try:
                verify_attestation(
                    attestation,
                    filename=each.filename,
                    sha256=each.sha256,
                    policy=policy,
                    verifier=trust_of(run)().verifier,
                )
            except AttestationRefused as error:
                run.printer.notice(f"{shown(each.filename)} is signed again: {error}")
                continue
            made = Ready(each.source, predicate_type, attestation)
            ready.usable.setdefault(each.filename, []).append(made)
            note_attestation(run, each, attestation)
            valid += 1
        run.printer.item(f"{counted(valid, 'attestation')} verified", "not signed again")
    note_publisher(run, publisher_of(identity.publisher))


def begin_signing(run: Run, statements: Iterable[Statement]) -> Signing:
    """Set up signing these statements; the certificate is requested in the background.

    Raises `SigningProblem` for files that cannot be signed at all.
    """
    refuse_unnameable(_distributions(statements))
    deadlines = run.targets.deadlines
    return Signing(trust_of(run)(), run.means.ambient, deadlines, run.printer.waiting)


def sign(
    run: Run, statements: Sequence[Statement], identity: Identity, signing: Signing
) -> Mapping[str, Sequence[Attestation]]:
    """Sign every statement, then verify each attestation as the index will.

    Raises `SigningProblem`, `VerificationProblem`.
    """
    distributions = _distributions(statements)
    kinds = {statement.predicate_type for statement in statements}
    of_file = Counter(statement.distribution.filename for statement in statements)
    entries: dict[str, dict[str, int]] = {}

    def signed(statement: Statement, attestation: Attestation) -> None:
        distribution, kind = statement.distribution, statement.predicate_type
        filename = distribution.filename
        run.release.signed.setdefault(filename, {})[kind] = attestation
        note_attestation(run, distribution, attestation)
        made = entries.setdefault(filename, {})
        made[kind] = log_index(attestation)
        if len(made) == of_file[filename]:
            progress.done(filename, distribution.size, _log_entries(made, named=len(kinds) > 1))

    doing = "one certificate, a logged signature for each file"
    if len(kinds) > 1:
        doing = "one certificate, two logged signatures for each file"
    with (
        run.recorder.stage(Stage.SIGNATURES, doing),
        progress_of(distributions, run.printer) as progress,
    ):
        made = signing.sign_all(
            statements, signed, begun=lambda each: progress.begun(each.distribution.filename)
        )
    note_publisher(run, publisher_of(identity.publisher))
    with run.recorder.stage(Stage.VERIFICATION, "each attestation, as the index will verify it"):
        verify(distributions, made, policy_for(identity.publisher), signing.trust)
        run.printer.item(f"{counted(len(statements), 'attestation')} verified")
    return made


def keep(
    run: Run,
    distributions: Sequence[Distribution],
    ready: Existing,
    made: Mapping[str, Sequence[Attestation]],
) -> None:
    """Leave attestation files in `attestations-dir`, or next to each distribution."""
    for each in distributions:
        folder = run.settings.attestations_dir or each.source.parent
        usable = ready.usable.get(each.filename, [])
        every = [*made.get(each.filename, ()), *(one.attestation for one in usable)]
        there = files.staying(usable, each.filename, folder, every)
        lying = [one.attestation for one in there]
        kept = files.keep([one for one in every if one not in lying], each.filename, folder)
        run.set_state(each, State.ATTESTED)
        run.attestations_dir = folder
        for path in files.others(each.filename, folder, kept | {one.path.name for one in there}):
            run.printer.warning(
                f"{shown(path.name)} stays where it is, and an uploader would send it too. "
                "It is not one of the valid ones: the index may refuse the file. Remove it."
            )


def keep_in_folder(
    run: Run,
    distributions: Iterable[Distribution],
    attestations: Mapping[str, Sequence[Attestation]],
) -> None:
    """Also leave in `attestations-dir` what is about to be uploaded, where that is set."""
    folder = run.settings.attestations_dir
    if folder is not None and attestations:
        for each in distributions:
            files.keep(attestations.get(each.filename, ()), each.filename, folder)
        run.attestations_dir = folder


def prove_folders(run: Run, distributions: Iterable[Distribution]) -> None:
    """Prove that attestation files can be written where they are to be left.

    Raises `FilesProblem`.
    """
    chosen = run.settings.attestations_dir
    files.prove_writable({each.filename: chosen or each.source.parent for each in distributions})


def _log_entries(entries: Mapping[str, int], *, named: bool) -> str:
    """Return where the attestations of a file are in the log, with their kinds if `named`."""
    told = [
        f"{entries[kind]} ({name})" if named else str(entries[kind])
        for kind, name in KINDS.items()
        if kind in entries
    ]
    return f"{'log entry' if len(told) == 1 else 'log entries'} {', '.join(told)}"


def _distributions(statements: Iterable[Statement]) -> list[Distribution]:
    return list({each.distribution.filename: each.distribution for each in statements}.values())


def _notices(run: Run, texts: Iterable[str]) -> None:
    """Print the first of many notices, and how many more there are."""
    every = list(texts)
    for text in every[:_SHOWN]:
        run.printer.notice(text)
    if len(every) > _SHOWN:
        more = counted(len(every) - _SHOWN, "more file")
        run.printer.notice(f"The same applies to {more} beside the distributions.")


def _not_used(fault: Fault) -> str:
    unused = "is not used" if fault.was_made_for_upload else "is not converted"
    return f"{shown(fault.path.name)} {unused}: {fault.why}"


def _not_accepted(faults: Sequence[Fault]) -> AttestationNotAccepted:
    reasons = [f"{shown(fault.path.name)}: {fault.why}" for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        reasons.append(f"And {len(faults) - _SHOWN} more.")
    return AttestationNotAccepted(
        f"{counted(len(faults), 'ready-made attestation')} would not be accepted",
        topic=Topic.ATTESTATION_INVALID,
        detail="\n".join(reasons),
        remedy="Leave these files out to have new attestations made, or set attestations to auto, "
        "which does so by itself.",
    )
