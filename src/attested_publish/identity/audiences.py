"""The audiences of identity tokens that only their owners may receive."""

from __future__ import annotations

import re

SIGSTORE_AUDIENCE = "sigstore"
PYPI_AUDIENCES = {"pypi.org": "pypi", "test.pypi.org": "testpypi"}
"""The reserved audience of each exact host."""

RESERVED_AUDIENCES = frozenset({*PYPI_AUDIENCES.values(), SIGSTORE_AUDIENCE})
"""Whoever has an identity token for one of these could act there in the job's name."""

_OF_OTHER_SERVICES = re.compile(
    r"(?:https://)?sts\.(?:[a-z0-9-]+\.)?amazonaws\.com(?:\.cn)?/?"
    r"|api://azureadtokenexchange(?:[a-z]*)"
    r"|(?:https:)?//iam\.googleapis\.com/.*"
    r"|https://(?:github|gitlab)\.com(?:/.*)?"  # what their tokens have if nothing is asked for
    r"|npm:registry\.npmjs\.org|(?:https://)?(?:www\.)?(?:nuget\.org|rubygems\.org|crates\.io)/?",
    re.IGNORECASE | re.DOTALL,
)


def is_reserved(audience: str) -> bool:
    """Whether a token for `audience` is accepted by a service that is no other index.

    These are PyPI, TestPyPI and Sigstore, clouds, and registries of other languages. A list can
    never be complete: what a company uses for itself, nobody else knows.
    """
    plain = audience.strip()
    is_of_another_service = _OF_OTHER_SERVICES.fullmatch(plain) is not None
    return plain.lower() in RESERVED_AUDIENCES or is_of_another_service
