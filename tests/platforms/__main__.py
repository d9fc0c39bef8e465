"""`make test` in Debian: on each of its Pythons, or on one under several clocks."""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys

from platforms.clocks import NOW, ZONES, Clock, clock
from platforms.debian import PYTHONS, debian_with
from support.e2e.packages import installed


def main() -> int:
    """Return 1 if the tests fail anywhere."""
    parser = argparse.ArgumentParser(prog="platforms", description=__doc__)
    parser.add_argument("--pythons", nargs="+", choices=PYTHONS, default=["3.14"])
    parser.add_argument(
        *("--clocks",), nargs="+", type=clock, default=[NOW], help="such as +400d or 2028-02-29"
    )
    parser.add_argument("--tests", default="", help="some of the tests, as in `make TESTS=… test`")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        parser.error("this needs root on Debian")
    failed = []
    with installed("mmdebstrap", "mmdebstrap"):
        for python in arguments.pythons:
            failed += _failed(python, arguments.clocks, arguments.tests)
    for each in failed:
        print(f"Failed: {each}", file=sys.stderr)
    return 1 if failed else 0


def _failed(python: str, clocks: list[Clock], tests: str) -> list[str]:
    failed = []
    with debian_with(python) as debian:
        # Under the real date: indexes have certificates that end.
        if debian.make(".venv/dev") != 0:
            return [f"Python {python}: its packages cannot be installed"]
        for each, zone in zip(clocks, itertools.cycle(ZONES), strict=False):
            where = f"Python {python}, {debian.language}, {each.described()}, {zone}"
            print(where, flush=True)
            debian.set_clock(each)
            if debian.make("test", f"TESTS={tests}", TZ=zone) != 0:
                failed.append(where)
    return failed


if __name__ == "__main__":
    sys.exit(main())
