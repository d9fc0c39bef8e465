"""The action in mode `verify` on pull requests, and the example workflows with it, run whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from support.e2e.pull_request import PullRequest
from support.e2e.world import running_world
from support.paths import ROOT

_EXAMPLES = ROOT / "docs" / "examples"


def history():
    def by(repository, environment=""):
        return {"repository": repository, "environment": environment}

    releases = [
        (name, version, by(f"octo-org/{name}"))
        for name in ("same", "newer", "removed", "added")
        for version in ("1.0", "1.1")
    ]
    releases += [
        ("moved", "1.0", by("octo-org/moved", "pypi")),
        ("moved", "2.0", by("evil-org/moved")),
        ("lost", "1.0", by("octo-org/lost")),
        ("lost", "1.1", None),
    ]
    keys = ("project", "version", "publisher")
    return {"releases": [dict(zip(keys, each, strict=True)) for each in releases]}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    file = folder / "history.json"
    file.write_text(json.dumps(history()))
    with running_world(folder / "export", "--history", str(file)) as world:
        yield world


def locked(world, folder, *pins):
    """Return the lock that uv makes of a project with these dependencies."""
    folder.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "album"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f"dependencies = {json.dumps(list(pins))}\n"
        f'[[tool.uv.index]]\nname = "embedded"\nurl = "{world.index_url}"\ndefault = true\n'
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
    subprocess.run(
        [sys.executable, "-m", "uv", "lock", "--quiet", "--no-cache", "--python", sys.executable],
        cwd=folder,
        env=environment | {"NO_PROXY": "127.0.0.1"},
        check=True,
    )
    return (folder / "uv.lock").read_text()


OLD = ("same==1.0", "newer==1.0", "removed==1.0", "moved==1.0", "lost==1.0")
NEW = ("same==1.0", "newer==1.1", "added==1.1", "moved==2.0", "lost==1.1")


def test_first(world, action, machine, default_image, tmp_path):
    text = (_EXAMPLES / "dependency-review.yml").read_text()
    text = text.replace(
        "          lock: uv.lock\n",
        "          lock: uv.lock\n          repository-url: ${{ vars.INDEX }}\n          sigstore-trust-config: ${{ vars.TRUST }}\n",
    )
    pull = PullRequest(
        tmp_path,
        {
            "uv.lock": locked(world, tmp_path / "old", *OLD),
            ".github/workflows/dependency-review.yml": text,
        },
        {"uv.lock": locked(world, tmp_path / "new", *NEW)},
    )
    done = pull.review("dependency-review", world, action, machine)
    print(done.log)
    assert 0
