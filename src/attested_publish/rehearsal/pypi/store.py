"""The contents of the embedded PyPI: projects, their releases, their files."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

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

StatusName: TypeAlias = Literal["active", "archived", "quarantined", "deprecated"]

_STANDARD_LIBRARY = frozenset(canonicalize_name(name) for name in sys.stdlib_module_names)


class StoreRefused(ValueError):
    """The store refuses it; the text is PyPI's reason in one sentence."""


class Status(NamedTuple):
    """The status of a project (PEP 792), and why it has it."""

    name: StatusName
    reason: str | None = None

    @property
    def takes_uploads(self) -> bool:
        """Whether files may be added."""
        return self.name not in {"archived", "quarantined"}

    @property
    def is_hidden(self) -> bool:
        """Whether the project's files are not to be listed."""
        return self.name == "quarantined"


_ACTIVE = Status("active")


@dataclass(frozen=True, kw_only=True, slots=True)
class SentFile:
    """A file as it is sent: `kind` is ``sdist`` or ``bdist_wheel``, digests are lower-case hex."""

    filename: str
    project: NormalizedName
    version: str
    kind: str
    sha256: str
    blake2b_256: str

    @property
    def release(self) -> tuple[NormalizedName, str]:
        """Its project and canonical version."""
        return self.project, self.version


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile(SentFile):
    """A file of a release, with everything the index serves about it.

    `path` is where the content is. `python_version` and `comment` are those of the form,
    `metadata` is a wheel's METADATA (PEP 658); `provenance` the JSON of PEP 740, `None` for a file
    without attestations. `yanked` (PEP 592) is why the file was withdrawn, perhaps empty; `None`:
    it was not. With `names_provenance`, the project's page has an address for the provenance even
    if there is none.
    """

    size: int
    md5: str
    python_version: str
    comment: str
    requires_python: str
    path: Path
    metadata: bytes | None
    provenance: bytes | None
    uploaded_at: datetime
    yanked: str | None = None
    names_provenance: bool = False

    @property
    def is_yanked_as(self) -> bool | str:
        """How the simple index says whether, and why, the file was withdrawn (PEP 691)."""
        return self.yanked is not None and (self.yanked or True)

    @property
    def url_path(self) -> str:
        """Where the index serves the content."""
        digest = self.blake2b_256
        return f"/files/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{self.filename}"

    @property
    def core_metadata(self) -> dict[str, str] | Literal[False]:
        """The digest of `metadata` as the index serves it (PEP 714)."""
        if self.metadata is None:
            return False
        return {"sha256": hashlib.sha256(self.metadata).hexdigest()}


@dataclass(slots=True)
class Release:
    """One version of a project; its metadata is that of the first file uploaded."""

    version: str
    created_at: datetime
    metadata: Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Project:
    """A project under the name it was created with; releases by canonical version.

    `last_serial` is the number of the last change to it, of all changes to the index.
    """

    name: str
    last_serial: int
    releases: dict[str, Release] = field(default_factory=dict)
    files: dict[str, StoredFile] = field(default_factory=dict)
    status: Status = _ACTIVE

    @property
    def normalized_name(self) -> NormalizedName:
        """Its name in addresses."""
        return canonicalize_name(self.name)

    def spelling(self, version: Version) -> str | None:
        """Return how its release that equals `version` is spelled; `None` if there is none."""
        return next((each for each in self.releases if Version(each) == version), None)

    @property
    def versions(self) -> list[str]:
        """Its releases, sorted as versions."""
        return sorted(self.releases, key=Version)

    @property
    def sorted_files(self) -> list[StoredFile]:
        """Its files, by version and name."""
        return sorted(self.files.values(), key=lambda file: (Version(file.version), file.filename))


