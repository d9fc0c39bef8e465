"""What uploads are authorized with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Credentials(Protocol):
    """What uploads are authorized with; the password may be another one at each look."""

    @property
    def user(self) -> str:
        """The user name that goes with the password."""

    @property
    def password(self) -> str:
        """The password or API token that is good for now."""

    def renew(self, refused: str) -> bool:
        """Replace a password that the index calls expired; false where it cannot be."""


@dataclass(frozen=True)
class GivenCredentials:
    """A user's own password or API token, which nobody can renew."""

    user: str
    password: str = field(repr=False)

    def renew(self, refused: str) -> bool:  # noqa: ARG002 - there is but one
        """False: it cannot be replaced."""
        return False
