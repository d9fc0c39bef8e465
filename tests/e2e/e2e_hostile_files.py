"""The command meets every hostile file: within 10 seconds and 300 MB, all processes together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.command import command_line
from support.hostile_files import ARCHIVES, DESCRIPTIONS
from support.measuring import watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECONDS = 10
FILES = {**ARCHIVES, **DESCRIPTIONS}


@pytest.mark.parametrize("build", FILES.values(), ids=FILES.keys())
def test_a_hostile_file_is_judged_or_refused(build: Callable[[Path], Path], tmp_path: Path) -> None:
    build(tmp_path)
    run = watched(command_line("check", "--offline", tmp_path))
    if run.seconds >= SECONDS:
        # The promise is for an idle processor, and other tests run at the same time.
        run = watched(command_line("check", "--offline", tmp_path))
    assert run.status in {0, 1}
    assert run.seconds < SECONDS
    assert run.megabytes < 300
    assert "Traceback" not in run.output
    assert "unexpected" not in run.output
