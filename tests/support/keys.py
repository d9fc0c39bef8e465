"""A key that many embedded issuers share: a new one takes 0.1 s, and most tests raise a world."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from attested_publish.rehearsal.jobs.issuer import new_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


@functools.cache
def issuer_key() -> RSAPrivateKey:
    """Return the key of this process for issuers that need not differ from each other."""
    return new_key()
