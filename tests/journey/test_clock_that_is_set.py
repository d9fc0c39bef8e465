"""A clock that is set while a release is published, as machines do that have just started."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.action import ACTION, Outcome, job, outcome_of, run_action
from support.makers import make_wheel
from support.paths import TESTS
from support.releases import staged

if TYPE_CHECKING:
    from support.releases import Stage

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="it takes a C compiler"
)

HOUR = 3700
DAY = 90_000


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("clock") / "clock.so"
    source = TESTS / "support" / "clock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", made, source], check=True)
    return made


@dataclass
class Clock:
    """A clock of its own for whoever runs in its environment."""

    library: Path
    file: Path

    def set(self, seconds: int) -> None:
        """Set it to so many seconds ahead of the real one."""
        with self.file.open("r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))

    @property
    def environment(self) -> dict[str, str]:
        return {"LD_PRELOAD": str(self.library), "CLOCK_FILE": str(self.file)}


@pytest.fixture
def clock(library: Path, tmp_path: Path) -> Clock:
    clock = Clock(library, tmp_path / "clock")
    clock.set(0)
    return clock


def published(stage: Stage, clock: Clock, changes: dict[str, int]) -> Outcome:
    """Publish, and set the clock as each of these stages begins."""
    environment = job(stage.world, stage.folder)
    with subprocess.Popen(
        ACTION,
        env={**environment, **clock.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith("::group::"):
                changed = changes.get(line.removeprefix("::group::").partition(":")[0])
                if changed is not None:
                    clock.set(changed)
    return outcome_of(process.wait(), "".join(printed), environment)


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "changes",
    [
        {"upload": HOUR, "confirmation": 0},
        {"upload": -DAY, "confirmation": DAY},
        {"verification": HOUR},
        {"upload": HOUR},
        {"confirmation": -HOUR},
    ],
    ids=str,
)
def test_a_release_that_is_signed_is_published(
    dist: Path, clock: Clock, changes: dict[str, int]
) -> None:
    make_wheel(dist, tag="cp312-cp312-win_amd64")
    with staged(dist, latency={"upload": 0.2, "log": 0.1}) as stage:
        stage.fault("upload=503*1")
        outcome = published(stage, clock, changes)
        assert outcome.status == 0, outcome.log
        assert all(file["provenance"] for file in stage.served().values())
        assert len(stage.served()) == 3
        assert len(stage.world.index.issued_tokens) == 1, "no age of a token has changed"
        assert all(0 <= spent < 60 for spent in outcome.report["seconds"].values())


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("ahead", "says"),
    [(HOUR, r"The job's identity token ended \d+ minutes ago"), (-30, "only begins in 1 minute")],
)
def test_a_clock_that_is_wrong_is_what_the_problem_says(
    dist: Path, clock: Clock, ahead: int, says: str
) -> None:
    with staged(dist) as stage:
        clock.set(0)
        outcome = published(stage, clock, {"identity": ahead})
        assert outcome.status == 1, outcome.log
        (problem,) = outcome.report["problems"]
        assert "by this machine's clock" in problem["detail"]
        assert re.search(says, problem["detail"]), problem
        assert "If this clock is wrong, set it." in problem["remedy"]
        assert not stage.served()
        assert run_action(job(stage.world, dist)).returncode == 0, "with a right clock"


def test_how_long_was_tried_does_not_depend_on_it(dist: Path, clock: Clock) -> None:
    with staged(dist) as stage:
        stage.fault("certificate=503*1")
        outcome = published(stage, clock, {"signatures": -HOUR})
        assert "Tried" in outcome.log
        assert "-" not in outcome.log.partition("Tried ")[2].partition(" s.")[0]
