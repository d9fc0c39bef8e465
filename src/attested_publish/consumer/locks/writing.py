"""Put verified identities into `pylock.toml` or `publishers.toml`: layout and comments stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path


def write_identities(path: Path, verified: Mapping[str, Sequence[Mapping[str, str]]]) -> bool:
    """Pin verified identities in a lock or policy; returns whether the file has changed.

    `verified` has the identities of each project by its normalized name, PEP 740's publisher
    objects. `path` is a `pylock.toml`, whose `attestation-identities` are replaced for these
    projects, or a policy, which is made if there is none.

    Raises `LockError`: it cannot be written, is broken, or tomlkit is not installed.
    """
    raise NotImplementedError
