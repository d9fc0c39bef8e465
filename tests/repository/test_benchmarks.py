"""What the benchmarks conclude from what they see; what they measure is no test."""

from __future__ import annotations

from typing import Any

import pytest
from chance import case_of
from measure import Cost, typical
from truth import Served, differences

RELEASE = {"a.whl": "11", "b.tar.gz": "22"}
A = {"a.whl": Served("11", frozenset({"11"}))}
BOTH = {**A, "b.tar.gz": Served("22", frozenset({"22"}))}


def report(a: str, b: str, result: str = "done") -> dict[str, Any]:
    return {
        "result": result,
        "problems": [] if result == "done" else [{"title": "..."}],
        "files": [
            {"filename": "a.whl", "sha256": "11", "status": a},
            {"filename": "b.tar.gz", "sha256": "22", "status": b},
        ],
    }


@pytest.mark.parametrize(
    ("told", "status", "before", "after"),
    [
        (report("uploaded", "uploaded"), 0, {}, BOTH),
        (report("already-there", "uploaded"), 0, A, BOTH),
        (report("uploaded", "not-attempted", "failed"), 1, {}, A),
        (report("not-attempted", "not-attempted", "failed"), 1, A, A),
        (report("failed", "not-attempted", "failed"), 1, {}, {}),
        (report("failed", "not-attempted", "failed"), 1, {}, A),
    ],
)
def test_a_true_report_differs_in_nothing(
    told: dict[str, Any], status: int, before: dict[str, Served], after: dict[str, Served]
) -> None:
    assert list(differences(told, status, RELEASE, before, after)) == []


@pytest.mark.parametrize(
    ("told", "status", "before", "after", "said"),
    [
        (None, 1, {}, {}, "no report"),
        (report("uploaded", "uploaded"), 0, {}, A, "b.tar.gz: reported as uploaded, and not"),
        (report("already-there", "uploaded"), 0, {}, BOTH, "which it was not"),
        (report("not-attempted", "failed", "failed"), 1, {}, A, "a.whl: reported as not-attempted"),
        (report("uploaded", "failed"), 0, {}, BOTH, "failed in a release that is done"),
        (report("uploaded", "uploaded"), 1, {}, BOTH, "the exit status is 1"),
        (report("already-there", "already-there"), 0, BOTH, A, "not served any more"),
        (
            report("uploaded", "uploaded"),
            0,
            {},
            {**BOTH, "a.whl": Served("11", frozenset())},
            "a.whl: served without its attestation",
        ),
        (
            report("uploaded", "uploaded"),
            0,
            {},
            {**BOTH, "a.whl": Served("33", frozenset({"33"}))},
            "a.whl: served with sha256 33",
        ),
    ],
)
def test_a_false_report_is_told(
    told: dict[str, Any] | None,
    status: int,
    before: dict[str, Served],
    after: dict[str, Served],
    said: str,
) -> None:
    assert said in "\n".join(differences(told, status, RELEASE, before, after))


def test_a_seed_gives_the_same_case_again_and_ends_in_peace() -> None:
    cases = [case_of(7, number) for number in range(100)]
    assert cases == [case_of(7, number) for number in range(100)]
    assert cases != [case_of(8, number) for number in range(100)]
    for case in cases:
        *disturbed, last = case.attempts
        assert all(attempt.faults or attempt.kill for attempt in disturbed)
        assert not last.faults
        assert last.kill is None


def test_medians_are_taken_of_each_figure() -> None:
    costs = [Cost(1.0, 9.0, 10), Cost(2.0, 1.0, 30), Cost(9.0, 2.0, 20)]
    assert typical(costs) == Cost(2.0, 2.0, 20)
    assert Cost(1.0, 1.0, 10) + Cost(2.0, 3.0, 5) == Cost(3.0, 4.0, 10)
