"""How many child processes a run leaves for what comes after the rules."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from attested_publish.journey.files import private_copies
from attested_publish.journey.judge import judge
from attested_publish.rules.verdicts import Verdicts
from attested_publish.sandbox.pool import CHILDREN, FEW, Sandbox
from attested_publish.settings import understand
from support.makers import make_wheel
from support.releases import run_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.releases import Stage


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


@pytest.mark.skipif(CHILDREN == 1, reason="needs two processors")
def test_one_child_is_left_once_all_files_are_judged(stage: Stage, sandbox: Sandbox) -> None:
    for number in range(4 * FEW):
        make_wheel(stage.folder, tag=f"{number}-py3-none-any")
    settings = understand(
        {"packages-dir": str(stage.folder), "repository-url": stage.world.upload_url}
    )
    targets = stage.targets_at(settings.repository_url)
    run = run_to(targets, settings, Console(file=io.StringIO()), mode="check")
    run.verdicts = Verdicts(sandbox)
    with private_copies(run) as distributions:
        for each in distributions:
            run.verdicts.of(each)
        processes = [child._process for child in sandbox._all]
        assert len(processes) == CHILDREN, "no second child was needed: the test shows nothing"
        judge(run, distributions)
        assert len(run.release.findings or {}) == len(distributions)
    assert len(sandbox._all) == 1
    assert [each.poll() is None for each in processes].count(True) == 1
