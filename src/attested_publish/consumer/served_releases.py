"""What an index serves of the releases that matter: little is kept of pages that may be large."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from attested_publish.index.pages import Page, Pages, ProjectStatus
from attested_publish.net.http import TooLarge
from attested_publish.problems import IndexProblem
from attested_publish.rules.versions import parsed_version

if TYPE_CHECKING:
    import requests
    from packaging.version import Version

    from attested_publish.consumer.persistence import Persistence
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile

_USUAL_PAGE = 1 << 20
"""Bytes of a page of which several may be in memory at a time; of larger ones, only one."""


@dataclass(frozen=True, slots=True)
class WantedProject:
    """What is to be known of a project: some versions, and files by their hashes and names.

    `by_hash`: also the versions that have files with one of these hashes.
    """

    versions: Collection[Version]
    hashes: Collection[str] = ()
    names: Collection[str] = ()
    by_hash: bool = False


@dataclass(frozen=True, slots=True)
class ServedRelease:
    """The wanted files of a release, and whether any or all of its files have a provenance."""

    files: tuple[IndexFile, ...] = ()
    is_attested: bool = False
    is_wholly_attested: bool = False


@dataclass(frozen=True, slots=True)
class ServedProject:
    """The releases of a project that were asked for, and of each the one before it.

    `before` has the next lower version of those that were asked for. `is_known` is false if
    the index has no such project; `quarantined` is why it serves nothing of it.
    """

    is_known: bool = True
    quarantined: str | None = None
    releases: Mapping[Version, ServedRelease] = field(default_factory=dict)
    before: Mapping[Version, Version] = field(default_factory=dict)


@dataclass
class ServedReleases:
    """Reads project pages, each once, and keeps what is needed. Threads may share it."""

    index: Index
    session: requests.Session
    persistence: Persistence
    _large: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._usual_pages = Pages(self.index, self.session, limit=_USUAL_PAGE)
        self._large_pages = Pages(self.index, self.session)

    def of(self, project: str, wanted: WantedProject) -> ServedProject:
        """Return what the index serves of some versions of a project, and of the one before each.

        Of the latter only what has a provenance. Raises `IndexProblem`.
        """
        try:
            page = self.persistence(lambda: self._usual_pages.page(project))
            return _kept(page, project, wanted)
        except IndexProblem as problem:
            if not isinstance(problem.__cause__, TooLarge):
                raise
        with self._large:
            page = self.persistence(lambda: self._large_pages.page(project))
            return _kept(page, project, wanted)


def _kept(page: Page | None, project: str, wanted: WantedProject) -> ServedProject:
    if page is None:
        return ServedProject(is_known=False)
    releases = releases_on(page.files.values(), project)
    versions = set(wanted.versions)
    if wanted.by_hash:
        versions.update(
            version
            for version, files in releases.items()
            if any(file.sha256 in wanted.hashes for file in files)
        )
    in_order = sorted(releases)
    before = {
        version: in_order[place - 1]
        for version in versions
        if (place := bisect_left(in_order, version)) > 0
    }
    compared = set(before.values())
    return ServedProject(
        # Whatever files it lists: nobody is to install them (PEP 792).
        quarantined=page.status_reason if page.status is ProjectStatus.QUARANTINED else None,
        releases={
            version: _release(
                releases[version],
                wanted,
                has_all_attested=version in compared or not wanted.hashes,
            )
            for version in (versions | compared) & releases.keys()
        },
        before=before,
    )


def _release(
    files: Sequence[IndexFile], wanted: WantedProject, *, has_all_attested: bool
) -> ServedRelease:
    kept = tuple(
        file
        for file in files
        if file.sha256 in wanted.hashes
        or file.filename in wanted.names
        or (has_all_attested and file.provenance_url is not None)
    )
    has_provenance = [file.provenance_url is not None for file in files]
    return ServedRelease(kept, any(has_provenance), all(has_provenance))


def releases_on(files: Iterable[IndexFile], project: str) -> dict[Version, list[IndexFile]]:
    """Return the distributions of a project by version.

    A page may list 100,000 files of a few hundred versions: each version is parsed once.
    """
    by_text: dict[str, list[IndexFile]] = {}
    for file in files:
        if file.kind is not None:
            by_text.setdefault(_version_text(file.filename, project), []).append(file)
    releases: dict[Version, list[IndexFile]] = {}
    for text, found in by_text.items():
        version = parsed_version(text)
        if version is None:
            continue
        releases.setdefault(version, []).extend(found)
    return releases


def _version_text(filename: str, project: str) -> str:
    """Return the version in a distribution's name; empty if it is not one of the project."""
    stem = filename.removesuffix(".whl").removesuffix(".zip").removesuffix(".tar.gz")
    if filename.endswith(".whl"):
        name, _, rest = stem.partition("-")
        version = rest.partition("-")[0]
    else:
        name, _, version = stem.rpartition("-")
    return version if canonicalize_name(name) == project else ""
