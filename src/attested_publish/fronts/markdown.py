"""Pages in GitHub's Markdown, within a limit of bytes, with untrusted text shown literally."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attested_publish.findings import Severity
from attested_publish.net.addresses import is_loopback
from attested_publish.net.untrusted import shown
from attested_publish.problems import counted

if TYPE_CHECKING:
    from attested_publish.report import ProblemReport

LIMIT = 1 << 20
"""The bytes that GitHub shows of a step's summary."""

MARKS = {Severity.ERROR: "❌", Severity.WARNING: "⚠️", Severity.NOTICE: "ℹ️"}  # noqa: RUF001
"""The marks of findings."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&@$])")
_LITERAL = re.compile(r"""(?P<address>https?://[^\s<>`]*[^\s<>`.,;:)'"])|`(?P<code>[^`]+)`""")
_INDENT = "    "
_OPEN = 10
_OPEN_LINES = 15


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


def problem_blocks(problem: ProblemReport) -> Iterator[Block]:
    """Yield a problem: what happened, what to do, and where to read on.

    What fills the screen is folded, so that what to do is on the first one. Lines that the findings
    have are left out: the page has these, too.
    """
    lines = problem.detail.splitlines()[problem.listed :]
    # A few lines more are not worth a fold.
    end = len(lines) if len(lines) <= _OPEN_LINES else _OPEN_LINES * 2 // 3
    told = [*_told(lines[:end]), "\n"] if lines else []
    if problem.remedy:
        told += ["**What to do:** ", *_told(problem.remedy.splitlines()), "\n"]
    if problem.read_on:
        told += [f"[More in the troubleshooting guide](<{url_of(problem.read_on)}>)\n\n"]
    yield Block(f"### {escaped(problem.title)} ({problem.stage})\n\n", told)
    if rest := lines[end:]:
        head = f"<details><summary>and {counted(len(rest), 'more line')} of what happened</summary>"
        yield Block(f"{head}\n\n", [*_told(rest), "\n"], "</details>\n\n")


def escaped(text: str) -> str:
    """Return untrusted text, escaped so that Markdown displays it literally, on one line."""
    return _SPECIAL.sub(r"\\\1", shown(text))


def prose(text: str) -> str:
    """Return a line with its addresses as links and its `code` as code, all else escaped.

    An address on loopback is no link: nothing answers there once the step is over.
    """
    parts = []
    end = 0
    line = shown(text, 2000)
    for match in _LITERAL.finditer(line):
        parts.append(_SPECIAL.sub(r"\\\1", line[end : match.start()]))
        address = match["address"]
        if address and not is_here(address):
            parts.append(f"<{url_of(address)}>")
        else:
            parts.append("`" + (address or match["code"]).replace("|", "\\|") + "`")
        end = match.end()
    return "".join((*parts, _SPECIAL.sub(r"\\\1", line[end:])))


def is_here(url: str) -> bool:
    """Whether an address is on loopback."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return False
    return host is not None and is_loopback(host)


def fence(lines: Iterable[str], language: str) -> str:
    """Return lines as a block of code: indentation matters, all else is only printable text."""
    kept = [line[: len(line) - len(line.lstrip(" "))] + shown(line) for line in lines]
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
