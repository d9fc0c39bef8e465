"""Pages in GitHub's Markdown, within a limit of bytes, with untrusted text shown literally."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attested_publish.findings import Severity
from attested_publish.net.secrecy import blotted
from attested_publish.net.untrusted import LINE_LIMIT, printable, shown
from attested_publish.problems import counted

if TYPE_CHECKING:
    from attested_publish.report import ProblemReport

MARKS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.NOTICE: "ℹ️"}  # noqa: RUF001
"""The marks of findings."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&@$])")
_LITERAL = re.compile(r"""(?P<address>https?://[^\s<>`]*[^\s<>`.,;:)'"])|`(?P<code>[^`]+)`""")
_START = re.compile(r"^(\s*\d*)([-+=.)])(?=\s|$|[-=]+\s*$)")
_KNOWN_HOSTS = {
    *("pypi.org", "test.pypi.org", "upload.pypi.org", "docs.pypi.org", "status.python.org"),
    *("github.com", "api.github.com", "docs.github.com", "www.githubstatus.com"),
    *("gitlab.com", "docs.gitlab.com", "circleci.com", "cloud.google.com", "status.sigstore.dev"),
    *("packaging.python.org", "peps.python.org", "docs.sigstore.dev", "docs.astral.sh"),
}
_INDENT = "    "
_OPEN = 10
_OPEN_LINES = 15
_NOTE = 100
"""Bytes for a line about what was left out, at most."""


@dataclass(frozen=True)
class Block:
    """A part of the page; it shows as many of its lines as there is room for."""

    head: str = ""
    lines: Sequence[str] = ()
    foot: str = ""

    def within(self, limit: int) -> str:
        """Return the block in at most `limit` bytes, with the number of omitted lines.

        One whose frame does not fit is left out.
        """
        room = limit - len((self.head + self.foot).encode()) - _NOTE * bool(self.lines)
        if room < 0:
            return ""
        kept: list[str] = []
        for line in self.lines:
            room -= len(line.encode())
            if room < 0:
                left_out = len(self.lines) - len(kept)
                kept.append(f"\n… and {left_out} more lines; see the JSON report.\n")
                break
            kept.append(line)
        return self.head + "".join(kept) + self.foot


def page_of(blocks: Iterable[Block], addresses: Sequence[str], limit: int) -> str:
    """Return a page of blocks within `limit` bytes, with the addresses of indexes at its end."""
    # With wrong inputs there are none.
    tail = f"<sub>{prose(' '.join(addresses))}</sub>\n" if any(addresses) else ""
    if len(tail.encode()) > limit:
        tail = ""
    text = ""
    left = limit - len(tail.encode())
    for block in blocks:
        # No list may use up the room of everything after it.
        part = block.within(left * 2 // 3)
        left -= len(part.encode())
        text += part
    return text + tail


def table(columns: Sequence[str], rows: Sequence[str]) -> Block:
    """Return a table with its columns aligned to the left."""
    return Block(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n", rows, "\n")


def folded(lines: Sequence[str], noun: str, between: str = "") -> Iterator[Block]:
    """Yield the first ten of a list's lines, then what stands `between`, and the rest folded."""
    if not lines:
        return
    yield Block("", lines[:_OPEN], f"\n{between}")
    if rest := lines[_OPEN:]:
        yield Block(
            f"<details><summary>and {counted(len(rest), f'more {noun}')}</summary>\n\n",
            rest,
            "\n</details>\n\n",
        )


def problem_blocks(problems: Iterable[ProblemReport]) -> Iterator[Block]:
    """Yield problems: what happened, what to do, and where to read on.

    What fills the screen is folded, so that what to do is on the first one. Lines that the findings
    have are left out: the page has these, too.
    """
    for problem in problems:
        yield from _of_problem(problem)


def _of_problem(problem: ProblemReport) -> Iterator[Block]:
    lines = problem.detail.splitlines()[problem.listed :]
    # A few lines more are not worth a fold.
    end = len(lines) if len(lines) <= _OPEN_LINES else _OPEN_LINES * 2 // 3
    told = [*_told([*lines[:end], *lines[max(end, len(lines) - 1) :]]), "\n"] if lines else []
    if problem.remedy:
        told += ["**What to do:** ", *_told(problem.remedy.splitlines()), "\n"]
    if problem.read_on:
        told += [f"[More in the troubleshooting guide](<{url_of(problem.read_on)}>)\n\n"]
    yield Block(f"### {escaped(problem.title)} ({problem.stage})\n\n", told)
    # The last one says what is public.
    if rest := lines[end:-1]:
        head = f"<details><summary>and {counted(len(rest), 'more line')} of what happened</summary>"
        yield Block(f"{head}\n\n", [*_told(rest), "\n"], "</details>\n\n")


def escaped(text: str) -> str:
    """Return untrusted text, escaped so that Markdown displays it literally, on one line."""
    return _literally(shown(text))


def prose(text: str) -> str:
    """Return a line with its addresses as links and its `code` as code, all else escaped.

    Only those are links that this program's own messages name: a line may quote others. What is
    not, on loopback for one, where nothing answers once the step is over, is code.
    """
    parts: list[str] = []
    end = 0
    line = shown(text, 2000)
    for match in _LITERAL.finditer(line):
        parts.append(_literally(line[end : match.start()], is_start=not parts))
        address = match["address"]
        if address and _is_known(address):
            parts.append(f"<{url_of(address)}>")
        else:
            parts.append(f"`{address or match['code']}`")
        end = match.end()
    return "".join((*parts, _literally(line[end:], is_start=not parts)))


def _literally(text: str, *, is_start: bool = True) -> str:
    """Escape what Markdown would take for markup; at the start of a line, for a list or a rule."""
    escaped_text = _SPECIAL.sub(r"\\\1", text)
    return _START.sub(r"\1\\\2", escaped_text) if is_start else escaped_text


def _is_known(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and parts.netloc.lower() in _KNOWN_HOSTS


def fence(lines: Iterable[str], language: str) -> str:
    """Return lines as a block of code: indentation matters, all else is only printable text."""
    kept = [printable(blotted(line, pieces=True))[:LINE_LIMIT] for line in lines]
    longest = max((len(run) for line in kept for run in re.findall(r"`+", line)), default=0)
    marks = "`" * max(3, longest + 1)
    return "\n".join(("", f"{marks}{language}", *kept, marks, "", ""))


def url_of(url: str) -> str:
    """Return an address as it may be in the angle brackets of a link."""
    return (
        shown(url, 2000)
        .replace("<", "%3C")
        .replace(">", "%3E")
        .replace(" ", "%20")
        .replace("|", "%7C")
    )


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
            yield fence((line.removeprefix(_INDENT) for line in block), "yaml")
