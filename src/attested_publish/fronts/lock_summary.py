"""What was found in locks as a step summary: findings first, then what changed in who publishes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from attested_publish.consumer.lock_findings import Change, LockReport, PackageChange
from attested_publish.fronts.lock_table import listed_findings, remedies
from attested_publish.fronts.markdown import (
    MARKS,
    Block,
    escaped,
    folded,
    page_of,
    problem_blocks,
    prose,
    url_of,
)
from attested_publish.problems import counted
from attested_publish.report import Result

if TYPE_CHECKING:
    from attested_publish.consumer.identities import Identity
    from attested_publish.report import Report

_CHANGES = {
    Change.PUBLISHER_CHANGED: "❌ publisher changed",
    Change.ATTESTATION_LOST: "❌ attestation lost",
    Change.UNKNOWN: "❔ not known",
    Change.ADDED: "🆕 added",
    Change.REMOVED: "🗑️ removed",
    Change.ATTESTED_NOW: "✅ attested now",
    Change.SAME_PUBLISHER: "✅ same publisher",
    Change.UNATTESTED: "not attested",
}
"""What happened, in the order of the table: first what has to be looked at."""

_QUIET = {Change.SAME_PUBLISHER, Change.UNATTESTED}
"""Nobody has to look at these: in a long table they are folded."""

_OPEN_ROWS = 20


def lock_summary(locks: LockReport, report: Report, limit: int) -> str:
    """Return the summary, at most `limit` bytes: the verdict, the findings, the changes."""
    blocks = [
        Block(f"## {_verdict(locks, report)}\n\n{_counts(locks)}\n\n"),
        *problem_blocks(report.problems),
        *_findings(locks),
        *_changes(locks),
        _publishers(locks),
    ]
    return page_of(blocks, [locks.index_name], limit)


def _verdict(locks: LockReport, report: Report) -> str:
    bad = sum(not verdict.is_good for verdict in locks.verdicts)
    packages = counted(len(locks.verdicts), "package")
    match report.result:
        case Result.DONE:
            return f"✅ Nothing is wrong with {packages}"
        case Result.REFUSED:
            return f"❌ Something is wrong with {bad} of {packages}"
        case Result.FAILED:
            found = f", and something is wrong with {bad} of {packages}" if bad else ""
            return f"❌ Not everything could be verified{found}"


def _counts(locks: LockReport) -> str:
    attested = sum(bool(verdict.identities) for verdict in locks.verdicts)
    line = f"{attested} of {counted(len(locks.verdicts), 'package')} have valid attestations."
    if locks.compared_with and not locks.changes:
        line += f" Nothing has changed since the lock {escaped(locks.compared_with)}."
    return line


def _changes(locks: LockReport) -> Iterator[Block]:
    if not locks.changes:
        return
    order = list(_CHANGES)
    changes = sorted(locks.changes, key=lambda each: (order.index(each.change), each.name))
    quiet = [each for each in changes if each.change in _QUIET]
    folded = quiet if len(changes) > _OPEN_ROWS else []
    counts = Counter(each.change for each in changes)
    listed = ", ".join(f"{counts[each]} {each.value}" for each in _CHANGES if counts[each])
    yield Block(
        f"### What changed in who publishes, since the lock {escaped(locks.compared_with)}\n\n"
        f"{listed}.\n\n"
    )
    table = "| package | before | now |\n|---|---|---|\n"
    if shown := changes[: len(changes) - len(folded)]:
        yield Block(table, list(map(_row, shown)), "\n")
    if folded:
        yield Block(
            f"<details><summary>and {counted(len(folded), 'more package')}: same publisher, or "
            f"attested neither before nor now</summary>\n\n{table}",
            list(map(_row, folded)),
            "\n</details>\n\n",
        )


def _row(change: PackageChange) -> str:
    # The publisher is the same: once is enough.
    old = () if change.change is Change.SAME_PUBLISHER else change.old
    cells = (
        f"**{escaped(change.name)}**<br>{_CHANGES[change.change]}",
        _side(change.old_version, old, is_short=change.change in _QUIET),
        _side(change.new_version, change.new, is_short=change.change is Change.UNATTESTED),
    )
    return f"| {' | '.join(cells)} |\n"


def _side(version: str | None, identities: Sequence[Identity], *, is_short: bool) -> str:
    """Return a version and its publishers; if it `is_short`, not that there are none."""
    if version is None:
        return ""
    publishers = list(map(_linked, identities)) or ([] if is_short else ["not attested"])
    return "<br>".join((escaped(version), *publishers))


def _linked(identity: Identity) -> str:
    return (
        f"[{escaped(str(identity))}](<{url_of(identity.url)}>)"
        if identity.url
        else escaped(str(identity))
    )


def _findings(locks: LockReport) -> Iterator[Block]:
    if not (listed := listed_findings(locks)):
        return
    advice = "".join(
        f"**What to do** ({', '.join(rules)}): {prose(remedy)}\n\n"
        for remedy, rules in remedies(listed).items()
    )
    yield Block("### What was found\n\n")
    yield from folded(list(_lines_of_findings(locks)), "finding", advice)


def _lines_of_findings(locks: LockReport) -> Iterator[str]:
    for verdict, each in listed_findings(locks):
        place = escaped(f"{each.file}:{each.line}")
        name = verdict.package.name
        # Most messages begin with it.
        whose = "" if each.message.startswith(f"{name} ") else f"{escaped(name)}: "
        yield (
            f"- {MARKS[each.severity]} **{each.rule.value}** ({place}): "
            f"{whose}{prose(each.message)}\n"
        )


def _publishers(locks: LockReport) -> Block:
    counts = Counter(identity for verdict in locks.verdicts for identity in verdict.identities)
    rows = [f"| {_linked(identity)} | {count} |\n" for identity, count in counts.most_common()]
    if not rows:
        return Block()
    return Block(
        f"<details><summary>{counted(len(rows), 'publisher')}</summary>\n\n"
        "| publisher | packages |\n|---|---:|\n",
        rows,
        "\n</details>\n\n",
    )