class Store:
    """Projects, releases and files of one index, in memory. Thread-safe.

    It returns snapshots, which do not change with later uploads.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._projects: dict[NormalizedName, Project] = {}
        self._files: dict[str, StoredFile] = {}
        self._deleted: set[str] = set()
        self._serial = 0

    @property
    def serial(self) -> int:
        """How many changes there were."""
        return self._serial

    def projects(self) -> list[Project]:
        """Return all projects, sorted by normalized name."""
        with self._lock:
            return [_copy(self._projects[name]) for name in sorted(self._projects)]

    def project(self, name: str) -> Project | None:
        """Return the project with this `name`, normalized or not."""
        with self._lock:
            project = self._projects.get(canonicalize_name(name))
            return None if project is None else _copy(project)

    def has_release(self, name: str, version: str) -> bool:
        """Whether the project `name` has the release with this canonical version."""
        with self._lock:
            project = self._projects.get(canonicalize_name(name))
            return project is not None and version in project.releases

    def file(self, filename: str) -> StoredFile | None:
        """Return the file with this name."""
        with self._lock:
            return self._files.get(filename)

    def refuse_name(self, name: str) -> None:
        """Raise `StoreRefused` if no project may be created with `name`, which is well-formed."""
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
        """Create an empty project; raises `StoreRefused` if PyPI would refuse."""
        with self._lock:
            self.refuse_name(name)
            self._projects[canonicalize_name(name)] = Project(name, self._next_serial())

    def hold_project(self, name: str) -> None:
        """Make sure that a project `name` exists, without PyPI's checks for new ones."""
        with self._lock:
            if canonicalize_name(name) not in self._projects:
                self._projects[canonicalize_name(name)] = Project(name, self._next_serial())

    def set_status(self, name: str, status: Status) -> None:
        """Change the status of the project `name`, which is created if it is missing."""
        with self._lock:
            self.hold_project(name)
            project = self._projects[canonicalize_name(name)]
            project.status = status
            project.last_serial = self._next_serial()

    def hold_release(self, project: str, version: str, created_at: datetime) -> None:
        """Make sure that there is an empty release that was created at `created_at`."""
        with self._lock:
            self.hold_project(project)
            held = self._projects[canonicalize_name(project)]
            held.releases[version] = Release(
                version, created_at, {"name": [project], "version": [version]}
            )
            held.last_serial = self._next_serial()

    def hold_file(
        self, file: StoredFile, *, name: str, metadata: Mapping[str, Sequence[str]]
    ) -> None:
        """Add a file, whatever PyPI would say today to a file that was uploaded at that time."""
        with self._lock:
            self.hold_project(name)
            project = self._projects[file.project]
            if file.version not in project.releases:
                project.releases[file.version] = Release(
                    file.version, file.uploaded_at, dict(metadata)
                )
            project.files[file.filename] = self._files[file.filename] = file
            project.last_serial = self._next_serial()

    def delete_file(self, filename: str) -> None:
        """Delete a file if it exists; its name can never be used again."""
        with self._lock:
            file = self._files.pop(filename, None)
            if file is not None:
                project = self._projects[file.project]
                del project.files[filename]
                project.last_serial = self._next_serial()
            self._deleted.add(filename)

    def is_new(self, file: SentFile) -> bool:
        """Whether a file is new (`True`), or already exists with the same bytes (`False`).

        Raises `StoreRefused` if it is neither, in PyPI's order: the name or the content is taken,
        the name was used by a deleted file, the release is closed, or the release already has an
        sdist.
        """
        with self._lock:
            named = self._files.get(file.filename)
            if presence(file, named) is Presence.SAME:
                return False
            if named or with_same_content(file, self._files.values()):
                # Twine's --skip-existing and others look for the first three words. As on PyPI,
                # name and hash are those of the file just sent, not of the one that is there.
                raise StoreRefused(
                    f"File already exists ({file.filename!r},"
                    f" with blake2_256 hash {file.blake2b_256!r})."
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
        """Add a file, and its project (as `name`) and release if they are missing.

        Returns `False` and changes nothing if the same file already exists; raises `StoreRefused`
        as `is_new` and `create_project` do.
        """
        with self._lock:
            if not self.is_new(file):
                return False
            if file.project not in self._projects:
                self.create_project(name)
            project = self._projects[file.project]
            if file.version not in project.releases:
                project.releases[file.version] = Release(
                    file.version, file.uploaded_at, dict(metadata)
                )
                self._next_serial()
            project.files[file.filename] = self._files[file.filename] = file
            project.last_serial = self._next_serial()
            return True

    def _next_serial(self) -> int:
        self._serial += 1
        return self._serial


def _copy(project: Project) -> Project:
    return replace(project, releases=dict(project.releases), files=dict(project.files))


def _confusable(name: str) -> str:
    # Characters that look alike: separators; l, i and 1; o and 0.
    return re.sub(r"[-_.]+", "", name.lower()).translate(str.maketrans("lio", "110"))
