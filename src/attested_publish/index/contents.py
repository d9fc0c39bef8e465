"""What an index already has of a release: files that are done, in conflict, or missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from attested_publish.distributions import Kind, kind_of, release_of
from attested_publish.findings import Finding, Severity
from attested_publish.index.index import Index, IndexFile, files_of
from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    import requests
    from packaging.version import Version

    from attested_publish.distributions import Distribution

CLOSED_AFTER = timedelta(days=14)
"""PyPI accepts no new files for a release older than this (since July 2026)."""


class Held(StrEnum):
    """How a distribution compares with what the index has under its name."""

    NOT_YET = "not-yet"
    SAME = "same"
    OTHER = "other"


@dataclass(frozen=True)
class New:
    """Projects that an index does not have yet, and releases for which it serves no file."""

    projects: frozenset[str] = frozenset()
    releases: frozenset[tuple[str | None, Version | None]] = frozenset()


@dataclass(frozen=True)
class Holdings:
    """The files that the index serves for the projects of a release, by project and filename.

    A project that does not exist is `None`. `unreadable` says why the index could not be read
    as JSON (PEP 691): in that case, nothing is known about what it has.
    """

    files: Mapping[str, Mapping[str, IndexFile] | None] = field(default_factory=dict)
    unreadable: str | None = None

    @property
    def projects(self) -> dict[str, bool]:
        """The requested projects, and whether they exist."""
        return {project: files is not None for project, files in self.files.items()}

    def of_project(self, project: str | None) -> Mapping[str, IndexFile]:
        """Return the files of a project; none if it does not exist."""
        return self.files.get(project or "") or {}

    def file(self, distribution: Distribution) -> IndexFile | None:
        """Return what the index serves under the distribution's filename."""
        return self.of_project(distribution.project).get(distribution.filename)

    def held(self, distribution: Distribution) -> Held:
        """Compare a distribution with what is served under its name, by sha256."""
        file = self.file(distribution)
        if file is None or file.sha256 is None:
            return Held.NOT_YET
        return Held.SAME if file.sha256 == distribution.sha256 else Held.OTHER

    def missing_of(self, distributions: Sequence[Distribution]) -> list[Distribution]:
        """Return what still has to be uploaded."""
        return [each for each in distributions if self.held(each) is Held.NOT_YET]

    def new_to_the_index(self, distributions: Sequence[Distribution]) -> New:
        """Return which projects and releases of these distributions the index does not have yet."""
        served = {release_of(name) for files in self.files.values() for name in files or {}}
        return New(
            projects=frozenset(name for name, exists in self.projects.items() if not exists),
            releases=frozenset(each.release for each in distributions) - served,
        )


def holdings(
    distributions: Sequence[Distribution], index: Index, session: requests.Session
) -> Holdings:
    """Fetch the project page of every project in the release from the index.

    Raises `IndexProblem` if the index cannot be reached, `IndexUnusable` if it answers without
    JSON pages (an index other than PyPI need not serve them to everybody).
    """
    projects = sorted({each.project for each in distributions if each.project})
    return Holdings({project: files_of(index, project, session) for project in projects})


def findings_against(
    held: Holdings, distributions: Sequence[Distribution], now: datetime
) -> Iterator[tuple[Distribution, Finding]]:
    """Yield why the index would refuse files still to be uploaded, given what it already has.

    The rules are PyPI's (rows 16 and 18 to 21 of its upload). They cannot know about filenames
    that were used and deleted, because no page lists those.
    """
    for each in distributions:
        state = held.held(each)
        if state is Held.OTHER:
            yield each, _name_taken(each, held)
        elif state is Held.NOT_YET:
            for finding in (
                _content_taken(each, held),
                _second_sdist(each, held),
                _closed_release(each, held, now),
            ):
                if finding is not None:
                    yield each, finding
    yield from _over_limit(held, distributions)


def _name_taken(distribution: Distribution, held: Holdings) -> Finding:
    file = held.file(distribution)
    served = shown(file.sha256 if file else None, 64)
    return Finding(
        "filename-taken",
        Severity.ERROR,
        f"The index has different bytes under this name: sha256 {served} there, "
        f"{distribution.sha256} here.",
        "A filename can be used only once: publish these changes under a new version. If the file "
        "was merely built twice, upload the one built first, or set skip-existing to true to keep "
        "what the index has.",
    )


def _content_taken(distribution: Distribution, held: Holdings) -> Finding | None:
    for name, file in held.of_project(distribution.project).items():
        if file.sha256 == distribution.sha256:
            return Finding(
                "content-taken",
                Severity.ERROR,
                f"The index already has the same bytes, as {shown(name)}.",
                "The same content is accepted only once: leave this file out, or build it again.",
            )
    return None


def _second_sdist(distribution: Distribution, held: Holdings) -> Finding | None:
    if distribution.kind is not Kind.SDIST:
        return None
    for name in held.of_project(distribution.project):
        if kind_of(name) is Kind.SDIST and release_of(name) == distribution.release:
            return Finding(
                "second-sdist",
                Severity.ERROR,
                f"The index already has an sdist of this release: {shown(name)}.",
                "A release can have only one sdist: publish this one under a new version.",
            )
    return None


def _closed_release(distribution: Distribution, held: Holdings, now: datetime) -> Finding | None:
    times = [
        file.uploaded_at
        for name, file in held.of_project(distribution.project).items()
        if file.uploaded_at is not None and release_of(name) == distribution.release
    ]
    if not times or now - min(times) <= CLOSED_AFTER:
        return None
    return Finding(
        "release-closed",
        Severity.ERROR,
        f"The release {distribution.version} was started on {min(times):%Y-%m-%d}; it accepts no "
        f"new files after {CLOSED_AFTER.days} days.",
        "Publish this file under a new version.",
    )


def _over_limit(
    held: Holdings, distributions: Sequence[Distribution]
) -> Iterator[tuple[Distribution, Finding]]:
    # This imports all rules, which a run without them need not wait for.
    from attested_publish.rules.size import GIB, PROJECT_LIMIT

    for project in held.files:
        new = [each for each in held.missing_of(distributions) if each.project == project]
        there = sum(file.size for file in held.of_project(project).values())
        total = there + sum(each.size for each in new)
        if new and total > PROJECT_LIMIT:
            yield (
                max(new, key=lambda each: each.size),
                Finding(
                    "project-size",
                    Severity.WARNING,
                    f"With this release {shown(project)} has {total / GIB:.1f} GiB on the index; "
                    f"the limit is {PROJECT_LIMIT // GIB} GiB, unless it was raised.",
                    "Delete old releases that nobody needs, or ask PyPI for a higher limit.",
                ),
            )
