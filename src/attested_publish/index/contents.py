"""What an index has of a release already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attested_publish.distributions import release_of
from attested_publish.rules.on_index import Presence, presence

if TYPE_CHECKING:
    from packaging.version import Version

    from attested_publish.distributions import Distribution
    from attested_publish.index.pages import IndexFile, Page, Pages


@dataclass(frozen=True)
class New:
    """Projects that an index does not have yet, and releases for which it serves no file."""

    projects: frozenset[str] = frozenset()
    releases: frozenset[tuple[str | None, Version | None]] = frozenset()


@dataclass(frozen=True)
class Contents:
    """What the index serves for the projects of a release: their pages.

    The page of a project that does not exist is `None`. `unreadable` says why the index could
    not be read: then nothing is known about what it has. `to_replace` are the names of files that
    are sent although it has others under these names.
    """

    pages: Mapping[str, Page | None] = field(default_factory=dict)
    unreadable: str | None = None
    to_replace: frozenset[str] = frozenset()

    @property
    def projects(self) -> dict[str, bool]:
        """The requested projects, and whether they exist."""
        return {project: page is not None for project, page in self.pages.items()}

    @property
    def files(self) -> dict[str, Mapping[str, IndexFile]]:
        """The files of each project by filename; none where it does not exist."""
        return {project: page.files if page else {} for project, page in self.pages.items()}

    @property
    def by_project(self) -> dict[str, list[IndexFile]]:
        """The files of each project that was asked for; none where it does not exist."""
        return {project: list(files.values()) for project, files in self.files.items()}

    def file(self, distribution: Distribution) -> IndexFile | None:
        """Return what the index serves as the distribution (see `Page.file`)."""
        page = self.pages.get(distribution.project or "")
        return None if page is None else page.file(distribution)

    def presence(self, distribution: Distribution) -> Presence:
        """Compare a distribution with what is served under its name, by sha256."""
        return presence(distribution, self.file(distribution))

    def missing_of(self, distributions: Sequence[Distribution]) -> list[Distribution]:
        """Return what still has to be uploaded."""
        return [
            each
            for each in distributions
            if self.presence(each) is Presence.MISSING or each.filename in self.to_replace
        ]

    def new_to_the_index(self, distributions: Sequence[Distribution]) -> New:
        """Return which projects and releases of these distributions the index does not have yet."""
        served = {release_of(name) for files in self.files.values() for name in files}
        return New(
            projects=frozenset(name for name, exists in self.projects.items() if not exists),
            releases=frozenset(each.release for each in distributions) - served,
        )


def read_contents(distributions: Sequence[Distribution], pages: Pages) -> Contents:
    """Read the page of every project in the release.

    Raises `IndexProblem` if the index cannot be reached, `IndexUnusable` if it answers without
    project pages (an index other than PyPI need not serve them to everybody).
    """
    projects = sorted({each.project for each in distributions if each.project})
    return Contents({project: pages.page(project) for project in projects})
