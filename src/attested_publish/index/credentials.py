"""What uploads are authorized with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Credentials(Protocol):
    """The credentials of uploads; the password may change between uses."""

    @property
    def user(self) -> str:
        """The user name that goes with the password."""

    @property
    def password(self) -> str:
        """The password or API token that is currently valid."""

    def renew(self, refused: str) -> bool:
        """Replace a password that the index calls expired; false where it cannot be."""


@dataclass(frozen=True)
class GivenCredentials:
    """A user's own password or API token, which cannot be renewed."""

    user: str
    password: str = field(repr=False)

    def renew(self, refused: str) -> bool:  # noqa: ARG002 - there is only one
        """False: it cannot be replaced."""
        return False
