"""Repositories of users, with workflows, for `setup`."""

from __future__ import annotations

import subprocess
from pathlib import Path

PYPROJECT = """\
[build-system]
requires = ["flit_core>=4.0,<5"]
build-backend = "flit_core.buildapi"

[project]
name = "sample"
version = "1.0.0"
description = "A sample."
requires-python = ">=3.11"
"""
REMOTE = "https://github.com/octo-org/sample-repo.git"


def git(folder: Path, *arguments: str) -> None:
    """Run git in a repository, as somebody."""
    subprocess.run(
        ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def repository(folder: Path, files: dict[str, str | bytes], remote: str | None = REMOTE) -> Path:
    """Make a repository with these files, all committed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ({"pyproject.toml": PYPROJECT} | files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(folder, "init", "--quiet")
    if remote is not None:
        git(folder, "remote", "add", "origin", remote)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Begin")
    return folder
