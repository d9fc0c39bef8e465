"""An index of PyPI's kind whose pages have an outage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.releases import problem

if TYPE_CHECKING:
    from support.releases import Stage


def test_an_outage_of_the_pages_stops_the_run_before_anything_is_spent(stage: Stage) -> None:
    stage.fault("simple=503")
    report = stage.run()
    assert report.result == "failed"
    (found,) = report.problems
    assert found.stage == "index"
    assert "answered 503" in problem(report)
    assert "nothing will be confirmed" not in stage.printed
    assert not stage.world.index.issued_tokens


def test_files_that_would_be_refused_are_told_first(stage: Stage) -> None:
    stage.fault("simple=503")
    (stage.folder / "sample-1.0-py3-none-any.whl").write_bytes(b"no wheel")
    report = stage.run()
    assert report.result == "refused"
    assert {found.stage for found in report.problems} == {"rules"}
