"""The report as a step summary in GitHub's Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attested_publish.findings import Severity
from attested_publish.foreign import shown
from attested_publish.report import Result
from attested_publish.reporter import size_text

if TYPE_CHECKING:
    from attested_publish.report import FileReport, ProblemReport, Report

_HEADINGS = {
    Result.DONE: "✅ {mode}: done",
    Result.REFUSED: "❌ {mode}: refused",
    Result.FAILED: "❌ {mode}: failed",
}
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&@$])")


def summary(report: Report, limit: int) -> str:
    """Return the summary, `limit` bytes at most: the verdict first, then files and findings."""
    parts = [f"## {_HEADINGS[report.result].format(mode=report.mode)}\n\n"]
    parts += [_problem(problem) for problem in report.problems]
    rows = [_row(file) for file in report.files.values()]
    if rows:
        parts.append(
            "| file | size | sha256 | status | log entry | provenance |\n"
            "|---|---:|---|---|---:|---|\n"
        )
    parts += rows
    findings = report.findings(*Severity)
    if findings:
        parts.append("\n### What the checks found\n\n")
    parts += [
        f"- **{finding.severity.value}** {escaped(file.filename)}: {escaped(finding.message)} "
        f"{escaped(finding.remedy)}\n"
        for file, finding in findings
    ]
    seconds = ", ".join(f"{stage} {spent:.1f} s" for stage, spent in report.seconds.items())
    tail = f"\n<sub>{escaped(report.index)} · {seconds}</sub>\n"
    return _joined(parts, limit - len(tail.encode())) + tail


def escaped(text: str) -> str:
    """Return foreign text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", shown(text))


def _row(file: FileReport) -> str:
    entry = "" if file.attestation is None else str(file.attestation.log_index)
    provenance = f"[provenance](<{_url(file.provenance_url)}>)" if file.provenance_url else ""
    name = escaped(file.filename)
    if file.url:
        name = f"[{name}](<{_url(file.url)}>)"
    cells = (
        name,
        size_text(file.size),
        f"`{file.sha256[:16]}…`",
        file.status.value,
        entry,
        provenance,
    )
    return f"| {' | '.join(cells)} |\n"


def _problem(problem: ProblemReport) -> str:
    told = (*problem.detail.splitlines(), "", *problem.remedy.splitlines())
    # Indented lines are something to paste: they stay as they are.
    lines = (
        f"    {shown(line[4:])}" if line.startswith("    ") else f"{escaped(line)}  "
        for line in told
    )
    return "\n".join((f"**{escaped(problem.title)}** ({problem.stage})", "", *lines, "", ""))


def _url(url: str) -> str:
    return (
        shown(url).replace("<", "%3C").replace(">", "%3E").replace(" ", "%20").replace("|", "%7C")
    )


def _joined(parts: list[str], limit: int) -> str:
    text = ""
    size = 0
    for number, part in enumerate(parts):
        size += len(part.encode())
        if size > limit - 100:
            return f"{text}\n… and {len(parts) - number} more lines; see the JSON report.\n"
        text += part
    return text
