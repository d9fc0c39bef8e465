"""Wait until the index serves what was uploaded, and check that it does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from sigstore.verify.policy import AllOf

from attested_publish.attestations.convert import NotConvertible, read_provenance
from attested_publish.attestations.verify import AttestationRefused, policy_of, verify_attestation
from attested_publish.index.index import Index, IndexFile, files_of, provenance_of
from attested_publish.net.parallel import in_parallel, meanwhile
from attested_publish.net.retry import Patience, Tell, persistently
from attested_publish.net.untrusted import shown
from attested_publish.problems import ConfirmationProblem, IndexProblem, Topic

if TYPE_CHECKING:
    import requests
    from pypi_attestations import Attestation, Publisher
    from sigstore.verify.policy import VerificationPolicy

    from attested_publish.attestations.verify import Trust
    from attested_publish.distributions import Distribution

_ASKING = 32


@dataclass(frozen=True)
class Provenanced:
    """A valid provenance: its publisher, and its attestations by predicate type.

    They are this run's own, or those of another run for the same bytes and publisher: two
    that publish at once, or one that was killed before its upload was carried out.
    """

    publisher: Publisher
    attestations: Mapping[str, Attestation]
    is_own: bool


@dataclass
class Served:
    """What the index serves, by filename; `late` names what it does not serve yet, and why.

    `publisher` is the one that the provenance names, where some was verified.
    """

    served: dict[str, IndexFile] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    publisher: Publisher | None = None


def wait_until_served(
    distributions: Sequence[Distribution],
    attestations: Mapping[str, Sequence[Attestation]],
    index: Index,
    session: requests.Session,
    *,
    trust: Trust | None,
    policy: VerificationPolicy | None,
    patience: Patience,
    seen: Callable[[Distribution, IndexFile, Provenanced | None], None],
    tell: Tell,
) -> Served:
    """Ask the index until it serves every file with its digest and provenance.

    What is served is right when it verifies for these bytes and for the publisher (whose
    `policy` it is), whichever run signed it. An index may serve cached pages for a while, so
    what is late when the `patience` is at its end is returned, not raised. `seen` is called
    once a file is right. Raises `ConfirmationProblem` when the index serves other bytes or a
    provenance that is not valid.
    """
    result = Served()
    missing = {distribution.filename: distribution for distribution in distributions}

    def provenance(distribution: Distribution) -> Provenanced | str | None:
        uploaded = attestations.get(distribution.filename)
        if not uploaded or trust is None or policy is None:
            return None
        return _Verification(index, session, trust, policy).provenance(distribution, uploaded)

    def look_again() -> None:
        waited_for = list(missing.values())
        projects = {str(each.project) for each in waited_for}
        # Asked for at the same time as the provenance: neither needs the other.
        pages = {
            project: meanwhile(partial(_page, index, project, session)) for project in projects
        }
        for each, found in in_parallel(provenance, waited_for, threads=_ASKING):
            page = pages[str(each.project)]()
            file = None if isinstance(page, str) else page.get(each.filename)
            if file is None:
                unlisted = "its project page does not list the file yet"
                result.late[each.filename] = page if isinstance(page, str) else unlisted
                continue
            _check_digest(each, file, index)
            if isinstance(found, str):
                result.late[each.filename] = found
                continue
            if found is not None:
                result.publisher = found.publisher
            result.served[each.filename] = file
            result.late.pop(each.filename, None)
            del missing[each.filename]
            seen(each, file, found)
        if missing:
            raise _late(missing, result)

    # What is late is in the result: it is no failure.
    with contextlib.suppress(IndexProblem):
        persistently(look_again, patience, tell)
    return result


def _late(missing: Mapping[str, Distribution], result: Served) -> IndexProblem:
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


@dataclass(frozen=True)
class _Verification:
    """Holds what an index serves of a file against what it should: `policy` is the publisher's."""

    index: Index
    session: requests.Session
    trust: Trust
    policy: VerificationPolicy

    def provenance(
        self, distribution: Distribution, uploaded: Sequence[Attestation]
    ) -> str | Provenanced:
        """Verify the provenance that is served of a file; return it, or why it is late."""
        project, version = str(distribution.project), str(distribution.version)
        try:
            served = provenance_of(
                self.index, project, version, distribution.filename, self.session
            )
        except IndexProblem as problem:
            return problem.cause
        if served is None:
            return "its provenance is not served yet"
        try:
            provenance = read_provenance(served)
        except NotConvertible as error:
            raise _wrong(distribution, self.index, str(error)) from error
        pairs = [
            (bundle.publisher, attestation)
            for bundle in provenance.attestation_bundles
            for attestation in bundle.attestations
        ]
        # The log entry may be spelled differently after its way through the index.
        envelopes = [each.envelope for each in uploaded]
        own = [pair for pair in pairs if pair[1].envelope in envelopes]
        if own and any(each not in [it.envelope for _, it in own] for each in envelopes):
            why = "it does not contain every attestation that was uploaded."
            raise _wrong(distribution, self.index, why)
        if not pairs:
            raise _wrong(distribution, self.index, "it contains no attestation.")
        return self._verified(distribution, own or pairs, is_own=bool(own))

    def _verified(
        self,
        distribution: Distribution,
        pairs: Sequence[tuple[Publisher, Attestation]],
        *,
        is_own: bool,
    ) -> Provenanced:
        by_type: dict[str, Attestation] = {}
        for publisher, attestation in pairs:
            try:
                predicate_type = verify_attestation(
                    attestation,
                    filename=distribution.filename,
                    sha256=distribution.sha256,
                    # Consumers take the publisher that the index names.
                    policy=AllOf([policy_of(publisher), self.policy]),
                    verifier=self.trust.verifier,
                )
            except AttestationRefused as error:
                raise _wrong(distribution, self.index, str(error)) from error
            by_type[predicate_type] = attestation
        return Provenanced(pairs[0][0], by_type, is_own)


def _wrong(distribution: Distribution, index: Index, why: str) -> ConfirmationProblem:
    return ConfirmationProblem(
        f"{index.name} serves a wrong provenance for {shown(distribution.filename)}",
        topic=Topic.WRONG_PROVENANCE,
        detail=f"The provenance was fetched, and is not valid: {why}",
        remedy="The file itself is public. Consumers who verify it will be refused: publish a "
        "new version, and tell the operators of the index.",
        file=distribution.filename,
    )
