"""What an index serves, verified with the Sigstore client itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import requests
from pypi_attestations import Provenance
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier

from attested_publish.attestations.verify import policy_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def verified(files: Iterable[dict[str, Any]], trusted_root: Path) -> dict[str, Provenance]:
    """Fetch the provenance of served files, and verify it with PyPI's policy for its publisher.

    With the Sigstore client itself, against an exported root.
    """
    verifier = Verifier(trusted_root=TrustedRoot.from_file(str(trusted_root)))
    found = {}
    for file in files:
        answer = requests.get(file["provenance"], timeout=20)
        provenance = Provenance.model_validate_json(answer.content)
        (bundle,) = provenance.attestation_bundles
        (attestation,) = bundle.attestations
        _, payload = verifier.verify_dsse(attestation.to_bundle(), policy_of(bundle.publisher))
        (subject,) = json.loads(payload)["subject"]
        assert subject == {
            "name": file["filename"],
            "digest": {"sha256": file["hashes"]["sha256"]},
        }
        found[file["filename"]] = provenance
    return found
