"""Other indexes may let a file be replaced: whoever waives the checks has it sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from support.plain_index import OtherIndex, other
from support.releases import SDIST, WHEEL, problem

if TYPE_CHECKING:
    from support.releases import Stage

OLD = "0" * 64


class Overwriting(OtherIndex):
    """An index that takes a file whatever it has under that name."""

    def take(self, request):
        self.files.pop(request.files["content"].filename, None)
        return super().take(request)


def digest(stage: Stage, name: str) -> str:
    return hashlib.sha256((stage.folder / name).read_bytes()).hexdigest()


def test_by_default_the_release_stops(stage: Stage) -> None:
    index = Overwriting(files={WHEEL: OLD})
    with other(stage, index) as publisher:
        report = publisher.run()
    assert report.result == "refused"
    assert OLD in problem(report)
    assert index.files == {WHEEL: OLD}


def test_without_checks_it_is_replaced(stage: Stage) -> None:
    index = Overwriting(files={WHEEL: OLD})
    with other(stage, index) as publisher:
        report = publisher.run(verify_metadata="false")
    assert report.result == "done", publisher.printed
    assert index.files == {name: digest(stage, name) for name in (WHEEL, SDIST)}
    (finding,) = report.files[WHEEL].findings
    assert (finding.rule, finding.severity) == ("filename-taken", "warning")
    assert report.files[WHEEL].status == "uploaded"


def test_an_index_that_refuses_it_is_quoted(stage: Stage) -> None:
    index = OtherIndex(files={WHEEL: OLD})
    with other(stage, index) as publisher:
        report = publisher.run(verify_metadata="false")
    assert report.result == "refused"
    assert "already exists" in problem(report)


@pytest.mark.parametrize("checks", ["true", "false"])
def test_skipping_comes_first(stage: Stage, checks: str) -> None:
    index = Overwriting(files={WHEEL: OLD})
    with other(stage, index) as publisher:
        report = publisher.run(verify_metadata=checks, skip_existing="true")
    assert report.result == "done", publisher.printed
    assert index.files == {WHEEL: OLD, SDIST: digest(stage, SDIST)}
