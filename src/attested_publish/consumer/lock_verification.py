"""Verify the packages of locks: what the index serves of each, and who has published it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING, TypeVar

from attested_publish.consumer.attested_files import AttestedFiles, Publication, Unanswered
from attested_publish.consumer.earlier_entries import EarlierEntries
from attested_publish.consumer.lock_findings import (
    LockFinding,
    LockReport,
    PackageVerdict,
    with_exceptions,
)
from attested_publish.consumer.lock_indexes import deceptive_hosts, other_indexes
from attested_publish.consumer.lock_judgement import (
    CheckedFile,
    Earlier,
    Facts,
    expected_of,
    judge,
    judge_unchecked,
    not_checkable,
    version_of,
)
from attested_publish.consumer.locks.model import LockedPackage, Source
from attested_publish.consumer.served_releases import WantedProject
from attested_publish.consumer.verified_cache import Proven
from attested_publish.net.http import CONNECTIONS
from attested_publish.net.parallel import in_parallel
from attested_publish.problems import IndexProblem

if TYPE_CHECKING:
    from packaging.version import Version

    from attested_publish.consumer.identities import Identity
    from attested_publish.consumer.locks.expectations import Expectation, Policy
    from attested_publish.consumer.locks.model import Lock
    from attested_publish.consumer.served_releases import ServedProject, ServedReleases
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Held:
    """A lock, and the entries that it is compared with.

    `before` is `None` without such a lock; `where` names it in findings.
    """

    lock: Lock
    before: EarlierEntries | None = None
    where: str = ""


@dataclass(frozen=True)
class Entry:
    """An entry of a lock that the index is asked about, and the lock that it is in."""

    package: LockedPackage
    held: Held


@dataclass
class Outcome:
    """What was found out: verdicts and facts in the order of the entries, problems by project.

    `left` is what entries were, by their `id`, that are no longer from the index.
    """

    report: LockReport
    facts: dict[int, Facts] = field(default_factory=dict)
    left: dict[int, Earlier] = field(default_factory=dict)
    problems: dict[str, IndexProblem] = field(default_factory=dict)

    def facts_of(self, package: LockedPackage) -> Facts | None:
        """Return what is known of an entry, by itself: equal ones may occur several times."""
        return self.facts.get(id(package))


@dataclass
class LockVerification:
    """Verifies locks with one index; see `Outcome`.

    `today` decides which exceptions of the `policy` have ended.
    """

    index: Index
    releases: ServedReleases
    files: AttestedFiles
    policy: Policy | None
    today: date

    def __call__(self, locks: Sequence[Held]) -> Outcome:
        """Verify every entry of the locks. What the index does not answer is a problem."""
        outcome = Outcome(LockReport(self.index.name))
        entries = [Entry(package, held) for held in locks for package in held.lock.packages]
        foreign = {
            id(entry.package): list(other_indexes(entry.package, self.index)) for entry in entries
        }
        asked = [
            entry
            for entry in entries
            if entry.package.source is Source.INDEX and not foreign[id(entry.package)]
        ]
        projects = self._projects(asked, outcome)
        self._gather_facts(asked, projects, outcome)
        self._look_back(entries, outcome)
        for entry in entries:
            facts = outcome.facts_of(entry.package)
            findings = [*foreign[id(entry.package)], *not_checkable(entry.package)]
            expectation = self._expectation(entry.package)
            if facts is not None:
                served = facts.release.files if facts.release else ()
                findings += deceptive_hosts(entry.package, served, self.index)
                findings += judge(entry.package, facts, expectation)
            elif entry.package.source is not Source.INDEX:
                earlier = outcome.left.get(id(entry.package))
                findings += judge_unchecked(entry.package, expectation, earlier)
            outcome.report.verdicts.append(self._verdict(entry.package, facts, findings))
        return outcome

    def _look_back(self, entries: Sequence[Entry], outcome: Outcome) -> None:
        """Find out who published what the lock compared with still took from the index."""
        olds: dict[int, tuple[Entry, LockedPackage]] = {}
        for entry in entries:
            package, before = entry.package, entry.held.before
            if package.source is Source.INDEX or before is None:
                continue
            is_same = (package.source, package.origin) in before.origins_of(package.name)
            if not is_same and (old := before.highest(package.name)):
                olds[id(package)] = (entry, old)
        identities = self.identities_of([old for _, old in olds.values()], outcome)
        for key, (entry, old) in olds.items():
            version = old.version or "an earlier version"
            outcome.left[key] = Earlier(
                version, entry.held.where, identities[id(old)], is_locked=True
            )

    def identities_of(
        self, packages: Sequence[LockedPackage], outcome: Outcome
    ) -> Mapping[int, tuple[Identity, ...]]:
        """Return who published entries of another lock, by `id`, as far as it can be found out."""

        def look_up(package: LockedPackage) -> tuple[Identity, ...]:
            version = version_of(package)
            if package.source is not Source.INDEX or version is None:
                return ()
            try:
                wanted = WantedProject([version], _hashes(package))
                project = self.releases.of(package.name, wanted)
            except IndexProblem:
                return ()
            files = _with_hashes(_files(project, version), _hashes(package))
            return self._earlier(package.name, version, "", files, (), outcome=outcome).identities

        found = in_parallel(look_up, packages, threads=CONNECTIONS)
        return {id(package): identities for package, identities in found}

    def _verdict(
        self, package: LockedPackage, facts: Facts | None, findings: Sequence[LockFinding]
    ) -> PackageVerdict:
        path = self.policy.path if self.policy is not None else ""
        judged = with_exceptions(findings, self._expectation(package), path, self.today)
        if facts is None:
            return PackageVerdict(package, findings=tuple(judged))
        return PackageVerdict(package, len(facts.proven), facts.identities, tuple(judged))

    def _expectation(self, package: LockedPackage) -> Expectation | None:
        return None if self.policy is None else self.policy.projects.get(package.name)

    def _projects(self, asked: Sequence[Entry], outcome: Outcome) -> Mapping[str, ServedProject]:
        """Read the page of every project, once."""
        packages: dict[str, list[LockedPackage]] = {}
        for entry in asked:
            packages.setdefault(entry.package.name, []).append(entry.package)
        for before in {id(entry.held): entry.held.before for entry in asked}.values():
            for project, listed in packages.items():
                listed.extend(() if before is None else before.of(project))

        def read(project: str) -> ServedProject:
            return self.releases.of(project, _wanted(packages[project]))

        found = {}
        for project, served in _answers(read, list(packages)):
            if isinstance(served, IndexProblem):
                outcome.problems[project] = served
            else:
                found[project] = served
        return found

    def _gather_facts(
        self, asked: Sequence[Entry], projects: Mapping[str, ServedProject], outcome: Outcome
    ) -> None:
        """Find out who published the files of every entry, and of the release before it."""
        for entry in asked:
            project = projects.get(entry.package.name)
            if project is not None:
                outcome.facts[id(entry.package)] = _facts(entry.package, project, self.index)
        known = [entry for entry in asked if id(entry.package) in outcome.facts]
        wanted = {
            (entry.package.name, checked.served)
            for entry in known
            for checked in outcome.facts[id(entry.package)].checked
            if checked.served is not None
        }
        # Not in the threads, which would only get into each other's way.
        publications: dict[tuple[str, IndexFile], Publication] = {
            (name, file): found
            for name, file in wanted
            if (found := self.files.known(name, file, file.sha256 or "")) is not None
        }
        for (name, file), publication in in_parallel(
            lambda item: self.files.publication(item[0], item[1], item[1].sha256 or ""),
            sorted(wanted - publications.keys(), key=lambda item: (item[0], item[1].filename)),
            threads=CONNECTIONS,
        ):
            publications[name, file] = publication
            if isinstance(publication, Unanswered):
                outcome.problems.setdefault(name, publication.problem)
        for entry in known:
            outcome.facts[id(entry.package)] = _published(
                outcome.facts[id(entry.package)], entry.package.name, publications
            )
        for entry, earlier in in_parallel(
            lambda entry: self._release_before(entry, outcome), known, threads=CONNECTIONS
        ):
            facts = outcome.facts[id(entry.package)]
            outcome.facts[id(entry.package)] = replace(facts, earlier=earlier)

    def _release_before(self, entry: Entry, outcome: Outcome) -> Earlier | None:
        """Return what an entry is compared with; `None` if there is nothing, or no change."""
        package, facts = entry.package, outcome.facts[id(entry.package)]
        version = version_of(package)
        before = entry.held.before or EarlierEntries()
        same = before.release(package.name, version)
        # What has no hash that can be compared is a change, too, unless it had none before.
        is_as_closed = same is not None and (same.is_open or not package.open_remarks)
        if same is not None and _hashes(package) <= same.hashes and is_as_closed:
            return None
        lower = facts.project.before.get(version) if version is not None else None
        old = same or before.nearest(package.name, version)
        if old is not None:
            files = _with_hashes(_files(facts.project, old.version), old.hashes)
            label, where = old.label, entry.held.where
        elif lower is not None and not expected_of(package, self._expectation(package)):
            files, label = _files(facts.project, lower), str(lower)
            where = "the release before"
        else:
            return None
        earlier = self._earlier(
            package.name, label, where, files, facts.identities, outcome=outcome
        )
        if old is None and lower is not None:
            # Of that release, only the attested files were kept.
            is_whole = facts.project.releases[lower].is_wholly_attested
        else:
            is_whole = bool(files) and all(file.provenance_url is not None for file in files)
        return replace(earlier, is_whole=is_whole, is_locked=old is not None)

    def _earlier(
        self,
        project: str,
        version: object,
        where: str,
        files: Iterable[IndexFile],
        known: Sequence[Identity],
        *,
        outcome: Outcome,
    ) -> Earlier:
        """Find out who published a release, until that explains all who are `known`."""
        found: dict[Identity, None] = {}
        for file in files:
            if file.sha256 is None:
                continue
            publication = self.files.publication(project, file, file.sha256)
            if isinstance(publication, Unanswered):
                outcome.problems.setdefault(project, publication.problem)
                break
            if isinstance(publication, Proven):
                found.update(dict.fromkeys(publication.identities))
                if set(known) <= found.keys():
                    break
        return Earlier(str(version), where, tuple(found))


def _facts(package: LockedPackage, project: ServedProject, index: Index) -> Facts:
    version = version_of(package)
    release = project.releases.get(version) if version is not None else None
    if package.version is None:
        hashes = _hashes(package)
        release = next(
            (
                each
                for each in project.releases.values()
                if any(file.sha256 in hashes for file in each.files)
            ),
            None,
        )
    files = release.files if release is not None else ()
    by_hash = {file.sha256: file for file in files if file.sha256 is not None}
    checked = [CheckedFile(locked, by_hash.get(locked.sha256)) for locked in package.files]
    return Facts(index.name, project, release, checked)


def _published(
    facts: Facts, name: str, publications: Mapping[tuple[str, IndexFile], Publication]
) -> Facts:
    checked = [
        each
        if each.served is None
        else replace(each, publication=publications.get((name, each.served)))
        for each in facts.checked
    ]
    return replace(facts, checked=checked)


def _wanted(packages: Sequence[LockedPackage]) -> WantedProject:
    return WantedProject(
        {version for each in packages if (version := version_of(each)) is not None},
        {sha256 for each in packages for sha256 in _hashes(each)},
        {file.filename for each in packages for file in each.files if file.filename},
        by_hash=any(each.version is None for each in packages),
    )


def _files(project: ServedProject, version: Version | None) -> list[IndexFile]:
    served = project.releases.get(version) if version is not None else None
    return [] if served is None else list(served.files)


def _hashes(package: LockedPackage) -> set[str]:
    return {file.sha256 for file in package.files}


def _with_hashes(files: Iterable[IndexFile], hashes: Collection[str]) -> list[IndexFile]:
    """Return the files that entries name by their hashes: others may have come later."""
    return [file for file in files if not hashes or file.sha256 in hashes]


def _answers(
    read: Callable[[Item], Result], items: Sequence[Item]
) -> Iterator[tuple[Item, Result | IndexProblem]]:
    """Yield what was read of each item, or the problem with it: the others go on."""

    def attempt(item: Item) -> Result | IndexProblem:
        try:
            return read(item)
        except IndexProblem as problem:
            return problem

    yield from in_parallel(attempt, items, threads=CONNECTIONS)
