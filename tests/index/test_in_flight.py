"""Which file may start, given what is in flight: as values, without an index."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from attested_publish.distributions import Distribution, Kind
from attested_publish.index.contents import New
from attested_publish.index.in_flight import Limits, Order

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from attested_publish.index.in_flight import Release

SMALL = "sample-1.0-py3-none-win_amd64.whl"
LARGE = "sample-1.0-py3-none-any.whl"
LARGER = "sample-1.0-py2-none-any.whl"
SDIST = "sample-1.0.tar.gz"
OTHER = "other-2.0-py3-none-any.whl"
OTHER_SDIST = "other-2.0.tar.gz"

SIZES = {SMALL: 10, LARGE: 20, LARGER: 30, SDIST: 5, OTHER: 30, OTHER_SDIST: 5}

PYPI = Limits.asked_for(None, works_as_pypi=True)
ELSEWHERE = Limits.asked_for(None, works_as_pypi=False)


def distribution(folder: Path, name: str, size: int) -> Distribution:
    return Distribution(folder / name, folder / name, size, name)


def distributions(folder: Path, names: Sequence[str]) -> list[Distribution]:
    return [distribution(folder, name, SIZES[name]) for name in sorted(names)]


def started(
    order: Order, waiting: list[Distribution], in_flight: list[Distribution], limits: Limits
) -> list[Distribution]:
    """Start whatever may start; return that."""
    begun = []
    while (chosen := order.next(waiting, in_flight, limits)) is not None:
        waiting.remove(chosen)
        in_flight.append(chosen)
        begun.append(chosen)
    return begun


@pytest.mark.parametrize(
    ("names", "new_projects", "new_releases", "order"),
    [
        pytest.param(
            [SMALL, LARGE, LARGER, SDIST],
            ["sample"],
            ["sample"],
            [[SMALL], [LARGER, LARGE], [SDIST]],
            id="project",
        ),
        pytest.param(
            [SMALL, LARGE, SDIST], [], ["sample"], [[SMALL], [LARGE, SDIST]], id="release"
        ),
        pytest.param([SMALL, LARGE, SDIST], [], [], [[LARGE, SMALL], [SDIST]], id="nothing new"),
        pytest.param([SDIST], ["sample"], ["sample"], [[SDIST]], id="a new sdist alone"),
        pytest.param([SDIST, LARGE], [], ["sample"], [[LARGE], [SDIST]], id="a smaller sdist"),
        pytest.param(
            [SMALL, LARGE, SDIST, OTHER, OTHER_SDIST],
            ["sample", "other"],
            ["sample", "other"],
            [[OTHER], [SMALL], [LARGE, OTHER_SDIST, SDIST]],
            id="two projects, each created alone",
        ),
        pytest.param(
            [SMALL, LARGE, SDIST, OTHER, OTHER_SDIST],
            ["sample"],
            ["sample", "other"],
            [[SMALL], [OTHER, LARGE, SDIST], [OTHER_SDIST]],
            id="what creates a project comes first",
        ),
        pytest.param(
            [SMALL, LARGE, SDIST, OTHER, OTHER_SDIST],
            [],
            ["sample", "other"],
            [[OTHER, SMALL], [LARGE, OTHER_SDIST, SDIST]],
            id="new releases of projects that are there",
        ),
        pytest.param(
            [SMALL, LARGE, LARGER, OTHER_SDIST],
            [],
            ["other"],
            [[LARGER, LARGE], [SMALL, OTHER_SDIST]],
            id="an sdist that creates a release waits for the wheels of others",
        ),
        pytest.param(
            [SMALL, OTHER_SDIST],
            ["other"],
            ["other"],
            [[OTHER_SDIST], [SMALL]],
            id="an sdist that creates a project does not",
        ),
    ],
)
def test_what_goes_together_on_pypi(
    names: list[str],
    new_projects: list[str],
    new_releases: list[str],
    order: list[list[str]],
    tmp_path: Path,
) -> None:
    """All that may start do, then they end together, and so on."""
    files = distributions(tmp_path, names)
    new = New(
        frozenset(new_projects),
        frozenset(each.release for each in files if each.project in new_releases),
    )
    plan = Order.of(files, new)
    rounds = []
    while files:
        rounds.append(started(plan, files, [], PYPI))
        assert rounds[-1], "something may always start when nothing is in flight"
    assert [[each.filename for each in round_] for round_ in rounds] == order


def test_a_place_that_becomes_free_is_taken_at_once(tmp_path: Path) -> None:
    """Nothing waits for the end of all that began together."""
    waiting = distributions(tmp_path, [SMALL, LARGE, LARGER, SDIST])
    in_flight: list[Distribution] = []
    first, second = started(Order(), waiting, in_flight, PYPI)
    in_flight.remove(second)
    (third,) = started(Order(), waiting, in_flight, PYPI)
    assert (first.kind, third.kind) == (Kind.WHEEL, Kind.WHEEL)
    in_flight.remove(first)
    (last,) = started(Order(), waiting, in_flight, PYPI)
    assert last.filename == SDIST
    assert in_flight == [third, last], "a wheel in flight is none that waits"


@pytest.mark.parametrize(
    ("number", "works_as_pypi", "of_one", "of_many"),
    [
        (None, True, 2, 6),
        (1, True, 1, 1),
        (2, True, 2, 2),
        (16, True, 2, 16),
        (None, False, 2, 2),
        (1, False, 1, 1),
        (16, False, 16, 16),
    ],
)
def test_how_many_may_begin(
    number: int | None, works_as_pypi: bool, of_one: int, of_many: int, tmp_path: Path
) -> None:
    limits = Limits.asked_for(number, works_as_pypi=works_as_pypi)
    for projects, expected in ((1, of_one), (20, of_many)):
        waiting = [
            distribution(tmp_path, f"p{each % projects}-1.0-py3{each}-none-any.whl", 1)
            for each in range(40)
        ]
        assert len(started(Order(), waiting, [], limits)) == expected


def test_other_indexes_get_more_while_they_answer_well_and_half_after_trouble() -> None:
    release = ("sample", None)
    limits = ELSEWHERE
    numbers = []
    for _ in range(20):
        limits = limits.after_success(limits)
        numbers.append(limits.now)
    assert numbers == [*range(3, 17), *[16] * 6]
    numbers = []
    for _ in range(6):
        limits = limits.after_trouble(release, limits)
        numbers.append(limits.now)
    assert numbers == [8, 4, 2, 1, 1, 1]
    assert limits.after_success(limits).now == 2


def test_a_number_is_an_upper_bound() -> None:
    limits = Limits.asked_for(5, works_as_pypi=False)
    assert limits.after_success(limits).now == 5
    lower = limits.after_trouble(("sample", None), limits)
    assert lower.now == 2
    for _ in range(9):
        lower = lower.after_success(lower)
    assert lower.now == 5


def test_what_was_sent_together_is_one_trouble() -> None:
    """And what was sent before it is no sign that the trouble is over."""
    before = Limits.asked_for(16, works_as_pypi=False)
    lower = before.after_trouble(("sample", None), before)
    assert lower.after_trouble(("sample", None), before).now == 8
    assert lower.after_success(before).now == 8
    assert lower.after_success(lower).now == 9


def test_on_pypi_trouble_is_a_release_s_own() -> None:
    limits = PYPI.after_trouble(("sample", None), PYPI).after_success(PYPI)
    assert not limits.allow(("sample", None), [("sample", None)])
    assert limits.allow(("other", None), [("sample", None), ("other", None)])
    assert limits.now == PYPI.now
    assert limits.after_trouble(("sample", None), limits) is limits


@pytest.mark.parametrize("seed", range(300))
def test_the_rules_are_kept_for_any_release(seed: int, tmp_path: Path) -> None:
    """Files end in any order, some after trouble; each rule is checked for every start."""
    chance = random.Random(seed)
    files = some_files(chance, tmp_path)
    new = some_new(chance, files)
    order = Order.of(files, new)
    works_as_pypi = chance.random() < 0.6
    limits = Limits.asked_for(chance.choice([None, *range(1, 17)]), works_as_pypi=works_as_pypi)
    waiting, in_flight, ended = list(files), [], []
    troubled: set[Release] = set()
    while waiting or in_flight:
        wheels_waiting = any(each.kind is Kind.WHEEL for each in waiting)
        chosen = order.next(waiting, in_flight, limits)
        if chosen is not None:
            hold_to_the_rules(chosen, in_flight, ended, new, wheels_waiting=wheels_waiting)
            of_release = [each for each in in_flight if each.release == chosen.release]
            if works_as_pypi:
                assert len(of_release) < (1 if chosen.release in troubled else 2)
            assert len(in_flight) < limits.now <= limits.most <= 16
            waiting.remove(chosen)
            in_flight.append(chosen)
            continue
        assert in_flight, "something may always start when nothing is in flight"
        over = chance.choice(in_flight)
        if chance.random() < 0.1:
            limits = limits.after_trouble(over.release, limits)
            troubled.add(over.release)
        else:
            limits = limits.after_success(limits)
            in_flight.remove(over)
            ended.append(over)
    assert len(ended) == len(files)


def hold_to_the_rules(
    chosen: Distribution,
    in_flight: list[Distribution],
    ended: list[Distribution],
    new: New,
    *,
    wheels_waiting: bool,
) -> None:
    """Check what is independent of the limits when a file starts."""
    before = [*in_flight, *ended]
    is_first = not any(each.release == chosen.release for each in before)
    creates_project = chosen.project in new.projects and is_first and chosen.release in new.releases
    if creates_project:
        assert not in_flight
        assert all(each.project in new.projects for each in ended), "before existing projects"
    else:
        assert not (chosen.kind is Kind.SDIST and wheels_waiting)
    assert not any(
        each.project in new.projects and not any(done.release == each.release for done in ended)
        for each in in_flight
    ), "what creates a project goes alone"
    if chosen.release in new.releases and not is_first:
        assert any(each.release == chosen.release for each in ended), "the first file goes alone"


def some_files(chance: random.Random, folder: Path) -> list[Distribution]:
    names = set()
    for _ in range(chance.randint(1, 25)):
        stem = f"{chance.choice('abcde')}-{chance.choice(['1.0', '1.0', '1.0', '2.0'])}"
        tag = chance.choice(["", *(f"-py3{number}-none-any.whl" for number in range(12))])
        names.add(f"{stem}{tag}" if tag else f"{stem}.tar.gz")
    return [distribution(folder, name, chance.randint(1, 9)) for name in sorted(names)]


def some_new(chance: random.Random, files: list[Distribution]) -> New:
    projects = {each.project for each in files if chance.random() < 0.3}
    releases = {each.release for each in files if each.project in projects or chance.random() < 0.3}
    return New(frozenset(filter(None, projects)), frozenset(releases))
