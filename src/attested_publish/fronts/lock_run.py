"""Verify locks, for the command and for the action: read them, verify, print what was found."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attested_publish.consumer.attested_files import AttestedFiles
from attested_publish.consumer.earlier_entries import EarlierEntries
from attested_publish.consumer.lock_changes import changes
from attested_publish.consumer.lock_findings import LockReport
from attested_publish.consumer.lock_verification import (
    Held,
    LockVerification,
    Outcome,
)
from attested_publish.consumer.locks.bounded import lock_in, read_lock, read_policy
from attested_publish.consumer.locks.expectations import Policy
from attested_publish.consumer.locks.model import Format, Lock, LockError
from attested_publish.consumer.locks.reading import is_pylock
from attested_publish.consumer.persistence import Persistence
from attested_publish.consumer.prover import Prover
from attested_publish.consumer.revisions import Revision
from attested_publish.consumer.served_releases import ServedReleases
from attested_publish.consumer.verified_cache import VerifiedCache, cache_folder
from attested_publish.fronts.lock_table import print_found
from attested_publish.journey.failures import record
from attested_publish.net.http import new_session
from attested_publish.net.untrusted import shown
from attested_publish.problems import Problem, Stage, counted
from attested_publish.report import Result

if TYPE_CHECKING:
    from attested_publish.consumer.lock_findings import PackageVerdict
    from attested_publish.journey.run import Run
    from attested_publish.problems import IndexProblem

_NAMED = 10
Read = TypeVar("Read", Lock, Policy)


@dataclass(frozen=True)
class LockRequest:
    """What to verify, and against what.

    The lock that is compared with is the file `against`; or what was in a Git `revision`; or the
    file with the same path below the folder `base`, where there is one. `within`: a folder whose
    files may be a stranger's, so that no link may lead out of it. `writes`: verified
    identities are pinned in the policy, or in the locks that can hold them.
    """

    locks: tuple[Path, ...]
    against: Path | None = None
    revision: str | None = None
    base: Path | None = None
    policy: Path | None = None
    within: Path | None = None
    writes: bool = False
    uses_cache: bool = True


@dataclass
class _Reading:
    """Reads what was asked for; what cannot be read is a problem, and the rest is verified."""

    run: Run
    request: LockRequest
    has_failed: bool = field(default=False)
    read: dict[Path, Lock] = field(default_factory=dict)

    def locks(self) -> list[Held]:
        """Return the locks, each with the one that it is compared with."""
        named = self.request.against
        against = None if named is None else self._tried(lambda: self._read(named))
        held = []
        for path in self.request.locks:
            lock = self._tried(lambda path=path: self._read(path))  # type: ignore[misc] # bound now
            if lock is None:
                continue
            self.run.printer.item(
                shown(lock.path), f"{lock.format.value}, {counted(len(lock.packages), 'package')}"
            )
            before, where = self._before(path, against)
            self.read[path] = lock
            held.append(Held(lock, None if before is None else EarlierEntries(before), where))
        return held

    def _before(self, path: Path, against: Lock | None) -> tuple[Lock | None, str]:
        """Return what a lock is compared with, if anything, and how it is called."""
        revision = self.request.revision
        if revision is not None:
            return self._tried(lambda: self._at(revision, path)), f"in {shown(revision, 100)}"
        base = self.request.base
        if base is not None:
            return self._in_base(base, path), "in the base branch"
        return against, f"in {shown(self.request.against or '', 100)}"

    def policy(self) -> Policy | None:
        """Return the policy; one that is to be written may not exist yet, or be empty."""
        path = self.request.policy
        if path is None or (self.request.writes and _is_new(path)):
            return None
        return self._tried(lambda: self._read_policy(path))

    def _read(self, path: Path) -> Lock:
        self._refuse_escape(path)
        return read_lock(path)

    def _read_policy(self, path: Path) -> Policy:
        self._refuse_escape(path)
        return read_policy(path)

    def _refuse_escape(self, path: Path) -> None:
        """Raise `LockError` for a path in `within` that leads out of it, by a link.

        What cannot be read as a lock is quoted, in a log that may be public.
        """
        within = self.request.within
        if within is None or not Path(os.path.abspath(path)).is_relative_to(within):  # noqa: PTH100
            return
        try:
            is_inside = path.resolve().is_relative_to(within.resolve())
        except (OSError, RuntimeError):
            is_inside = False
        if not is_inside:
            raise LockError(shown(path, 200), "It is a link that leads out of the workspace.")

    def _at(self, name: str, path: Path) -> Lock | None:
        revision = Revision.of(name, path.parent)
        content = revision.content(path.name)
        if content is None:
            self.run.printer.notice(f"{shown(path)} is new: {shown(name, 100)} has no such file.")
            return Lock(str(path), Format.REQUIREMENTS, ())
        place = path if path.is_absolute() else f"./{path}"
        return lock_in(content, f"{name}:{place}", beside=revision.content)

    def _in_base(self, base: Path, path: Path) -> Lock | None:
        """Return a lock of the base branch; without it, a pull request can be judged, too."""
        at = base / os.path.relpath(path)
        if not at.is_file():
            self.run.printer.notice(f"{shown(path)} is new: the base branch has no such file.")
            return Lock(str(path), Format.REQUIREMENTS, ())
        try:
            return read_lock(at)
        except Problem as problem:
            self.run.printer.warning(
                f"{shown(path)} of the base branch cannot be read, so that nothing is compared "
                f"with it: {problem.cause}."
            )
            return None

    def _tried(self, read: Callable[[], Read | None]) -> Read | None:
        try:
            return read()
        except Problem as problem:
            record(self.run, problem)
            self.has_failed = True
            return None


def _is_new(path: Path) -> bool:
    """Whether there is no such file, or an empty one."""
    try:
        return not path.exists() or (path.is_file() and path.stat().st_size == 0)
    except OSError:
        return False


def prover_of(trust_config: str | None) -> Prover:
    """Return what verifies provenance with a root of trust; without one, the public Sigstore's.

    Raises `SigningProblem` if that cannot be loaded.
    """
    if trust_config is not None:
        return Prover(trust_config)
    from attested_publish.attestations.verify import public_trust_config

    return Prover(public_trust_config())


def verify_locks(run: Run, request: LockRequest) -> LockReport:
    """Verify locks and print what was found; sets the run's result.

    Raises a `Problem` if there is no root of trust to verify anything with.
    """
    reading = _Reading(run, request)
    with run.recorder.stage(Stage.FILES, counted(len(request.locks), "lock")):
        held, policy = reading.locks(), reading.policy()
    if not any(each.lock.packages for each in held):
        # There is nothing to verify, and so nothing that it takes.
        report = LockReport(run.targets.index.name)
        print_found(report, run.printer)
        run.result = Result.FAILED if reading.has_failed else Result.DONE
        return report
    prover = prover_of(run.targets.trust_config)
    cache = VerifiedCache.at(cache_folder()) if request.uses_cache else VerifiedCache(None)
    if cache.is_empty:
        prover.start()
    index, deadlines = run.targets.index, run.targets.deadlines
    doing = f"who published {counted(sum(len(each.lock.packages) for each in held), 'package')}"
    with (
        new_session(read=deadlines.answer) as session,
        run.recorder.stage(Stage.VERIFICATION, doing),
    ):
        persistence = Persistence(index.name, deadlines.index, run.printer.waiting)
        verification = LockVerification(
            index,
            ServedReleases(index, session, persistence),
            AttestedFiles(index, session, prover, persistence, cache),
            policy,
            datetime.now(UTC).date(),
        )
        outcome = verification(held)
        verification.files.check_root()
        report = outcome.report
        for each in held:
            report.changes += changes(each, verification, outcome)
        # Several locks often have the same packages.
        report.changes = list(dict.fromkeys(report.changes))
        report.compared_with = next((each.where for each in held if each.before is not None), "")
    cache.write()
    _record_problems(outcome, run)
    print_found(report, run.printer)
    if request.writes:
        _write(request, report, reading)
    is_whole = not reading.has_failed and not outcome.problems
    run.result = Result.DONE if report.is_good else Result.REFUSED
    if not is_whole:
        run.result = Result.FAILED
    return report


def _record_problems(outcome: Outcome, run: Run) -> None:
    """Record what the index did not answer: one problem for each cause."""
    by_cause: dict[str, list[tuple[str, IndexProblem]]] = {}
    for project, problem in outcome.problems.items():
        # Save for the project's name in the address, an index that is down fails them all alike.
        cause = problem.cause.replace(f"/{project}/", "/")
        by_cause.setdefault(cause, []).append((project, problem))
    for found in by_cause.values():
        names = ", ".join(shown(project, 100) for project, _ in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        first = found[0][1]
        first.title = f"{names}{more} could not be verified"
        # That of a release speaks of uploads.
        first.remedy = "Check the address of the index; run again once it answers as it should."
        record(run, first)


def _write(request: LockRequest, report: LockReport, reading: _Reading) -> None:
    """Pin the publishers of the packages with which nothing is wrong."""
    from attested_publish.consumer.locks.writing import write_identities

    run = reading.run
    if request.policy is not None:
        targets: Sequence[tuple[Path, Iterable[PackageVerdict]]] = [
            (request.policy, report.verdicts)
        ]
    else:
        targets = [
            (path, _of_lock(report, lock))
            for path, lock in reading.read.items()
            if is_pylock(path.name)
        ]
        if not targets:
            run.printer.warning(
                "Nothing was written: of the locks, only pylock.toml can hold identities; name a "
                "policy file with --policy."
            )
    for path, verdicts in targets:
        try:
            has_changed = write_identities(path, _pinnable(verdicts))
        except Problem as problem:
            record(run, problem)
            reading.has_failed = True
            continue
        run.printer.item(shown(path), "written" if has_changed else "as it was")


def _of_lock(report: LockReport, lock: Lock) -> list[PackageVerdict]:
    """Return the verdicts about a lock's packages: not by its path, which is shortened there."""
    packages = set(map(id, lock.packages))
    return [each for each in report.verdicts if id(each.package) in packages]


def _pinnable(verdicts: Iterable[PackageVerdict]) -> Mapping[str, Sequence[Mapping[str, str]]]:
    verified: dict[str, list[dict[str, str]]] = {}
    bad = {each.package.name for each in verdicts if not each.is_good}
    for verdict in verdicts:
        if verdict.package.name in bad or verdict.attested < len(verdict.package.files):
            continue
        known = verified.setdefault(verdict.package.name, [])
        known += [fields for each in verdict.identities if (fields := each.as_dict()) not in known]
    return {name: identities for name, identities in verified.items() if identities}
