"""Locks in a Git revision: only read, whatever the repository's configuration says."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from attested_publish.consumer.revisions import Revision, RevisionProblem

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = ("-c", "user.email=a@example.org", "-c", "user.name=A")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "sub dir").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "base.txt").write_text("base\n")
    (folder / "sub dir" / "a.txt").write_text("old\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "v1")
    (folder / "sub dir" / "a.txt").write_text("new\n")
    git(folder, "commit", "-qam", "second")
    return folder


@pytest.mark.parametrize("name", ["v1", "HEAD~1", "main^", "refs/tags/v1"])
def test_content(repository: Path, name: str) -> None:
    revision = Revision.of(name, repository / "sub dir")
    assert revision.content("a.txt") == b"old\n"
    assert revision.content("../base.txt") == b"base\n"
    assert revision.content("../../outside") is None
    assert revision.content("none.txt") is None
    assert revision.content("/etc/passwd") is None
    assert revision.content(".") is None or revision.content(".") == b""


@pytest.mark.parametrize(
    "name",
    ["", "-v1", "--output=x", "v1 v2", "v1\nx", "none", "v1:base.txt", "a" * 300, "0" * 40],
)
def test_not_a_revision(repository: Path, name: str) -> None:
    with pytest.raises(RevisionProblem) as raised:
        Revision.of(name, repository)
    assert "\n" not in raised.value.detail
    assert raised.value.remedy


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(RevisionProblem, match="compared"):
        Revision.of("main", tmp_path)


def test_a_shallow_clone(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", "clone")
    with pytest.raises(RevisionProblem) as raised:
        Revision.of("HEAD~1", tmp_path / "clone")
    assert "shallow" in raised.value.detail
    assert "fetch-depth: 0" in raised.value.remedy


def test_nothing_of_the_repository_is_run(repository: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for name in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.editor",
        "alias.cat-file",
    ):
        git(repository, "config", name, f"!{program}" if "alias" in name else str(program))
    git(repository, "config", "filter.x.smudge", str(program))
    git(repository, "config", "diff.x.textconv", str(program))
    (repository / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
    ran.unlink(missing_ok=True)
    assert Revision.of("v1", repository / "sub dir").content("a.txt") == b"old\n"
    assert not ran.exists()


def test_a_partial_clone_fetches_nothing(repository: Path, tmp_path: Path) -> None:
    git(repository, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{repository}", "c")
    revision = Revision.of("v1", tmp_path / "c")
    with pytest.raises(RevisionProblem, match="compared") as raised:
        revision.content("base.txt")
    assert "partial clone" in raised.value.remedy
