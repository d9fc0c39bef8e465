"""Uploads with twine: in which order, how many at a time, and what trouble changes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from werkzeug.wrappers import Response

from attested_publish.index.index import Dialect
from attested_publish.index.upload import Outcome
from attested_publish.problems import UploadProblem, UploadRefused
from support.counting_index import OK, CountingIndex, Told, all_new, send, until_together
from support.makers import make_sdist, make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.sample(3)


SDIST = "sample-1.0.tar.gz"


def make_wheels(folder: Path, number: int, name: str = "sample") -> list[str]:
    return [make_wheel(folder, name, tag=f"py3{each}-none-any").name for each in range(number)]


def failing(status: int, times: int, *, only: str = "") -> Callable[[str, int], Response]:
    """Answer the first `times` files with this status, once each."""
    failed: set[str] = set()

    def answer(filename: str, before: int) -> Response:
        if before == 0 and filename.startswith(only) and len(failed) < times:
            failed.add(filename)
            return Response("no", status)
        return OK

    return answer


def test_a_new_release_on_pypi(tmp_path: Path) -> None:
    """The smallest wheel first and alone, then two at a time, the sdist last."""
    make_sdist(tmp_path)
    smallest = make_wheel(tmp_path, tag="py39-none-any")
    for number in range(5):
        data = {"sample/data.bin": random.Random(number).randbytes(9000)}
        make_wheel(tmp_path, tag=f"py3{number}-none-any", extra_files=data)
    index = CountingIndex(until=lambda index, _: index.most() == 2 or len(index.sent) == 1)
    told = send(tmp_path, index, Dialect.PYPI, new=all_new)
    assert set(told.done.values()) == {Outcome.UPLOADED}
    assert sorted(told.done) == sorted(index.filenames) == sorted(told.begun)
    assert index.filenames[0] == smallest.name
    assert told.begun[-1] == SDIST
    assert index.most() == 2
    assert all(smallest.name in each.after for each in index.sent[1:]), "the first file went alone"
    assert (told.waits, told.failed) == ([], {})


@pytest.mark.parametrize("number", [3, 16])
def test_a_number_does_not_change_that(number: int, tmp_path: Path) -> None:
    make_wheels(tmp_path, 7)
    index = CountingIndex(until=until_together(2))
    send(tmp_path, index, Dialect.PYPI, number)
    assert index.most() == 2


def test_one_at_a_time_is_possible(tmp_path: Path) -> None:
    make_wheels(tmp_path, 4)
    index = CountingIndex(seconds=0.05, answer=failing(500, 1))
    told = send(tmp_path, index, Dialect.PYPI, 1)
    assert index.most() == 1
    assert not any("one at a time" in line for line in told.waits), "nothing changes"


def test_an_sdist_is_started_when_no_wheel_waits_but_beside_the_last(tmp_path: Path) -> None:
    """Of all projects; nothing waits for what is in flight alone."""
    for name in ("sample", "other"):
        make_sdist(tmp_path, name)
        make_wheels(tmp_path, 3, name)
    index = CountingIndex(
        until=lambda index, name: (
            len(index.sent) != 6 or index.sent[5].filename != name or not name.endswith(".whl")
        )
    )
    told = send(tmp_path, index, Dialect.PYPI, 3)
    is_wheel = [name.endswith(".whl") for name in told.begun]
    assert is_wheel == [True] * 6 + [False] * 2
    sdist = next(each for each in index.sent if each.filename.endswith(".tar.gz"))
    assert any(name.endswith(".whl") for name in sdist.beside)


@pytest.mark.parametrize(("number", "most"), [(None, 6), (3, 3), (16, 8)])
def test_several_projects_share_the_number(number: int | None, most: int, tmp_path: Path) -> None:
    for name in ("one", "two", "three", "four"):
        make_wheels(tmp_path, 4, name)
    index = CountingIndex(until=until_together(most))
    send(tmp_path, index, Dialect.PYPI, number)
    assert index.most() == most
    assert index.most_of_a_release() == 2


def test_first_files_of_several_releases_go_together(tmp_path: Path) -> None:
    for name in ("one", "two", "three", "four"):
        make_wheels(tmp_path, 3, name)
    index = CountingIndex(until=until_together(4))
    send(tmp_path, index, Dialect.PYPI, new=all_new)
    assert len({name.partition("-")[0] for name in index.filenames[:4]}) == 4
    assert len(index.sent[3].beside) == 3
    assert index.most_of_a_release() == 2


@pytest.mark.parametrize("status", [500, 502, 503])
def test_after_an_error_of_pypi_a_release_goes_on_one_at_a_time(
    status: int, tmp_path: Path
) -> None:
    """Also with what failed: nothing is sent again beside another file. Other releases go on."""
    make_wheels(tmp_path, 7)
    make_wheels(tmp_path, 9, "other")
    index = CountingIndex(seconds=0.2, answer=failing(status, 2, only="sample"))
    told = send(tmp_path, index, Dialect.PYPI)
    assert set(told.done.values()) == {Outcome.UPLOADED}
    of_sample = [each for each in index.sent if each.filename.startswith("sample")]
    assert [each.status for each in of_sample] == [status, status, *[200] * 7]
    for each in of_sample[2:]:
        assert not any(name.startswith("sample") for name in each.beside), each
    of_other = [each for each in index.sent if each.filename.startswith("other")]
    assert any("other" in name for each in of_other[4:] for name in each.beside)
    lines = [line for line in told.waits if "one at a time" in line]
    assert len(lines) == 1, "it is told once"
    assert "the files of sample 1.0 are uploaded one at a time" in lines[0]
    assert "could not accept sample-1.0" in lines[0]


def test_the_first_file_of_a_release_may_be_the_one_with_the_error(tmp_path: Path) -> None:
    make_wheels(tmp_path, 4)
    index = CountingIndex(answer=failing(500, 1))
    told = send(tmp_path, index, Dialect.PYPI, new=all_new)
    assert index.most() == 1
    assert index.filenames[0] == index.filenames[1]
    assert len(told.done) == 4


def test_other_indexes_begin_with_two_and_get_more_while_they_answer_well(tmp_path: Path) -> None:
    make_wheels(tmp_path, 40)
    index = CountingIndex(seconds=0.3)
    send(tmp_path, index, Dialect.OTHER)
    assert [len(each.beside) for each in index.sent[:2]] == [0, 1]
    assert all(each.after for each in index.sent[2:]), "no third before an answer"
    for each in index.sent:
        assert len(each.beside) + 1 <= 2 + len(each.after), "one more for each good answer"
    assert 5 <= index.most() <= 16


@pytest.mark.parametrize("status", [429, 500, 503])
def test_other_indexes_get_half_after_trouble(status: int, tmp_path: Path) -> None:
    make_wheels(tmp_path, 24)
    index = CountingIndex(answer=failing(status, 8), until=until_together(8))
    told = send(tmp_path, index, Dialect.OTHER, 8)
    assert len(told.done) == 24
    assert [each.status for each in index.sent[:8]] == [status] * 8
    assert index.most() == 8
    for each in index.sent[8:]:
        good = max(0, len(each.after) - 8)
        assert len(each.beside) + 1 <= 4 + good, "four, and one more for each good answer"


def test_a_new_release_elsewhere_begins_alone_too(tmp_path: Path) -> None:
    make_wheels(tmp_path, 6)
    index = CountingIndex(until=lambda index, _: len(index.sent) in {1, 6})
    send(tmp_path, index, Dialect.OTHER, 6, new=all_new)
    assert [len(each.beside) for each in index.sent[:2]] == [0, 0]
    assert index.most() == 5


def test_after_a_refusal_nothing_is_started_and_what_is_in_flight_is_reported(
    tmp_path: Path,
) -> None:
    wheels = make_wheels(tmp_path, 9)
    refused = wheels[2]
    index = CountingIndex(
        answer=lambda name, _: Response("no", 400) if name == refused else OK, seconds=0.3
    )
    told = Told()
    with pytest.raises(UploadRefused) as caught:
        send(tmp_path, index, Dialect.OTHER, 4, told=told)
    assert caught.value.file == refused
    assert list(told.failed) == [refused]
    assert sorted(told.done) == sorted(set(index.filenames) - {refused})
    assert len(index.sent) <= 7, "no more than were in flight, and took the places of others"
    assert len(told.begun) == len(index.sent)


def test_each_that_fails_is_reported_with_what_is_known_of_it(tmp_path: Path) -> None:
    """Several may fail at once: one got 429, so it is not there; of the other nobody knows."""
    busy, broken = make_wheels(tmp_path, 2)
    index = CountingIndex(answer=lambda name, _: Response("no", 429 if name == busy else 500))
    told = Told()
    with pytest.raises(UploadProblem):
        send(tmp_path, index, Dialect.OTHER, 2, seconds=0.5, told=told)
    assert {name: each.may_have_arrived for name, each in told.failed.items()} == {
        busy: False,
        broken: True,
    }


@pytest.mark.parametrize(
    ("statuses", "may_have_arrived"),
    [
        ([429, 429], False),
        ([503, 400], False),
        ([500, 429], True),
        ([502, 400], True),
        ([504, 503], True),
        ([400], False),
        ([302], False),
    ],
)
def test_an_earlier_try_may_have_arrived(
    statuses: list[int], may_have_arrived: bool, tmp_path: Path
) -> None:
    (wheel,) = make_wheels(tmp_path, 1)
    index = CountingIndex(
        seconds=0, answer=lambda _, before: Response("no", statuses[min(before, len(statuses) - 1)])
    )
    told = Told()
    with pytest.raises(UploadProblem):
        send(tmp_path, index, Dialect.OTHER, seconds=0.5, told=told)
    assert told.failed[wheel].may_have_arrived is may_have_arrived
