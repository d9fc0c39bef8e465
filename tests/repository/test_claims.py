"""What the pages claim has a command that shows it, and the commands that they name exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from bench import PARTS

from support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
_TARGETS = set(re.findall(r"^([\w-]+):(?!=)", _MAKEFILE, re.MULTILINE))
_PROGRAM = re.compile(r"(?:benchmarks|tests|\.github/workflows)/[\w./-]+\.(?:py|yml)")


def _commands(text: str) -> list[list[str]]:
    """Return the words of each `make …` in a page: code in a line, or a line of a block."""
    plain = re.sub(r"\s*\n\s*", " ", text)
    found = re.findall(r"`(make\b[^`]*)`", plain) + re.findall(
        r"^\$ (make\b.*)", text, re.MULTILINE
    )
    return [shlex.split(command, comments=True)[1:] for command in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_made_can_be_made(page: Path) -> None:
    for words in _commands(page.read_text(encoding="utf-8")):
        settings = dict(word.split("=", 1) for word in words if "=" in word)
        assert {word for word in words if "=" not in word} <= _TARGETS, words
        for name, value in settings.items():
            assert f"$({name})" in _MAKEFILE, f"{name} has no effect: {words}"
            if name == "PARTS":
                assert set(value.split()) <= set(PARTS), words
            if name == "TESTS":
                assert (ROOT / value).exists(), words


def test_the_makefile_names_the_parts_of_the_benchmark() -> None:
    (named,) = re.findall(r'PARTS="([\w -]+)"', _MAKEFILE)
    assert named.split() == list(PARTS)


def test_every_claim_has_its_command() -> None:
    page = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    table = page.partition("\n## What shows it\n")[2]
    rows = re.findall(r"^\| (.+) \| (.+) \|$", table, re.MULTILINE)[2:]
    assert len(rows) > 10
    for claim, shown in rows:
        programs = _PROGRAM.findall(shown)
        assert _commands(shown) or programs, claim
        assert all((ROOT / program).is_file() for program in programs), claim


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_share_of_time_is_beside_what_measures_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if re.search(r"\d %", text):
        assert [words for words in _commands(text) if words[:1] == ["bench"]]
