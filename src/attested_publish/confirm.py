"""Wait until the index serves what was uploaded, and check that it does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from attested_publish.foreign import shown
from attested_publish.index import Index, IndexFile, files_of, provenance_of
from attested_publish.parallel import in_parallel, meanwhile
from attested_publish.problems import ConfirmationProblem, IndexProblem, Topic
from attested_publish.retry import Patience, Tell, persistently

if TYPE_CHECKING:
    import requests
    from pypi_attestations import Attestation, Publisher

    from attested_publish.attestations import Trust
    from attested_publish.distributions import Distribution

_ASKING = 32


@dataclass
class Confirmation:
    """What the index serves, by filename; `late` names what it does not serve yet, and why.

    `publisher` is the one that the provenance names, where some was verified.
    """

    served: dict[str, IndexFile] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    publisher: Publisher | None = None


def confirm(
    distributions: Sequence[Distribution],
    attestations: Mapping[str, Sequence[Attestation]],
    index: Index,
    session: requests.Session,
    *,
    trust: Trust | None,
    patience: Patience,
    seen: Callable[[Distribution, IndexFile], None],
    tell: Tell,
) -> Confirmation:
    """Ask the index until it serves every file with its digest and provenance.

    An index may serve cached pages for a while, so what is late when the `patience`
    is at its end is returned, not raised. `seen` is called once a file is right.
    Raises `ConfirmationProblem` when the index serves other bytes or a provenance
    that does not hold.
    """
    result = Confirmation()
    missing = {distribution.filename: distribution for distribution in distributions}

    def provenance_is_late(distribution: Distribution) -> str | None:
        uploaded = attestations.get(distribution.filename)
        if not uploaded or trust is None:
            return None
        outcome = _check_provenance(distribution, uploaded, index, session, trust)
        if isinstance(outcome, str):
            return outcome
        result.publisher = outcome
        return None

    def look_again() -> None:
        waited_for = list(missing.values())
        projects = {str(each.project) for each in waited_for}
        # Asked for at the same time as the provenance: neither needs the other.
        pages = {
            project: meanwhile(partial(_page, index, project, session)) for project in projects
        }
        for each, provenance_why in in_parallel(provenance_is_late, waited_for, threads=_ASKING):
            page = pages[str(each.project)]()
            file = None if isinstance(page, str) else page.get(each.filename)
            if file is None:
                unlisted = "its project page does not list the file yet"
                result.late[each.filename] = page if isinstance(page, str) else unlisted
                continue
            _check_digest(each, file, index)
            if provenance_why is not None:
                result.late[each.filename] = provenance_why
                continue
            result.served[each.filename] = file
            result.late.pop(each.filename, None)
            del missing[each.filename]
            seen(each, file)
        if missing:
            raise _late(missing, result)

    # What is late is in the result: it is no failure.
    with contextlib.suppress(IndexProblem):
        persistently(look_again, patience, tell)
    return result


def _late(missing: Mapping[str, Distribution], result: Confirmation) -> IndexProblem:
    first = next(iter(missing))
    return IndexProblem(
        "The index does not serve everything yet",
        detail=f"{len(missing)} not served yet, {shown(first)} among them: {result.late[first]}",
        may_pass=True,
    )


def _page(index: Index, project: str, session: requests.Session) -> dict[str, IndexFile] | str:
    """Return what the index serves of a project, or why that cannot be said."""
    try:
        return files_of(index, project, session) or {}
    except IndexProblem as problem:
        return problem.cause


def _check_digest(distribution: Distribution, file: IndexFile, index: Index) -> None:
    if file.sha256 is not None and file.sha256 != distribution.sha256:
        raise ConfirmationProblem(
            f"{index.name} serves other bytes as {shown(distribution.filename)}",
            topic=Topic.OTHER_BYTES_SERVED,
            detail=f"sha256 {shown(file.sha256, 80)} is served at {shown(file.url, 200)}, "
            f"{distribution.sha256} was uploaded.",
            remedy="Do not announce this release: find out who uploaded that file, and yank "
            "the release on the index.",
            file=distribution.filename,
        )


def _check_provenance(
    distribution: Distribution,
    uploaded: Sequence[Attestation],
    index: Index,
    session: requests.Session,
    trust: Trust,
) -> str | Publisher:
    """Verify the provenance that is served of a file; return its publisher, or why it is late."""
    from attested_publish.attestations import AttestationRefused, policy_of, verify_attestation
    from attested_publish.conversion import NotConvertible, read_provenance

    try:
        served = provenance_of(
            index,
            str(distribution.project),
            str(distribution.version),
            distribution.filename,
            session,
        )
    except IndexProblem as problem:
        return problem.cause
    if served is None:
        return "its provenance is not served yet"
    try:
        provenance = read_provenance(served)
    except NotConvertible as error:
        raise _wrong(distribution, index, str(error)) from error
    # The log entry may be spelled differently after its way through the index.
    not_seen = [each.envelope for each in uploaded]
    publisher: Publisher | None = None
    for bundle in provenance.attestation_bundles:
        for attestation in bundle.attestations:
            if attestation.envelope not in not_seen:
                continue
            try:
                verify_attestation(
                    attestation,
                    filename=distribution.filename,
                    sha256=distribution.sha256,
                    policy=policy_of(bundle.publisher),
                    verifier=trust.verifier,
                )
            except AttestationRefused as error:
                raise _wrong(distribution, index, str(error)) from error
            not_seen.remove(attestation.envelope)
            publisher = bundle.publisher
    if not_seen or publisher is None:
        raise _wrong(distribution, index, "it does not hold the attestation that was uploaded.")
    return publisher


def _wrong(distribution: Distribution, index: Index, why: str) -> ConfirmationProblem:
    return ConfirmationProblem(
        f"{index.name} serves a wrong provenance for {shown(distribution.filename)}",
        topic=Topic.WRONG_PROVENANCE,
        detail=f"The provenance was fetched and does not hold: {why}",
        remedy="The file itself is public. Consumers who verify it will be refused: publish a "
        "new version, and tell the operators of the index.",
        file=distribution.filename,
    )
