"""What the tests of other platforms share: a job whose steps run in another system's files."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from support.e2e.commands import run
from support.e2e.launch import Launch
from support.e2e.roots import arm64_programs
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.e2e.roots import Root

_LIBC = {"manylinux": ("2_28", "2_26", "2_17"), "musllinux": ("1_2", "1_1")}
# A hundred times what they take without emulation.
_SECONDS = 1800


@pytest.fixture(scope="session")
def emulation() -> Iterator[None]:
    with arm64_programs():
        yield


@pytest.fixture(scope="session")
def wheels(work: Path) -> Callable[[str], Path]:
    """Return a folder with the locked wheels for arm64 and `libc` (manylinux, musllinux).

    They are downloaded here: to read an index's pages under emulation would take longer than all
    the rest.
    """

    def download(libc: str) -> Path:
        folder = work / f"wheels-{libc}"
        tags = [f"{libc}_{version}_aarch64" for version in _LIBC[libc]]
        run(
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"),
            *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *("-r", str(ROOT / "requirements/runtime.txt")),
            *("-r", str(ROOT / "requirements/uv.txt")),
            *("--python-version", "3.13", "--dest", str(folder)),
            *(argument for tag in tags for argument in ("--platform", tag)),
        )
        return folder

    return download


@pytest.fixture
def job_in(action: Path, tmp_path: Path, wheels: Callable[[str], Path]) -> Callable[[Root], Launch]:
    """Start the action's steps in a root folder, in the working directory of the test."""

    def start(root: Root, libc: str | None = None) -> Launch:
        folders = [wheels(libc)] if libc else []
        become = root.inside(action, tmp_path, *folders)
        launch = Launch(action, tmp_path, machine=None, become=become, seconds=_SECONDS)
        launch.environment |= {"PATH": root.path, "HOME": "/root", "TMPDIR": "/tmp"}
        for folder in folders:
            launch.environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}
        return launch

    return start
