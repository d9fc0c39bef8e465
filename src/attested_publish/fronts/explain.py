"""`attested-publish explain`: the sections of the troubleshooting guide, without a network."""

from __future__ import annotations

import difflib
import posixpath
import re
import shutil
import sys
import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attested_publish import DOCUMENTATION
from attested_publish.fronts.carried import GUIDE, carried
from attested_publish.fronts.standard_output import write_out
from attested_publish.net.untrusted import shown
from attested_publish.problems import anchor_of
from attested_publish.settings import WrongUsage

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

_DESCRIPTION = """\
Print a section of the troubleshooting guide, without a network. TOPIC is the name of a section, its
title, or the link to it in a summary. Without TOPIC, all names are listed.

exit status: 0: done, 2: there is no such section (the closest names are printed)"""

_EXAMPLE = """\
examples:
  attested-publish explain
  attested-publish explain the-folder-does-not-exist
  attested-publish explain Files would be refused"""

_LONGEST = 200
"""More characters of a name are not compared: that takes quadratic time."""

_MOST_SUGGESTED = 5


@dataclass(frozen=True)
class Section:
    """A section of the guide: its name is the anchor of its heading, `group` the heading above."""

    title: str
    group: str
    text: str

    @property
    def name(self) -> str:
        """What it is called on a command line, and in a link."""
        return anchor_of(self.title)


def add_to(command: argparse.ArgumentParser) -> None:
    """Add the description and the options to the command's parser."""
    command.description = _DESCRIPTION
    command.epilog = _EXAMPLE
    command.add_argument("topic", nargs="*", metavar="TOPIC", help="the section to print")


def run(options: argparse.Namespace) -> int:
    """Print a section, or the names of all. Returns 0, 1: not written; raises `WrongUsage`."""
    sections = sections_of(carried(GUIDE))
    if not options.topic:
        return write_out("".join(f"{line}\n" for line in _listed(sections)))
    section = _named(" ".join(options.topic), sections)
    text = f"# {section.title}\n\n{_with_whole_links(section.text)}\n"
    if sys.stdout is not None and sys.stdout.isatty():
        text = _wrapped(text, shutil.get_terminal_size().columns)
    return write_out(text)


def sections_of(guide: str) -> list[Section]:
    """Split the guide into its sections: headings of the third level, or of the second without."""
    found: list[Section] = []
    group, title, lines, in_block = "", "", [], False
    for line in [*guide.splitlines(), "## "]:
        if line.startswith("```"):
            in_block = not in_block
        heading = None if in_block else re.fullmatch(r"(##|###) (.*)", line)
        if heading is None:
            lines.append(line)
            continue
        text = "\n".join(lines).strip()
        if text and title:
            found.append(Section(title, group, text))
        title, lines = heading[2], []
        if heading[1] == "##":
            group = title
    # Those without a group stand at the end of the guide.
    return [replace(each, group="Other") if each.group == each.title else each for each in found]


def _listed(sections: Sequence[Section]) -> Iterator[str]:
    group = ""
    for section in sections:
        if section.group != group:
            yield from ([""] if group else [])
            group = section.group
            yield group
        yield f"  {section.name}"


def _named(text: str, sections: Sequence[Section]) -> Section:
    """Return the section with this name, title or link; raises `WrongUsage` with the closest."""
    names = {section.name: section for section in sections}
    wanted = anchor_of(text.rpartition("#")[2][:_LONGEST].strip())
    if wanted in names:
        return names[wanted]
    words = {word for word in wanted.split("-") if word}
    close = [name for name in names if words and words <= set(name.split("-"))]
    close += difflib.get_close_matches(wanted, names, n=_MOST_SUGGESTED, cutoff=0.5)
    suggested = list(dict.fromkeys(close))[:_MOST_SUGGESTED]
    raise WrongUsage(
        f"there is no topic {shown(text, 80)!r}; "
        + ("the closest are:" if suggested else "`attested-publish explain` lists them all."),
        *(f"  {name}" for name in suggested),
    )


def _with_whole_links(text: str) -> str:
    """Make links of the guide addresses: beside this text there are no other pages."""

    def whole(link: re.Match[str]) -> str:
        page, _, anchor = link[1].partition("#")
        path = posixpath.normpath(posixpath.join("docs", page or GUIDE))
        return f"]({DOCUMENTATION}{path}{'#' if anchor else ''}{anchor})"

    return re.sub(r"\]\((?!\w+:)([^)\s]+)\)", whole, text)


def _wrapped(text: str, width: int) -> str:
    """Break the lines of paragraphs and lists as the terminal needs; leave examples and tables."""
    done: list[str] = []
    in_block = False
    for part in re.split(r"\n(?=\n|```|[*|] |\d+\. )", text):
        in_block ^= part.count("```") % 2 == 1
        if in_block or "```" in part or part.lstrip("\n").startswith(("|", "#")):
            done.append(part)
            continue
        lead = "\n" if part.startswith("\n") else ""
        indent = "  " if part.lstrip().startswith("* ") else ""
        words = " ".join(part.split())
        # A link is copied whole, or not at all.
        done.append(
            lead
            + textwrap.fill(
                words,
                width,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    return "\n".join(done) + "\n"
