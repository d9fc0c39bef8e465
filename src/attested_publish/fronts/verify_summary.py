"""What `verify` found out, as a step summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attested_publish.attestations.sidecars import KINDS
from attested_publish.console.forecast import in_words
from attested_publish.consumer.expected import publisher_text
from attested_publish.fronts.markdown import (
    Block,
    escaped,
    folded,
    page_of,
    problem_blocks,
    prose,
    table,
)
from attested_publish.problems import counted

if TYPE_CHECKING:
    from attested_publish.consumer.comparison import Comparison
    from attested_publish.consumer.verdict import Verdict
    from attested_publish.consumer.watch import Watched
    from attested_publish.report import Report

_OPEN_ROWS = 20
_WHAT_TO_DO = (
    "**What to do:** Do not install these files before you know who published them, and why. If "
    "the project has moved, expect its new publisher.\n\n"
)
_SHOWN = 3


def verify_summary(
    verdicts: Sequence[Verdict],
    comparisons: Sequence[Comparison],
    report: Report,
    limit: int,
    *,
    expects: bool = False,
) -> str:
    """Return the summary of verified releases, at most `limit` bytes.

    `expects`: a publisher was expected; otherwise any was accepted.
    """
    good = sum(verdict.is_good for verdict in verdicts)
    is_good = good == len(verdicts) and not report.problems
    why_not = [
        f"- ❌ {escaped(each.wanted.filename)}: {prose(each.why_not)}\n"
        for each in verdicts
        if not each.is_good
    ]
    standings = [
        f"- {'⚠️ ' if each.has_changed or each.has_lost else ''}{prose(in_words(each.standing))}.\n"
        for each in comparisons
    ]
    blocks = (
        _verdict(_names(verdicts), good, len(verdicts), is_good=is_good),
        Block("" if expects or not verdicts else "Any publisher was accepted: see the table.\n\n"),
        *problem_blocks(report.problems),
        *folded(why_not, "file", _WHAT_TO_DO),
        _table(
            ["file", "kinds", "published by", "from"],
            [_row(each) for each in sorted(verdicts, key=lambda each: each.is_good)],
        ),
        Block("", standings, "\n"),
    )
    return page_of(blocks, [report.story.index_name], limit)


def watch_summary(what: str, found: Sequence[Watched], report: Report, limit: int) -> str:
    """Return the summary of everything that a project has released since a version: of `what`."""
    good = sum(not each.why_not for each in found)
    why_not = [
        f"- ❌ {escaped(each.filename)}: {prose(each.why_not)}\n" for each in found if each.why_not
    ]
    rows = [
        f"| {escaped(str(each.version))} | {_mark(not each.why_not)} {escaped(each.filename)} | "
        f"{_few(list(map(str, each.identities)))} |\n"
        for each in found
    ]
    blocks = (
        _verdict(
            f"{escaped(what)}: ",
            good,
            len(found),
            is_good=good == len(found) and not report.problems,
        ),
        *problem_blocks(report.problems),
        *folded(why_not, "file", _WHAT_TO_DO),
        _table(["version", "file", "published by"], rows),
    )
    return page_of(blocks, [report.story.index_name], limit)


def _names(verdicts: Sequence[Verdict]) -> str:
    """Return which releases were verified, and a colon."""
    names = dict.fromkeys(f"{each.wanted.project} {each.wanted.version}" for each in verdicts)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return escaped(", ".join([*names][:_SHOWN])) + more + ": " * bool(names)


def _verdict(names: str, good: int, of_all: int, *, is_good: bool) -> Block:
    files = f"{names}{counted(of_all, 'file')}"
    if is_good:
        return Block(f"## ✅ {files} verified\n\n")
    if of_all == 0:
        return Block("## ❌ Nothing was verified\n\n")
    if good == of_all:
        return Block(f"## ❌ {files} verified, but not everything\n\n")
    bad = f"{of_all - good} of {counted(of_all, 'file')}"
    return Block(f"## ❌ {names}{bad} not from the expected publisher, or invalid\n\n")


def _table(columns: Sequence[str], rows: Sequence[str]) -> Block:
    if not rows:
        return Block()
    whole = table(columns, rows)
    if len(rows) <= _OPEN_ROWS:
        return whole
    opened = f"<details><summary>All {counted(len(rows), 'file')}</summary>\n\n"
    return replace(whole, head=opened + whole.head, foot="\n</details>\n\n")


def _row(verdict: Verdict) -> str:
    origins = [
        ", ".join(filter(None, (each.ref, each.commit and f"commit {each.commit[:12]}")))
        for each in verdict.origins
    ]
    cells = (
        f"{_mark(verdict.is_good)} {escaped(verdict.wanted.filename)}",
        _few([KINDS.get(kind, kind) for kind in verdict.predicate_types]),
        _few(list(map(publisher_text, verdict.publishers))),
        _few(origins),
    )
    return f"| {' | '.join(cells)} |\n"


def _mark(is_good: bool) -> str:
    return "✅" if is_good else "❌"


def _few(texts: Sequence[str]) -> str:
    kept = [*dict.fromkeys(filter(None, texts))]
    more = [f"and {len(kept) - _SHOWN} more"] if len(kept) > _SHOWN else []
    return "<br>".join([*map(escaped, kept[:_SHOWN]), *more])
