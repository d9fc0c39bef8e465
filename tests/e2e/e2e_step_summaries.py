"""The summaries of more commands that run as a step of a job."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.releases import WHEEL
from support.steps import step, verified

if TYPE_CHECKING:
    from support.releases import Stage


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "summary.md"


def test_verify_without_an_index(stage: Stage, page: Path) -> None:
    options = verified(stage)
    done = step(page, *options, "nothing-of-this-name")
    assert done.returncode == 1
    text = page.read_text()
    assert text.startswith("## ❌ Nothing was verified\n")
    assert "**What to do:**" in text


def test_watch(stage: Stage, page: Path) -> None:
    options = verified(stage)
    assert step(page, *options, "sample", "--watch-since", "1.0").returncode == 0
    text = page.read_text()
    assert text.startswith("## ✅ sample since 1.0: 2 files verified\n")
    assert "| 1.0 | ✅" in text


def test_convert(stage: Stage, page: Path, tmp_path: Path) -> None:
    assert stage.run(attestations_dir=str(tmp_path / "made")).result == "done"
    file = tmp_path / "made" / f"{WHEEL}.publish.attestation"
    done = step(page, "convert", file)
    assert done.returncode == 0, done.stderr
    assert page.read_text().startswith("### ✅ ")
    assert "1 attestation converted" in page.read_text()
    done = step(page, "convert", file, "--to", "attestation")
    assert done.returncode == 1
    assert "was not converted: It is already a PEP 740 attestation." in page.read_text()


def test_setup(page: Path, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    workflow = root / ".github" / "workflows" / "release.yml"
    workflow.parent.mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nname = "sample"\nversion = "1.0"\n')
    workflow.write_text(
        "on: push\n"
        "jobs:\n"
        "  publish:\n"
        "    runs-on: ubuntu-latest\n"
        "    permissions:\n"
        "      id-token: write\n"
        "    steps:\n"
        "      - uses: pypa/gh-action-pypi-publish@release/v1\n"
    )
    subprocess.run(["git", "init", "-q", root], check=True)
    remote = ["git", "-C", root, "remote", "add", "origin", "git@github.com:octo/sample.git"]
    subprocess.run(remote, check=True)
    done = step(page, "setup", root, "--offline")
    assert done.returncode == 0, done.stdout + done.stderr
    text = page.read_text()
    assert text.startswith("## ✅ 1 trusted publisher to register\n")
    assert "| octo | sample | release.yml |" in text
    assert "**unpinned-action**" in text
    assert "Rehearsed: an embedded PyPI with these fields accepts" in text


def test_setup_that_writes_nothing_says_why(page: Path, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    workflow = root / ".github" / "workflows" / "release.yml"
    workflow.parent.mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nname = "sample"\nversion = "1.0"\n')
    subprocess.run(["git", "init", "-q", root], check=True)
    assert step(page, "setup", root, "--offline").returncode == 0
    text = page.read_text()
    assert text.startswith("## There is no trusted publisher to register\n")
    assert "`attested-publish setup --write` writes a workflow" in text
    page.unlink()
    workflow.write_text("on: push\njobs:\n  publish: [\n")
    step(page, "setup", root, "--offline")
    text = page.read_text()
    assert "release.yml was not read" in text
    assert "✅" not in text
    page.unlink()
    workflow.write_text(
        "on: push\njobs:\n  publish:\n    runs-on: ubuntu-latest\n    steps:\n"
        "      - uses: pypa/gh-action-pypi-publish@v1\n"
    )
    assert step(page, "setup", root, "--offline", "--write").returncode == 1
    text = page.read_text()
    assert text.startswith("## ❌")
    assert "was not changed" in text


def test_elsewhere_there_is_none(stage: Stage, page: Path) -> None:
    step(page, "check", "--offline", stage.folder, GITHUB_ACTIONS="")
    assert not page.exists()


def test_one_that_cannot_be_written_changes_nothing(stage: Stage, tmp_path: Path) -> None:
    done = step(tmp_path, "check", "--offline", stage.folder)
    assert done.returncode == 0
    assert "The step's summary could not be written" in done.stdout
