"""Keeping secrets out of everything that is printed or recorded."""

from __future__ import annotations

from typing import Protocol

from attested_publish.net import secrecy


class Mask(Protocol):
    """Hides a secret from now on; `user` is whom it is sent with."""

    def __call__(self, secret: str, user: str = "__token__") -> None:
        """Hide the secret, before anything else is done with it."""


def mask(secret: str, user: str = "__token__") -> None:  # noqa: ARG001 - see GitHub's mask
    """Hide a secret in everything this process prints, records or reports."""
    secrecy.keep([secret])
