"""What a lock says, whatever its format: packages, the hashes of their files, their sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from attested_publish.problems import Problem, Stage, Topic


class Format(StrEnum):
    """The formats that can be read, by the names people know them by."""

    PYLOCK = "pylock.toml"
    UV = "uv.lock"
    POETRY = "poetry.lock"
    PDM = "pdm.lock"
    PIPFILE = "Pipfile.lock"
    REQUIREMENTS = "requirements"


class Source(StrEnum):
    """Where an installer gets a package; only what lies on an index can be checked."""

    INDEX = "index"
    GIT = "git"
    PATH = "path"
    URL = "url"


@dataclass(frozen=True, slots=True)
class LockedFile:
    """One hash that a lock accepts.

    `sha256` is 64 lower-case hexadecimal digits. `filename` is `None` where the format has only
    hashes (requirements, Pipfile.lock), and `url` where the lock does not say from where the file
    is fetched. `line` counts from 1, in the package's `path`.
    """

    filename: str | None
    sha256: str
    line: int
    url: str | None = None


class Gap(StrEnum):
    """What of an entry is left out of a comparison with an index.

    With `UNHASHED` and `OTHER_HASH`, an installer may take bytes that nobody has compared: what it
    looks at, if anything, is a hash of another algorithm than SHA-256.
    """

    UNPINNED = "unpinned"
    UNHASHED = "unhashed"
    OTHER_HASH = "other hash"


@dataclass(frozen=True, slots=True)
class Remark:
    """Why something in an entry cannot be compared with an index: one sentence, and its line."""

    message: str
    line: int
    gap: Gap


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One entry of a lock.

    `name` is normalized; `version` is as written, and `None` where the lock has none. One name may
    occur with several versions, or several times, for different environments.

    `index_urls` are the addresses of the simple API that the lock names for it, without
    credentials and without a final slash; none if it leaves the index to the installer's
    settings, several if the installer may choose (`--extra-index-url`).

    `origin` is the address or path of what does not come from an index, without credentials.
    `identities` are PEP 751's `attestation-identities`, as written. `remarks` say what cannot be
    compared: a file without a SHA-256 hash, an entry without any. `path` is the file that the line
    numbers point into: the lock, or a file of requirements that it includes.
    """

    name: str
    version: str | None
    files: tuple[LockedFile, ...]
    source: Source
    line: int
    path: str
    index_urls: tuple[str, ...] = ()
    origin: str | None = None
    identities: tuple[Mapping[str, str], ...] = ()
    remarks: tuple[Remark, ...] = ()

    @property
    def open_remarks(self) -> list[Remark]:
        """The remarks about what may be installed without having been compared."""
        return [each for each in self.remarks if each.gap is not Gap.UNPINNED]


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock as it was read: `path` is the name it was given, for messages.

    The project that a lock belongs to (its path is `.`) is not among `packages`: nobody
    installs it from an index.
    """

    path: str
    format: Format
    packages: tuple[LockedPackage, ...]


class LockError(Problem):
    """A lock or a policy cannot be read, or not be written; `detail` is one sentence why.

    `line` is where it is wrong, if that is known.
    """

    stage = Stage.FILES

    def __init__(self, path: str, why: str, *, line: int | None = None, remedy: str = "") -> None:
        super().__init__(
            f"{path} cannot be used",
            detail=why,
            remedy=remedy or "Correct this file, or name another one.",
            topic=Topic.LOCK_UNUSABLE,
            file=path,
        )
        self.line = line
