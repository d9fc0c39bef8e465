"""The report as a step summary in GitHub's Markdown, with the verdict first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from rich import filesize

from attested_publish.attestations.sidecars import KINDS, PUBLISH
from attested_publish.findings import OTHER_BYTES, Finding, Severity
from attested_publish.fronts.summary_forecast import forecast_section
from attested_publish.net.untrusted import first_shown, shown
from attested_publish.problems import counted
from attested_publish.report import Result, Status

if TYPE_CHECKING:
    from attested_publish.report import AttestationReport, FileReport, ProblemReport, Report, Span

LOG_SEARCH = "https://search.sigstore.dev/?logIndex="
"""Where people can view entries of Sigstore's public log."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&@$])")
_LITERAL = re.compile(r"""(?P<address>https?://[^\s<>`]*[^\s<>`.,;:)'"])|`(?P<code>[^`]+)`""")
_INDENT = "    "
_OPEN_ROWS = 20
_SHOWN_RELEASES = 3
_SHORT_DIGEST = 16
_TICKS = ("100millisecond", "500millisecond", "1second", "5second", "30second", "1minute")
_STATUSES = {
    Status.FAILED: "❌ failed",
    Status.REFUSED: "❌ refused",
    Status.NOT_ATTEMPTED: "not attempted",
    Status.UPLOADED: "✅ uploaded",
    Status.ALREADY_THERE: "✅ already there",
    Status.CHECKED: "✅ checked",
    Status.ATTESTED: "✅ signed",
}
"""The statuses of files, in the order of the table: failures first."""


@dataclass(frozen=True)
class Block:
    """A part of the page; it shows as many of its lines as there is room for."""

    head: str = ""
    lines: Sequence[str] = ()
    foot: str = ""

    def within(self, limit: int) -> str:
        """Return the block in at most `limit` bytes, with the number of omitted lines."""
        room = limit - len((self.head + self.foot).encode()) - 100
        kept: list[str] = []
        for line in self.lines:
            room -= len(line.encode())
            if room < 0:
                left_out = len(self.lines) - len(kept)
                kept.append(f"\n… and {left_out} more lines; see the JSON report.\n")
                break
            kept.append(line)
        return self.head + "".join(kept) + self.foot


def summary(report: Report, limit: int) -> str:
    """Return the summary, at most `limit` bytes: the verdict, what to do, and then the details.

    With several indexes there is a section for each, below the overall result.
    """
    blocks = _of_several(report) if report.indexes else _sections(report)
    return page_of(blocks, [part.index for part in report.indexes or [report]], limit)


