"""`verify --lock` with what takes a while to refuse: pipes, links, thousands of entries."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from support.action import outputs, run_action
from support.command import command
from support.dependencies import requirements
from support.environment import without_a_job
from support.filled import filled_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.dependencies import Releases
    from support.filled import Filled

pytestmark = pytest.mark.usefixtures("own_cache")

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such pipes")
SHA256 = "a" * 64


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    for version in ("1.0", "1.1"):
        releases.publish("alpha", version)


@needs_pipes
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("services", "--history"), "is empty"),
        (("services", "--registry"), "is empty"),
        (("rehearse", "--registry"), "is empty"),
        (("services", "--log"), "--log cannot be written"),
    ],
    ids=["history", "registry", "rehearse", "log"],
)
def test_a_pipe_at_whose_other_end_is_nobody(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = command(*arguments, pipe)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@needs_pipes
def test_a_report_into_a_pipe_that_nobody_reads(filled: Filled, tmp_path: Path) -> None:
    lock, pipe = tmp_path / "requirements.txt", tmp_path / "pipe"
    lock.write_text(requirements([filled.of("alpha", "1.1")]))
    os.mkfifo(pipe)
    done = command("verify", "--lock", lock, *filled.options, "--report", pipe)
    assert done.returncode == 0
    assert "The report could not be written" in done.stdout


def test_thousands_of_entries_of_one_project(filled: Filled, tmp_path: Path) -> None:
    """10,000 took 860 MB and minutes: each was compared with each."""
    for name, major in (("new.txt", 1), ("old.txt", 2)):
        lines = [f"alpha=={major}.{number} --hash=sha256:{SHA256}\n" for number in range(3000)]
        (tmp_path / name).write_text("".join(lines))
    started = time.process_time()
    status, report = filled.verify(
        tmp_path, "--lock", tmp_path / "new.txt", "--against", tmp_path / "old.txt"
    )
    assert time.process_time() - started < 15
    assert status == 1
    assert len(report["packages"]) == 3000


@pytest.mark.parametrize("name", ["lock", "against", "policy"])
def test_a_link_that_leads_out_of_the_workspace(filled: Filled, tmp_path: Path, name: str) -> None:
    """A pull request may have one: a log would quote what is no lock, such as a credential."""
    workspace, temp = tmp_path / "workspace", tmp_path / "runner"
    workspace.mkdir()
    temp.mkdir()
    (tmp_path / "credential").write_text("NOBODY MAY READ THIS\n")
    (workspace / "requirements.txt").write_text(requirements([filled.of("alpha", "1.1")]))
    (workspace / "linked").symlink_to("requirements.txt")
    (workspace / "escaping").symlink_to("../credential")
    values = {
        "mode": "verify",
        "repository-url": filled.index_url.replace("/simple/", "/legacy/"),
        "sigstore-trust-config": str(filled.trust),
        "lock": "linked",
    }
    step = {
        **without_a_job(),
        "NO_PROXY": "127.0.0.1",
        "GITHUB_ACTIONS": "true",
        "RUNNER_TEMP": str(temp),
        "GITHUB_OUTPUT": str(temp / "output"),
        "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
    }
    for given, expected in ((values, 0), ({**values, name: "escaping"}, 1)):
        inputs = {f"INPUT_{key.upper()}": value for key, value in given.items()}
        done = run_action({**step, **inputs}, cwd=workspace)
        assert done.returncode == expected, done.stdout + done.stderr
    assert "leads out of the workspace" in done.stdout
    assert "NOBODY" not in done.stdout + (temp / "summary.md").read_text(encoding="utf-8")
    assert outputs(step)["result"] == "failed"
