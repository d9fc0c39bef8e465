"""Small projects to publish for a try, built by a real build backend (flit)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flit_core.sdist import SdistBuilder
from flit_core.wheel import make_wheel_in

if TYPE_CHECKING:
    from pathlib import Path

SAMPLE_PROJECT = "attested-publish-rehearsal"


@dataclass(frozen=True)
class Sample:
    """What a sample project says of itself, and its only module."""

    name: str
    version: str
    description: str
    readme: str
    module: str
    code: str

    def files(self) -> dict[str, str]:
        """Return the texts of the project's files by name."""
        return {
            "pyproject.toml": f"""\
[build-system]
requires = ["flit_core>=4.0,<5"]
build-backend = "flit_core.buildapi"

[project]
name = "{self.name}"
version = "{self.version}"
description = "{self.description}"
readme = "README.md"
requires-python = ">=3.11"
license = "MIT"
classifiers = ["Programming Language :: Python :: 3"]

[tool.flit.module]
name = "{self.module}"
""",
            "README.md": self.readme,
            f"{self.module}.py": self.code,
        }


REHEARSAL = Sample(
    name=SAMPLE_PROJECT,
    version="1.0.0",
    description="A sample release that was never meant to leave this machine.",
    readme=f"""\
# {SAMPLE_PROJECT}

Published to an embedded index, to see the whole journey before the real one.
""",
    module=SAMPLE_PROJECT.replace("-", "_"),
    code='''\
"""A sample module."""


def applause() -> str:
    """Say what a rehearsal ends with."""
    return "It was only a rehearsal."
''',
)


def build_sample(folder: Path, sample: Sample = REHEARSAL) -> Path:
    """Build the sample's sdist and wheel in a subfolder of `folder`, and return that subfolder."""
    project = folder / sample.name
    dist = folder / "dist"
    for each in (project, dist):
        each.mkdir()
    for name, text in sample.files().items():
        # With the same line ends everywhere: they are part of what is built.
        (project / name).write_text(text, encoding="utf-8", newline="\n")
    make_wheel_in(project / "pyproject.toml", dist)
    SdistBuilder.from_ini_path(project / "pyproject.toml").build(dist)
    return dist
