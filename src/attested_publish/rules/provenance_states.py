"""What PyPI's project page says of a release's provenance, alone and compared with another one.

Pure: it is computed from what is known of each file, wherever that comes from. The rules are those
of PyPI's server (August 2026), as the project's notes on provenance describe them. Of what those
leave open, this is assumed:

* The release before is the next lower version (PEP 440) that has files, as the page lists releases
  by version. Pre-releases and yanked releases count, too: the page lists them, and leaving out what
  somebody has yanked would hide who published it.
* A source is another one if no file of the release before has it: where one of two sources is
  no longer used, nothing has changed.
* Of unknown files nothing is claimed. What the others show is: one more unreadable file does not
  make a change of sources pass unnoticed.
* A file whose provenance the index lists has some, though it was not read: then only the publisher
  is unknown. What is served and cannot be understood is unknown altogether.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from attested_publish.report import Forecast

if TYPE_CHECKING:
    from packaging.version import Version

_ACCOUNTS = ("repository", "email", "project_id")
_WORKFLOWS = ("workflow", "workflow_filepath", "pipeline_definition_id")
_LONGEST = 500
"""Characters of a name in a provenance; GitHub's longest repository has 140."""
_MOST_BUNDLES = 20
"""Publishers in one provenance; PyPI's server always writes one."""


class State(StrEnum):
    """What is said of a release; several apply at once.

    `no`, `full`, `partial`: none, all, some of its files have provenance. `inconsistent`: its
    files name more than one source, or more than one workflow. `lost`: the release before had
    some provenance, this one has none. `changed`: it has a source that the release before does
    not have. `unknown`: of a file of either release it is not known.
    """

    NO = "no"
    FULL = "full"
    PARTIAL = "partial"
    INCONSISTENT = "inconsistent"
    LOST = "lost"
    CHANGED = "changed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, order=True)
class Source:
    """Where files come from: the `kind` of publisher, and the account or repository there.

    As provenance spells it: PyPI compares repositories with their case.
    """

    kind: str
    identity: str


@dataclass(frozen=True, order=True)
class Publisher:
    """Who published a file: the source, and the file that defines the job (empty: it has none).

    The environment is no part of it: PyPI looks at neither source nor workflow by it.
    """

    source: Source
    workflow: str = ""

    @classmethod
    def of(cls, publisher: Mapping[str, object]) -> Publisher:
        """Read the `publisher` object of a provenance (PEP 740).

        Raises `ValueError` where it names no kind, or no account or repository, or not as texts.
        """
        kind = publisher.get("kind")
        identity = next((publisher[name] for name in _ACCOUNTS if name in publisher), "")
        workflow = next((publisher[name] for name in _WORKFLOWS if name in publisher), None) or ""
        if not kind or not identity:
            raise ValueError("it has no kind, or nothing that identifies it")
        if not (
            isinstance(kind, str)
            and isinstance(identity, str)
            and isinstance(workflow, str)
            and max(len(kind), len(identity), len(workflow)) <= _LONGEST
            # Two names that look alike would be shown as if they did not differ.
            and all(each == each.strip() for each in (kind, identity, workflow))
        ):
            raise ValueError("a name in it is too long, has blanks around it, or is no text")
        return cls(Source(kind, identity), workflow)

    def __str__(self) -> str:
        named = f"{self.source.kind} {self.source.identity}"
        return f"{named}, {self.workflow}" if self.workflow else named

    def as_json(self) -> dict[str, str | None]:
        """Return the publisher for a report."""
        return {
            "kind": self.source.kind,
            "identity": self.source.identity,
            "workflow": self.workflow or None,
        }


@dataclass(frozen=True)
class Attested:
    """A file with provenance: its publishers, at least one."""

    publishers: frozenset[Publisher]


class Unattested(Enum):
    """A file without provenance, with some that was not read, or of which neither is known."""

    ABSENT = "absent"
    UNREAD = "unread"
    UNKNOWN = "unknown"


