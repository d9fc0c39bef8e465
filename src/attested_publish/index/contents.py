"""What an index has of a release already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attested_publish.distributions import release_of
from attested_publish.index.index import Index, IndexFile, files_of
from attested_publish.rules.on_index import Presence, presence

if TYPE_CHECKING:
    import requests
    from packaging.version import Version

    from attested_publish.distributions import Distribution


@dataclass(frozen=True)
class New:
    """Projects that an index does not have yet, and releases that it serves no file of."""

    projects: frozenset[str] = frozenset()
    releases: frozenset[tuple[str | None, Version | None]] = frozenset()


@dataclass(frozen=True)
class Contents:
    """The files of the projects of a release that the index serves, by project and filename.

    A project that does not exist is `None`. `unreadable` says why the index could
    not be read in JSON (PEP 691): then nothing is known about what it has.
    """

    files: Mapping[str, Mapping[str, IndexFile] | None] = field(default_factory=dict)
    unreadable: str | None = None

    @property
    def projects(self) -> dict[str, bool]:
        """The projects that were asked for, and whether they exist."""
        return {project: files is not None for project, files in self.files.items()}

    @property
    def by_project(self) -> dict[str, list[IndexFile]]:
        """The files of each project that was asked for; none where it does not exist."""
        return {project: list((files or {}).values()) for project, files in self.files.items()}

    def file(self, distribution: Distribution) -> IndexFile | None:
        """Return what the index serves under the distribution's filename."""
        return (self.files.get(distribution.project or "") or {}).get(distribution.filename)

    def presence(self, distribution: Distribution) -> Presence:
        """Compare a distribution with what is served under its name, by sha256."""
        return presence(distribution, self.file(distribution))

    def missing_of(self, distributions: Sequence[Distribution]) -> list[Distribution]:
        """Return what has still to be uploaded."""
        return [each for each in distributions if self.presence(each) is Presence.MISSING]

    def new_to_the_index(self, distributions: Sequence[Distribution]) -> New:
        """Return what of these distributions' projects and releases the index has not yet."""
        served = {release_of(name) for files in self.files.values() for name in files or {}}
        return New(
            projects=frozenset(name for name, exists in self.projects.items() if not exists),
            releases=frozenset(each.release for each in distributions) - served,
        )


def read_contents(
    distributions: Sequence[Distribution], index: Index, session: requests.Session
) -> Contents:
    """Read the page of every project in the release.

    Raises `IndexProblem` where it cannot be reached, `IndexUnusable` where it answers,
    but with no JSON pages (an index other than PyPI need not serve them to everybody).
    """
    projects = sorted({each.project for each in distributions if each.project})
    return Contents({project: files_of(index, project, session) for project in projects})
