"""The action's mode `verify`: on a pull request, what changed in who publishes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.action import outputs, run_action
from support.dependencies import pylock
from support.environment import without_a_job
from support.filled import filled_world
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.dependencies import Releases
    from support.filled import Filled

IDENTITY = ("-c", "user.email=a@example.org", "-c", "user.name=A")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    for name in ("same", "newer", "removed", "added"):
        for version in ("1.0", "1.1"):
            releases.publish(name, version)
    releases.publish("moved", "1.0", environment="pypi")
    releases.publish("moved", "2.0", "evil-org/moved")
    releases.publish("lost", "1.0")
    releases.publish("lost", "1.1", attested=False)


def old(filled: Filled) -> str:
    names = (
        ("same", "1.0"),
        ("newer", "1.0"),
        ("removed", "1.0"),
        ("moved", "1.0"),
        ("lost", "1.0"),
    )
    return pylock([filled.of(*each) for each in names])


def new(filled: Filled) -> str:
    names = (("same", "1.0"), ("newer", "1.1"), ("added", "1.1"), ("moved", "2.0"), ("lost", "1.1"))
    return pylock([filled.of(*each) for each in names])


def environment(filled: Filled, folder: Path, **inputs: str) -> dict[str, str]:
    temp = folder / "runner"
    temp.mkdir()
    values = {
        "mode": "verify",
        "repository-url": filled.index_url.replace("/simple/", "/legacy/"),
        "sigstore-trust-config": str(filled.trust),
        **inputs,
    }
    return {
        **without_a_job(),
        "NO_PROXY": "127.0.0.1",
        "GITHUB_ACTIONS": "true",
        "RUNNER_TEMP": str(temp),
        "GITHUB_OUTPUT": str(temp / "output"),
        "GITHUB_STEP_SUMMARY": str(temp / "summary.md"),
        **{f"INPUT_{name.upper()}": value for name, value in values.items()},
    }


def test_what_changed(filled: Filled, tmp_path: Path) -> None:
    lock, against = tmp_path / "pylock.toml", tmp_path / "pylock.old.toml"
    lock.write_text(new(filled))
    against.write_text(old(filled))
    step = environment(filled, tmp_path, lock=str(lock), against=str(against))
    done = run_action(step)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr

    given = outputs(step)
    assert given["result"] == "refused"
    report = json.loads(Path(given["report"]).read_text(encoding="utf-8"))
    assert report["mode"] == "verify"
    assert {package["name"] for package in report["packages"]} == {
        *("same", "newer", "added", "moved", "lost")
    }

    text = (tmp_path / "runner" / "summary.md").read_text(encoding="utf-8")
    rows = {
        cells[1].strip().removeprefix("**").partition("**")[0]: [each.strip() for each in cells[1:]]
        for line in text.splitlines()
        if len(cells := line.split("|")) == 5
    }
    assert rows["moved"][0].endswith("publisher changed")
    assert "octo-org/moved" in rows["moved"][1]
    assert "environment pypi" in rows["moved"][1]
    assert "<https://github.com/evil-org/moved>" in rows["moved"][2]
    assert rows["lost"][0].endswith("attestation lost")
    assert rows["lost"][2] == "1.1<br>not attested"
    assert rows["added"][0].endswith("added")
    assert rows["removed"][0].endswith("removed")
    assert "octo-org/removed" in rows["removed"][1]
    assert rows["newer"][0].endswith("same publisher")
    assert rows["newer"][1] == "1.0"
    assert "same" not in rows
    # What was found comes first.
    assert text.index("**publisher-changed**") < text.index("What changed in who publishes")
    # It is annotated once, at its line.
    assert "::warning" not in done.stdout

    wanted = next(
        number
        for number, line in enumerate(lock.read_text().splitlines(), 1)
        if "moved-2.0" in line
    )
    (annotation,) = re.findall(r"::error title=moved[^\n]*", done.stdout)
    assert f"line={wanted}" in annotation
    assert "file=" in annotation


def test_wrong_inputs(filled: Filled, tmp_path: Path) -> None:
    done = run_action(environment(filled, tmp_path))
    assert done.returncode == 2
    assert "lock is empty" in done.stdout


def test_inputs_of_another_mode(filled: Filled, tmp_path: Path) -> None:
    done = run_action(environment(filled, tmp_path, mode="check", policy="publishers.toml"))
    assert done.returncode == 2
    assert "policy is for mode verify only" in done.stdout


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def origin(filled: Filled, tmp_path: Path) -> tuple[Path, str]:
    """A repository with a pull request; give the merge commit that GitHub makes of it."""
    folder = tmp_path / "origin"
    (folder / "locks").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "locks" / "pylock.toml").write_text(old(filled))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "old")
    git(folder, "checkout", "-qb", "feature")
    (folder / "locks" / "pylock.toml").write_text(new(filled))
    git(folder, "commit", "-qam", "new")
    git(folder, "checkout", "-q", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "meanwhile")
    git(folder, "checkout", "-q", "--detach")
    git(folder, "merge", "-q", "--no-ff", "-m", "merge", "feature")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    return folder, git(folder, "rev-parse", "HEAD")


def checked_out(origin: tuple[Path, str], folder: Path, depth: int) -> Path:
    """Check out as actions/checkout does for a pull request."""
    clone = folder / "clone"
    clone.mkdir()
    git(clone, "init", "-q")
    git(clone, "remote", "add", "origin", f"file://{origin[0]}")
    git(
        clone, "fetch", "-q", f"--depth={depth}", "origin", f"{origin[1]}:refs/remotes/pull/1/merge"
    )
    git(clone, "checkout", "-q", "refs/remotes/pull/1/merge")
    return clone


@pytest.mark.skipif(os.name == "nt", reason="the launcher is tested elsewhere there")
@pytest.mark.parametrize("depth", [1, 2])
def test_a_pull_request_is_compared_with_its_base(
    filled: Filled, origin: tuple[Path, str], tmp_path: Path, depth: int
) -> None:
    clone = checked_out(origin, tmp_path, depth)
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "core.sshCommand"):
        git(clone, "config", name, str(program))
    step = environment(filled, tmp_path, lock="locks/pylock.toml") | {
        "GITHUB_BASE_REF": "main",
        "GITHUB_SHA": origin[1],
        "ATTESTED_PUBLISH_RUNTIME": "python",
        "ATTESTED_PUBLISH_PYTHON": sys.executable,
    }
    done = subprocess.run(
        ["bash", str(ROOT / "launch.sh"), "publish"],
        cwd=clone,
        env={**step, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert not ran.exists()
    text = (tmp_path / "runner" / "summary.md").read_text(encoding="utf-8")
    if depth == 1:
        assert "fetch-depth: 2" in done.stdout
        assert "What changed in who publishes" not in text
    else:
        assert "What changed in who publishes" in text
        assert "in the base branch" in text
        assert "| **moved**<br>" in text
        assert "file=locks/pylock.toml" in done.stdout
