"""What the report takes over from an index."""

from __future__ import annotations

import secrets

from attested_publish.journey.outcome import _harmless
from attested_publish.net.secrecy import forget, keep


def test_an_address_shows_no_part_of_a_secret() -> None:
    """An index may quote what it was sent, and cut it."""
    secret = secrets.token_hex(20)
    keep([secret])
    try:
        for part in (secret, secret[:16], secret[-16:]):
            assert part not in (_harmless(f"https://example.org/{part}/sample.whl") or "")
    finally:
        forget()
    assert _harmless("https://example.org/sample.whl") == "https://example.org/sample.whl"
    assert _harmless(None) is None
