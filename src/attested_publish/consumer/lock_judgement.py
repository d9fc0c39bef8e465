"""Judge an entry of a lock by what the index serves, and by who has published it before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.consumer.attested_files import Publication, Unanswered
from attested_publish.consumer.identities import Identity, described, named, why_looks_alike
from attested_publish.consumer.lock_findings import LockFinding, Rule, finding
from attested_publish.consumer.locks.model import Gap, LockedFile, LockedPackage, Source
from attested_publish.consumer.prover import Invalid
from attested_publish.consumer.verified_cache import Proven
from attested_publish.net.untrusted import shown
from attested_publish.problems import counted
from attested_publish.rules.versions import parsed_version

if TYPE_CHECKING:
    from packaging.version import Version

    from attested_publish.consumer.locks.expectations import Expectation
    from attested_publish.consumer.served_releases import ServedProject, ServedRelease
    from attested_publish.index.pages import IndexFile

_LOOK = "Look at what was released, and by whom, before you install it. "
_EXPECTED_REMEDY = (
    f"{_LOOK}If the project has moved, change the expected publisher; if it is a one-off, make an "
    "exception with a reason and a date in publishers.toml."
)

_LOST_REMEDY = (
    f"{_LOOK}If that is as it should be, make an exception with a reason and a date in "
    "publishers.toml."
)

_SAY_UNATTESTED = {Rule.PUBLISHER_UNEXPECTED, Rule.PROVENANCE_LOST}
"""Rules whose findings say already that there are no attestations, where that is so."""


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A hash of the lock, the file of that release that has it, and who published that."""

    locked: LockedFile
    served: IndexFile | None
    publication: Publication = None


@dataclass(frozen=True, slots=True)
class Earlier:
    """The release that an entry is compared with; `where` says where it is from.

    `identities` are those that valid attestations prove, none if it has none. `is_whole`: every
    file of it that is compared is attested. `is_locked`: the lock that is compared with has it.
    """

    version: str
    where: str
    identities: tuple[Identity, ...] = ()
    is_whole: bool = False
    is_locked: bool = False

    def __str__(self) -> str:
        return f"{self.version} ({self.where}) was published by {named(self.identities)}"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about an entry: the release that the index serves, and the one before.

    `release` is what is served of the locked version; `None` if there is no such release.
    """

    index_name: str
    project: ServedProject
    release: ServedRelease | None
    checked: Sequence[CheckedFile]
    earlier: Earlier | None = None

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Those who published the files, each once; of the most files first."""
        counts: dict[Identity, int] = {}
        for each in self.proven:
            for identity in each.identities:
                counts[identity] = counts.get(identity, 0) + 1
        return tuple(sorted(counts, key=lambda identity: -counts[identity]))

    @property
    def served(self) -> list[CheckedFile]:
        """The files that the index serves."""
        return [each for each in self.checked if each.served is not None]

    @property
    def proven(self) -> list[Proven]:
        """The publications of the files with valid attestations."""
        return [each.publication for each in self.checked if isinstance(each.publication, Proven)]


def version_of(package: LockedPackage) -> Version | None:
    """Return the version of an entry; `None` if it has none, or none that an index can have."""
    return parsed_version(package.version or "")


def expected_of(
    package: LockedPackage, expectation: Expectation | None
) -> list[tuple[Sequence[Mapping[str, str]], str]]:
    """Return who may have published an entry, and who says so: its own pins, and the policy.

    Each of them has to be met, by any one of the publishers that it names.
    """
    pinned = [each for each in package.identities if each]
    found: list[tuple[Sequence[Mapping[str, str]], str]] = [(pinned, "The lock")] if pinned else []
    if expectation is None or not expectation.identity:
        return found
    version = version_of(package)
    if expectation.since is None or version is None or version >= expectation.since:
        found.append(([expectation.identity], "The policy"))
    return found


def not_checkable(package: LockedPackage) -> Iterator[LockFinding]:
    """Find what of an entry cannot be compared with an index."""
    if package.source is not Source.INDEX:
        kinds = {
            Source.GIT: "a Git repository",
            Source.PATH: "a folder or file",
            Source.URL: "a direct address",
        }
        origin = f" ({shown(package.origin, 200)})" if package.origin else ""
        yield finding(
            Rule.NOT_CHECKABLE,
            package,
            f"{package.name} comes from {kinds.get(package.source, 'elsewhere')}{origin}, not from "
            "an index: there is no provenance to verify.",
        )
    for remark in package.remarks:
        if remark.gap is Gap.OTHER_HASH and package.files:
            # An installer accepts a file that has either of the hashes.
            yield finding(
                Rule.HASH_NOT_SERVED,
                package,
                f"{package.name}: {remark.message} An installer would accept what has the other.",
                "Lock again, with SHA-256 hashes only.",
                remark.line,
            )
        else:
            yield finding(Rule.NOT_CHECKABLE, package, remark.message, line=remark.line)