ABSENT = Unattested.ABSENT
UNREAD = Unattested.UNREAD
UNKNOWN = Unattested.UNKNOWN
File: TypeAlias = Attested | Unattested
"""What is known of one file's provenance."""


def file_with(provenance: object) -> File:
    """Read a provenance (PEP 740, JSON) as an index serves it: whom it names, unverified.

    Unknown if it is something else, or any part of it cannot be read.
    """
    bundles = provenance.get("attestation_bundles") if isinstance(provenance, dict) else None
    if not isinstance(bundles, list) or not 0 < len(bundles) <= _MOST_BUNDLES:
        return UNKNOWN
    try:
        return Attested(frozenset(map(_publisher_of, bundles)))
    except (ValueError, LookupError, TypeError, AttributeError):
        return UNKNOWN


def states_of(files: Collection[File], before: Collection[File] = ()) -> frozenset[State]:
    """Return what is said of a release with these files.

    `before` are the files of the release before; none if there is no such release, and then
    nothing is compared. A release without files has no provenance.
    """
    states = set(_coverage(files))
    own = publishers_of(files)
    if len(_sources(own)) > 1 or len({each.workflow for each in own}) > 1:
        states.add(State.INCONSISTENT)
    if any(map(_has_some, before)) and all(file is ABSENT for file in files):
        states.add(State.LOST)
    if differing(files, before):
        states.add(State.CHANGED)
    if not {UNKNOWN, UNREAD}.isdisjoint((*files, *before)):
        states.add(State.UNKNOWN)
    return frozenset(states)


def publishers_of(files: Iterable[File]) -> tuple[Publisher, ...]:
    """Return the publishers that the files name, each once, in a stable order."""
    found = (file.publishers for file in files if isinstance(file, Attested))
    return tuple(sorted(frozenset().union(*found)))


def differing(
    files: Iterable[File], before: Iterable[File]
) -> tuple[tuple[Publisher, Publisher], ...]:
    """Return pairs of publishers, of the release before and of this one, to show side by side.

    Each publisher with a source that the release before does not have comes with each that this
    has. Empty: no source has changed, or one of the two names none.
    """
    earlier = publishers_of(before)
    known = _sources(earlier)
    strangers = [each for each in publishers_of(files) if each.source not in known]
    return tuple((then, now) for now in strangers for then in earlier)


def forecast_of(
    release: tuple[str, Version],
    files: Collection[File],
    before: Version | None,
    files_before: Collection[File],
) -> Forecast:
    """Return what is said of a release of a project, beside the one `before` it."""
    project, version = release
    states = states_of(files, files_before)
    return Forecast(
        project=project,
        version=str(version),
        states=tuple(state.value for state in State if state in states),
        compared_with=None if before is None else str(before),
        before=tuple(each.as_json() for each in publishers_of(files_before)),
        after=tuple(each.as_json() for each in publishers_of(files)),
    )


def release_before(versions: Iterable[Version], version: Version) -> Version | None:
    """Return the release that a version is compared with; `None` if there is none.

    `versions` are those that have files on the index.
    """
    return max((each for each in versions if each < version), default=None)


def _publisher_of(bundle: Any) -> Publisher:  # noqa: ANN401 - what an index serves
    if not bundle["attestations"]:
        raise ValueError("the bundle has no attestation")
    return Publisher.of(bundle["publisher"])


def _coverage(files: Collection[File]) -> Iterable[State]:
    if all(file is ABSENT for file in files):
        yield State.NO
    elif ABSENT in files and any(map(_has_some, files)):
        yield State.PARTIAL
    elif UNKNOWN not in files:
        yield State.FULL


def _has_some(file: File) -> bool:
    return isinstance(file, Attested) or file is UNREAD


def _sources(publishers: Iterable[Publisher]) -> frozenset[Source]:
    return frozenset(each.source for each in publishers)
