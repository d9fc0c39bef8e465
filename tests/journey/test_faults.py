"""Faults at every endpoint: a complete release, or a problem that says where and why.

Whatever happens, what is on the index is what the report says.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from support.makers import make_wheel
from support.releases import ENDPOINTS, deadlines, problem, staged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from attested_publish.report import Report
    from support.releases import Stage

PASSING = (
    *("refuse*1", "reset*1", "lost*1", "hang*1", "slow:0.3", "garbage*1"),
    *("500*1", "502*2", "503*3", "429*1", "429:0.2*2"),
)
LASTING = ("503", "refuse", "garbage")
STAGES = {
    "identity": "identity",
    "audience": "token",
    "mint": "token",
    "certificate": "signatures",
    "log": "signatures",
    "upload": "upload",
}


def tell_the_truth(stage: Stage, report: Report) -> None:
    """Hold the report against what a plain client finds on the index."""
    stage.world.faults.clear()
    served = stage.served()
    for name, file in report.files.items():
        is_served = file.status in {"uploaded", "already-there"}
        assert (name in served) == is_served, (name, file.status, stage.printed)
        if is_served:
            digest = hashlib.sha256((stage.folder / name).read_bytes()).hexdigest()
            assert served[name]["hashes"]["sha256"] == digest
    assert "Traceback" not in stage.printed
    assert "unexpected" not in stage.printed.replace("gave an unexpected answer", "").replace(
        "the-index-gave-an-unexpected-answer", ""
    )


def _pairs(kinds: Sequence[str]) -> Iterator[Any]:
    """Each kind at two endpoints, and at all others in the slow tests."""
    for number, kind in enumerate(kinds):
        quick = {ENDPOINTS[(number + turn) % len(ENDPOINTS)] for turn in (0, 4)}
        for endpoint in ENDPOINTS:
            marks = [] if endpoint in quick else pytest.mark.slow
            yield pytest.param(endpoint, kind, marks=marks)


# A success that says nothing is no reason to send a file again: see below.
@pytest.mark.sample(8)
@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [each for each in _pairs(PASSING) if each.values != ("upload", "garbage*1")],
)
def test_what_passes_does_not_stop_a_release(dist: Path, endpoint: str, kind: str) -> None:
    if endpoint == "identity" and kind == "hang*1":
        kind = "hang:1*1"  # it is given 30 s
    with staged(dist) as stage:
        stage.deadlines = deadlines(6.0, answer=0.5)
        stage.fault(f"{endpoint}={kind}")
        report = stage.run()
        assert report.result == "done", stage.printed
        assert {file.status for file in report.files.values()} == {"uploaded"}
        tell_the_truth(stage, report)
        assert all(file["provenance"] for file in stage.served().values())
        tokens = stage.world.index.issued_tokens
        # The answers of these never arrived, so that nobody knows what to revoke.
        lost = 1 if endpoint == "mint" and kind in {"lost*1", "reset*1"} else 0
        assert sum(not token.is_revoked for token in tokens) <= lost


@pytest.mark.sample(3)
@pytest.mark.parametrize(("endpoint", "kind"), [*_pairs(LASTING)])
def test_what_lasts_is_named_with_its_stage_and_cause(dist: Path, endpoint: str, kind: str) -> None:
    with staged(dist) as stage:
        stage.deadlines = deadlines(0.6, answer=0.5)
        stage.fault(f"{endpoint}={kind}")
        report = stage.run()
        if endpoint in STAGES:
            is_seen_afterwards = endpoint == "upload" and kind == "garbage"
            expected = "confirmation" if is_seen_afterwards else STAGES[endpoint]
            assert report.problems[0].stage == expected, problem(report)
            assert report.result == "failed"
            assert words_of(endpoint, kind) in problem(report), problem(report)
        elif endpoint == "simple":
            # It is not known what is there: where tokens are exchanged as on PyPI, there are pages.
            assert report.result == "failed"
            assert report.problems[0].stage == "index", problem(report)
            assert not stage.world.index.issued_tokens
        else:
            assert report.result == "done"
            assert ("not confirmed in time" in stage.printed) == (endpoint == "integrity")
            assert ("left to expire" in stage.printed) == (endpoint == "burn")
        tell_the_truth(stage, report)


def words_of(endpoint: str, kind: str) -> str:
    if kind == "refuse":
        return "closed"
    if kind == "503":
        return "503"
    if endpoint == "identity":
        return "without a token"
    if endpoint == "upload":
        return "but with a web page"
    if endpoint == "log":
        return "not JSON"
    return {
        "audience": "without an audience",
        "mint": "without a token",
        "certificate": "not JSON",
    }[endpoint]


@pytest.mark.sample(6)
@pytest.mark.parametrize(
    ("fault", "stage_name", "words"),
    [
        ("simple=digest", "confirmation", "other bytes"),
        ("integrity=provenance", "confirmation", "wrong provenance"),
        ("upload=403*1", "upload", "403"),
        ("upload=400", "upload", "400"),
        ("mint=422", "token", "422"),
        ("mint=403", "token", "403"),
        ("audience=403", "token", "403"),
        ("audience=404", "token", "not support trusted publishing"),
        ("audience=html", "token", "without an audience"),
        ("identity=403", "identity", "403"),
        ("certificate=400", "signatures", "400"),
        ("log=400", "signatures", "400"),
        ("upload=html", "confirmation", "may not have been stored"),
        ("upload=413", "upload", "413"),
    ],
)
def test_what_is_final_is_not_tried_again(
    dist: Path, fault: str, stage_name: str, words: str
) -> None:
    with staged(dist) as stage:
        stage.deadlines = deadlines(1.0, answer=0.5)
        stage.fault(fault)
        report = stage.run()
        assert report.result != "done"
        assert report.problems[0].stage == stage_name, problem(report)
        assert words in problem(report)
        if stage_name != "confirmation":
            assert "next try in" not in stage.printed
        tell_the_truth(stage, report)


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [("certificate", "certificate authority"), ("log", "transparency log")],
)
def test_a_part_of_sigstore_that_cannot_be_reached_is_named(
    dist: Path, endpoint: str, service: str
) -> None:
    with staged(dist) as stage:
        stage.deadlines = deadlines(0.6, answer=0.5)
        stage.fault(f"{endpoint}=refuse")
        told = problem(stage.run())
    assert f"No answer from Sigstore's {service}" in told
    assert "closed" in told


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", ["html", "garbage"])
def test_what_something_in_between_answers_is_not_taken_for_an_upload(
    stage: Stage, kind: str
) -> None:
    """Nor is the file sent again to find out."""
    stage.fault(f"upload={kind}*1")
    report = stage.run()
    assert report.result == "failed"
    assert "may not have been stored" in problem(report)
    tell_the_truth(stage, report)


def test_a_lost_answer_is_recognised_by_the_bytes(stage: Stage) -> None:
    stage.fault("upload=lost*1")
    report = stage.run()
    assert report.result == "done"
    assert "could not be sent" not in stage.printed
    assert "next try in" in stage.printed
    tell_the_truth(stage, report)


def test_a_wait_says_what_failed_and_when_it_ends(stage: Stage) -> None:
    stage.fault("log=502*1")
    stage.run()
    (line,) = (line for line in stage.printed.splitlines() if "next try in" in line)
    assert "transparency log" in line
    assert "answered 502" in line
    assert "giving up at" in line


def test_after_a_final_refusal_none_is_tried_again(dist: Path) -> None:
    """One wheel is refused for good while the others wait for another try."""
    for minor in range(8, 14):
        make_wheel(dist, tag=f"cp3{minor}-cp3{minor}-win_amd64")
    with staged(dist) as stage:
        stage.run()
        for minor in range(8, 14):
            make_wheel(dist, version="1.1", tag=f"cp3{minor}-cp3{minor}-win_amd64")
        stage.deadlines = deadlines(30.0)
        # The first file goes alone; of the next two, one waits when the other is refused.
        stage.fault("upload=slow:0.01*1")
        stage.fault("upload=429:20*1")
        stage.fault("upload=403*1")
        started = time.monotonic()
        report = stage.run()
        assert report.result == "refused"
        assert time.monotonic() - started < 15, "the others did not wait for their turn"
        tell_the_truth(stage, report)


def test_a_file_that_has_arrived_after_all_takes_no_patience_from_the_next(stage: Stage) -> None:
    """The first one's answer is lost and the patience with it ends; it is there all the same."""
    stage.fault("upload=lost*1")
    # At its second try the index does not say whether it is there, and then wants much time.
    stage.fault("simple=slow:0*1")
    stage.fault("simple=503*1")
    stage.fault("upload=503:60*1")
    # The next file.
    stage.fault("upload=503*1")
    report = stage.run()
    assert report.result == "done", problem(report)
    tell_the_truth(stage, report)


@pytest.mark.slow
def test_short_lives_are_renewed_in_the_middle_of_a_release(tmp_path: Path) -> None:
    """60 files, API tokens that live 3 s, identities that live 5 s, slow uploads."""
    for number in range(60):
        make_wheel(tmp_path, tag=f"py3{number}-none-any")
    with staged(
        tmp_path,
        token_lifetime=3.0,
        identity_lifetime=5.0,
        certificate_lifetime=4.0,
        latency={"upload": 0.6, "log": 0.3},
    ) as stage:
        stage.deadlines = deadlines(20.0, answer=10.0)
        report = stage.run(parallel_uploads="6")
        assert report.result == "done", stage.printed
        assert len(stage.served()) == 60
        assert len(stage.world.index.issued_tokens) > 2
        tell_the_truth(stage, report)


def test_an_expired_token_is_renewed_when_the_index_says_so(dist: Path) -> None:
    """The index forgets to say when the token ends, or its clock is ahead."""
    with staged(dist) as stage:
        stage.fault("mint=expires:0*1")
        report = stage.run()
        assert report.result == "done", stage.printed
        assert len(stage.world.index.issued_tokens) == 2
