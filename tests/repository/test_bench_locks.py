"""The benchmark of locks measures what it says: every file verified, cold and warm."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from locks import WrongVerdict, hold_against_lock, table, verify_lock

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="as the benchmarks do")
def test_a_small_lock_is_verified_cold_and_warm() -> None:
    found = verify_lock(1, packages=3, files=10)
    assert found["files"] == 10
    assert min(found["cold_seconds"], found["warm_seconds"]) > 0
    assert found["peak_mb"] > 20
    assert "peak_mb" in table(found)


def package(**changes: Any) -> dict[str, Any]:
    return {"name": "sample", "attested": 2, "findings": [], **changes}


@pytest.mark.parametrize(
    ("packages", "problems", "told"),
    [
        ([package(attested=0)], [], "0 attested files of 1 packages"),
        ([], [], "0 attested files of 0 packages"),
        ([package(findings=[{"message": "another publisher"}])], [], "another publisher"),
        ([package()], [{"title": "no answer"}], "no answer"),
    ],
)
def test_a_run_that_verified_less_does_not_count(
    tmp_path: Path, packages: list[dict[str, Any]], problems: list[dict[str, str]], told: str
) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"packages": packages, "problems": problems}))
    with pytest.raises(WrongVerdict, match=told):
        hold_against_lock(report, 1, 2)


def test_a_whole_run_counts_once(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"packages": [package()], "problems": []}))
    hold_against_lock(report, 1, 2)
    # The next run has to write one of its own.
    assert not report.exists()
