"""An index that is not PyPI, on this machine: no trusted publishing, words of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.checkout import digests
from support.plain_index import PASSWORD, OtherIndex, other
from support.releases import SDIST, WHEEL, problem, staged

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage


@pytest.mark.parametrize("speaks_json", [True, False])
def test_it_gets_the_files_and_no_attestations(stage: Stage, *, speaks_json: bool) -> None:
    index = OtherIndex(speaks_json=speaks_json)
    with other(stage, index) as publisher:
        report = publisher.run()
    assert report.result == "done", publisher.printed
    assert {file.status for file in report.files.values()} == {"uploaded"}
    assert index.files == digests(stage.folder)
    assert not any("attestations" in fields for fields in index.fields)
    assert not [asked for asked in index.asked if "oidc" in asked], "the password is enough"
    assert PASSWORD not in publisher.printed


def test_a_second_run_sends_nothing(stage: Stage) -> None:
    index = OtherIndex()
    with other(stage, index) as publisher:
        publisher.run()
        index.asked.clear()
        report = publisher.run()
    assert report.result == "done"
    assert {file.status for file in report.files.values()} == {"already-there"}
    assert not [asked for asked in index.asked if asked.startswith("POST")]


@pytest.mark.parametrize("taken", [400, 409])
def test_a_name_that_is_taken(stage: Stage, taken: int) -> None:
    """Without its page nobody knows which bytes are there, and it is not passed over."""
    index = OtherIndex(speaks_json=False, taken=taken, files={WHEEL: "other bytes"})
    with other(stage, index) as publisher:
        report = publisher.run(confirm="false")
        assert report.result == "refused"
        assert "already exists" in problem(report)
        assert index.files[WHEEL] == "other bytes"
        skipped = publisher.run(skip_existing="true", confirm="false")
    assert skipped.result == "done", publisher.printed
    assert index.files.keys() == {WHEEL, SDIST}


def test_a_wrong_password(stage: Stage) -> None:
    index = OtherIndex()
    with other(stage, index) as publisher:
        report = publisher.run(password="of-nobody")
    assert report.result == "refused"
    assert "answered 403" in problem(report)
    assert not index.files
    assert index.asked.count("POST /legacy/") == 1, "not tried again"


def test_without_a_password_it_is_told_that_one_is_needed(stage: Stage) -> None:
    index = OtherIndex()
    with other(stage, index) as publisher:
        report = publisher.run(password="", user="__token__")
    assert report.result == "failed"
    assert "password" in problem(report)
    assert not index.files
    assert not stage.world.index.issued_tokens


def test_the_index_of_the_rehearsal_is_not_meant(stage: Stage, tmp_path: Path) -> None:
    """Two indexes of one run, on one machine: each is treated as what it is."""
    index = OtherIndex()
    with other(stage, index) as publisher, staged(stage.folder) as real:
        assert publisher.run().result == "done", publisher.printed
        assert real.run().result == "done", real.printed
    assert index.files.keys() == {WHEEL, SDIST}
    assert len(real.world.index.issued_tokens) == 1
