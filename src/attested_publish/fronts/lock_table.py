"""Print what was found in locks: findings first, then who publishes the packages."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text

from attested_publish.console.listing import Cells, Column, Listing
from attested_publish.consumer.identities import named
from attested_publish.consumer.lock_findings import Change, LockReport, Rule
from attested_publish.findings import Severity
from attested_publish.net.untrusted import harmless, shown
from attested_publish.problems import counted

if TYPE_CHECKING:
    from attested_publish.console.github import GitHubPrinter
    from attested_publish.console.printer import Printer
    from attested_publish.consumer.lock_findings import LockFinding, PackageVerdict

_ROWS = 200
_PUBLISHERS = 20
_MARKS = {
    Severity.ERROR: ("✗", "bold red"),
    Severity.WARNING: ("!", "yellow"),
    Severity.NOTICE: ("·", "cyan"),
}


def print_found(report: LockReport, printer: Printer) -> None:
    """Print the findings, the changes, and the publishers."""
    listed = listed_findings(report)
    if listed:
        printer.table(_listing(listed[:_ROWS]))
    if len(listed) > _ROWS:
        printer.notice(f"There are {len(listed) - _ROWS} more findings; the report has all.")
    for remedy, rules in remedies(listed).items():
        printer.detail(f"{', '.join(rules)}: {remedy}")
    _print_changes(report, printer)
    _print_publishers(report, printer)


def listed_findings(report: LockReport) -> list[tuple[PackageVerdict, LockFinding]]:
    """Return what is shown one by one, worst first.

    Most packages have no attestations: those are counted. One that has some is shown.
    """
    found = [(verdict, each) for verdict in report.verdicts for each in verdict.findings]
    found.sort(key=lambda item: (_severity(item[1]), list(Rule).index(item[1].rule)))
    return [item for item in found if item[1].rule is not Rule.UNATTESTED or item[0].attested]


def annotate_found(report: LockReport, printer: GitHubPrinter) -> None:
    """Annotate the lines of the lock with what was found there."""
    for verdict, each in listed_findings(report):
        title = f"{shown(verdict.package.name, 100)}: {each.rule.value}"
        text = f"{each.message} {each.remedy}".strip()
        printer.annotation(each.severity, title, text, file=each.file, line=each.line)


def _severity(found: LockFinding) -> int:
    return list(Severity).index(found.severity)


def _listing(listed: list[tuple[PackageVerdict, LockFinding]]) -> Listing:
    listing = Listing(
        Column("package", Cells.NAMES),
        Column("finding"),
        Column("what was found", Cells.PROSE),
        Column("where"),
    )
    for verdict, found in listed:
        mark, style = _MARKS[found.severity]
        package = f"{verdict.package.name} {verdict.package.version or ''}"
        package, message, where = (
            harmless(shown(cell, 1000))
            for cell in (package, found.message, f"{found.file}:{found.line}")
        )
        listing.add(package, Text(f"{mark} {found.rule.value}", style), message, where)
    return listing


def remedies(listed: list[tuple[PackageVerdict, LockFinding]]) -> dict[str, list[str]]:
    """Return what to do, each once, with the rules it is for."""
    advice: dict[str, list[str]] = {}
    for _, found in listed[:_ROWS]:
        if found.remedy:
            rules = advice.setdefault(found.remedy, [])
            if found.rule.value not in rules:
                rules.append(found.rule.value)
    return advice


def _print_changes(report: LockReport, printer: Printer) -> None:
    counts = Counter(each.change for each in report.changes)
    if counts:
        listed = ", ".join(f"{counts[each]} {each.value}" for each in Change if counts[each])
        printer.notice(f"Since the lock {report.compared_with}: {listed}.")
    for each in report.changes:
        if each.change in {Change.PUBLISHER_CHANGED, Change.ATTESTATION_LOST}:
            # It is a finding, too, unless it was expected.
            printer.detail(
                f"{shown(each.name, 100)} {shown(each.old_version or '', 80)} → "
                f"{shown(each.new_version or '', 80)}, {each.change.value}: "
                f"{named(each.old) or 'not attested'} → {named(each.new) or 'not attested'}"
            )


def _print_publishers(report: LockReport, printer: Printer) -> None:
    verdicts = report.verdicts
    if not verdicts:
        return
    attested = [each for each in verdicts if each.identities]
    files = sum(len(each.package.files) for each in verdicts)
    printer.notice(
        f"{len(attested)} of {counted(len(verdicts), 'package')} have valid attestations "
        f"({sum(each.attested for each in verdicts)} of {counted(files, 'hash')})."
    )
    publishers = Counter(str(identity) for each in attested for identity in each.identities)
    for publisher, count in publishers.most_common(_PUBLISHERS):
        printer.detail(f"{count} by {publisher}")
    if len(publishers) > _PUBLISHERS:
        printer.detail(f"and {len(publishers) - _PUBLISHERS} more publishers")
