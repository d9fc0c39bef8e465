"""What the embedded PyPI holds: projects, their releases, their files."""

from __future__ import annotations

import re
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

from attested_publish.rules.bounds import CLOSED_AFTER
from attested_publish.rules.on_index import (
    Presence,
    is_closed,
    other_sdist,
    presence,
    with_same_content,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_STANDARD_LIBRARY = frozenset(canonicalize_name(name) for name in sys.stdlib_module_names)


class StoreRefused(ValueError):
    """The store does not take it; the text is PyPI's reason in one sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SentFile:
    """A file as it is sent: `kind` is ``sdist`` or ``bdist_wheel``, the digest lower-case hex."""

    filename: str
    project: NormalizedName
    version: str
    kind: str
    sha256: str

    @property
    def release(self) -> tuple[NormalizedName, str]:
        """Its project and canonical version."""
        return self.project, self.version


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile(SentFile):
    """A file of a release, with everything the index serves about it.

    The digests are lower-case hex, `path` is where the content lies. `metadata` is a wheel's
    METADATA (PEP 658); `provenance` the JSON of PEP 740, `None` for a file without attestations.
    """

    size: int
    md5: str
    blake2b_256: str
    requires_python: str
    path: Path
    metadata: bytes | None
    provenance: bytes | None
    uploaded_at: datetime

    @property
    def url_path(self) -> str:
        """Where the index serves the content."""
        digest = self.blake2b_256
        return f"/files/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{self.filename}"


@dataclass(slots=True)
class Release:
    """One version of a project; its metadata are those of the first file sent."""

    version: str
    created_at: datetime
    metadata: Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Project:
    """A project under the name it was created with; releases by canonical version."""

    name: str
    releases: dict[str, Release] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files.values())


class Store:
    """Projects, releases and files of one index, in memory. Thread-safe.

    What it hands out are snapshots: they do not change when the next upload comes in.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._projects: dict[NormalizedName, Project] = {}
        self._files: dict[str, StoredFile] = {}
        self._deleted: set[str] = set()

    def projects(self) -> list[str]:
        """Return the names of all projects, sorted by normalized name."""
        with self._lock:
            return [self._projects[name].name for name in sorted(self._projects)]

    def project(self, name: str) -> Project | None:
        """Return the project that answers to `name`, normalized or not."""
        with self._lock:
            project = self._projects.get(canonicalize_name(name))
            if project is None:
                return None
            return Project(project.name, dict(project.releases), dict(project.files))

    def file(self, filename: str) -> StoredFile | None:
        """Return the file of this name."""
        with self._lock:
            return self._files.get(filename)

    def refuse_name(self, name: str) -> None:
        """Raise `StoreRefused` if no project may be created under `name`, which is well-formed."""
        if canonicalize_name(name) in _STANDARD_LIBRARY:
            raise StoreRefused(
                f"The name {name!r} isn't allowed: the standard library has a module of that name."
            )
        with self._lock:
            for other in self._projects.values():
                if _confusable(other.name) == _confusable(name):
                    raise StoreRefused(
                        f"The name {name!r} is too similar to the existing project {other.name!r}."
                    )

    def create_project(self, name: str) -> None:
        """Create an empty project; raises `StoreRefused` where PyPI would not."""
        with self._lock:
            self.refuse_name(name)
            self._projects[canonicalize_name(name)] = Project(name)

    def hold_project(self, name: str) -> None:
        """See to it that there is a project `name`, whatever PyPI thinks of new ones."""
        with self._lock:
            self._projects.setdefault(canonicalize_name(name), Project(name))

    def hold_release(self, project: str, version: str, created_at: datetime) -> None:
        """See to it that there is an empty release that was created at `created_at`."""
        with self._lock:
            self.hold_project(project)
            self._projects[canonicalize_name(project)].releases[version] = Release(
                version, created_at, {"name": [project], "version": [version]}
            )

    def delete_file(self, filename: str) -> None:
        """Delete a file if it is there; its name can never be used again."""
        with self._lock:
            file = self._files.pop(filename, None)
            if file is not None:
                del self._projects[file.project].files[filename]
            self._deleted.add(filename)

    def is_new(self, file: SentFile) -> bool:
        """Tell a new file (`True`) from one that is there already, byte for byte (`False`).

        Raises `StoreRefused` for a file that can be neither, in PyPI's order: the name or the
        content is taken, the name was used by a deleted file, the release is closed, the
        release has its one sdist.
        """
        with self._lock:
            named = self._files.get(file.filename)
            if presence(file, named) is Presence.SAME:
                return False
            taken = named or with_same_content(file, self._files.values())
            if taken is not None:
                # Twine's --skip-existing and others look for these three words.
                raise StoreRefused(
                    f"File already exists ({taken.filename!r},"
                    f" with blake2_256 hash {taken.blake2b_256!r})."
                )
            if file.filename in self._deleted:
                raise StoreRefused(
                    f"The filename {file.filename!r} was previously used by a file that was"
                    " deleted; publish another version."
                )
            project = self._projects.get(file.project)
            release = project.releases.get(file.version) if project else None
            if project is None or release is None:
                return True
            if is_closed(release.created_at, datetime.now(UTC)):
                raise StoreRefused(
                    f"Release {file.version!r} is older than {CLOSED_AFTER.days} days and takes no"
                    " new files."
                )
            if other_sdist(file, project.files.values()):
                raise StoreRefused(
                    f"Release {file.version!r} has an sdist already, and takes only one."
                )
            return True

    def add(self, file: StoredFile, *, name: str, metadata: Mapping[str, Sequence[str]]) -> bool:
        """Add a file, and its project (as `name`) and release where they are missing.

        Returns `False` and changes nothing where the same file is there already; raises
        `StoreRefused` as `is_new` and `create_project` do.
        """
        with self._lock:
            if not self.is_new(file):
                return False
            if file.project not in self._projects:
                self.create_project(name)
            project = self._projects[file.project]
            project.releases.setdefault(
                file.version, Release(file.version, file.uploaded_at, dict(metadata))
            )
            project.files[file.filename] = self._files[file.filename] = file
            return True


def _confusable(name: str) -> str:
    # What looks alike to a hurried reader: separators, l and i like 1, o like 0.
    return re.sub(r"[-_.]+", "", name.lower()).translate(str.maketrans("lio", "110"))
