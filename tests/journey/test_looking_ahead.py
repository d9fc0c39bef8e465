"""What has arrived is confirmed while the rest is still being uploaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.releases import SDIST, WHEEL, problem, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from attested_publish.rehearsal.request_log import Answered
    from support.releases import Stage


@pytest.fixture
def slow(dist: Path) -> Iterator[Stage]:
    """An index that takes its time with each upload, so that the wheel is looked at meanwhile."""
    with staged(dist, latency={"upload": 0.8}) as stage:
        yield stage


def test_the_first_file_is_looked_at_before_the_second_has_arrived(slow: Stage) -> None:
    slow.fault("integrity=404*1")
    report = slow.run()
    assert report.result == "done", problem(report)
    # The 404 was answered to the look during the upload: the confirmation has nothing to wait for.
    confirmation = slow.printed.partition("\nconfirmation")[2]
    assert "served, with the right digest and provenance" in confirmation
    assert "not served yet" not in confirmation, slow.printed


def test_a_wrong_provenance_counts_although_it_was_seen_early(slow: Stage) -> None:
    slow.fault("integrity=provenance*1")
    report = slow.run()
    assert report.result == "failed"
    assert f"serves a wrong provenance for {WHEEL}" in problem(report)
    assert {file.status for file in report.files.values()} == {"uploaded"}


@pytest.mark.parametrize("confirm", ["true", "false"])
def test_provenances_are_asked_for_only_to_confirm_them(dist: Path, confirm: str) -> None:
    answered: list[Answered] = []
    with staged(dist, latency={"upload": 0.8}, record=answered.append) as stage:
        report = stage.run(confirm=confirm)
    assert report.result == "done", problem(report)
    assert report.files[SDIST].status == "uploaded"
    looks = [each for each in answered if each.endpoint == "integrity"]
    assert bool(looks) == (confirm == "true"), looks
