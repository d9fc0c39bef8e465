"""Noting in a run which attestations its files have, and whom consumers see in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attested_publish.attestations.verify import (
    certificate_identity,
    log_index,
    predicate_type_of,
    publisher_fields,
)
from attested_publish.report import AttestationReport

if TYPE_CHECKING:
    from pypi_attestations import Attestation, Publisher

    from attested_publish.distributions import Distribution
    from attested_publish.journey.run import Run


def note_attestation(run: Run, distribution: Distribution, attestation: Attestation) -> None:
    """Note a verified attestation of a file: its kind, its log entry, and who signed it."""
    predicate_type = predicate_type_of(attestation)
    run.files[distribution.filename].attestations[predicate_type] = AttestationReport(
        predicate_type=predicate_type,
        log_index=log_index(attestation),
        identity=certificate_identity(attestation),
    )


def note_publisher(run: Run, publisher: Publisher | None) -> None:
    """Note whom consumers can pin, where that is known."""
    if publisher is not None:
        run.consumers_see = publisher_fields(publisher)
