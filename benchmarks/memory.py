"""Peak memory of a release while four large wheels are uploaded at once.

`memory.py [--wheels N] [--megabytes N]`. A small wheel creates the release, so that the large
ones are uploaded in parallel. Contents are stored without compression. The last line printed is
one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from material import make_release, make_wheel
from measure import rounded
from ways import hold_against_index, publish, running

GOAL_MB = 200


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Peak memory while large wheels are uploaded.")
    parser.add_argument("--wheels", type=int, default=4, metavar="N")
    parser.add_argument("--megabytes", type=int, default=200, metavar="N", help="of each wheel")
    options = parser.parse_args()
    if not hasattr(os, "wait4"):
        sys.exit("memory.py needs os.wait4, which this system does not have.")

    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
        dist = Path(folder, "dist")
        release = make_release(dist, "sample", 2)
        for build in range(2, options.wheels + 2):
            release.append(make_wheel(dist, "sample", build, payload=options.megabytes * 10**6))
        server = str(Path(__file__).with_name("roomy_services.py"))
        with running([sys.executable, server, folder], folder) as world:
            cost = publish(release, world, watches_tree=True)
            hold_against_index("sample", release, world)
    print(
        f"{options.wheels} wheels of {options.megabytes} MB: {cost.seconds:.1f} s, "
        f"{cost.cpu_seconds:.1f} s on the CPU, peak memory of the largest process "
        f"{cost.peak_mb:.0f} MB, of all processes {rounded(cost.tree_peak_mb, 0)} MB "
        f"(goal: {GOAL_MB})"
    )
    figures = {
        "seconds": rounded(cost.seconds, 2),
        "peak_mb": rounded(cost.peak_mb, 1),
        "tree_peak_mb": rounded(cost.tree_peak_mb, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
