"""What the tests of other platforms share: a job whose steps run in another system's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.e2e.launch import Launch
from support.e2e.roots import arm64_programs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.e2e.roots import Root

# A hundred times what they take without emulation.
_SECONDS = 1800


@pytest.fixture(scope="session")
def emulation() -> Iterator[None]:
    with arm64_programs():
        yield


@pytest.fixture
def job_in(action: Path, tmp_path: Path) -> Callable[[Root], Launch]:
    """Start the action's steps in a root folder, in the working directory of the test."""

    def start(root: Root) -> Launch:
        become = root.inside(action, tmp_path)
        launch = Launch(action, tmp_path, machine=None, become=become, seconds=_SECONDS)
        launch.environment |= {"PATH": root.path, "HOME": "/root", "TMPDIR": "/tmp"}
        return launch

    return start
