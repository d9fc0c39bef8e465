"""The audiences of identity tokens that only their owners may receive."""

from __future__ import annotations

SIGSTORE_AUDIENCE = "sigstore"
PYPI_AUDIENCES = {"pypi.org": "pypi", "test.pypi.org": "testpypi"}
"""The reserved audience of each exact host."""

RESERVED_AUDIENCES = frozenset({*PYPI_AUDIENCES.values(), SIGSTORE_AUDIENCE})
"""Whoever has an identity token for one of these could act there in the job's name."""
