"""Existing attestations next to the distributions, and whether the index will accept them.

They come from `pypi-attestations sign`, from another job, or as Sigstore bundles from
`actions/attest`. Valid ones are uploaded unchanged, so that no file is signed twice.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pypi_attestations import Attestation

from attested_publish.attestations.convert import Form, NotConvertible
from attested_publish.attestations.found import QUESTIONS, Found, found_in
from attested_publish.attestations.sidecars import (
    Existing,
    Fault,
    Ready,
    is_attestation_file,
    without_suffix,
)
from attested_publish.attestations.verify import AttestationRefused, verify_attestation
from attested_publish.sandbox.pool import BeyondBounds, Unreadable

if TYPE_CHECKING:
    from sigstore.verify import Verifier
    from sigstore.verify.policy import VerificationPolicy

    from attested_publish.distributions import Distribution
    from attested_publish.sandbox.pool import Sandbox

_SECONDS = 4.0
_SECONDS_A_DISTRIBUTION = 0.05
"""How long all files may take together; reading and verifying one takes 10 ms."""

_SHARE = 0.25
"""The share of the remaining time that one file may take, ..."""

_LEAST = 0.1
"""... and the seconds that even the last one has."""

_MOST_REASONS = 3


def verify_beside(
    paths: Sequence[Path],
    distributions: Sequence[Distribution],
    policy: VerificationPolicy,
    verifier: Verifier,
    sandbox: Sandbox,
) -> Existing:
    """Verify what is next to the distributions as the index will.

    The index verifies each attestation for its file and for the publisher whose token
    authorizes the upload (`policy`), and accepts one of each predicate type. If the files take
    too long together, the last ones are ignored.
    """
    with contextlib.suppress(BeyondBounds, Unreadable):
        # Not counted as part of their time; if it fails, so does the first file.
        sandbox.load(QUESTIONS)
    allowed = _SECONDS + _SECONDS_A_DISTRIBUTION * len(distributions)
    placing = _Placing(policy, verifier, sandbox, allowed, time.monotonic() + allowed)
    for path in paths:
        nearby = [each for each in distributions if each.source.parent == path.parent]
        reasons = list(dict.fromkeys(placing.place(path, nearby)))
        if reasons:
            why = " ".join(reasons[:_MOST_REASONS])
            if len(reasons) > _MOST_REASONS:
                why += f" There are {len(reasons) - _MOST_REASONS} more reasons."
            placing.found.faults.append(Fault(path, why, is_attestation_file(path)))
    return placing.found


@dataclass(frozen=True)
class _Placing:
    """What attestations are verified against, and until when."""

    policy: VerificationPolicy
    verifier: Verifier
    sandbox: Sandbox
    allowed: float
    until: float
    found: Existing = field(default_factory=Existing)

    def place(self, path: Path, nearby: Sequence[Distribution]) -> Iterator[str]:
        """Add the valid attestations of a file to the result, and yield why the others are not."""
        if self._is_late():
            yield self._too_late()
            return
        try:
            digests = {each.sha256 for each in nearby}
            left = self.until - time.monotonic()
            documents = found_in(path, self.sandbox, digests, max(_LEAST, _SHARE * left))
        except NotConvertible as error:
            yield str(error)
            return
        if len(documents) > 1 and is_attestation_file(path):
            yield "It contains several attestations; a file of this kind has one."
            return
        for document in documents:
            if self._is_late():
                yield self._too_late()
                return
            try:
                for distribution in _about(document, path, nearby):
                    ready = self._verified(path, document, distribution)
                    _place(ready, distribution, self.found)
            except (NotConvertible, AttestationRefused) as error:
                yield str(error)

    def _verified(self, path: Path, document: Found, distribution: Distribution) -> Ready:
        attestation = _attestation_of(document)
        predicate_type = verify_attestation(
            attestation,
            filename=distribution.filename,
            sha256=distribution.sha256,
            policy=self.policy,
            verifier=self.verifier,
        )
        return Ready(path, predicate_type, attestation)

    def _is_late(self) -> bool:
        return time.monotonic() > self.until

    def _too_late(self) -> str:
        return f"The files of this kind take more than {self.allowed:.0f} seconds to read."


def _about(document: Found, path: Path, nearby: Sequence[Distribution]) -> list[Distribution]:
    """Return the distributions that a document is about: by digest, or by its file's name.

    For a file made for the upload, only the name counts. Raises `NotConvertible` if it is about
    none of them.
    """
    filename = without_suffix(path)
    named = [each for each in nearby if each.filename == filename]
    if is_attestation_file(path):
        return named
    found = [each for each in nearby if each.sha256 in document.about] or named
    if not found:
        # A document that cannot be converted anyway has its own reason.
        _attestation_of(document)
        raise NotConvertible("It is about no file that is published here.")
    return found


def _attestation_of(document: Found) -> Attestation:
    if document.form is Form.PROVENANCE:
        raise NotConvertible(
            "It is a provenance, which contains attestations but is not one itself."
        )
    if document.why_not:
        raise NotConvertible(document.why_not)
    return Attestation.model_validate_json(document.attestations[0])


def _place(ready: Ready, distribution: Distribution, found: Existing) -> None:
    taken = found.usable.setdefault(distribution.filename, [])
    if any(other.predicate_type == ready.predicate_type for other in taken):
        found.spare.append(ready)
    else:
        taken.append(ready)
