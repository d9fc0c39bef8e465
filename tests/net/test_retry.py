"""Trying again: while it may pass, with waits that are told, up to an end that is kept."""

from __future__ import annotations

import itertools
import threading
import time

import pytest

from attested_publish.net.patience import Patience
from attested_publish.net.retry import GaveUp, persistently
from attested_publish.problems import UploadProblem, UploadRefused

SOON = Patience(1.0, first=0.05, longest=0.1)


def failing(times: int, **options: float) -> tuple[list[float], object]:
    """Return when each try was, and work that fails so often with what may pass."""
    tries: list[float] = []

    def work() -> str:
        tries.append(time.monotonic())
        if len(tries) <= times:
            raise UploadProblem(f"try {len(tries)}", may_pass=True, **options)
        return "done"

    return tries, work


def test_what_passes_is_tried_until_it_works_and_each_wait_is_told() -> None:
    tries, work = failing(2)
    told: list[str] = []
    assert persistently(work, SOON, told.append) == "done"
    assert len(tries) == 3
    assert len(told) == 2
    assert all("next try in 0 s, giving up at " in line for line in told)


def test_what_lasts_is_given_up_in_time() -> None:
    tries, work = failing(1000)
    started = time.monotonic()
    with pytest.raises(UploadProblem) as caught:
        persistently(work, SOON, lambda _: None)
    assert caught.value.title == f"try {len(tries)}", "the last one is raised"
    assert f"Tried {len(tries)} times in 1 s." in caught.value.detail
    assert len(tries) > 3
    assert time.monotonic() - started < SOON.seconds + 1


def test_a_try_that_would_come_after_the_end_is_not_waited_for() -> None:
    tries, work = failing(1000)
    with pytest.raises(UploadProblem):
        persistently(work, Patience(2.0, first=1.5, longest=1.5), lambda _: None)
    assert len(tries) == 2, "the third would come after three seconds"
    assert time.monotonic() - tries[-1] < 1


def test_what_cannot_pass_is_not_tried_again() -> None:
    told: list[str] = []
    tries = 0

    def work() -> None:
        nonlocal tries
        tries += 1
        raise UploadRefused("never")

    with pytest.raises(UploadRefused) as caught:
        persistently(work, SOON, told.append)
    assert (tries, told) == (1, [])
    assert "Tried" not in caught.value.detail


def test_a_mistake_of_ours_is_not_tried_again() -> None:
    tries = 0

    def work() -> None:
        nonlocal tries
        tries += 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        persistently(work, SOON, lambda _: None)
    assert tries == 1


def test_pauses_grow_up_to_the_longest() -> None:
    tries, work = failing(6)
    persistently(work, Patience(20.0, first=0.05, longest=0.2), lambda _: None)
    pauses = [after - before for before, after in itertools.pairwise(tries)]
    # 0.05, 0.1, 0.2, 0.2 and so on, each with up to 0.05 of jitter.
    for pause, least in zip(pauses, [0.05, 0.1, 0.2, 0.2, 0.2, 0.2], strict=True):
        assert pause >= least * 0.95


def test_what_the_other_side_asks_for_is_granted() -> None:
    tries, work = failing(1, retry_after=0.5)
    persistently(work, Patience(20.0, first=0.01, longest=0.02), lambda _: None)
    assert tries[1] - tries[0] >= 0.5


def test_what_the_other_side_asks_for_beyond_the_end_is_given_up_at_once() -> None:
    tries, work = failing(1, retry_after=3600.0)
    started = time.monotonic()
    with pytest.raises(UploadProblem):
        persistently(work, SOON, lambda _: None)
    assert len(tries) == 1
    assert time.monotonic() - started < 10


def test_whoever_waits_is_let_go_when_another_gives_up() -> None:
    tries, work = failing(1000, retry_after=30.0)
    given_up = GaveUp()
    threading.Timer(0.2, given_up.now).start()
    started = time.monotonic()
    with pytest.raises(UploadProblem, match="try 1"):
        persistently(work, Patience(60.0), lambda _: None, given_up)
    assert len(tries) == 1
    assert time.monotonic() - started < 5
