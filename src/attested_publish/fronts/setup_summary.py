"""What `setup` found in a repository, as a step summary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attested_publish.findings import Severity
from attested_publish.fronts.markdown import (
    MARKS,
    Block,
    escaped,
    fence,
    folded,
    page_of,
    problem_blocks,
    prose,
    table,
    url_of,
)
from attested_publish.net.secrecy import all_blotted
from attested_publish.problems import counted
from attested_publish.report import Result

if TYPE_CHECKING:
    from attested_publish.report import Report
    from attested_publish.setup.publishers import Publisher
    from attested_publish.setup.rules import Finding
    from attested_publish.setup.writing import Change

_SCHEMA = 1
_INDEXES = {"pypi": "PyPI", "testpypi": "TestPyPI"}


@dataclass
class SetUp:
    """What is known of a repository, and what was written."""

    publishers: Sequence[Publisher] = ()
    findings: Sequence[Finding] = ()
    written: Sequence[Change] = ()
    refused: Sequence[str] = ()
    nothing: str = ""
    """Why nothing was written, and why there are no publishers: sentences, not in the report."""

    def as_json(self) -> dict[str, Any]:
        """Return the JSON report (schema 1)."""
        return dict(
            all_blotted(
                {
                    "schema": _SCHEMA,
                    "mode": "setup",
                    "publishers": [each.as_json() for each in self.publishers],
                    "findings": [each.as_json() for each in self.findings],
                    "written": [each.name for each in self.written],
                }
            )
        )


def setup_summary(outcome: SetUp, report: Report, limit: int) -> str:
    """Return the summary, at most `limit` bytes: what to register, and what to improve."""
    blocks = (
        Block(f"## {_verdict(outcome, report)}\n\n"),
        *problem_blocks(report.problems),
        Block("", [f"❌ {prose(each)}\n\n" for each in outcome.refused]),
        _publishers(outcome),
        Block("", [f"{prose(each)}\n\n" for each in report.story.remarks]),
        *_findings(outcome.findings),
        *map(_change, outcome.written),
    )
    return page_of(blocks, (), limit)


def _verdict(outcome: SetUp, report: Report) -> str:
    count = counted(len(outcome.publishers), "trusted publisher")
    is_grave = any(each.severity is Severity.ERROR for each in outcome.findings)
    if report.result is not Result.DONE:
        return f"❌ {count} to register, but not everything worked"
    if not outcome.publishers:
        return "There is no trusted publisher to register"
    return f"{'⚠️' if is_grave else '✅'} {count} to register"


def _publishers(outcome: SetUp) -> Block:
    if not outcome.publishers:
        return Block(f"{prose(outcome.nothing)}\n\n" if outcome.nothing else "")
    columns = ("project", "on", "owner", "repository", "workflow", "environment")
    return table(columns, [_row(each) for each in outcome.publishers])


def _row(publisher: Publisher) -> str:
    project = escaped(publisher.project or "not known")
    # A link that leaves out what is not known would look as if it were complete.
    has_link = publisher.url is not None and publisher.is_complete
    name = f"[{project}](<{url_of(publisher.url or '')}>)" if has_link else project
    environment = "not known" if publisher.has_unknown_environment else publisher.environment or ""
    new = publisher.url_if_new() if has_link else None
    unknown = f"<br>[if it does not exist yet](<{url_of(new)}>)" if new else ""
    state = {True: "<br>pending: does not exist yet", False: "<br>exists", None: unknown}
    cells = (
        f"{name}{state[publisher.pending]}",
        _INDEXES.get(publisher.index or "", "not known"),
        escaped(publisher.owner or "not known"),
        escaped(publisher.repository or "not known"),
        escaped(publisher.workflow),
        escaped(environment),
    )
    return f"| {' | '.join(cells)} |\n"


def _findings(findings: Sequence[Finding]) -> Iterator[Block]:
    lines = [
        f"- {MARKS[each.severity]} **{each.rule}** ({escaped(f'{each.file}:{each.line}')}): "
        f"{prose(f'{each.message} {each.remedy}')}\n"
        for each in findings
    ]
    if lines:
        yield Block("### What to improve in the jobs that publish\n\n")
        yield from folded(lines, "finding")


def _change(change: Change) -> Block:
    name = escaped(change.name)
    lines = (line.rstrip("\n") for line in change.difference())
    return Block(
        f"<details><summary>Written: {name}</summary>\n", [fence(lines, "diff")], "</details>\n\n"
    )
