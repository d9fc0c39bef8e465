"""What PyPI refuses because of what it has already: rows 16 and 18 to 21 of its upload.

The decisions are made here, for the preflight, which goes by what an index serves, and for the
embedded PyPI, which knows everything and refuses in the server's words.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeVar

from attested_publish.distributions import Kind
from attested_publish.net.untrusted import shown
from attested_publish.rules.bounds import CLOSED_AFTER, GIB, PROJECT_LIMIT, is_beyond
from attested_publish.rules.wording import doubtful, refused

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.findings import Finding


class File(Protocol):
    """A file that is to be uploaded, or one that the index has."""

    @property
    def filename(self) -> str:
        """Its name, which is unique on an index."""

    @property
    def kind(self) -> str | None:
        """Its `filetype` in the upload form."""

    @property
    def release(self) -> object:
        """Its project and version: equal for files of the same release."""

    @property
    def sha256(self) -> str | None:
        """The digest of its content in lower-case hex; `None`: the index does not serve it."""


Another = TypeVar("Another", bound=File)


class DatedFile(File, Protocol):
    """A file that the index has, as far as it says."""

    @property
    def size(self) -> int:
        """Its bytes."""

    @property
    def uploaded_at(self) -> datetime | None:
        """When it was uploaded."""


class Presence(StrEnum):
    """What the index has under a file's name."""

    MISSING = "nothing, or it does not say what"
    SAME = "the same bytes"
    OTHER = "other bytes"


def presence(file: File, there: File | None) -> Presence:
    """Compare a file with what the index has under its name, by sha256."""
    if there is None or there.sha256 is None:
        return Presence.MISSING
    return Presence.SAME if there.sha256 == file.sha256 else Presence.OTHER


def with_same_content(file: File, there: Iterable[Another]) -> Another | None:
    """Return the file that the index has with the same bytes: it takes each content once."""
    return next((each for each in there if each.sha256 == file.sha256), None)


def is_closed(begun: datetime | None, now: datetime) -> bool:
    """Whether a release takes no new files any more; `begun` is when it was created, if it was."""
    return begun is not None and now - begun > CLOSED_AFTER


def other_sdist(file: File, there: Iterable[Another]) -> Another | None:
    """Return the sdist that the release of a new sdist has already: it may have one."""
    if file.kind != Kind.SDIST:
        return None
    return next(
        (each for each in there if each.kind == Kind.SDIST and each.release == file.release), None
    )


def project_size_beyond(new: Iterable[int], there: Iterable[int], limit: int) -> int | None:
    """Return the bytes that a project's files would have, where that is more than `limit`.

    `new` and `there` are the sizes of the files to be uploaded and of those that the index has.
    """
    total = sum(new) + sum(there)
    return total if is_beyond(total, limit) else None


def findings_on_index(
    distributions: Sequence[Distribution],
    projects: Mapping[str, Collection[DatedFile]],
    now: datetime,
) -> Iterator[tuple[Distribution, Finding]]:
    """Yield what the index's files have against each file that is still to be uploaded.

    `projects` are those that were asked for, with the files that the index serves of each. What
    these cannot tell: the names of files that were deleted, as no page lists them.
    """
    new = []
    for each in distributions:
        there = projects.get(each.project or "", ())
        named = next((file for file in there if file.filename == each.filename), None)
        match presence(each, named):
            case Presence.SAME:
                pass
            case Presence.OTHER:
                yield each, _name_taken(each, named)
            case Presence.MISSING:
                new.append(each)
                for finding in _against_new(each, there, now):
                    yield each, finding
    for project, files in projects.items():
        of_project = [each for each in new if each.project == project]
        if of_project:
            yield from _over_limit(project, of_project, files)


def _name_taken(distribution: Distribution, named: File | None) -> Finding:
    served = shown(named.sha256 if named else None, 64)
    return refused(
        "filename-taken",
        f"The index has different bytes under this name: sha256 {served} there, "
        f"{distribution.sha256} here.",
        "A filename can be used only once: publish these changes under a new version. If the file "
        "was merely built twice, upload the one built first, or set skip-existing to true to keep "
        "what the index has.",
    )


def _against_new(
    distribution: Distribution, there: Collection[DatedFile], now: datetime
) -> Iterator[Finding]:
    if same := with_same_content(distribution, there):
        yield refused(
            "content-taken",
            f"The index already has the same bytes, as {shown(same.filename)}.",
            "The same content is accepted only once: leave this file out, or build it again.",
        )
    if sdist := other_sdist(distribution, there):
        yield refused(
            "second-sdist",
            f"The index already has an sdist of this release: {shown(sdist.filename)}.",
            "A release can have only one sdist: publish this one under a new version.",
        )
    begun = _begun(distribution, there)
    if is_closed(begun, now):
        yield refused(
            "release-closed",
            f"The release {distribution.version} was begun on {begun:%Y-%m-%d}; it takes no "
            f"new files after {CLOSED_AFTER.days} days.",
            "Publish this file under a new version.",
        )


def _begun(distribution: Distribution, there: Iterable[DatedFile]) -> datetime | None:
    """Return when a release was created, going by the files that the index serves of it."""
    times = [
        file.uploaded_at
        for file in there
        if file.uploaded_at is not None and file.release == distribution.release
    ]
    return min(times, default=None)


def _over_limit(
    project: str, new: Sequence[Distribution], there: Iterable[DatedFile]
) -> Iterator[tuple[Distribution, Finding]]:
    total = project_size_beyond(
        (each.size for each in new), (file.size for file in there), PROJECT_LIMIT
    )
    if total is not None:
        yield (
            max(new, key=lambda each: each.size),
            doubtful(
                "project-size",
                f"With this release {shown(project)} has {total / GIB:.1f} GiB on the index; "
                f"the limit is {PROJECT_LIMIT // GIB} GiB, unless it was raised.",
                "Delete old releases that nobody needs, or ask PyPI for a higher limit.",
            ),
        )
