"""Sign distributions one by one: `by_hand_sign.py TRUST_CONFIG FILE…`.

Makes the same calls as `python -m pypi_attestations sign FILE…`. That command itself supports only
the public Sigstore instances.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pypi_attestations import Attestation, Distribution
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken, detect_credential
from sigstore.sign import SigningContext


def main(trust_config: str, files: Sequence[str]) -> None:
    """Write an attestation next to each file."""
    token = detect_credential()
    assert token is not None
    identity = IdentityToken(token)
    config = ClientTrustConfig.from_json(Path(trust_config).read_text(encoding="utf-8"))
    config.force_tlog_version = 1
    with SigningContext.from_trust_config(config).signer(identity, cache=True) as signer:
        for file in files:
            attestation = Attestation.sign(signer, Distribution.from_file(Path(file)))
            Path(f"{file}.publish.attestation").write_text(attestation.model_dump_json())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
