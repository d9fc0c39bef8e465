"""What the entries of all formats have in common: names, hashes and addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

from packaging.utils import InvalidName, canonicalize_name

from attested_publish.consumer.locks.model import Gap, LockedFile, Remark, Source
from attested_publish.consumer.locks.toml import Broken, Table
from attested_publish.net.untrusted import shown

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_LONGEST_NAME = 200
MOST_INDEXES: Final = 100
_VCS = ("git", "hg", "svn", "bzr")


def normalized(name: str) -> str:
    """Return a project's normalized name. Raises `Broken` for what is none."""
    try:
        if len(name) <= _LONGEST_NAME:
            return canonicalize_name(name, validate=True)
    except InvalidName:
        pass
    raise Broken(f"{shown(name, 100)} is not the name of a project.")


def plain(url: str, *, with_query: bool = False) -> str:
    r"""Return an address without its credentials and fragment, and mostly without its query.

    What comes before a backslash may be a host, to some clients (`https://host\@other/`): then
    nothing is removed.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    host = parts.netloc
    if "\\" not in host:
        host = host.rpartition("@")[2]
    query = parts.query if with_query else ""
    return urlunsplit(parts._replace(netloc=host, query=query, fragment=""))


def index_address(url: str) -> str:
    """Return the address of an index as entries have it: without credentials or final slash."""
    return plain(url, with_query=True).rstrip("/")


def bounded_indexes(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return the indexes that all packages may come from, each once. Raises `Broken`.

    Each package is compared with all of them.
    """
    indexes = tuple(dict.fromkeys(addresses))
    if len(indexes) > MOST_INDEXES:
        raise Broken(f"It has {len(indexes):,} indexes; at most {MOST_INDEXES} are read.")
    return indexes


def last_segment(address: str) -> str | None:
    """Return the name of the file that an address or path leads to."""
    path = address if "://" not in address else plain(address)
    return unquote(path.replace("\\", "/").rpartition("/")[2]) or None


def source_of(url: str) -> Source:
    """Return what kind of source a direct reference to an address is."""
    scheme = url.partition(":")[0].lower()
    if scheme.partition("+")[0] in _VCS:
        return Source.GIT
    return Source.PATH if scheme == "file" or "://" not in url else Source.URL


def direct_source(package: Table, *, address: str) -> tuple[Source, str | None]:
    """Return where an entry of PDM or Pipenv comes from: the index, unless it names a place.

    `address` is the key of one that is neither a repository nor a path. Raises `Broken`.
    """
    for key in _VCS:
        where = package.text(key)
        if where is not None:
            return Source.GIT, where
    where = package.text("path")
    if where is not None:
        return Source.PATH, where
    where = package.text(address)
    if where is not None:
        return source_of(where), where
    return Source.INDEX, None


def is_own(path: str) -> bool:
    """Whether a path is the folder of the lock itself: the project that it belongs to."""
    return path.strip().replace("\\", "/").partition("[")[0].rstrip("/") in {".", ""}


class Hashes:
    """Gathers the hashes of one entry: those to compare, and remarks about the others."""

    def __init__(self, line: int, line_of: Callable[[str], int]) -> None:
        self.files: list[LockedFile] = []
        self.remarks: list[Remark] = []
        self._line = line
        self._line_of = line_of

    def add(self, hash_: str | None, filename: str | None = None, url: str | None = None) -> None:
        """Add a file by its `algorithm:digest`. Raises `Broken` for a SHA-256 that is none."""
        algorithm, _, digest = (hash_ or "").partition(":")
        self.add_any({algorithm: digest} if hash_ else {}, filename, url)

    def add_any(
        self, hashes: dict[str, str], filename: str | None = None, url: str | None = None
    ) -> None:
        """Add a file by its digests, by algorithm."""
        by_algorithm = {name.strip().lower(): digest for name, digest in hashes.items()}
        what = shown(filename, 200) if filename else "A file"
        if len(by_algorithm) < len(hashes):
            raise Broken(f"{what} has two hashes of one algorithm.")
        digest = by_algorithm.pop("sha256", None)
        others = shown(", ".join(by_algorithm), 80)
        if others:
            has = f"only {others} as its hash" if digest is None else f"a hash of {others}, too"
            self._remark(f"{what} has {has}; only SHA-256 can be compared.", Gap.OTHER_HASH)
        elif digest is None:
            self._remark(f"{what} has no hash; only SHA-256 can be compared.", Gap.UNHASHED)
        if digest is None:
            return
        digest = digest.strip()
        if not _SHA256.fullmatch(digest):
            raise Broken(f"{shown(digest, 80)} is not a SHA-256 hash.")
        digest = digest.lower()
        self.files.append(
            LockedFile(filename, digest, self._line_of(digest), plain(url) if url else None)
        )

    def _remark(self, message: str, gap: Gap) -> None:
        self.remarks.append(Remark(message, self._line, gap))

    def finish(self) -> tuple[tuple[LockedFile, ...], tuple[Remark, ...]]:
        """Return the files and the remarks; an entry without any file gets one, too."""
        if not self.files and not self.remarks:
            self._remark("The lock has no hash for it.", Gap.UNHASHED)
        return tuple(dict.fromkeys(self.files)), tuple(dict.fromkeys(self.remarks))


def compatible(found: Iterable[int], newest: tuple[int, ...], tool: str, said: object) -> None:
    """Raise `Broken` if a format's version is newer than the newest that can be read."""
    if tuple(found) > newest:
        raise Broken(f"It was written by a newer {tool}: its format is {shown(said, 40)}.")


def release_numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a format's version. Raises `Broken` for what is none."""
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){0,3}", version):
        raise Broken(f"{shown(version, 40)} is not the version of a format.")
    return tuple(map(int, version.split(".")))
