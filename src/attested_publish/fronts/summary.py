"""The report as a step summary in GitHub's Markdown, with the verdict first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from rich import filesize

from attested_publish.attestations.sidecars import KINDS, PUBLISH
from attested_publish.findings import OTHER_BYTES, Finding, Severity, by_severity
from attested_publish.fronts.markdown import (
    MARKS,
    Block,
    escaped,
    fence,
    folded,
    page_of,
    problem_blocks,
    prose,
    url_of,
)
from attested_publish.fronts.summary_forecast import WARNINGS, forecast_section
from attested_publish.net.untrusted import first_shown, shown
from attested_publish.problems import counted
from attested_publish.report import Result, Status

if TYPE_CHECKING:
    from attested_publish.report import AttestationReport, FileReport, Report

LOG_SEARCH = "https://search.sigstore.dev/?logIndex="
"""Where people can view entries of Sigstore's public log."""

WRONG_INPUTS = "settings"
"""The stage of a problem with the inputs, which are understood before the first stage begins."""

_WORTH_SAYING = 0.5
_OPEN_ROWS = 20
_SHOWN_RELEASES = 3
_SHORT_DIGEST = 16
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


def summary(report: Report, limit: int) -> str:
    """Return the summary, at most `limit` bytes: the verdict, what to do, and then the details.

    With several indexes there is a section for each, below the overall result.
    """
    blocks = _of_several(report) if report.indexes else _sections(report)
    return page_of(blocks, [part.index for part in report.indexes or [report]], limit)


def _sections(report: Report) -> tuple[Block, ...]:
    return (*_parts(report), _improvements(report), _identity(report), _digests(report))


def _parts(report: Report) -> tuple[Block, ...]:
    """Return what is about one index alone."""
    is_done = report.result is Result.DONE
    found = list(_findings(report))
    return (
        Block(f"## {_verdict(report)}\n\n{_lead(report)}"),
        *problem_blocks(report.problems),
        *(() if is_done else found),
        _files(report),
        *(found if is_done else ()),
        _forecast(report),
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
    yield from problem_blocks(report.problems)
    # What to do is at those where it failed.
    in_order = sorted(enumerate(report.indexes, 1), key=lambda each: each[1].result is Result.DONE)
    for number, part in in_order:
        yield Block(f"---\n\n**Index {number}: {escaped(part.story.index_name)}**\n\n")
        yield from _parts(part)
    first = report.indexes[0]
    told = dict.fromkeys(each for part in report.indexes for each in part.story.improvements)
    yield Block("---\n\n")
    yield _improvements(replace(first, story=replace(first.story, improvements=list(told))))
    for part in report.indexes:
        if part.result is Result.DONE and part.story.consumers_see:
            yield _identity(part)
            break
    yield _digests(first)


def _verdict(report: Report) -> str:
    if not report.files and any(each.stage == WRONG_INPUTS for each in report.problems):
        return "❌ Nothing was done: the inputs are wrong"
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
    lines = [f"{', '.join((*told, _times(report)))}."] if told else []
    if report.mode == "rehearse":
        lines.append(
            "PyPI, Sigstore and GitHub's identity provider were embedded, on this machine: "
            "nothing has left it."
        )
    elif report.story.pages:
        pages = (f"[{escaped(name)}](<{url_of(page)}>)" for name, page in _pages(report))
        lines.append(f"On {escaped(report.story.index_name)}: {', '.join(pages)}.")
    lines += map(prose, report.story.remarks)
    return "  \n".join(lines) + "\n\n" * bool(lines)


def _times(report: Report) -> str:
    """Return how long the run took, and which stages took what of it."""
    rest = report.story.elapsed - sum(report.seconds.values())
    spent = [*report.seconds.items(), *([("other", rest)] if rest >= _WORTH_SAYING else [])]
    slow = [(stage, f"{seconds:.1f}") for stage, seconds in spent]
    stages = ", ".join(f"{stage} {seconds}" for stage, seconds in slow if seconds != "0.0")
    return f"in {report.story.elapsed:.1f} s{f' ({stages})' if stages else ''}"


def _pages(report: Report) -> Iterator[tuple[str, str]]:
    for release in report.projects():
        page = report.story.pages.get(release["project"])
        if page is not None:
            yield f"{release['project']} {release['version']}", page


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


def _forecast(report: Report) -> Block:
    if report.result is not Result.DONE and not any(
        WARNINGS.keys() & set(each.states) for each in report.forecast
    ):
        # It was not published, and that has nothing to do with its provenance.
        return Block()
    if report.mode == "rehearse" and not any(each.compared_with for each in report.forecast):
        # The embedded index begins without releases, so that there is nothing to compare with.
        return Block()
    return Block(*forecast_section(report, escaped))


def _improvements(report: Report) -> Block:
    told = report.story.improvements
    if not told or report.mode == "rehearse":
        # The job that a rehearsal simulates is not the job that will publish.
        return Block()
    return Block("### What to improve\n\n", [f"- {prose(text)}\n" for text in told], "\n")


def _identity(report: Report) -> Block:
    pinned = report.story.consumers_see
    if not pinned or report.result is not Result.DONE or report.mode == "rehearse":
        # The job that a rehearsal simulates is not the job that will publish.
        return Block()
    rows = [
        f"{key} = {json.dumps(shown(value), ensure_ascii=False)}" for key, value in pinned.items()
    ]
    return Block(
        "### The identity that consumers see\n\n"
        "Consumers can pin this identity in `pylock.toml` (PEP 751), below the entry of the "
        "package:\n" + fence(("[[packages.attestation-identities]]", *rows), "toml")
    )


def _findings(report: Report) -> Iterator[Block]:
    # What concerns a whole release is a finding about each of its files.
    together: dict[Finding, list[str]] = {}
    for file, finding in report.findings(*Severity):
        together.setdefault(finding, []).append(file.filename)
    said = {problem.remedy for problem in report.problems}
    lines = []
    for each in by_severity(together):
        # What to do is the same for many files: once is enough.
        remedy = "" if each.remedy in said else f" {each.remedy}"
        said.add(each.remedy)
        lines.append(
            f"- {MARKS[each.severity]} **{each.severity.value}** "
            f"{escaped(first_shown(together[each]))}: {prose(f'{each.message}{remedy}')}\n"
        )
    if lines:
        yield Block("### What the checks found\n\n")
        yield from folded(lines, "finding")


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
