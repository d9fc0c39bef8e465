"""The keys of the embedded logs, and those of signers."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils


class LogKey:
    """A P-256 key, new in every run, identified by the digest of its public key.

    `log_id` is the id of RFC 6962 (3.2) and Rekor: the sha256 of `public_der`, the public key as
    DER SubjectPublicKeyInfo.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key()
        self.public_der = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.public_pem = public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()
        self.log_id = hashlib.sha256(self.public_der).digest()

    def sign(self, data: bytes) -> bytes:
        """Return a DER-encoded ECDSA signature with SHA-256."""
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


SignersKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
"""The public keys that a signer may have."""

_SHA256 = hashes.SHA256()


def is_signed(
    data: bytes,
    signature: bytes,
    key: SignersKey,
    algorithm: hashes.HashAlgorithm | utils.Prehashed = _SHA256,
) -> bool:
    """Whether `signature` over `data` was made with `key`.

    `algorithm` says that `data` is already a digest, or which one to compute; Ed25519 has its own.
    """
    try:
        match key:
            case ec.EllipticCurvePublicKey():
                key.verify(signature, data, ec.ECDSA(algorithm))
            case rsa.RSAPublicKey():
                key.verify(signature, data, padding.PKCS1v15(), algorithm)
            case ed25519.Ed25519PublicKey():
                key.verify(signature, data)
    except InvalidSignature:
        return False
    return True
