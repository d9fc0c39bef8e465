"""The threat model names a test for what it claims: each is one that pytest collects."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from support.paths import ROOT

PAGE = ROOT / "docs" / "threat-model.md"
_NAMED = re.compile(r"`(tests/[^`\s]+\.py(?:::[^`\s]+)?)`")


def collected_from(path: Path) -> set[str]:
    """The tests that pytest collects from a file: functions, and methods of classes."""
    if not path.is_file() or not path.name.startswith(("test_", "e2e_")):
        return set()
    module = ast.parse(path.read_text(encoding="utf-8"))
    found = functions_in(module)
    for node in module.body:
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            found |= {f"{node.name}::{each}" for each in functions_in(node)}
    return found


def functions_in(node: ast.Module | ast.ClassDef) -> set[str]:
    return {
        each.name
        for each in node.body
        if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")
    }


def missing(text: str) -> list[str]:
    """The tests, or files of tests, that are named in a text and do not exist."""
    return [
        named
        for named in _NAMED.findall(text)
        for path, _, test in [named.partition("::")]
        if not (found := collected_from(ROOT / path)) or (test and test not in found)
    ]


def test_every_test_that_is_named_is_collected() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(_NAMED.findall(text)) > 50
    assert text.count("tests/") == len(_NAMED.findall(text)), "one is written in another way"
    assert missing(text) == []


def test_one_that_does_not_exist_would_be_found() -> None:
    here = "tests/repository/test_threat_model.py"
    good = f"`{here}::test_every_test_that_is_named_is_collected` `{here}`"
    bad = [f"{here}::test_nothing", f"{here}::missing", "tests/nothing.py", "tests/conftest.py"]
    assert missing(good + "".join(f"`{each}`" for each in bad)) == bad


def test_every_attacker_has_a_test() -> None:
    sections = PAGE.read_text(encoding="utf-8").split("\n## ")[1:]
    without = {"The boundaries", "What is not defended"}
    for section in sections:
        title = section.partition("\n")[0]
        assert title in without or _NAMED.search(section), title
