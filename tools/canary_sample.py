"""Build the release that the canary publishes: a tiny sdist and wheel with a version of today.

    python tools/canary_sample.py PROJECT FOLDER

It is built in FOLDER/dist. The same project and version give the same bytes. For
.github/workflows/canary.yml; docs/canary.md explains it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version
from source_date import source_date

from attested_publish.rehearsal.sample import Sample, build_sample

_HOME: Final = "https://github.com/attested-publish/attested-publish"
_MODULE: Final = "attested_publish_canary"
"""Whatever the project is called: its name need not be that of a module."""


def version_of(now: datetime, environment: Mapping[str, str]) -> str:
    """Return the version that a run publishes: YEAR.MONTH.DAY.RUN, and the attempt from 2 on.

    No two runs have the same, and a run whose jobs are all started again has another one. Outside
    a job the run is 0. Raises `ValueError` if the numbers in `environment` are none.
    """
    run = int(environment.get("GITHUB_RUN_NUMBER", "0"))
    attempt = int(environment.get("GITHUB_RUN_ATTEMPT", "1"))
    parts = [now.year, now.month, now.day, run, *([attempt] if attempt > 1 else [])]
    return str(Version(".".join(map(str, parts))))


def sample_of(project: str, version: str) -> Sample:
    """Return the canary's sample; raises `ValueError` for what is no name of a project."""
    try:
        canonicalize_name(project, validate=True)
    except InvalidName:
        raise ValueError(f"{project!r} is not the name of a project.") from None
    return Sample(
        name=project,
        version=version,
        description="The canary of attested-publish: a daily test, of no use to anybody.",
        readme=f"""\
# {project}

The canary of [attested-publish]({_HOME}). Its own workflow publishes this release to TestPyPI and
verifies it, to notice when TestPyPI, Sigstore or GitHub changes something. There is nothing in it
to install or to depend on.
""",
        module=_MODULE,
        code=f'"""Nothing: see {_HOME}."""\n',
    )


def built(project: str, version: str, folder: Path) -> Path:
    """Build the sample in `folder`, with the date of its version, and return its dist folder."""
    year, month, day = Version(version).release[:3]
    sample = sample_of(project, version)
    folder.mkdir(parents=True, exist_ok=True)
    with source_date(date(year, month, day)):
        return build_sample(folder, sample)


def main() -> None:
    """Build the sample of a project, and print what was built."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    try:
        version = version_of(datetime.now(UTC), os.environ)
        dist = built(options.project, version, options.folder)
    except ValueError as error:
        raise SystemExit(str(error)) from None
    for path in sorted(dist.iterdir()):
        print(path.name)


if __name__ == "__main__":
    main()
