"""Remember on disk what can never change: who attested bytes that have been verified.

An entry says that an attestation of certain bytes was valid, under one root of trust, for one
publisher, with one version of the verifying code. All of that is in its key, together with the
address where the index serves it: what one index serves can never answer for another, and with a
new root of trust everything is verified again. Only what was valid is stored.

Whoever can write to the folder can also replace this program: it is the user's own, not shared,
and not to be restored from a CI cache that others may write to. The checksum of an entry protects
from accidents. Everything else about the cache may fail: then it is as if there were none.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from attested_publish.consumer.identities import Identity

MOST_FILES = 20_000
"""Files in the folder, one for each project; the oldest are removed."""

MOST_BYTES = 64 << 20
"""Bytes of all files together."""

_FILE_BYTES = 1 << 20
_ENTRIES = 1000
"""Entries of one project: the newest are kept."""

_FORM = "verified-1"


@dataclass(frozen=True, slots=True)
class Proven:
    """Who published a file, by attestations that are all valid for its bytes.

    `attestations` are their SHA-256 digests. `commit` and `ref` are those of the first, empty
    where its certificate has none.
    """

    identities: tuple[Identity, ...]
    attestations: tuple[str, ...] = ()
    commit: str = ""
    ref: str = ""


def key_of(*parts: str) -> str:
    """Return the key of an entry: a SHA-256 over all that it depends on."""
    return hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()


def cache_folder() -> Path:
    """Return the documented place: `verified-1` in this program's cache folder of the user."""
    return user_cache_path("attested-publish", appauthor=False) / _FORM


@dataclass
class VerifiedCache:
    """The entries of each project in a file of its own. Threads and processes may share it.

    Without a `folder` nothing is stored or found.
    """

    folder: Path | None
    _read: dict[str, dict[str, Proven]] = field(default_factory=dict)
    _added: dict[str, dict[str, Proven]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def at(cls, folder: Path) -> VerifiedCache:
        """Use a folder, which is made if it does not exist, and if it is only the user's own."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(folder if _is_ours(folder.lstat(), stat.S_ISDIR) else None)
        except (OSError, ValueError):
            return cls(None)

    def get(self, shelf: str, key: str) -> Proven | None:
        """Return an entry; `shelf` is the key of its project."""
        if self.folder is None:
            return None
        entries = self._read.get(shelf)
        if entries is None:
            # Not within the lock: all threads would wait for each file.
            read = _entries_in(self.folder / f"{shelf}.json")
            with self._lock:
                entries = self._read.setdefault(shelf, read)
        return entries.get(key)

    def put(self, shelf: str, key: str, proven: Proven) -> None:
        """Keep an entry, which `write` stores."""
        with self._lock:
            self._added.setdefault(shelf, {})[key] = proven

    def write(self) -> None:
        """Store what was added, beside what others have stored in the meantime."""
        if self.folder is None or not self._added:
            return
        with self._lock, contextlib.suppress(OSError):
            for shelf, added in self._added.items():
                path = self.folder / f"{shelf}.json"
                entries = {**_entries_in(path), **added}
                newest = list(entries.items())[-_ENTRIES:]
                _replace(path, [_as_json(key, each) for key, each in newest])
            self._added.clear()
            _keep_within_bounds(self.folder)


def _is_ours(status: os.stat_result, is_kind: Any) -> bool:  # noqa: ANN401 - of `stat`
    if not is_kind(status.st_mode):
        return False
    if os.name == "nt":
        return True
    others = stat.S_IWGRP | stat.S_IWOTH
    return status.st_uid == os.geteuid() and not status.st_mode & others


def _entries_in(path: Path) -> dict[str, Proven]:
    """Return the intact entries in a file; none if it cannot be read."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - of a descriptor
            if not _is_ours(os.fstat(file.fileno()), stat.S_ISREG):
                return {}
            content = file.read(_FILE_BYTES + 1)
        if len(content) > _FILE_BYTES:
            return {}
        listed = json.loads(content)
    except (OSError, ValueError, RecursionError):
        return {}
    found = {}
    for entry in listed if isinstance(listed, list) else ():
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError):
            key, proven = _understood(entry)
            found[key] = proven
    return found


def _understood(entry: dict[str, Any]) -> tuple[str, Proven]:
    key = str(entry["key"])
    identities = tuple(
        Identity.of({str(name): str(value) for name, value in each.items()})
        for each in entry["identities"]
    )
    attestations = tuple(map(str, entry["attestations"]))
    proven = Proven(identities, attestations, str(entry["commit"]), str(entry["ref"]))
    if not identities or _as_json(key, proven) != entry:
        raise ValueError("it is damaged")
    return key, proven


def _as_json(key: str, proven: Proven) -> dict[str, Any]:
    entry = {
        "key": key,
        "identities": [each.as_dict() for each in proven.identities],
        "attestations": list(proven.attestations),
        "commit": proven.commit,
        "ref": proven.ref,
    }
    return {**entry, "checksum": key_of(json.dumps(entry, sort_keys=True))}


def _replace(path: Path, entries: list[dict[str, Any]]) -> None:
    """Write a file in one step: readers see the old content or the new."""
    content = json.dumps(entries).encode()
    if len(content) > _FILE_BYTES:
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix="new-", suffix=".tmp")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - of a descriptor
            file.write(content)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _keep_within_bounds(folder: Path) -> None:
    """Remove the files that were written longest ago, also what an ended process has left."""
    files = []
    with os.scandir(folder) as found:
        for each in found:
            with contextlib.suppress(OSError):
                status = each.stat(follow_symlinks=False)
                files.append((status.st_mtime, status.st_size, Path(each.path)))
    files.sort(reverse=True)
    size = 0
    for number, (_, bytes_of_it, path) in enumerate(files, 1):
        size += bytes_of_it
        if number > MOST_FILES or size > MOST_BYTES:
            with contextlib.suppress(OSError):
                path.unlink()
