"""Build this project's sdist, and its wheel from the sdist: the same bytes every time.

    python tools/build_distributions.py FOLDER

The backend is the one in requirements/runtime.txt; nothing is fetched. Times in the archives are
the date of the newest release in CHANGELOG.md, so that anyone can build a release again from its
commit and compare the digests (docs/verifying-this-action.md).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

from changelog import of_this_project
from flit_core import buildapi
from source_date import source_date

ROOT: Final = Path(__file__).parents[1]

_EARLIEST: Final = dt.date(1980, 1, 1)
"""The earliest date that a wheel, which is a zip file, can have."""


def build(folder: Path) -> tuple[Path, Path]:
    """Build into a folder, which is made if it is missing; return the sdist and the wheel."""
    folder.mkdir(parents=True, exist_ok=True)
    day = max((section.date for section in of_this_project() if section.date), default=_EARLIEST)
    with source_date(day):
        with contextlib.chdir(ROOT):
            sdist = folder / buildapi.build_sdist(str(folder))
        with tempfile.TemporaryDirectory() as unpacked:
            with tarfile.open(sdist) as archive:
                # Python has filters from 3.11.4 on; Debian 12 has 3.11.2.
                if hasattr(tarfile, "data_filter"):
                    archive.extraction_filter = tarfile.data_filter
                archive.extractall(unpacked)
            with contextlib.chdir(Path(unpacked, sdist.name.removesuffix(".tar.gz"))):
                wheel = folder / buildapi.build_wheel(str(folder))
    return sdist, wheel


def main() -> None:
    """Build them."""
    (folder,) = sys.argv[1:]
    for path in build(Path(folder).absolute()):
        print(path)


if __name__ == "__main__":
    main()
