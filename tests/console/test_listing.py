"""Tables on consoles of any width: names stay whole, and lines fit."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import pytest
from packaging.version import Version
from pypi_attestations import GitHubPublisher
from rich.cells import cell_len
from rich.console import Console

from attested_publish.attestations.sidecars import PUBLISH, SLSA
from attested_publish.console.listing import Cells, Column, Listing
from attested_publish.console.printer import Printer
from attested_publish.consumer.expected import Expected, Origin
from attested_publish.consumer.lock_findings import LockReport, PackageVerdict, Rule, finding
from attested_publish.consumer.locks.model import LockedPackage, Source
from attested_publish.consumer.verdict import Verdict, Wanted
from attested_publish.fronts.lock_table import print_found
from attested_publish.fronts.verdicts import print_verdicts
from attested_publish.net.untrusted import harmless, shown
from attested_publish.rehearsal.rehearse import result_table
from attested_publish.report import AttestationReport, FileReport, Report, Result

WIDTHS = (120, 80, 40, 20)
NAMES = {
    "5": ["a.whl"],
    "20": ["sample-1.0.tar.gz", "sample-1.0-py3.whl"],
    "50": ["attested_publish_rehearsal-1.0.0-py3-none-any.whl"],
    "90": ["numpy-2.1.3-cp313-cp313-" + "manylinux_2_17_x86_64.manylinux2014_x86_64-" + "x" * 20],
    "200": ["sample-1.0-" + "y" * 185 + ".whl", "sample-1.0.tar.gz"],
    "wide": ["見本" * 30 + "-1.0.tar.gz", "サンプル-1.0-py3-none-any.whl"],
    "spaced": ["a name with many words " * 4 + "end.whl"],
    "escaped": ["\x1b[31mred\x1b[0m\u202egnp-1.0.tar.gz", "::error::x.whl", "##[group]y.whl"],
    "all control": ["\x07" * 100],
}


@dataclass
class Printed:
    """What was printed on a console of a width."""

    text: str
    width: int

    def has_whole(self, name: str) -> bool:
        return any(harmless(shown(name)) in line for line in self.text.splitlines())

    def too_wide(self, whole: list[str]) -> list[str]:
        """Return the lines that the terminal has to wrap, and that are none of these."""
        kept = {harmless(shown(name)) for name in whole}
        return [
            line
            for line in self.text.splitlines()
            if cell_len(line) > self.width and line.strip() not in kept
        ]


def printed(listing: Listing, width: int) -> Printed:
    text = io.StringIO()
    Printer(Console(file=text, width=width)).table(listing)
    return Printed(text.getvalue(), width)


def rehearsed(names: list[str]) -> Listing:
    files = [
        FileReport(
            name,
            "sample",
            "1.0",
            size=123_456_789,
            sha256="e5313dcf785d" * 4,
            attestations=[AttestationReport(PUBLISH, 12, ""), AttestationReport(SLSA, 13, "")],
            url=f"http://127.0.0.1:1234/files/01/a4/{'0' * 60}/x y.whl#sha256=1",
            served_after=0.66,
        )
        for name in names
    ]
    report = Report("rehearse", "", Result.DONE, files={each.filename: each for each in files})
    return result_table(report, "http://127.0.0.1:1234/simple/")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", NAMES)
def test_a_rehearsal_prints_every_name_whole(kind: str, width: int) -> None:
    seen = printed(rehearsed(NAMES[kind]), width)
    title = "Rehearsed on http://127.0.0.1:1234"
    assert title in seen.text
    assert [name for name in NAMES[kind] if not seen.has_whole(name)] == []
    assert seen.too_wide([*NAMES[kind], title]) == []
    # What people look for is there on any width.
    assert "123.5 MB" in seen.text
    assert "#12 #13" in re.sub(r"\s+", " ", seen.text)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", NAMES)
def test_verdicts_have_every_name_whole(kind: str, width: int) -> None:
    publisher = GitHubPublisher(repository="octo-org/sample-project", workflow="release.yml")
    verdicts = [
        Verdict(
            Wanted("sample", Version("1.0"), name, None),
            publishers=(publisher,),
            predicate_types=(PUBLISH, SLSA),
            log_indexes=(1_234_567_890, 1_234_567_891),
            origins=(Origin("refs/tags/v1.0.0", "0123456789abcdef" * 4),),
            is_proven=True,
        )
        for name in NAMES[kind]
    ]
    text = io.StringIO()
    print_verdicts(verdicts, Expected(), Printer(Console(file=text, width=width)))
    # Without the last line, a sentence that the terminal wraps.
    seen = Printed("\n".join(text.getvalue().splitlines()[:-1]), width)
    assert [name for name in NAMES[kind] if not seen.has_whole(name)] == []
    words = ["octo-org/sample-project", "refs/tags/v1.0.0,"]
    assert seen.too_wide([*NAMES[kind], *words]) == []
    assert seen.text.count("✓ valid") == len(verdicts)
    assert seen.text.count("#1234567890") == len(verdicts)
    for word in words:
        assert seen.text.count(word) == len(verdicts)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", NAMES)
def test_what_was_found_in_a_lock_names_it_whole(kind: str, width: int) -> None:
    verdicts = []
    for name in NAMES[kind]:
        package = LockedPackage(name, "1.0", (), Source.INDEX, 17, "a folder/pylock.toml")
        found = finding(Rule.PUBLISHER_UNEXPECTED, package, "It is by another publisher. " * 3)
        verdicts.append(PackageVerdict(package, findings=(found,)))
    text = io.StringIO()
    print_found(LockReport(verdicts=verdicts), Printer(Console(file=text, width=width)))
    table = text.getvalue().rpartition("  · ")[0]
    names = [f"{name} 1.0" for name in NAMES[kind]]
    seen = Printed(table, width)
    assert [name for name in names if not seen.has_whole(name)] == []
    rule = "✗ publisher-unexpected"
    assert seen.too_wide([*names, "publisher-unexpected", "folder/pylock.toml:17"]) == []
    count = len(names)
    assert re.sub(r"\s+", " ", seen.text).count(rule) == count
    assert re.sub(r"\s+", " ", seen.text).count("a folder/pylock.toml:17") == count


@pytest.mark.parametrize("width", WIDTHS)
def test_publishers_are_whole_whatever_their_names(width: int) -> None:
    for length in range(1, 110):
        repository = f"octo-org/{'r' * length}"
        verdict = Verdict(
            Wanted("sample", Version("1.0"), "sample-1.0.tar.gz", None),
            publishers=(GitHubPublisher(repository=repository, workflow="release.yml"),),
            predicate_types=(PUBLISH,),
            log_indexes=(1,),
            origins=(Origin(f"refs/tags/{'v' * length}", "0123456789abcdef"),),
            is_proven=True,
        )
        text = io.StringIO()
        print_verdicts([verdict], Expected(), Printer(Console(file=text, width=width)))
        seen = Printed("\n".join(text.getvalue().splitlines()[:-1]), width)
        assert repository in seen.text
        assert f"refs/tags/{'v' * min(length, 88)}" in seen.text
        assert [line for line in seen.too_wide([]) if " " in line.strip()] == []


def test_prose_is_wrapped_by_words_on_a_terminal() -> None:
    name = "attested_publish_rehearsal-1.0.0-py3-none-any.whl"
    sentence = f"This is what pip said of {name}, and more that is longer than a line."
    for width in range(20, 121):
        text = io.StringIO()
        printer = Printer(Console(file=text, width=width, force_terminal=True, color_system=None))
        printer.item(sentence, "a note")
        printer.item(name)
        lines = text.getvalue().splitlines()
        assert sum(name in line for line in lines) == 2, "a name is on one line"
        assert f"  ✓ {name}" in lines, "and not below its mark"
        assert " ".join(line.strip() for line in lines).count("more that is longer") == 1
        assert [line for line in lines if cell_len(line) > width and name not in line] == []
        assert all(line.startswith(("  ✓ ", "    ")) for line in lines)
    log = io.StringIO()
    Printer(Console(file=log, width=40)).item(sentence)
    assert log.getvalue() == f"  ✓ {sentence}\n", "who reads a log may search it"


def test_no_line_that_goes_on_is_a_command() -> None:
    """A wrapped sentence has new starts of lines, where a runner looks for commands."""
    for width in range(20, 60):
        text = io.StringIO()
        Printer(Console(file=text, width=width, force_terminal=True, color_system=None)).warning(
            "somebody put ::add-mask::x and ::error::y into a name"
        )
        starts = [line.lstrip() for line in text.getvalue().splitlines()]
        assert not any(line.startswith("::") for line in starts)


def test_a_list_has_its_names_in_bold() -> None:
    text = io.StringIO()
    console = Console(file=text, width=40, force_terminal=True, color_system="standard")
    name = "attested_publish_rehearsal-1.0.0-py3-none-any.whl"
    Printer(console).table(rehearsed([name]))
    assert f"\x1b[1m{name}\x1b[0m" in text.getvalue()


def columns(width: int, name: int = 20) -> list[str] | None:
    """Return the headings of a table on a console; `None` where it is a list."""
    seen = printed(rehearsed(["n" * name]), width).text.splitlines()
    return seen[2].split() if "file" in seen[2] else None


def test_narrower_is_fewer_columns_then_a_list() -> None:
    every = ["file", "size", "sha256", "log", "served", "at", "after"]
    assert columns(120) == every
    assert columns(86) == every[:-1]
    assert columns(64) == every[:4]
    assert columns(45) == ["file", "size", "log"]
    assert columns(30) is None
    assert columns(120, name=200) is None
    widths = [len(columns(width) or ()) for width in range(120, 19, -1)]
    assert widths == sorted(widths, reverse=True)


def test_sentences_get_the_room_there_is() -> None:
    listing = Listing(Column("file", Cells.NAMES), Column("what", Cells.PROSE))
    listing.add("a.whl", "word " * 40)
    listing.add("b.whl", "")
    lines = printed(listing, 80).text.splitlines()
    assert max(map(len, lines)) in range(75, 81)
    listing.add("c" * 60, "short")
    assert "file" not in printed(listing, 80).text, "sentences of few columns are hard to read"


def test_what_is_too_long_for_a_log_is_not_cut() -> None:
    names = [f"sample-1.0-{'z' * count}-none-any.whl" for count in (10, 60, 130)]
    seen = printed(rehearsed(names), 120)
    assert [name for name in names if not seen.has_whole(name)] == []
