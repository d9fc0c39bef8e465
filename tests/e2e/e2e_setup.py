"""A workflow that `setup --write` wrote publishes under act, to the embedded PyPI."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from attested_publish.setup import pins
from attested_publish.setup.pins import own_pin
from support.command import command
from support.e2e.act import ACT
from support.e2e.commands import finished
from support.e2e.world import secrets_in
from support.environment import without_a_job
from support.repositories import git, repository

PROGRAMS = Path(sys.executable).parent
REMOTE = "https://github.com/octo-org/sample-project"
COPY = """\
name: Stands in for an action that needs GitHub
description: It keeps the artifact in a folder.
runs:
  using: composite
  steps:
    - shell: bash
      run: {}
"""


PYPA = """\
name: Release
on:
  push:
    tags: ["v*"]
jobs:
  build:
    runs-on: ubuntu-latest
    permissions:
      contents: read
    steps:
      - uses: {checkout}
        with:
          persist-credentials: false
      - uses: {uv}
      - run: uv build
      - uses: {upload}
        with:
          name: dist
          path: dist
  publish: # the only job that may publish
    needs: build
    runs-on: ubuntu-latest
    environment: pypi
    permissions:
      id-token: write
    steps:
      - uses: {download}
        with:
          name: dist
          path: dist
      - name: Publish
        uses: pypa/gh-action-pypi-publish@release/v1 # as everybody
"""


def stand_in(folder, script):
    """An action that does what another one does, without GitHub."""
    repository(folder, {"action.yml": COPY.format(script)})
    return folder


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "pypa"])
def test_what_was_written_builds_rehearses_and_publishes(tmp_path, action, world, is_new):
    files = {"sample.py": '"""A sample."""\n'}
    if not is_new:
        files[".github/workflows/release.yml"] = PYPA.format(
            checkout=pins.CHECKOUT, uv=pins.SETUP_UV, upload=pins.UPLOAD, download=pins.DOWNLOAD
        )
    root = repository(tmp_path / "repository", files, REMOTE)
    done = command("setup", root, "--offline", "--write")
    assert done.returncode == 0, done.stdout + done.stderr
    workflow = root / ".github/workflows/release.yml"
    own = own_pin(offline=True)
    assert own is not None
    # Only where to publish, and in what: the real index is not for tests.
    text = workflow.read_text()
    text = text.replace("mode: rehearse", "mode: rehearse\n          runtime: python")
    where = ("repository-url: ${{ vars.INDEX }}", "sigstore-trust-config: ${{ vars.TRUST }}")
    inputs = "".join(f"          {line}\n" for line in (*where, "runtime: python"))
    workflow.write_text(f"{text}        with:\n{inputs}")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Release")
    git(root, "tag", "v1.0.0")
    kept = tmp_path / "kept"
    actions = {
        f"{own.action}@{own.commit}": action,
        f"{pins.SETUP_UV.action}@{pins.SETUP_UV.commit}": stand_in(
            tmp_path / "uv", f'echo "{PROGRAMS}" >> "$GITHUB_PATH"'
        ),
        f"{pins.UPLOAD.action}@{pins.UPLOAD.commit}": stand_in(
            tmp_path / "up", f"cp -R dist {kept}"
        ),
        f"{pins.DOWNLOAD.action}@{pins.DOWNLOAD.commit}": stand_in(
            tmp_path / "down", f"rm -rf dist && cp -R {kept} dist"
        ),
    }
    done = finished(
        *(str(ACT), "push", "--verbose", "--rm", "--pull=false", "--no-cache-server"),
        *("-W", ".github/workflows/release.yml", "-P", "ubuntu-latest=-self-hosted"),
        *(f"--local-repository={name}={path}" for name, path in actions.items()),
        *(f"--var=INDEX={world.upload_url}", f"--var=TRUST={world.trust_config}"),
        f"--secret=REQUEST_TOKEN={world.request_token}",
        *(f"--env={name}={value}" for name, value in world.request.items()),
        "--env=UV_NO_BUILD_ISOLATION=1",
        cwd=root,
        env=without_a_job()
        | {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stderr=subprocess.STDOUT,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    if is_new:
        assert re.search(r"rehears", done.stdout, re.IGNORECASE)
    else:
        assert "publish: # the only job that may publish" in text
        assert (
            text.replace(str(own), "pypa/gh-action-pypi-publish@release/v1")
            == files[".github/workflows/release.yml"]
        )
    assert set(world.verified("sample")) == {
        "sample-1.0.0-py3-none-any.whl",
        "sample-1.0.0.tar.gz",
    }
    assert secrets_in(done.stdout, world.request_token) == []
