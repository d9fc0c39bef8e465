"""The audiences of identity tokens that only their owners may receive."""

from __future__ import annotations

SIGSTORE_AUDIENCE = "sigstore"
PYPI_AUDIENCES = {"pypi.org": "pypi", "test.pypi.org": "testpypi"}
"""By the exact host that such a token goes to."""

RESERVED_AUDIENCES = frozenset({*PYPI_AUDIENCES.values(), SIGSTORE_AUDIENCE})
"""Whoever holds an identity token for one of these could act there in the job's name."""
