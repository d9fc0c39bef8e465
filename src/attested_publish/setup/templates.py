"""The workflow that is written where nothing publishes yet."""

from __future__ import annotations

import re
import shlex

from attested_publish.net.untrusted import shown
from attested_publish.setup import pins
from attested_publish.setup.projects import Project, Projects

_FOLDER = re.compile(r"\w[\w./-]*", re.ASCII)
_HEAD = """\
# Written by `attested-publish setup`. To release: push a tag such as v1.0.0.
# Register on PyPI: this repository, this file's name, the environment pypi.
name: {title}

on:
  push:
    tags: ["v*"]
  pull_request:

permissions: {{}}

concurrency:
  group: {group}-${{{{ github.ref }}}}
  cancel-in-progress: false

jobs:
"""

_PREPARED = f"""\
      - uses: {pins.CHECKOUT}
        with:
          persist-credentials: false
      - uses: {pins.SETUP_UV}
        with:
          version: "{pins.UV}"
          enable-cache: false
"""

_BUILD = """\
  build:
    name: Build and rehearse
    runs-on: ubuntu-latest
    permissions:
      contents: read # to check out
    steps:
{prepared}{build}      # A PyPI and a Sigstore that exist only while the step runs.
      - uses: {own}
        with:
          mode: rehearse
      - uses: {upload}
        with:
          name: dist
          path: dist

"""

_SDIST = """\
  sdist:
    name: Source distribution
    runs-on: ubuntu-latest
    permissions:
      contents: read # to check out
    steps:
{prepared}      - run: uv build --sdist{folder}
      - uses: {upload}
        with:
          name: dist-sdist
          path: dist

"""

_CIBUILDWHEEL = """\
  wheels:
    name: Wheels on ${{{{ matrix.os }}}}
    runs-on: ${{{{ matrix.os }}}}
    permissions:
      contents: read # to check out
    strategy:
      matrix:
        os: [ubuntu-latest, ubuntu-24.04-arm, macos-latest, windows-latest]
    steps:
{prepared}      - run: uvx cibuildwheel@{version} --output-dir dist{package}
      - uses: {upload}
        with:
          name: dist-${{{{ matrix.os }}}}
          path: dist

"""

_MATURIN = """\
  wheels:
    name: Wheels on ${{{{ matrix.os }}}}
    runs-on: ${{{{ matrix.os }}}}
    permissions:
      contents: read # to check out
    strategy:
      matrix:
        include:
          # Zig links against an old C library, for manylinux.
          - {{ os: ubuntu-latest, options: --zig }}
          - {{ os: ubuntu-24.04-arm, options: --zig }}
          - {{ os: macos-latest, options: "" }}
          - {{ os: windows-latest, options: "" }}
    steps:
{prepared}      - run: uvx --from "$MATURIN" maturin build --release --out dist{manifest} $OPTIONS
        shell: bash
        env:
          MATURIN: maturin[zig]=={version}
          OPTIONS: ${{{{ matrix.options }}}}
      - uses: {upload}
        with:
          name: dist-${{{{ matrix.os }}}}
          path: dist

"""

_REHEARSE = """\
  rehearse:
    name: Rehearse
    needs: [wheels, sdist]
    runs-on: ubuntu-latest
    permissions: {{}}
    steps:
      - uses: {download}
        with:
          pattern: dist-*
          path: dist
      # A PyPI and a Sigstore that exist only while the step runs.
      - uses: {own}
        with:
          mode: rehearse

"""

_PUBLISH = """\
  publish:
    name: Publish
    needs: {needs}
    if: startsWith(github.ref, 'refs/tags/')
    runs-on: ubuntu-latest
    environment: pypi
    permissions:
      id-token: write # to prove the identity of this job
    steps:
      - uses: {download}
        with:
{artifacts}          path: dist
      - uses: {own}
"""


def new_workflow(projects: Projects, own: str, name: str) -> str:
    """Return the text of a workflow, called `name`, that builds, rehearses and publishes.

    `own` is what uses this action, with its comment. What is built decides the jobs: wheels for
    every platform with one build, or one for each platform, by maturin or cibuildwheel.
    """
    head = _HEAD.format(title="Release" if name == "release" else "Publish to PyPI", group=name)
    main = next(iter(projects.found), Project("", None))
    is_one = len(projects.found) <= 1
    wheels = _wheels(main) if is_one else None
    if wheels is None:
        jobs = _BUILD.format(
            prepared=_PREPARED, build=_build_steps(projects), own=own, upload=pins.UPLOAD
        )
        needs, artifacts = "build", "          name: dist\n"
    else:
        folder = f" {shlex.quote(main.folder)} --out-dir dist" if main.folder else ""
        jobs = wheels + _SDIST.format(prepared=_PREPARED, folder=folder, upload=pins.UPLOAD)
        jobs += _REHEARSE.format(download=pins.DOWNLOAD, own=own)
        needs, artifacts = "rehearse", "          pattern: dist-*\n"
    publish = _PUBLISH.format(needs=needs, download=pins.DOWNLOAD, artifacts=artifacts, own=own)
    return head + jobs + publish


def why_not_to_build(projects: Projects) -> str:
    """Return why no workflow can be written that builds these projects; empty if one can."""
    for project in projects.found:
        if project.folder and not _FOLDER.fullmatch(project.folder):
            name = shown(project.folder, 100)
            return f"the folder {name!r} has characters that a script may read differently"
    platforms = [each for each in projects.found if _wheels(each) is not None]
    if platforms and len(projects.found) > 1:
        where = shown(platforms[0].folder or "the top", 100)
        return (
            f"of several projects, the one in {where} needs wheels for every platform; write the "
            "workflow by hand, as in docs/examples/many-wheels.yml"
        )
    return ""


def _wheels(project: Project) -> str | None:
    """Return the job that builds wheels for platforms; `None` if one wheel is for all."""
    folder = shlex.quote(project.folder)
    if project.backend == "maturin":
        manifest = f" --manifest-path {folder}/Cargo.toml" if project.folder else ""
        return _MATURIN.format(
            prepared=_PREPARED, version=pins.MATURIN, manifest=manifest, upload=pins.UPLOAD
        )
    if project.uses_cibuildwheel or project.is_compiled:
        package = f" {folder}" if project.folder else ""
        return _CIBUILDWHEEL.format(
            prepared=_PREPARED, version=pins.CIBUILDWHEEL, package=package, upload=pins.UPLOAD
        )
    return None


def _build_steps(projects: Projects) -> str:
    if len(projects.found) <= 1 or projects.has_main:
        folder = next((each.folder for each in projects.found), "")
        where = f" {shlex.quote(folder)} --out-dir dist" if folder and not projects.has_main else ""
        return f"      - run: uv build{where}\n"
    lines = [
        f"          uv build {shlex.quote(each.folder)} --out-dir dist\n" for each in projects.found
    ]
    return "      - run: |\n" + "".join(lines)
