"""`setup` reads the projects of a stranger's repository in seconds, whatever is in their files."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from attested_publish.setup.addresses import SECRET_TEXT, pypirc
from attested_publish.setup.survey import survey
from support.repositories import PYPROJECT, repository

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 500_000
BLANKS = "[metadata]\nname" + " " * LARGE + "x\n"
PARTS = "a" + ".a" * 8000
WORKFLOW = """\
on: push
jobs:
  publish:
    runs-on: ubuntu-latest
    steps:
      - run: |
          cat > ~/.pypirc <<END
          SCRIPT
          END
          twine upload dist/*
"""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("setup.cfg", BLANKS),
        ("setup.cfg", "[metadata]\n" + ("name" + "\u00a0\t" * 40 + "x\n") * (LARGE // 90)),
        ("setup.cfg", "[metadata]\nname = x\n" + " y\n" * (LARGE // 3)),
        ("pyproject.toml", "".join(f"{PARTS}{number} = 1\n" for number in range(30))),
        ("pyproject.toml", f"[{PARTS}]\n"),
        ("pyproject.toml", "a = [" + "[]," * 5000 + "]\n" + "b = 1\n"),
        ("uv.toml", "".join(f"{PARTS}{number} = 1\n" for number in range(30))),
        ("a/pyproject.toml", "".join(f"[t{number}]\n" for number in range(60_000))),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_one_file_takes_seconds(tmp_path: Path, name: str, content: str) -> None:
    root = repository(tmp_path, {"pyproject.toml": "[build-system]\n", name: content})
    started = time.monotonic()
    survey(root)
    assert time.monotonic() - started < 20


def test_what_is_not_read_is_named(tmp_path: Path) -> None:
    root = repository(tmp_path, {"pyproject.toml": "x = [", "setup.cfg": BLANKS})
    not_read = dict(survey(root).projects.not_read)
    assert "too many blanks in a row" in not_read["setup.cfg"]
    assert "it is not valid: " in not_read["pyproject.toml"]


def test_dates_in_a_project_are_no_obstacle(tmp_path: Path) -> None:
    more = "\n[tool.x]\nsince = 2020-01-01\nat = 2020-01-01T00:00:00Z\nmost = inf\n"
    root = repository(tmp_path, {"pyproject.toml": PYPROJECT + more})
    (project,) = survey(root).projects.found
    assert project.name == "sample"


def test_a_pypirc_in_a_script_takes_seconds(tmp_path: Path) -> None:
    script = "[a]\n" + " " * 10 + "b" + " " * 60_000 + "c"
    text = WORKFLOW.replace("SCRIPT", script)
    root = repository(tmp_path, {".github/workflows/release.yml": text})
    started = time.monotonic()
    assert survey(root).jobs
    assert time.monotonic() - started < 20


def test_defaults_and_sections_are_not_multiplied() -> None:
    sections = "".join(f"[s{number}]\n" for number in range(5000))
    defaults = "".join(f"a{number}=\n" for number in range(4000))
    started = time.monotonic()
    urls, has_secret = pypirc(f"[DEFAULT]\npassword={SECRET_TEXT}\n{defaults}{sections}")
    assert time.monotonic() - started < 3
    assert (urls, has_secret) == ({}, True)