def judge_unchecked(
    package: LockedPackage, expectation: Expectation | None, earlier: Earlier | None
) -> Iterator[LockFinding]:
    """Find an entry, or a part of one, that should be attested and cannot be compared.

    Otherwise whoever can change a lock could have any bytes installed, by leaving out a hash, or by
    naming another source.
    """
    if package.source is Source.INDEX and not package.open_remarks:
        return
    why = "the lock takes it from elsewhere than an index"
    line = package.line
    if package.source is Source.INDEX:
        why = f"not all of it can be compared: {package.open_remarks[0].message.rstrip('.')}"
        line = package.open_remarks[0].line
    expected = expected_of(package, expectation)
    for allowed, whose in expected:
        who = " or ".join(map(described, allowed))
        yield finding(
            Rule.PUBLISHER_UNEXPECTED,
            package,
            f"{whose} expects {package.name} to be published by {who}, but {why}.",
            _EXPECTED_REMEDY,
            line,
        )
    # A lock that never had hashes has none to leave out.
    was_attested = earlier is not None and earlier.is_locked and bool(earlier.identities)
    if was_attested and not expected:
        yield finding(
            Rule.PROVENANCE_LOST,
            package,
            f"{package.name} {earlier}, but now {why}.",
            _LOST_REMEDY,
            line,
        )


def judge(
    package: LockedPackage, facts: Facts, expectation: Expectation | None
) -> list[LockFinding]:
    """Return what is found about an entry that comes from the index."""
    unknown = _not_served(package, facts)
    if unknown is not None:
        return [unknown]
    found = [*_hashes(package, facts), *_invalid(package, facts), *_yanked(package, facts)]
    found += judge_unchecked(package, expectation, facts.earlier)
    expected = expected_of(package, expectation)
    for allowed, whose in expected:
        found += _unexpected(package, facts, allowed, whose)
    if not expected:
        found += _compared(package, facts)
    if not any(each.rule in _SAY_UNATTESTED for each in found):
        found += _unattested(package, facts)
    return found


def _not_served(package: LockedPackage, facts: Facts) -> LockFinding | None:
    what = f"{package.name} {package.version or 'in the locked files'}"
    remedy = "Check the spelling, and lock again; if it was removed, do not install copies of it."
    if not facts.project.is_known:
        why = f"{facts.index_name} has no project {package.name}."
    elif facts.project.quarantined is not None:
        reason = shown(facts.project.quarantined, 200)
        why = f"{package.name} is quarantined on {facts.index_name}{reason and f' ({reason})'}."
        remedy = "Do not install it, and look at what the index says of it: it may be malicious."
    elif facts.release is None and (package.version is not None or package.files):
        why = f"{facts.index_name} does not serve {shown(what, 200)}."
    else:
        return None
    return finding(Rule.VERSION_NOT_SERVED, package, why, remedy)


def _hashes(package: LockedPackage, facts: Facts) -> Iterator[LockFinding]:
    names = {file.filename: file for file in facts.release.files} if facts.release else {}
    for checked in facts.checked:
        if checked.served is not None:
            continue
        locked = checked.locked
        namesake = names.get(locked.filename or "")
        what = shown(locked.filename, 200) if locked.filename else "A hash of the lock"
        if namesake is not None and namesake.sha256 is None:
            message = f"{facts.index_name} lists no SHA-256 of {what}, so that it is not verified."
        elif namesake is not None:
            message = (
                f"{what} has sha256 {locked.sha256} in the lock, but {facts.index_name} serves "
                f"{shown(namesake.sha256, 80)} under this name."
            )
        else:
            message = (
                f"{facts.index_name} serves no file of {package.name} {package.version or ''} with "
                f"sha256 {locked.sha256}{(locked.filename and f' ({what})') or ''}."
            )
        yield finding(
            Rule.HASH_NOT_SERVED,
            package,
            message,
            "Do not install it: find out where the hash comes from, then lock again.",
            locked.line,
        )