def page_of(blocks: Iterable[Block], addresses: Sequence[str], limit: int) -> str:
    """Return a page of blocks within `limit` bytes, with the addresses of indexes at its end."""
    # With wrong inputs there are none.
    tail = f"<sub>{prose(' '.join(addresses))}</sub>\n" if any(addresses) else ""
    text = ""
    for block in blocks:
        left = limit - len((text + tail).encode())
        # No list may use up the room of everything after it.
        text += block.within(left * 2 // 3)
    return text + tail


def _sections(report: Report) -> tuple[Block, ...]:
    return (
        Block(f"## {_verdict(report)}\n\n{_lead(report)}\n\n"),
        *map(problem_block, report.problems),
        _files(report),
        Block(*forecast_section(report, escaped)),
        _improvements(report),
        _identity(report),
        _timeline(report.story.timeline),
        _findings(report),
        _digests(report),
    )


def _of_several(report: Report) -> Iterator[Block]:
    done = sum(part.result is Result.DONE for part in report.indexes)
    mark = "✅" if report.result is Result.DONE else "❌"
    verdict = f"{mark} {_releases(report)}: done at {done} of {len(report.indexes)} indexes"
    lines = [
        f"{number}. {escaped(part.story.index_name)}: {part.result.value}\n"
        for number, part in enumerate(report.indexes, 1)
    ]
    yield Block(f"# {verdict}\n\n", lines, "\n")
    yield from map(problem_block, report.problems)
    for number, part in enumerate(report.indexes, 1):
        yield Block(f"---\n\n**Index {number}: {escaped(part.story.index_name)}**\n\n")
        yield from _sections(part)


def escaped(text: str) -> str:
    """Return untrusted text, escaped so that Markdown displays it literally, on one line."""
    return _SPECIAL.sub(r"\\\1", shown(text))


def prose(text: str) -> str:
    """Return a line with its addresses as links and its `code` as code, all else escaped."""
    parts = []
    end = 0
    line = shown(text, 2000)
    for match in _LITERAL.finditer(line):
        parts.append(_SPECIAL.sub(r"\\\1", line[end : match.start()]))
        if match["address"]:
            parts.append(f"<{url_of(match['address'])}>")
        else:
            parts.append("`" + match["code"].replace("|", "\\|") + "`")
        end = match.end()
    return "".join((*parts, _SPECIAL.sub(r"\\\1", line[end:])))


def _verdict(report: Report) -> str:
    names = _releases(report)
    index = escaped(report.story.index_name)
    is_done = report.result is Result.DONE
    uploaded = report.with_status(Status.UPLOADED)
    match report.mode:
        case "check" if is_done:
            return f"✅ Nothing prevents publishing {names}"
        case "check" if report.result is Result.REFUSED:
            return f"❌ {names} would be refused"
        case "check":
            return f"❌ {names} could not be checked"
        case "attest":
            return f"✅ {names} signed" if is_done else f"❌ {names} not signed"
        case "rehearse" if is_done:
            return f"✅ The rehearsal passed: {names} can be published"
        case "rehearse":
            return f"❌ The rehearsal failed: {names} could not be published like this"
        case _ if is_done:
            return f"✅ {names} {'published' if uploaded else 'was already'} on {index}"
        case _:
            return _how_public(report, names, index)


def _how_public(report: Report, names: str, index: str) -> str:
    """Return how much of a release that was not published as it should be is on the index."""
    public = report.with_status(Status.UPLOADED, Status.ALREADY_THERE)
    if public and len(public) == len(report.files):
        return f"❌ {names} is public on {index}, but something is wrong with it"
    if public:
        return f"❌ {names} is only partly public on {index}"
    return f"❌ {names} was not published: {report.result.value}"


def _releases(report: Report) -> str:
    named = [
        f"{release['project']} {release['version']}".strip() or "files without a readable name"
        for release in report.projects()
    ]
    if not named:
        return "The release"
    more = f" and {len(named) - _SHOWN_RELEASES} more" if len(named) > _SHOWN_RELEASES else ""
    return escaped(", ".join(named[:_SHOWN_RELEASES])) + more


def _lead(report: Report) -> str:
    """Return the result of the run in a sentence or two, the release pages, and the remarks."""
    files = report.files.values()
    told = []
    if files:
        told.append(
            f"{counted(len(files), 'file')}, {filesize.decimal(sum(f.size for f in files))}"
        )
    attested = sum(bool(file.attestations) for file in files)
    if attested:
        told.append(f"{attested} of them signed" if attested < len(files) else "all signed")
    seconds = sum(report.seconds.values())
    lines = [f"{', '.join((*told, f'in {seconds:.1f} s'))}."]
    if report.mode == "rehearse":
        lines.append(
            "PyPI, Sigstore and GitHub's identity provider were embedded, on this machine: "
            "nothing has left it."
        )
    elif report.story.pages:
        pages = (f"[{escaped(name)}](<{url_of(page)}>)" for name, page in _pages(report))
        lines.append(f"On {escaped(report.story.index_name)}: {', '.join(pages)}.")
    return "  \n".join((*lines, *map(prose, report.story.remarks)))


def _pages(report: Report) -> Iterator[tuple[str, str]]:
    for release in report.projects():
        page = report.story.pages.get(release["project"])
        if page is not None:
            yield f"{release['project']} {release['version']}", page


def problem_block(problem: ProblemReport) -> Block:
    """Return a problem: what happened, what to do, and where to read on."""
    lines = [*_told(problem.detail.splitlines()), "\n"]
    if problem.remedy:
        lines += ["**What to do:** ", *_told(problem.remedy.splitlines()), "\n"]
    foot = (
        f"[More in the troubleshooting guide](<{url_of(problem.read_on)}>)\n\n"
        if problem.read_on
        else ""
    )
    return Block(f"### {escaped(problem.title)} ({problem.stage})\n\n", lines, foot)


def _told(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines of a problem in Markdown; indented ones are code to paste or links to follow."""
    for is_indented, group in groupby(lines, key=lambda line: line.startswith(_INDENT)):
        block = list(group)
        if not is_indented:
            yield from (f"{prose(line)}  \n" if line.strip() else "\n" for line in block)
        elif any("://" in line for line in block):
            yield "\n"
            yield from (f"- {prose(line)}\n" for line in block)
            yield "\n"
        else:
            yield _fence((line.removeprefix(_INDENT) for line in block), "yaml")


def _fence(lines: Iterable[str], language: str) -> str:
    # The indentation matters; everything else is reduced to printable text.
    kept = [line[: len(line) - len(line.lstrip(" "))] + shown(line) for line in lines]
    longest = max((len(run) for line in kept for run in re.findall(r"`+", line)), default=0)
    marks = "`" * max(3, longest + 1)
    return "\n".join(("", f"{marks}{language}", *kept, marks, "", ""))


def _files(report: Report) -> Block:
    if not report.files:
        return Block()
    order = list(_STATUSES)
    files = sorted(report.files.values(), key=lambda file: order.index(file.status))
    # A rehearsal's addresses exist only until it ends.
    has_links = report.mode != "rehearse"
    is_attested = any(file.attestations or file.provenance_url for file in files)
    columns = ["file", "size", "sha256", "status"]
    if is_attested:
        columns += ["log entry", "provenance"]
    head = f"| {' | '.join(columns)} |\n|---|---:|---|---|{'---:|---|' * is_attested}\n"
    rows = [
        _row(file, has_links=has_links, log=LOG_SEARCH if report.story.is_log_public else None)
        for file in files
    ]
    if not is_attested:
        rows = [row.removesuffix(" |  |  |\n") + " |\n" for row in rows]
    if len(rows) <= _OPEN_ROWS:
        return Block(head, rows, "\n")
    counts = ", ".join(
        f"{name}: {sum(file.status is status for file in files)}"
        for status, name in _STATUSES.items()
        if any(file.status is status for file in files)
    )
    opened = f"<details><summary>All {len(rows)} files ({counts})</summary>\n\n"
    return Block(opened + head, rows, "\n</details>\n\n")


def _row(file: FileReport, *, has_links: bool, log: str | None) -> str:
    name = escaped(file.filename)
    if file.url and has_links:
        name = f"[{name}](<{url_of(file.url)}>)"
    # Unless it is a publish attestation alone, which most are.
    named = [each.predicate_type for each in file.attestations] != [PUBLISH]
    entries = ", ".join(_entry(each, log, named=named) for each in file.attestations)
    provenance = "served" if file.provenance_url else ""
    if file.provenance_url and has_links:
        provenance = f"[provenance](<{url_of(file.provenance_url)}>)"
    digest = f"`{file.sha256[:_SHORT_DIGEST]}…`"
    is_skipped = any(finding.rule == OTHER_BYTES for finding in file.findings)
    status = "⚠️ skipped: the index has different bytes" if is_skipped else _STATUSES[file.status]
    cells = (name, filesize.decimal(file.size), digest, status, entries, provenance)
    return f"| {' | '.join(cells)} |\n"


def _entry(attestation: AttestationReport, log: str | None, *, named: bool) -> str:
    """Return an attestation's entry in the log, with its kind where a file has both."""
    entry = str(attestation.log_index)
    kind = KINDS.get(attestation.predicate_type, "") if named else ""
    text = f"{kind} {entry}".strip()
    return f"[{text}](<{log}{entry}>)" if log else text


def _improvements(report: Report) -> Block:
    told = report.story.improvements
    if not told or report.mode == "rehearse":
        # The job that a rehearsal simulates is not the job that will publish.
        return Block()
    return Block("### What to improve\n\n", [f"- {prose(text)}\n" for text in told], "\n")


def _identity(report: Report) -> Block:
    pinned = report.story.consumers_see
    if not pinned or report.result is not Result.DONE:
        return Block()
    rows = [
        f"{key} = {json.dumps(shown(value), ensure_ascii=False)}" for key, value in pinned.items()
    ]
    return Block(
        "### The identity that consumers see\n\n"
        "Consumers can pin this identity in `pylock.toml` (PEP 751), below the entry of the "
        "package:\n" + _fence(("[[packages.attestation-identities]]", *rows), "toml")
    )


def _timeline(spans: Sequence[Span]) -> Block:
    """Return the stages as a Mermaid Gantt chart, from the start of the run."""
    if not spans:
        return Block()
    end = max(span.end for span in spans)
    seconds = dict(zip(_TICKS, (0.1, 0.5, 1, 5, 30, 60), strict=True))
    tick = next((tick for tick in _TICKS if end / seconds[tick] <= 12), _TICKS[-1])  # noqa: PLR2004
    axis = "%S.%L" if "milli" in tick else "%M:%S"
    lines = ["gantt", "    dateFormat x", f"    axisFormat {axis}", f"    tickInterval {tick}"]
    for span in spans:
        start, spent = round(span.start * 1000), max(1, round((span.end - span.start) * 1000))
        lines += [f"    section {span.stage}", f"    {spent / 1000:.1f} s : {start}, {spent}ms"]
    return Block(f"### Timeline\n{_fence(lines, 'mermaid')}")


def _findings(report: Report) -> Block:
    # What concerns a whole release is a finding about each of its files.
    together: dict[Finding, list[str]] = {}
    for file, finding in report.findings(*Severity):
        together.setdefault(finding, []).append(file.filename)
    lines = [
        f"- **{finding.severity.value}** {escaped(first_shown(names))}: "
        f"{prose(f'{finding.message} {finding.remedy}')}\n"
        for finding, names in together.items()
    ]
    return Block("### What the checks found\n\n", lines, "\n") if lines else Block()


def _digests(report: Report) -> Block:
    """Return every digest in full, in the format of `sha256sum --check`."""
    if not report.files:
        return Block()
    lines = [f"{file.sha256}  {shown(file.filename)}\n" for file in report.files.values()]
    marks = "`" * (3 + max(file.filename.count("`") for file in report.files.values()))
    return Block(
        f"<details><summary>Full SHA-256 digests</summary>\n\n{marks}text\n",
        lines,
        f"{marks}\n\n</details>\n\n",
    )


def url_of(url: str) -> str:
    """Return an address as it may be in the angle brackets of a link."""
    return (
        shown(url, 2000)
        .replace("<", "%3C")
        .replace(">", "%3E")
        .replace(" ", "%20")
        .replace("|", "%7C")
    )
