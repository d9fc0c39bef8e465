"""What an index holds of a release already: done, in the way, or still to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from attested_publish.distributions import release_of
from attested_publish.foreign import shown
from attested_publish.index import Index, IndexFile, files_of
from attested_publish.problems import IndexRefuses, IndexUnusable

if TYPE_CHECKING:
    import requests
    from packaging.version import Version

    from attested_publish.distributions import Distribution


class Held(StrEnum):
    """How a distribution compares with what the index holds under its name."""

    NOT_YET = "not-yet"
    SAME = "same"
    OTHER = "other"


@dataclass(frozen=True)
class Holdings:
    """The files of the projects of a release that the index serves, by project and filename.

    A project that does not exist is `None`. `unreadable` says why the index could
    not be read in JSON (PEP 691): then nothing is known about what it holds.
    """

    files: Mapping[str, Mapping[str, IndexFile] | None] = field(default_factory=dict)
    unreadable: str | None = None

    def file(self, distribution: Distribution) -> IndexFile | None:
        """Return what the index serves under the distribution's filename."""
        return (self.files.get(distribution.project or "") or {}).get(distribution.filename)

    def held(self, distribution: Distribution) -> Held:
        """Compare a distribution with what is served under its name, by sha256."""
        file = self.file(distribution)
        if file is None or file.sha256 is None:
            return Held.NOT_YET
        return Held.SAME if file.sha256 == distribution.sha256 else Held.OTHER

    def missing_of(self, distributions: Sequence[Distribution]) -> list[Distribution]:
        """Return what has still to be uploaded."""
        return [each for each in distributions if self.held(each) is Held.NOT_YET]

    def new_releases(
        self, distributions: Sequence[Distribution]
    ) -> frozenset[tuple[str | None, Version | None]]:
        """Return the releases (project, version) of which the index serves no file yet."""
        served = {release_of(name) for files in self.files.values() for name in files or {}}
        return frozenset(each.release for each in distributions) - served


def holdings(
    distributions: Sequence[Distribution], index: Index, session: requests.Session
) -> Holdings:
    """Ask the index for the project page of every project in the release.

    An index other than PyPI need not serve JSON pages to everybody: then the
    holdings are unreadable. Raises `IndexProblem` when it cannot be reached.
    """
    files: dict[str, Mapping[str, IndexFile] | None] = {}
    for project in sorted({each.project for each in distributions if each.project}):
        try:
            files[project] = files_of(index, project, session)
        except IndexUnusable as problem:
            if index.is_pypi:
                raise
            return Holdings(unreadable=problem.detail)
    return Holdings(files)


def refuse_other_bytes(distributions: Sequence[Distribution], held: Holdings, index: Index) -> None:
    """Raise `IndexRefuses` when a filename is taken by other bytes, naming every such file."""
    lines = []
    for each in distributions:
        file = held.file(each)
        if file is not None and held.held(each) is Held.OTHER:
            lines.append(
                f"{shown(each.filename)}: the index serves sha256 {shown(file.sha256, 64)}, "
                f"here it is {each.sha256}"
            )
    if not lines:
        return
    raise IndexRefuses(
        f"{index.name} holds other bytes under the same name",
        detail="\n".join(lines),
        remedy="A filename is taken once and for all: publish these changes under a new "
        "version. If the files were merely built twice, upload the ones built first, or set "
        "skip-existing to true to leave what is there.",
        file=next(each.filename for each in distributions if held.held(each) is Held.OTHER),
    )
