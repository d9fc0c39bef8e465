"""An archived or quarantined project (PEP 792): known before a token is spent."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from attested_publish.journey import publish
from support.makers import make_wheel
from support.releases import problem, registry_of, staged

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage


@pytest.mark.parametrize("do", [publish.publish, publish.check])
@pytest.mark.parametrize(
    ("status", "remedy"), [("archived", "unarchive"), ("quarantined", "administrators")]
)
def test_it_stops_before_a_token(stage: Stage, do: object, status: str, remedy: str) -> None:
    stage.world.index.add_project("sample")
    stage.world.index.set_status("sample", status, reason="no longer | maintained")
    report = stage.run(do)
    assert report.result == "refused"
    (found,) = report.problems
    assert found.stage == "index"
    assert f"sample is {status} on" in found.title
    assert "no longer | maintained" in found.detail
    assert remedy in found.remedy
    assert not stage.world.index.issued_tokens
    assert not len(stage.world.log)


def test_what_is_there_already_needs_no_upload(stage: Stage) -> None:
    assert stage.run().result == "done"
    stage.world.index.set_status("sample", "archived")
    assert stage.run().result == "done"
    make_wheel(stage.folder, tag="cp312-cp312-win_amd64")
    assert stage.run().result == "refused"


def test_a_deprecated_project_takes_uploads(stage: Stage) -> None:
    stage.world.index.add_project("sample")
    stage.world.index.set_status("sample", "deprecated")
    assert stage.run().result == "done"


def test_a_status_that_comes_too_late_is_among_the_causes_of_the_refusal(dist: Path) -> None:
    """A page from a cache may not say it yet; then the upload is refused after a good mint."""
    with staged(dist, registry=registry_of("sample")) as stage:
        stage.world.index.add_release("sample", "0.9", datetime.now(UTC))
        stage.world.index.set_status("sample", "archived")
        stage.fault("simple=404*1")
        report = stage.run()
        assert report.result == "refused"
        told = problem(report)
        for cause in ("publisher", "archived", "quarantined"):
            assert cause in told, told
