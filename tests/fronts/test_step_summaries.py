"""The summaries of commands that run as a step of a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attested_publish.fronts.step_summary import LIMIT, append_summary
from support.releases import WHEEL
from support.steps import step, verified

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.releases import Stage


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "summary.md"


def test_verify(stage: Stage, page: Path) -> None:
    options = verified(stage)
    done = step(page, *options, "sample==1.0")
    assert done.returncode == 0, done.stdout + done.stderr
    text = page.read_text()
    assert text.startswith("## ✅ sample 1.0: 2 files verified\n")
    assert f"✅ {WHEEL}".replace("_", "\\_") in text
    assert "octo-org/sample-project" in text
    assert "full provenance" in text
    page.unlink()
    done = step(page, *options, "sample==1.0", "--repository", "someone/else")
    assert done.returncode == 1
    text = page.read_text()
    assert text.startswith(
        "## ❌ sample 1.0: 2 of 2 files not from the expected publisher, or invalid\n"
    )
    assert text.index("someone/else") < text.index("**What to do:**") < text.index("| file |")


def test_a_lock(stage: Stage, page: Path, tmp_path: Path) -> None:
    options = verified(stage)
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"sample==1.0 --hash=sha256:{'0' * 64}\n")
    assert step(page, *options, "--lock", lock, "--no-cache").returncode == 1
    text = page.read_text()
    assert text.startswith("## ❌ Something is wrong with 1 of 1 package\n")
    assert "hash-not-served" in text


def test_modes(stage: Stage, page: Path) -> None:
    assert step(page, "check", "--offline", stage.folder).returncode == 0
    assert page.read_text().startswith("## ✅ Nothing prevents publishing sample 1.0\n")


def test_the_steps_summary_keeps_to_what_github_shows(page: Path) -> None:
    """GitHub drops a summary that is longer, with all that other commands have written."""

    def filling(text: str) -> Callable[[int], str]:
        return lambda limit: (text * limit)[:limit]

    page.write_text("x" * (LIMIT - 5000))
    append_summary(page, filling("y"))
    assert page.stat().st_size == LIMIT
    append_summary(page, filling("z"))
    assert page.stat().st_size == LIMIT
    page.write_text("x" * (LIMIT - 5000))
    append_summary(page, lambda limit: "y" * (limit + 1))
    assert page.stat().st_size == LIMIT - 5000


def test_a_page_is_apart_from_what_stands_there(stage: Stage, page: Path) -> None:
    page.write_text("my notes")
    assert step(page, "check", "--offline", stage.folder).returncode == 0
    assert page.read_text().startswith("my notes\n\n## ✅")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check", "--attestations", "maybe", "--parallel-uploads", "99"), ("maybe", "99")),
        (("verify", "--bogus"), ("--bogus",)),
        (("setup", "/nowhere"), ("/nowhere",)),
        (("verify",), ("Name what to verify",)),
    ],
)
def test_a_wrong_command_line(
    page: Path, arguments: tuple[str, ...], says: tuple[str, ...]
) -> None:
    assert step(page, *arguments).returncode == 2
    text = page.read_text()
    assert text.startswith("### ❌ Nothing was done: the command line is wrong\n")
    assert all(each in text for each in says)
