"""The order of uploads: the first file of a release alone, then wheels, then sdists."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from typing import TYPE_CHECKING

import pytest

from attested_publish.distributions import Distribution
from attested_publish.index.contents import New
from attested_publish.index.upload import upload_order
from support.makers import make_sdist, make_wheel
from support.releases import deadlines, staged

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SMALL = "sample-1.0-py3-none-win_amd64.whl"
LARGE = "sample-1.0-py3-none-any.whl"
SDIST = "sample-1.0.tar.gz"
OTHER = "other-2.0-py3-none-any.whl"
OTHER_SDIST = "other-2.0.tar.gz"

SIZES = {SMALL: 10, LARGE: 20, SDIST: 5, OTHER: 30, OTHER_SDIST: 5}


def distributions(folder: Path, names: Sequence[str]) -> list[Distribution]:
    return [
        Distribution(folder / name, folder / name, SIZES[name], name, name, name)
        for name in sorted(names)
    ]


@pytest.mark.parametrize(
    ("names", "new_projects", "new_releases", "order"),
    [
        pytest.param(
            [SMALL, LARGE, SDIST], ["sample"], ["sample"], [[SMALL], [LARGE], [SDIST]], id="project"
        ),
        pytest.param(
            [SMALL, LARGE, SDIST], [], ["sample"], [[SMALL], [LARGE], [SDIST]], id="release"
        ),
        pytest.param([SMALL, LARGE, SDIST], [], [], [[LARGE, SMALL], [SDIST]], id="nothing new"),
        pytest.param([SDIST], ["sample"], ["sample"], [[SDIST]], id="a new sdist alone"),
        pytest.param([SDIST, LARGE], [], ["sample"], [[LARGE], [SDIST]], id="a smaller sdist"),
        pytest.param(
            [SMALL, LARGE, SDIST, OTHER, OTHER_SDIST],
            ["sample", "other"],
            ["sample", "other"],
            [[OTHER], [SMALL], [LARGE], [OTHER_SDIST, SDIST]],
            id="two projects, each created alone",
        ),
        pytest.param(
            [SMALL, LARGE, SDIST, OTHER, OTHER_SDIST],
            ["sample"],
            ["sample", "other"],
            [[SMALL], [OTHER], [LARGE], [OTHER_SDIST, SDIST]],
            id="what creates a project comes first",
        ),
        pytest.param(
            [SMALL, LARGE, SDIST, OTHER, OTHER_SDIST],
            [],
            ["sample", "other"],
            [[OTHER, SMALL], [LARGE], [OTHER_SDIST, SDIST]],
            id="new releases of projects that are there",
        ),
    ],
)
def test_what_goes_together(
    names: list[str],
    new_projects: list[str],
    new_releases: list[str],
    order: list[list[str]],
    tmp_path: Path,
) -> None:
    files = distributions(tmp_path, names)
    new = New(
        frozenset(new_projects),
        frozenset(each.release for each in files if each.project in new_releases),
    )
    batches = upload_order(files, new)
    assert [[each.filename for each in batch] for batch in batches] == order


def times_of_arrival(served: dict[str, dict[str, str]]) -> dict[str, float]:
    """When the index had each file, in seconds, in that order."""
    times = {
        name: dt.datetime.fromisoformat(file["upload-time"]).timestamp()
        for name, file in served.items()
    }
    return dict(sorted(times.items(), key=lambda item: item[1]))


def test_a_new_release_in_the_index(tmp_path: Path) -> None:
    """The index takes its time, so that a file sent beside another arrives soon after it."""
    seconds = 0.8
    make_sdist(tmp_path)
    smallest = make_wheel(tmp_path, tag="py39-none-any")
    for number in range(4):
        data = {"sample/data.bin": random.Random(number).randbytes(9000)}
        make_wheel(tmp_path, tag=f"py3{number}-none-any", extra_files=data)
    assert smallest.stat().st_size == min(path.stat().st_size for path in tmp_path.glob("*.whl"))
    with staged(tmp_path, latency={"upload": seconds}) as stage:
        stage.deadlines = deadlines(20.0, answer=10.0)
        report = stage.run(parallel_uploads="4", confirm="false")
        assert report.result == "done", stage.printed
        times = times_of_arrival(stage.served())
    names = list(times)
    assert names[0] == smallest.name
    assert names[-1] == SDIST
    gaps = [after - before for before, after in itertools.pairwise(times.values())]
    assert gaps[0] >= seconds * 0.9, "the first file went alone"
    assert gaps[-1] >= seconds * 0.9, "no sdist went beside a wheel"
    assert sum(gaps[1:-1]) < seconds * 3, "the other wheels went several at a time"


def test_an_sdist_waits_for_the_wheels_of_all_projects(tmp_path: Path) -> None:
    """Also where a release is completed, and nothing is new."""
    make_wheel(tmp_path, tag="py39-none-any")
    make_wheel(tmp_path, name="other", tag="py39-none-any")
    with staged(tmp_path) as stage:
        assert stage.run(confirm="false").result == "done"
        before = set(stage.served()) | set(stage.served("other"))
        for name in ("sample", "other"):
            make_sdist(tmp_path, name=name)
            make_wheel(tmp_path, name=name)
        assert stage.run(parallel_uploads="4", confirm="false").result == "done", stage.printed
        times = times_of_arrival(stage.served() | stage.served("other"))
    added = [name for name in times if name not in before]
    assert {name.endswith(".whl") for name in added[:2]} == {True}
    assert {name.endswith(".tar.gz") for name in added[2:]} == {True}
