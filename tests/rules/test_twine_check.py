"""The rules say what `twine check` says: as strictly, once, and nothing beside it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
from twine.commands.check import check
from twine.exceptions import InvalidDistribution

from attested_publish.findings import Finding, Severity
from attested_publish.rules import checks
from support.makers import Header, make_sdist, make_wheel

Maker = Callable[[Path], Path]

OF_DESCRIPTIONS = {
    "description-missing",
    "description-not-rendered",
    "description-not-judged",
    "content-type-missing",
    "content-type-spelling",
}


def described(body: str, content_type: Header = "text/x-rst", **headers: str) -> str:
    """The metadata of a project with the readme `body`."""
    stated = {
        "Metadata-Version": "2.1",
        "Name": "sample",
        "Version": "1.0",
        "Description-Content-Type": content_type,
        **headers,
    }
    return "".join(f"{name}: {value}\n" for name, value in stated.items() if value) + f"\n{body}"


def wheel(metadata: str) -> Maker:
    return partial(make_wheel, metadata=metadata)


def sdist(metadata: str) -> Maker:
    return partial(make_sdist, metadata=metadata)


# Each with the rule that has to say what twine says.
FILES: dict[str, tuple[Maker, str | None]] = {
    "a wheel": (make_wheel, None),
    "an sdist": (make_sdist, None),
    "good reStructuredText": (sdist(described("Title\n=====\n")), None),
    "good Markdown": (wheel(described("# Title\n", "text/markdown")), None),
    "plain text": (wheel(described(":no:`role`", "text/plain; charset=UTF-8")), None),
    "reStructuredText called Markdown": (
        wheel(described("Title\n==\n:no:`role`\n", "text/markdown; variant=CommonMark")),
        None,
    ),
    "a short underline": (
        wheel(described("Long title\n=====\n")),
        "description-not-rendered",
    ),
    "a Sphinx role": (sdist(described(":func:`x`\n")), "description-not-rendered"),
    "a bad readme of no type": (
        wheel(described(":func:`x`\n", None)),
        "description-not-rendered",
    ),
    "no readme": (wheel(described("")), "description-missing"),
    "no readme and no type": (sdist(described("", None)), "description-missing"),
    "an unknown readme": (wheel(described("UNKNOWN\n\n")), "description-missing"),
    "a readme of no type": (
        wheel(described("Title\n=====\n", None)),
        "content-type-missing",
    ),
    "a readme of no type in an sdist": (
        sdist(described("Text.\n", None)),
        "content-type-missing",
    ),
    "an unknown type": (
        wheel(described("<p>", "text/html")),
        "content-type-invalid",
    ),
    "a header twine does not know": (
        wheel(described("Text.\n", Colour="red")),
        "metadata-field-unparsed",
    ),
    "a licence twine cannot read": (
        sdist(described("Text.\n", **{"Metadata-Version": "2.4", "License-Expression": "my own"})),
        "license-expression-invalid",
    ),
    "no metadata": (partial(make_wheel, omit=["METADATA"]), "metadata-missing"),
}


if not find_spec("comrak"):
    # Without the renderer twine cannot judge it either.
    FILES = {name: case for name, case in FILES.items() if "Markdown" not in name}


class Verdict(Enum):
    """What twine says of a file."""

    PASSED = None
    WARNED = Severity.WARNING
    FAILED = Severity.ERROR


@pytest.fixture
def twine(caplog: pytest.LogCaptureFixture) -> Callable[[Path], tuple[Verdict, list[str]]]:
    """Run twine's check on a file; give the verdict and its warnings."""

    def run(path: Path) -> tuple[Verdict, list[str]]:
        caplog.clear()
        try:
            with caplog.at_level(logging.WARNING, "twine"):
                failed = check([str(path)])
                said = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
                assert check([str(path)], strict=True) is (failed or bool(said))
        except InvalidDistribution:
            return Verdict.FAILED, []
        return Verdict.FAILED if failed else Verdict.WARNED if said else Verdict.PASSED, said

    return run


def findings(path: Path) -> list[Finding]:
    return checks.check_file(path, path.name, path.stat().st_size)


@pytest.mark.parametrize(("make", "rule"), FILES.values(), ids=list(FILES))
def test_what_twine_check_says_is_said_once(
    make: Maker,
    rule: str | None,
    twine: Callable[[Path], tuple[Verdict, list[str]]],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # Not `tmp_path`: twine takes the brackets in a test's name for a pattern.
    path = make(tmp_path_factory.mktemp("files"))
    verdict, warnings = twine(path)
    found = findings(path)

    worst = found[0].severity if found else None
    assert worst is verdict.value
    assert [one.rule for one in found].count(rule or "") == (rule is not None)
    about = [one.rule for one in found if one.rule in OF_DESCRIPTIONS]
    assert len(about) == len(set(about))
    # Of a description that is missing, nothing else needs to be said.
    types = sum("content_type` missing" in one for one in warnings)
    missing = sum("long_description` missing" in one for one in warnings)
    assert types + missing == len(warnings)
    assert about.count("description-missing") == missing
    assert about.count("content-type-missing") == (types and not missing)
    if verdict is Verdict.PASSED:
        assert about == []


@pytest.mark.skipif(not find_spec("comrak"), reason="the Markdown renderer has no wheel here")
def test_pypi_renders_what_twine_check_only_lets_pass(
    twine: Callable[[Path], tuple[Verdict, list[str]]], tmp_path: Path
) -> None:
    path = make_wheel(tmp_path, metadata=described("\n\n", "text/markdown"))
    assert twine(path) == (Verdict.PASSED, [])
    assert [one.rule for one in findings(path)] == ["description-not-rendered"]
