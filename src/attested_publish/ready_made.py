"""Ready-made attestations: what lies beside the distributions, and whether the index will take it.

They come from `pypi-attestations sign`, from another job, or as Sigstore bundles from
`actions/attest`. What holds goes up as it is, so that no file is signed twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attested_publish.attestations import AttestationRefused, verify_attestation
from attested_publish.conversion import (
    Form,
    NotConvertible,
    attestation_of,
    documents_in,
    form_of,
    read_attestation,
    subjects_of,
)
from attested_publish.sidecars import (
    Fault,
    Judgement,
    Ready,
    is_attestation_file,
    without_suffix,
)

if TYPE_CHECKING:
    from pypi_attestations import Attestation
    from sigstore.verify import Verifier
    from sigstore.verify.policy import VerificationPolicy

    from attested_publish.distributions import Distribution


def judge(
    paths: Sequence[Path],
    distributions: Sequence[Distribution],
    policy: VerificationPolicy,
    verifier: Verifier,
) -> Judgement:
    """Hold what lies beside the distributions against what the index will ask of it.

    The index verifies each attestation for its file and for the publisher whose token
    authorizes the upload (`policy`), and takes one of each predicate type.
    """
    judgement = Judgement()
    for path in paths:
        nearby = [each for each in distributions if each.source.parent == path.parent]
        faults: dict[str, None] = {}
        try:
            documents = _documents(path)
        except NotConvertible as error:
            documents = []
            faults[str(error)] = None
        for document in documents:
            try:
                for distribution in _about(document, path, nearby):
                    ready = _verified(path, document, distribution, policy, verifier)
                    _place(ready, distribution, judgement)
            except (NotConvertible, AttestationRefused) as error:
                faults[str(error)] = None
        if faults:
            judgement.faults.append(Fault(path, " ".join(faults), is_attestation_file(path)))
    return judgement


def _documents(path: Path) -> list[dict[str, Any]]:
    documents = documents_in(path)
    if len(documents) > 1 and is_attestation_file(path):
        raise NotConvertible("It holds several attestations; a file of this kind has one.")
    return documents


def _about(
    document: dict[str, Any], path: Path, nearby: Sequence[Distribution]
) -> list[Distribution]:
    """Return the distributions that a document is about: by digest, or by its file's name.

    A file made for the upload goes by its name alone. Raises `NotConvertible` where it is
    about none of them.
    """
    filename = without_suffix(path)
    named = [each for each in nearby if each.filename == filename]
    if is_attestation_file(path):
        return named
    digests = {digest for _, digest in subjects_of(document)}
    found = [each for each in nearby if each.sha256 in digests] or named
    if not found:
        # What could not be converted anyway has its own reason.
        _converted(document)
        raise NotConvertible("It is about no file that is published here.")
    return found


def _verified(
    path: Path,
    document: dict[str, Any],
    distribution: Distribution,
    policy: VerificationPolicy,
    verifier: Verifier,
) -> Ready:
    attestation = _converted(document)
    predicate_type = verify_attestation(
        attestation,
        filename=distribution.filename,
        sha256=distribution.sha256,
        policy=policy,
        verifier=verifier,
    )
    return Ready(path, predicate_type, attestation)


def _converted(document: dict[str, Any]) -> Attestation:
    form = form_of(document)
    if form is Form.PROVENANCE:
        raise NotConvertible("It is a provenance, which holds attestations, and is none itself.")
    return read_attestation(document) if form is Form.ATTESTATION else attestation_of(document)


def _place(ready: Ready, distribution: Distribution, judgement: Judgement) -> None:
    taken = judgement.usable.setdefault(distribution.filename, [])
    if any(other.predicate_type == ready.predicate_type for other in taken):
        judgement.spare.append(ready)
    else:
        taken.append(ready)