def _invalid(package: LockedPackage, facts: Facts) -> Iterator[LockFinding]:
    for checked in facts.checked:
        if isinstance(checked.publication, Invalid):
            yield finding(
                Rule.PROVENANCE_INVALID,
                package,
                checked.publication.why,
                "Do not install it: the index claims a publisher that it cannot prove.",
                checked.locked.line,
            )


def _yanked(package: LockedPackage, facts: Facts) -> Iterator[LockFinding]:
    reasons = {
        checked.served.yanked
        for checked in facts.checked
        if checked.served is not None and checked.served.yanked is not None
    }
    if reasons:
        reason = "; ".join(shown(each, 200) for each in sorted(reasons) if each)
        yield finding(
            Rule.YANKED,
            package,
            f"{package.name} {package.version or ''} was yanked{reason and f': {reason}'}.",
            "Lock a version that was not.",
        )


def _unexpected(
    package: LockedPackage, facts: Facts, allowed: Sequence[Mapping[str, str]], whose: str
) -> Iterator[LockFinding]:
    """Compare the publisher of every file with those that are allowed, of which any will do."""
    who = " or ".join(map(described, allowed))
    seen: set[str] = set()
    for checked in facts.checked:
        publication = checked.publication
        if checked.served is None or isinstance(publication, Invalid | Unanswered):
            continue
        if publication is None:
            why = f"{shown(checked.served.filename)} has no attestations"
        else:
            strangers = [
                (identity, difference)
                for identity in publication.identities
                if all(identity.difference(each) for each in allowed)
                and (difference := identity.difference(allowed[0]))
            ]
            if not strangers:
                continue
            identity, difference = strangers[0]
            why = f"{shown(checked.served.filename)} was published by {identity}"
            why += f": {difference}" if len(allowed) == 1 else ""
        key = why.partition(" ")[2]
        if key in seen:
            continue
        seen.add(key)
        yield finding(
            Rule.PUBLISHER_UNEXPECTED,
            package,
            f"{whose} expects {who}, but {why}.",
            _EXPECTED_REMEDY,
            checked.locked.line,
        )


def _compared(package: LockedPackage, facts: Facts) -> Iterator[LockFinding]:
    """Compare the publishers with those of the earlier release."""
    earlier = facts.earlier
    if earlier is None or not earlier.identities:
        return
    what = f"{package.name} {package.version or ''}"
    if is_unattested(facts):
        yield finding(
            Rule.PROVENANCE_LOST,
            package,
            f"{what} has no attestations, but {earlier}.",
            _LOST_REMEDY,
        )
        return
    if earlier.is_whole and _installs_only_unattested(facts):
        # Whoever adds a file to a release may leave the others alone.
        yield finding(
            Rule.PROVENANCE_LOST,
            package,
            f"{what}: no file in the lock has attestations, though others of this release do, and "
            f"{earlier}, with attestations of every file.",
            _LOST_REMEDY,
        )
        return
    strangers = [each for each in facts.identities if each not in earlier.identities]
    if strangers:
        alike = why_looks_alike(strangers[0], earlier.identities)
        line = next(
            each.locked.line
            for each in facts.checked
            if isinstance(each.publication, Proven) and strangers[0] in each.publication.identities
        )
        yield finding(
            Rule.PUBLISHER_CHANGED,
            package,
            f"{what} was published by {named(strangers)}, but {earlier}.{alike and ' ' + alike}",
            f"{_LOOK}If the project has moved, name its publisher in publishers.toml.",
            line,
        )


def is_unattested(facts: Facts) -> bool:
    """Whether no file of the release has attestations, valid or not."""
    return facts.release is None or not facts.release.is_attested


def _installs_only_unattested(facts: Facts) -> bool:
    """Whether the index says of every file that the lock names that it has no attestations."""
    return bool(facts.served) and all(each.publication is None for each in facts.served)


def _unattested(package: LockedPackage, facts: Facts) -> Iterator[LockFinding]:
    served = facts.served
    without = [each for each in served if each.publication is None]
    if not without:
        return
    if len(without) == len(served):
        message = f"{package.name} {package.version or ''} has no attestations."
    else:
        message = (
            f"{counted(len(without), 'file')} of {package.name} {package.version or ''} (of "
            f"{len(served)}) without attestations, such as "
            f"{shown(without[0].served and without[0].served.filename)}."
        )
    yield finding(Rule.UNATTESTED, package, message, line=without[0].locked.line)
