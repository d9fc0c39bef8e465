"""A small project to rehearse with, built by a real build backend (flit)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flit_core.sdist import SdistBuilder
from flit_core.wheel import make_wheel_in

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE_PROJECT = "attested-publish-rehearsal"

_FILES = {
    "pyproject.toml": f"""\
[build-system]
requires = ["flit_core>=4.0,<5"]
build-backend = "flit_core.buildapi"

[project]
name = "{SAMPLE_PROJECT}"
version = "1.0.0"
description = "A sample release that was never meant to leave this machine."
readme = "README.md"
requires-python = ">=3.11"
license = "MIT"
classifiers = ["Programming Language :: Python :: 3"]
""",
    "README.md": f"""\
# {SAMPLE_PROJECT}

Published to an embedded index, to see the whole journey before the real one.
""",
    f"{SAMPLE_PROJECT.replace('-', '_')}.py": '''\
"""A sample module."""


def applause() -> str:
    """Say what a rehearsal ends with."""
    return "It was only a rehearsal."
''',
}


def build_sample(folder: Path) -> Path:
    """Build the sample's sdist and wheel in a subfolder of `folder`, and return that subfolder."""
    project = folder / SAMPLE_PROJECT
    dist = folder / "dist"
    for each in (project, dist):
        each.mkdir()
    for name, text in _FILES.items():
        (project / name).write_text(text, encoding="utf-8")
    make_wheel_in(project / "pyproject.toml", dist)
    SdistBuilder.from_ini_path(project / "pyproject.toml").build(dist)
    return dist
