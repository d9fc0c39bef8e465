"""Doing the same with many things at once: how many, in whose threads, and how it ends."""

from __future__ import annotations

import threading
import time

import pytest

from attested_publish.net.parallel import Pace, in_parallel, meanwhile
from attested_publish.problems import UploadProblem


@pytest.mark.parametrize("threads", [1, 3, 8])
def test_no_more_at_once_than_asked_for_and_as_many(threads: int) -> None:
    """Each waits until as many are at it; one more would be counted."""
    together = threading.Barrier(threads)
    at_it = 0
    most = 0
    lock = threading.Lock()

    def work(item: int) -> int:
        nonlocal at_it, most
        with lock:
            at_it += 1
            most = max(most, at_it)
        together.wait(20)
        time.sleep(0.02)
        with lock:
            at_it -= 1
        return item * item

    items = range(threads * 3)
    assert sorted(in_parallel(work, items, threads=threads)) == [(n, n * n) for n in items]
    assert most == threads


def test_results_come_as_they_are_ready() -> None:
    is_slow_one_free = threading.Event()

    def work(item: str) -> str:
        if item == "slow":
            assert is_slow_one_free.wait(20)
        return item

    found = in_parallel(work, ["slow", "fast"], threads=2)
    assert next(found) == ("fast", "fast")
    is_slow_one_free.set()
    assert list(found) == [("slow", "slow")]


def test_nothing_to_do_is_done() -> None:
    assert list(in_parallel(str, [], threads=4)) == []


def test_each_thread_begins_once() -> None:
    are_all_there = threading.Barrier(3)
    begun: list[int] = []
    worked: set[int] = set()

    def begin() -> None:
        begun.append(threading.get_ident())
        are_all_there.wait(20)

    def work(_: int) -> None:
        worked.add(threading.get_ident())

    list(in_parallel(work, range(40), threads=3, begin=begin))
    assert len(set(begun)) == len(begun) == 3
    assert worked <= set(begun)
    assert threading.get_ident() not in begun


def test_after_a_failure_those_in_flight_are_finished_and_no_other_is_begun() -> None:
    begun: list[int] = []
    has_failed = threading.Event()
    are_two_at_it = threading.Barrier(2)

    def work(item: int) -> int:
        begun.append(item)
        are_two_at_it.wait(20)
        if item == 0:
            has_failed.set()
            raise UploadProblem("the first")
        assert has_failed.wait(20)
        # So that the failure is noted before this one is finished.
        time.sleep(0.2)
        return item

    done: list[tuple[int, int]] = []
    with pytest.raises(UploadProblem, match="the first"):
        # What came before the failure is kept.
        done.extend(in_parallel(work, range(9), threads=2))
    assert sorted(begun) == [0, 1]
    assert done == [(1, 1)]


def test_when_the_caller_stops_asking_nothing_is_waited_for() -> None:
    begun: list[int] = []
    is_over = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item:
            is_over.wait(20)
        return item

    found = in_parallel(work, range(9), threads=2)
    assert next(found) == (0, 0)
    started = time.monotonic()
    found.close()
    assert time.monotonic() - started < 5
    is_over.set()
    time.sleep(0.2)
    assert len(begun) <= 3, "no further one is begun"


def test_an_interruption_of_one_thread_is_raised_to_the_caller() -> None:
    def work(_: int) -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        list(in_parallel(work, [1, 2], threads=2))


def test_work_in_the_background_gives_its_result_or_its_error() -> None:
    is_free = threading.Event()
    later = meanwhile(lambda: is_free.wait(20))
    with pytest.raises(TimeoutError):
        later(0.01)
    is_free.set()
    assert later() is True

    def fail() -> None:
        raise UploadProblem("no")

    with pytest.raises(UploadProblem, match="no"):
        meanwhile(fail)()


def test_a_pace_lets_through_so_many_a_period() -> None:
    waits: list[float] = []
    pace = Pace(3, 60.0)
    for _ in range(7):
        pace.wait(waits.append)
    assert waits[:3] == [0.0, 0.0, 0.0]
    assert waits[3:6] == pytest.approx([60.0] * 3, abs=1.0)
    assert waits[6] == pytest.approx(120.0, abs=1.0), "the turns that were given count"


def test_a_pace_is_shared_by_threads() -> None:
    waits: list[float] = []
    pace = Pace(2, 60.0)
    list(in_parallel(lambda _: pace.wait(waits.append), range(6), threads=6))
    assert sorted(round(wait, -1) for wait in waits) == [0, 0, 60, 60, 120, 120]


def test_a_pace_keeps_its_period() -> None:
    """Real waits: five at two in 0.3 s take two periods, and no more than they need."""
    pace = Pace(2, 0.3)
    started = time.monotonic()
    times = []
    for _ in range(5):
        pace.wait(time.sleep)
        times.append(time.monotonic() - started)
    assert times[1] < 0.25
    assert times[2] >= 0.3
    assert times[4] >= 0.6
