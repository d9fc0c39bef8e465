"""The lock that another is compared with: its entries, found by project and version."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attested_publish.consumer.lock_judgement import version_of
from attested_publish.consumer.locks.model import LockedPackage, Source

if TYPE_CHECKING:
    from packaging.version import Version

    from attested_publish.consumer.locks.model import Lock


@dataclass
class EarlierRelease:
    """What a lock has of one version of a project: `label` is its name, `hashes` are SHA-256.

    `is_open`: some of it has no hash that can be compared.
    """

    version: Version | None
    label: str
    hashes: set[str] = field(default_factory=set)
    is_open: bool = False


@dataclass
class _Project:
    """The entries of a project that come from the index."""

    packages: list[LockedPackage] = field(default_factory=list)
    releases: dict[Version | None, EarlierRelease] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)


class EarlierEntries:
    """The entries of a lock. A lock may have 10,000 of one project: nothing looks through them."""

    def __init__(self, lock: Lock | None = None) -> None:
        self.by_project: dict[str, list[LockedPackage]] = {}
        self._projects: dict[str, _Project] = {}
        for package in lock.packages if lock is not None else ():
            self.by_project.setdefault(package.name, []).append(package)
            if package.source is Source.INDEX:
                self._add(self._projects.setdefault(package.name, _Project()), package)
        for project in self._projects.values():
            project.versions = sorted(each for each in project.releases if each is not None)

    @staticmethod
    def _add(project: _Project, package: LockedPackage) -> None:
        version = version_of(package)
        label = package.version or "an earlier version"
        project.packages.append(package)
        release = project.releases.setdefault(version, EarlierRelease(version, label))
        release.hashes.update(file.sha256 for file in package.files)
        release.is_open |= bool(package.open_remarks)

    def of(self, project: str) -> Sequence[LockedPackage]:
        """Return the entries of a project that come from the index."""
        return self._projects.get(project, _Project()).packages

    def origins_of(self, project: str) -> set[tuple[Source, str | None]]:
        """Return from where the lock takes a project."""
        return {(each.source, each.origin) for each in self.by_project.get(project, ())}

    def highest(self, project: str) -> LockedPackage | None:
        """Return the entry of the highest version that comes from the index, if there is one."""
        nearest = self.nearest(project, None)
        packages = self._projects.get(project, _Project()).packages
        return next(
            (each for each in packages if nearest and version_of(each) == nearest.version), None
        )

    def release(self, project: str, version: Version | None) -> EarlierRelease | None:
        """Return what the lock has of a version; `None` if it has not."""
        return self._projects.get(project, _Project()).releases.get(version)

    def nearest(self, project: str, version: Version | None) -> EarlierRelease | None:
        """Return the highest version below `version`, else the highest one; `None` without any."""
        found = self._projects.get(project, _Project())
        lower = 0 if version is None else bisect_left(found.versions, version)
        nearest = found.versions[lower - 1] if found.versions else None
        return found.releases.get(nearest)
