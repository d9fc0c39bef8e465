"""The provenance that an index serves of releases: read in the background, within bounds."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attested_publish.index.provenance import provenance_listed
from attested_publish.net.parallel import Outcome, in_parallel, meanwhile
from attested_publish.net.retry import GaveUp, persistently
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexProblem
from attested_publish.rules.provenance_states import (
    ABSENT,
    UNKNOWN,
    UNREAD,
    File,
    differing,
    file_with,
    release_before,
)

if TYPE_CHECKING:
    import requests
    from packaging.version import Version

    from attested_publish.distributions import Distribution
    from attested_publish.index.contents import Contents
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile
    from attested_publish.journey.run import Run
    from attested_publish.net.patience import Patience

_FIRST = 4
"""Files of the release before whose provenance is read: usually they have one publisher, ..."""

_MOST = 50
"""... and as many only to find out whether another file has this job's source. Of the release
itself, if some of its files are there already, as many. The rest stays unread."""

_AT_A_TIME = 8
_GRACE = 2.0
"""Seconds that a release still waits before its upload for what was begun long ago, unless it may
stop there."""


@dataclass(frozen=True)
class ReleaseThere:
    """A release of this run on the index: its own files, and those of the release before it."""

    project: str
    version: Version
    there: Sequence[IndexFile]
    before: Version | None
    earlier: Sequence[IndexFile]

    @property
    def first(self) -> Iterator[IndexFile]:
        """The files whose provenance is read in any case."""
        yield from _with_provenance(self.there)[:_MOST]
        yield from _with_provenance(self.earlier)[:_FIRST]


@dataclass
class _Reader:
    """Reads provenance; what is known so far is by file, and so is the last reason why not."""

    index: Index
    session: requests.Session
    patience: Patience
    files: dict[IndexFile, File] = field(default_factory=dict)
    why_unknown: dict[IndexFile, str] = field(default_factory=dict)
    given_up: GaveUp = field(default_factory=GaveUp)

    def read(self, files: Sequence[IndexFile]) -> None:
        """Read the provenance of these files. Raises `Stopped`."""
        for file, found in in_parallel(self._provenance, files, threads=_AT_A_TIME):
            self.files[file] = found

    def known(self, file: IndexFile) -> File:
        """Return what is known of a file on the index."""
        return ABSENT if file.provenance_url is None else self.files.get(file, UNREAD)

    def _provenance(self, file: IndexFile) -> File:
        try:
            served = persistently(
                lambda: self._served(file),
                self.patience,
                # It is background work: what is not known in the end is said then.
                lambda _: None,
                self.given_up,
            )
        except IndexProblem:
            return UNREAD
        if served is None:
            self.why_unknown[file] = "it is listed, but not served"
            return UNREAD
        found = file_with(served)
        if found is UNKNOWN:
            self.why_unknown[file] = "what is served cannot be understood"
        return found

    def _served(self, file: IndexFile) -> Mapping[str, Any] | None:
        try:
            return provenance_listed(file, self.index, self.session)
        except IndexProblem as problem:
            self.why_unknown[file] = problem.cause
            raise


class ServedProvenance:
    """The provenance that an index serves of the releases of a run, read in the background.

    `answer` gives the contents of the index, and may be waited for. With `may_stop`, what is read
    may stop the release, which waits for it then as long as for other answers of the index. All of
    it together is waited for so long, from when somebody waits.
    """

    def __init__(
        self,
        run: Run,
        distributions: Sequence[Distribution],
        answer: Callable[[], Contents],
        *,
        may_stop: bool,
    ) -> None:
        patience = run.targets.deadlines.index
        self._reader = _Reader(run.targets.index, run.means.session, patience)
        self._may_stop = may_stop
        self._seconds = patience.seconds if may_stop else _GRACE
        self._until: float | None = None
        self._releases = meanwhile(lambda: _releases(distributions, answer))
        self._reading = meanwhile(
            lambda: self._reader.read([file for each in self._releases() for file in each.first])
        )

    @property
    def is_due(self) -> bool:
        """Whether a forecast is to be made now: it may stop the release, or waits for nothing."""
        with contextlib.suppress(TimeoutError):
            self._reading(0)
            return True
        return self._may_stop

    def releases(self) -> list[ReleaseThere]:
        """Return the releases of the run, once what is read in any case is known, or overdue."""
        self._wait_for(self._reading)
        return self._releases()

    def read_on(self, releases: Iterable[tuple[ReleaseThere, Collection[File]]]) -> None:
        """Read more of those before `releases` where it is open whether a source has changed.

        Each comes with what its own files are known to be.
        """
        rest = [
            file
            for release, now in releases
            if self._is_open(release, now)
            for file in _with_provenance(release.earlier)[_FIRST:_MOST]
        ]
        if rest and not self._reader.given_up:
            self._wait_for(meanwhile(lambda: self._reader.read(rest)))

    def _is_open(self, release: ReleaseThere, now: Collection[File]) -> bool:
        """Whether the first files of the release before leave open if a source is another one."""
        first = [self._reader.known(file) for file in _with_provenance(release.earlier)[:_FIRST]]
        return bool(differing(now, first)) or not {UNREAD, UNKNOWN}.isdisjoint(first)

    def files(self, release: ReleaseThere, contents: Contents) -> list[File]:
        """Return what is known of the release's own files, except those to be replaced."""
        kept = (file for file in release.there if file.filename not in contents.to_replace)
        return [self._reader.known(file) for file in kept]

    def before(self, release: ReleaseThere, now: Collection[File]) -> list[File]:
        """Return what is known of the release before: enough of it for a comparison with `now`."""
        listed = _with_provenance(release.earlier)
        of_these = listed if self._is_open(release, now) else listed[:_FIRST]
        found = [self._reader.known(file) for file in of_these]
        return [*found, *[ABSENT] * (len(release.earlier) - len(listed))]

    def why_unknown(self, release: ReleaseThere) -> str:
        """Return a reason for something unknown in a release or the one before."""
        files = (*release.there, *release.earlier)
        for file in files:
            if why := self._reader.why_unknown.get(file):
                return f"{shown(file.filename)}: {why}"
        late = next((each for each in release.first if each not in self._reader.files), None)
        if late is not None:
            return f"{shown(late.filename)}: its provenance was not answered in time"
        return f"only the provenance of {_MOST} files is read"

    def _wait_for(self, reading: Outcome[None]) -> None:
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
        try:
            reading(max(0.0, self._until - now))
        except TimeoutError:
            self._reader.given_up.now()


def _releases(
    distributions: Sequence[Distribution], answer: Callable[[], Contents]
) -> list[ReleaseThere]:
    """Return the releases with files to upload, as the index has them."""
    try:
        contents = answer()
    except IndexProblem:
        # Whether that is an obstacle is decided where the answer is needed.
        return []
    found = []
    wanted = {each.release for each in contents.missing_of(distributions)}
    for project, page in contents.pages.items():
        by_version: dict[Version, list[IndexFile]] = {}
        for file in page.files.values() if page else ():
            named, version = file.release
            if named == project and version is not None:
                by_version.setdefault(version, []).append(file)
        for version in sorted({each for named, each in wanted if named == project and each}):
            before = release_before(by_version, version)
            there = by_version.get(version, ())
            earlier = () if before is None else by_version[before]
            found.append(ReleaseThere(project, version, there, before, earlier))
    return found


def _with_provenance(files: Sequence[IndexFile]) -> list[IndexFile]:
    return [each for each in files if each.provenance_url is not None]
