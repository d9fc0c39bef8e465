"""What is found out about the packages of a lock: findings, verdicts, and the JSON report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from attested_publish.findings import Severity
from attested_publish.net.secrecy import all_blotted
from attested_publish.net.untrusted import harmless, shown

if TYPE_CHECKING:
    from attested_publish.consumer.identities import Identity
    from attested_publish.consumer.locks.expectations import Expectation
    from attested_publish.consumer.locks.model import LockedPackage
    from attested_publish.report import ProblemReport, Result

SCHEMA = 1


class Rule(StrEnum):
    """The rules that an entry of a lock is judged by, the gravest first."""

    INDEX_UNEXPECTED = "index-unexpected"
    VERSION_NOT_SERVED = "version-not-served"
    HASH_NOT_SERVED = "hash-not-served"
    PROVENANCE_INVALID = "provenance-invalid"
    PUBLISHER_UNEXPECTED = "publisher-unexpected"
    PUBLISHER_CHANGED = "publisher-changed"
    PROVENANCE_LOST = "provenance-lost"
    YANKED = "yanked"
    NOT_CHECKABLE = "not-checkable"
    UNATTESTED = "unattested"

    @property
    def severity(self) -> Severity:
        """How grave a finding of it is, unless it is excepted."""
        match self:
            case Rule.YANKED:
                return Severity.WARNING
            case Rule.NOT_CHECKABLE | Rule.UNATTESTED:
                return Severity.NOTICE
            case _:
                return Severity.ERROR

    @property
    def may_be_excepted(self) -> bool:
        """Whether a policy can make an exception: not where the lock and the index disagree."""
        return self not in {
            Rule.INDEX_UNEXPECTED,
            Rule.VERSION_NOT_SERVED,
            Rule.HASH_NOT_SERVED,
            Rule.PROVENANCE_INVALID,
        }


@dataclass(frozen=True, slots=True)
class LockFinding:
    """One finding about an entry; `file` and `line` point into the lock."""

    rule: Rule
    severity: Severity
    message: str
    remedy: str
    file: str
    line: int

    def as_json(self) -> dict[str, Any]:
        """Return the finding's part of the report."""
        return {
            "rule": self.rule.value,
            "severity": self.severity.value,
            "message": self.message,
            "remedy": self.remedy,
            "file": self.file,
            "line": self.line,
        }


def finding(
    rule: Rule, package: LockedPackage, message: str, remedy: str = "", line: int | None = None
) -> LockFinding:
    """Return a finding about an entry; the texts may quote the lock and the index."""
    return LockFinding(
        rule,
        rule.severity,
        harmless(shown(message, 1000), pieces=True),
        harmless(shown(remedy, 1000), pieces=True),
        package.path,
        package.line if line is None else line,
    )


class Change(StrEnum):
    """What happened to a package since the lock that is compared with."""

    ADDED = "added"
    REMOVED = "removed"
    PUBLISHER_CHANGED = "publisher changed"
    ATTESTATION_LOST = "attestation lost"
    ATTESTED_NOW = "attested now"
    SAME_PUBLISHER = "same publisher"
    UNATTESTED = "not attested"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True)
class PackageChange:
    """How the publisher of a package differs between two locks; versions as they are written."""

    name: str
    change: Change
    old_version: str | None = None
    new_version: str | None = None
    old: tuple[Identity, ...] = ()
    new: tuple[Identity, ...] = ()


@dataclass(frozen=True)
class PackageVerdict:
    """The result for one entry: `attested` counts the files whose attestations are all valid.

    `identities` are those who published the files.
    """

    package: LockedPackage
    attested: int = 0
    identities: tuple[Identity, ...] = ()
    findings: tuple[LockFinding, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing but notices was found."""
        return all(each.severity is Severity.NOTICE for each in self.findings)

    def as_json(self) -> dict[str, Any]:
        """Return the package's part of the report."""
        return {
            "name": self.package.name,
            "version": self.package.version,
            "files": len(self.package.files),
            "attested": self.attested,
            "publisher": self.identities[0].as_dict() if self.identities else None,
            "findings": [each.as_json() for each in self.findings],
        }


@dataclass
class LockReport:
    """The result of verifying locks: verdicts in the order of the locks, problems apart.

    `changes` are those since the locks that were compared with, which `compared_with` names.
    """

    index_name: str = ""
    verdicts: list[PackageVerdict] = field(default_factory=list)
    changes: list[PackageChange] = field(default_factory=list)
    compared_with: str = ""

    @property
    def is_good(self) -> bool:
        """Whether no finding stands."""
        return all(verdict.is_good for verdict in self.verdicts)

    def as_json(self, result: Result, problems: Sequence[ProblemReport]) -> dict[str, Any]:
        """Return the JSON report (the design's schema 1 of mode `verify`)."""
        return dict(
            all_blotted(
                {
                    "schema": SCHEMA,
                    "mode": "verify",
                    "result": result.value,
                    "packages": [each.as_json() for each in self.verdicts],
                    "problems": [each.as_json() for each in problems],
                }
            )
        )


def with_exceptions(
    findings: Sequence[LockFinding], expectation: Expectation | None, policy: str, today: date
) -> list[LockFinding]:
    """Turn what the policy excepts into notices, and say of an exception why it does not count."""
    if expectation is None:
        return list(findings)
    return [_excepted(each, expectation, policy, today) for each in findings]


def _excepted(
    found: LockFinding, expectation: Expectation, policy: str, today: date
) -> LockFinding:
    if found.severity is Severity.NOTICE:
        return found
    for exception in expectation.exceptions:
        if exception.rule != found.rule:
            continue
        place = f"{shown(policy, 100)}, line {exception.line}"
        if not found.rule.may_be_excepted:
            why_not = "this rule has no exceptions"
        elif exception.counts(today):
            reason = f"Excepted until {exception.until}: {shown(exception.reason, 300)}"
            return replace(
                found,
                severity=Severity.NOTICE,
                message=f"{found.message} {harmless(reason, pieces=True)}",
            )
        else:
            why_not = shown(exception.why_not, 200).rstrip(".") or f"it ended on {exception.until}"
        note = f"The exception in {place} does not count: {why_not}."
        found = replace(found, remedy=f"{found.remedy} {note}".strip())
    return found


def by_name(report: LockReport) -> Mapping[str, list[PackageVerdict]]:
    """Return the verdicts by project."""
    found: dict[str, list[PackageVerdict]] = {}
    for verdict in report.verdicts:
        found.setdefault(verdict.package.name, []).append(verdict)
    return found
