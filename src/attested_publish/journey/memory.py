"""What a run has done already, and need not do again for its next index."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.attestations.verify import Trust
    from attested_publish.findings import Finding


@dataclass
class Memory:
    """What was learned and made, whichever index it was for.

    `findings` are what the rules have found in the files, by filename (`None`: they were
    not asked yet), `trust` gives the Sigstore instance, and `signed` are the publish
    attestations that are in the log, by filename.
    """

    findings: dict[str, tuple[Finding, ...]] | None = None
    trust: Callable[[], Trust] | None = None
    signed: dict[str, Attestation] = field(default_factory=dict)
