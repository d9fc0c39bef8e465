"""Wait until the index serves what was uploaded, and check that it does."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from sigstore.verify.policy import AllOf

from attested_publish.attestations.convert import NotConvertible, read_provenance
from attested_publish.attestations.verify import (
    AttestationRefused,
    policy_of,
    predicate_type_of,
    verify_attestation,
)
from attested_publish.index.pages import Page
from attested_publish.index.provenance import (
    ProvenanceRefused,
    provenance_listed,
    provenance_of,
)
from attested_publish.net.parallel import Outcome, in_parallel, meanwhile
from attested_publish.net.retry import Tell, persistently
from attested_publish.net.untrusted import shown
from attested_publish.problems import ConfirmationProblem, IndexProblem, Topic

if TYPE_CHECKING:
    from pypi_attestations import Attestation, Publisher
    from sigstore.verify.policy import VerificationPolicy

    from attested_publish.attestations.verify import Trust
    from attested_publish.distributions import Distribution
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile, Pages
    from attested_publish.net.patience import Patience

_ASKING = 32
_LOOK_SECONDS = 10.0
_LOOKING_AHEAD = 4
"""While files are still being uploaded; an index answers much faster than it takes uploads."""


@dataclass(frozen=True)
class Provenanced:
    """A valid provenance: its publisher, and its attestations by predicate type.

    They are this run's own, or those of another run for the same bytes and publisher: two
    that publish at once, or one that was killed before its upload was carried out. `lacks` are the
    types that were uploaded in this run, and of which it has none.
    """

    publisher: Publisher
    attestations: Mapping[str, Attestation]
    is_own: bool
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Unserved:
    """Why a provenance is not served.

    `is_refused`: nobody gets any, and waiting does not help. `is_unknown`: the index did not say
    whether it has one.
    """

    why: str
    is_refused: bool = False
    is_unknown: bool = False


@dataclass(frozen=True)
class Unattested:
    """A file that is served without its attestations, and why.

    `is_final`: waiting makes no difference.
    """

    file: IndexFile
    why: str
    is_final: bool

    @property
    def is_listed(self) -> bool:
        """Whether the index has kept the attestations, as the project page lists them."""
        return self.file.provenance_url is not None


@dataclass
class Served:
    """What the index serves, by filename; `late` names what it does not serve yet, and why.

    `publisher` is the one that the provenance names, where some was verified.
    """

    served: dict[str, IndexFile] = field(default_factory=dict)
    late: dict[str, str] = field(default_factory=dict)
    unattested: dict[str, Unattested] = field(default_factory=dict)
    publisher: Publisher | None = None

    def is_settled(self, distribution: Distribution) -> bool:
        """Whether waiting for a file makes no difference any more."""
        unattested = self.unattested.get(distribution.filename)
        return distribution.filename in self.served or bool(unattested and unattested.is_final)

    def add(self, filename: str, file: IndexFile, found: Provenanced | _Unserved | None) -> None:
        """Add what is served under a name, and its provenance if it should have one."""
        self.late.pop(filename, None)
        self.unattested.pop(filename, None)
        if isinstance(found, _Unserved):
            if found.is_unknown:
                self.late[filename] = found.why
            else:
                self.unattested[filename] = Unattested(file, found.why, found.is_refused)
            return
        self.served[filename] = file
        if found is not None:
            self.publisher = found.publisher


def wait_until_served(
    distributions: Sequence[Distribution],
    provenances: Provenances | None,
    pages: Pages,
    *,
    patience: Patience,
    seen: Callable[[Distribution, IndexFile, Provenanced | None], None],
    tell: Tell,
) -> Served:
    """Ask the index until it serves every file with its digest and provenance.

    Without `provenances` only the digests are looked at. An index may serve cached pages for a
    while, so what is late when the `patience` is at its end is returned, not raised. `seen` is
    called once a file is right. Raises `ConfirmationProblem` when the index serves other bytes or
    a provenance that is not valid.
    """
    result = Served()

    def look_again() -> None:
        waited_for = [each for each in distributions if not result.is_settled(each)]
        projects = {str(each.project) for each in waited_for}
        # Asked for at the same time as the provenance: on PyPI neither needs the other.
        listed = {project: meanwhile(partial(_page, pages, project)) for project in projects}

        def provenance(distribution: Distribution) -> Provenanced | _Unserved | None:
            return None if provenances is None else provenances.of(distribution, listed)

        for each, found in in_parallel(provenance, waited_for, threads=_ASKING):
            page = listed[str(each.project)]()
            file = None if isinstance(page, str) else page.file(each)
            if file is None:
                unlisted = "its project page does not list the file yet"
                result.late[each.filename] = page if isinstance(page, str) else unlisted
                continue
            _check_digest(each, file, pages.index)
            if isinstance(found, _Unserved) and isinstance(page, Page) and not page.has_provenance:
                # What answers like PyPI until a project has a page need not serve any.
                found = replace(found, is_refused=True, is_unknown=False)  # noqa: PLW2901
            result.add(each.filename, file, found)
            if not isinstance(found, _Unserved):
                seen(each, file, found)
        missing = [each.filename for each in waited_for if not result.is_settled(each)]
        if missing:
            raise _late(missing, result)

    # What is late is in the result: it is no failure.
    with contextlib.suppress(IndexProblem):
        persistently(look_again, patience, tell)
    return result


def _late(missing: Sequence[str], result: Served) -> IndexProblem:
    first = missing[0]
    why = result.late.get(first) or result.unattested[first].why
    return IndexProblem(
        "The index does not serve everything yet",
        detail=f"{len(missing)} not served yet, {shown(first)} among them: {why}",
        may_pass=True,
    )


def _page(pages: Pages, project: str) -> Page | str:
    """Return what the index serves of a project, or why that cannot be said."""
    try:
        return pages.page(project) or Page({})
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


_Listed = Mapping[str, Outcome[Page | str]]
"""The page of each project, or why it cannot be read; they may be waited for."""


class Provenances:
    """Compares the provenances that an index serves with what they should be.

    One is right when it verifies for the file's bytes and for the publisher (whose `policy` it
    is), whichever run signed it. `attestations` are those that were uploaded, by filename; a file
    without any needs no provenance.
    """

    def __init__(
        self,
        attestations: Mapping[str, Sequence[Attestation]],
        pages: Pages,
        trust: Trust,
        policy: VerificationPolicy,
    ) -> None:
        self._attestations = attestations
        self._pages = pages
        self._trust = trust
        self._policy = policy
        self._looks = threading.Semaphore(_LOOKING_AHEAD)
        self._ahead: dict[str, Outcome[Provenanced | None]] = {}

    def look_ahead(self, distribution: Distribution) -> None:
        """Look at the provenance of a file in the background, as others are still uploaded.

        Only where that needs no project page, which changes with each upload. When too much is
        under way already, the file is looked at in the end.
        """
        if (
            self._pages.index.works_as_pypi
            and self._attestations.get(distribution.filename)
            and self._looks.acquire(blocking=False)
        ):
            self._ahead[distribution.filename] = meanwhile(partial(self._look, distribution))

    def of(self, distribution: Distribution, listed: _Listed) -> Provenanced | _Unserved | None:
        """Verify the provenance that is served of a file; return it, or why it is not served.

        `None`: it needs none. Raises `ConfirmationProblem`.
        """
        if not self._attestations.get(distribution.filename):
            return None
        look = self._ahead.pop(distribution.filename, None)
        if look is not None:
            # One that hangs is not waited for as long as an answer now may take.
            with contextlib.suppress(TimeoutError):
                if found := look(_LOOK_SECONDS):
                    return found
        return self._verify(distribution, listed)

    def _look(self, distribution: Distribution) -> Provenanced | None:
        """Return a provenance that is right; one that is not served yet is looked at again."""
        try:
            found = self._verify(distribution, {})
        finally:
            self._looks.release()
        return found if isinstance(found, Provenanced) else None

    def _verify(self, distribution: Distribution, listed: _Listed) -> Provenanced | _Unserved:
        index = self._pages.index
        try:
            served = self._served(distribution, listed)
        except ProvenanceRefused as problem:
            return _Unserved(problem.cause, is_refused=True)
        except IndexProblem as problem:
            return _Unserved(problem.cause, is_unknown=True)
        if served is None:
            return _Unserved("its provenance is not served")
        try:
            provenance = read_provenance(served)
        except NotConvertible as error:
            raise _wrong(distribution, index, str(error)) from error
        pairs = [
            (bundle.publisher, attestation)
            for bundle in provenance.attestation_bundles
            for attestation in bundle.attestations
        ]
        if not pairs:
            raise _wrong(distribution, index, "it contains no attestation.")
        by_type = self._verified(distribution, pairs)
        sent = {predicate_type_of(each): each for each in self._attestations[distribution.filename]}
        # The log entry may be spelled differently after its way through the index.
        envelopes = [attestation.envelope for _, attestation in pairs]
        kept = sent.keys() & by_type.keys()
        is_own = bool(kept) and all(sent[kind].envelope in envelopes for kind in kept)
        return Provenanced(pairs[0][0], by_type, is_own, frozenset(sent.keys() - by_type.keys()))

    def _served(self, distribution: Distribution, listed: _Listed) -> Mapping[str, Any] | None:
        index, session = self._pages.index, self._pages.session
        project = str(distribution.project)
        if index.works_as_pypi:
            version, filename = str(distribution.version), distribution.filename
            return provenance_of(index, project, version, filename, session)
        page = listed[project]()
        file = None if isinstance(page, str) else page.file(distribution)
        return None if file is None else provenance_listed(file, index, session)

    def _verified(
        self, distribution: Distribution, pairs: Sequence[tuple[Publisher, Attestation]]
    ) -> dict[str, Attestation]:
        """Return the attestations by predicate type, once all are verified."""
        by_type: dict[str, Attestation] = {}
        for publisher, attestation in pairs:
            try:
                predicate_type = verify_attestation(
                    attestation,
                    filename=distribution.filename,
                    sha256=distribution.sha256,
                    # Consumers take the publisher that the index names.
                    policy=AllOf([policy_of(publisher), self._policy]),
                    verifier=self._trust.verifier,
                )
            except AttestationRefused as error:
                raise _wrong(distribution, self._pages.index, str(error)) from error
            by_type[predicate_type] = attestation
        return by_type


def _wrong(distribution: Distribution, index: Index, why: str) -> ConfirmationProblem:
    return ConfirmationProblem(
        f"{index.name} serves a wrong provenance for {shown(distribution.filename)}",
        topic=Topic.WRONG_PROVENANCE,
        detail=f"The provenance was fetched, and is not valid: {why}",
        remedy="The file itself is public. Consumers who verify it will be refused: publish a "
        "new version, and tell the operators of the index.",
        file=distribution.filename,
    )
