"""The locks of the tests, made by real tools and by hand."""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path

from support.lock_packages import build_packages
from support.paths import ROOT

MADE = ROOT / "tests" / "consumer" / "locks" / "made"
"""By uv, Poetry, PDM, pip-compile and Pipenv: see `support.make_locks`."""

BY_HAND = ROOT / "tests" / "consumer" / "locks" / "by_hand"
"""What the tools here do not write: older formats, sources that are no index, odd layouts. There,
`<FILENAME>` stands for the SHA-256 of a file of `support.lock_packages`."""

PORT = "65535"
"""Stands in the files for the port of an embedded index."""


def lock_paths() -> list[Path]:
    """Return all of them."""
    return sorted(
        path for folder in (MADE, BY_HAND) for path in folder.rglob("*") if path.is_file()
    )


def hashes() -> dict[str, str]:
    """Return the SHA-256 of every distribution of `support.lock_packages`, by filename."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in build_packages(Path(folder))
        }


def lay_out(folder: Path, port: int) -> list[Path]:
    """Write all locks into a folder, for an index at a port of this machine; return their paths.

    What a lock includes lies beside it, and is not among the paths.
    """
    known = hashes()
    found = []
    for path in lock_paths():
        target = folder / path.relative_to(MADE.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_filled(path.read_bytes(), known, port))
        if not path.name.startswith("included"):
            found.append(target)
    return found


def _filled(content: bytes, known: dict[str, str], port: int) -> bytes:
    """Put hashes for `<FILENAME>`, and the port, into a file."""
    text = re.sub(rb"<([a-z_]+-[^<>\s]+)>", lambda name: known[name[1].decode()].encode(), content)
    return text.replace(f"127.0.0.1:{PORT}".encode(), f"127.0.0.1:{port}".encode())
