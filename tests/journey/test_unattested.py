"""The index takes the files, but keeps or serves no attestations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish.fronts.summary import summary
from support.releases import SDIST, WHEEL, problem

if TYPE_CHECKING:
    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


SWITCHED_OFF = {
    "nothing is kept": ("upload=unattested",),
    "and none is served": ("upload=unattested", "integrity=disabled"),
}


@pytest.mark.parametrize("faults", SWITCHED_OFF.values(), ids=SWITCHED_OFF)
def test_required_attestations_that_are_not_served_fail_the_run(
    stage: Stage, faults: tuple[str, ...]
) -> None:
    for fault in faults:
        stage.fault(fault)
    report = stage.run(attestations="true")
    assert report.result == "failed"
    (found,) = report.problems
    assert found.stage == "confirmation"
    assert found.title == "2 files are public without attestations"
    assert "added to these files any more" in found.remedy
    assert {file.status for file in report.files.values()} == {"uploaded"}
    assert not any(file.attestations for file in report.files.values())
    assert all(file.url for file in report.files.values())
    assert "not confirmed in time" not in stage.printed
    assert "public without attestations" in summary(report, limit=1 << 20)
    if "integrity=disabled" in faults:
        assert "Attestations temporarily disabled" in found.detail


@pytest.mark.parametrize("faults", SWITCHED_OFF.values(), ids=SWITCHED_OFF)
def test_under_auto_it_is_a_warning(stage: Stage, faults: tuple[str, ...]) -> None:
    for fault in faults:
        stage.fault(fault)
    report = stage.run()
    assert report.result == "done", problem(report)
    assert "None can be added any more" in stage.printed
    assert "not confirmed in time" not in stage.printed
    assert {file.status for file in report.files.values()} == {"uploaded"}
    assert not any(file.attestations for file in report.files.values())


def test_one_file_of_two(stage: Stage) -> None:
    stage.fault("upload=unattested*1")
    report = stage.run(attestations="true")
    assert report.result == "failed"
    assert "1 file is public without attestations" in problem(report)
    assert not report.files[WHEEL].attestations, "the wheel went first"
    assert report.files[SDIST].attestations


def test_a_provenance_that_is_late_is_waited_for(stage: Stage) -> None:
    stage.fault("integrity=404*4")
    report = stage.run(attestations="true")
    assert report.result == "done", problem(report)
    assert all(file.attestations for file in report.files.values())


def test_a_refusal_to_serve_any_is_not_waited_for(stage: Stage) -> None:
    stage.fault("upload=unattested")
    stage.fault("integrity=disabled")
    report = stage.run(attestations="true")
    asked = "next try in"
    assert report.result == "failed"
    assert asked not in stage.printed


@pytest.mark.parametrize("fault", ["integrity=disabled", "integrity=404"])
def test_attestations_that_were_kept_are_not_called_lost(stage: Stage, fault: str) -> None:
    """They are switched off after the upload: the project page lists what is not served now."""
    stage.fault(fault)
    report = stage.run()
    assert report.result == "done", problem(report)
    assert "lists them, but does not serve them" in stage.printed
    assert "not confirmed in time" not in stage.printed
    assert "can be added" not in stage.printed
    assert all(file.attestations for file in report.files.values())


@pytest.mark.sample(1)
@pytest.mark.parametrize("fault", ["integrity=disabled", "integrity=404", "integrity=403"])
def test_but_who_requires_them_has_to_know(stage: Stage, fault: str) -> None:
    stage.fault(fault)
    report = stage.run(attestations="true")
    assert report.result == "failed"
    assert "2 files are public without attestations for now" in problem(report)
    assert "verify" in problem(report)
    assert all(file.attestations for file in report.files.values())
