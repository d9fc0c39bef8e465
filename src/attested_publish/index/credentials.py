"""What uploads are authorized with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from requests.auth import HTTPBasicAuth


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


def authorization(user: str, password: str) -> HTTPBasicAuth:
    """Return what sends a user and a password, the same way with every kind of request.

    In UTF-8 (RFC 7617), as indexes and their other clients expect: `requests` would encode them
    in Latin-1, and fail where that has no such character.
    """
    return HTTPBasicAuth(user.encode(), password.encode())
