"""Text from others gives no orders: neither to a terminal nor to a runner, on either stream."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from support.action import ACTION, job
from support.environment import without_a_job
from support.hostile_peers import Answering, response
from support.makers import make_wheel
from support.orders import OUR_ORDERS, obeyed, orders_in

if TYPE_CHECKING:
    from support.releases import Stage

pytestmark = pytest.mark.sample(3)


ORDER = "owned by somebody\r::error::owned\r\n##[error]owned\n ::add-mask::owned \x1b[31m\u202e"
UNPRINTABLE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e]")


def told(command: list[str] | tuple[str, ...], environment: dict[str, str]) -> tuple[int, str, str]:
    """Run a command; return its exit status and what it wrote to both streams, as it is."""
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def is_tame(stdout: str, stderr: str, orders: set[str]) -> None:
    for text in (stdout, stderr):
        assert not UNPRINTABLE.search(
            text.replace("\r\n", "\n") if sys.platform == "win32" else text
        )
    assert orders_in(stdout) <= orders, obeyed(stdout)
    assert not any(re.match(r"\s*::[\w-]+::\s*owned", line) for line in obeyed(stdout))
    assert not obeyed(stderr)


def options_of(environment: dict[str, str]) -> list[str]:
    """The inputs of a step as options of the command; the last is the folder."""
    given = {
        name.removeprefix("INPUT_").lower(): value
        for name, value in environment.items()
        if name.startswith("INPUT_") and name != "INPUT_PASSWORD"
    }
    folder = given.pop("packages-dir")
    return [*(f"--{name}={value}" for name, value in given.items()), folder]


def run_front(front: str, environment: dict[str, str]) -> tuple[int, str, str]:
    if front == "action":
        return told(ACTION, environment)
    command = [sys.executable, "-m", "attested_publish", "publish", *options_of(environment)]
    outside = {
        **without_a_job(),
        "NO_PROXY": "127.0.0.1",
        "ATTESTED_PUBLISH_PASSWORD": environment.get("INPUT_PASSWORD", ""),
    }
    return told(command, outside)


@pytest.mark.sample(2)
@pytest.mark.parametrize("front", ["action", "command"])
@pytest.mark.parametrize("kind", ["text/plain", "text/html", "application/json"])
def test_what_an_index_answers(stage: Stage, front: str, kind: str) -> None:
    """Verbose, so that everything is told, also what libraries log."""
    escaped = ORDER.replace("\r", "\\r").replace("\n", "\\n").replace("\x1b", "\\u001b")
    body = f'{{"message": "{escaped}"}}' if kind == "application/json" else ORDER
    refusal = response(
        body.encode(),
        status="400 owned ::error::owned ##[error]owned \x1b[31m",
        kind=kind,
        X_Hint="##[error]owned",
    )
    with Answering({"/legacy/": refusal}) as index:
        environment = job(
            *(stage.world, stage.folder),
            repository_url=f"{index.url}/legacy/",
            password="pypi-of-nobody",
            verbose="true",
        )
        status, stdout, stderr = run_front(front, environment)
    assert status == 1, stdout
    assert "owned" in stdout, "it is told"
    is_tame(stdout, stderr, OUR_ORDERS if front == "action" else set())


@pytest.mark.slow
@pytest.mark.parametrize("front", ["action", "command"])
def test_what_an_index_answers_before_an_upload(stage: Stage, front: str) -> None:
    """To the first question already, and with a status that sends elsewhere."""
    moved = response(
        ORDER.encode(), status="302 ##[error]owned", Location="/owned\x0b::error::owned"
    )
    page = response(ORDER.encode(), status="503 ::error::owned ##[error]owned")
    with Answering({"/legacy/": moved, "/simple/sample/": page}) as index:
        environment = job(
            *(stage.world, stage.folder),
            repository_url=f"{index.url}/legacy/",
            password="pypi-of-nobody",
            verbose="true",
        )
        status, stdout, stderr = run_front(front, environment)
    assert status == 1, stdout
    is_tame(stdout, stderr, OUR_ORDERS if front == "action" else set())


@pytest.mark.sample(1)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
@pytest.mark.parametrize("front", ["action", "command"])
def test_the_name_of_a_file(stage: Stage, front: str) -> None:
    made = make_wheel(stage.folder)
    made.rename(stage.folder / f"{ORDER.replace('/', '')}-1.0-py3-none-any.whl")
    environment = job(stage.world, stage.folder, verbose="true")
    status, stdout, stderr = run_front(front, environment)
    assert status == 1, stdout
    assert "owned" in stdout
    is_tame(stdout, stderr, OUR_ORDERS if front == "action" else set())


def test_what_is_in_a_file(stage: Stage) -> None:
    """It is the judges who read it, and they have streams of their own."""
    make_wheel(stage.folder, metadata={"Classifier": "::error::owned ##[error]owned \x1b[31m"})
    status, stdout, stderr = run_front("action", job(stage.world, stage.folder, verbose="true"))
    assert status == 1, stdout
    assert "owned" in stdout
    is_tame(stdout, stderr, OUR_ORDERS)


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\x85", "\u2028"])
def test_what_cannot_be_used_is_told_on_standard_error(end: str) -> None:
    command = [sys.executable, "-m", "attested_publish", "publish"]
    options = [f"--attestations=x{end}::error::owned", f"--confirm=x{end}##[error]owned"]
    status, stdout, stderr = told([*command, *options], without_a_job())
    assert status == 2
    assert not stdout
    assert "owned" in stderr
    is_tame(stdout, stderr, set())
