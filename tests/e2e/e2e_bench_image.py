"""The bench measures the image as it is built here, and the image keeps its bounds."""

from __future__ import annotations

import json
import os
import sys

from support.e2e.commands import run
from support.paths import ROOT


def test_the_bench_measures_the_image_and_leaves_nothing(machine):
    printed = run(
        *(sys.executable, str(ROOT / "benchmarks" / "bench.py")),
        *("--parts", "image", "--runs", "1"),
        env=os.environ
        | machine.environment
        | {"ATTESTED_PUBLISH_DOCKER_BUILD_ARGS": machine.build_arguments},
        timeout=900.0,
    )
    # What there is to quote: `pytest -rP` shows it.
    print(printed)
    figures = json.loads(printed.splitlines()[-1])["image"]
    assert figures is not None, printed
    # Seconds are for a quiet machine, and for people to compare.
    assert 0 < figures["help_seconds"] < figures["load_and_first_run_seconds"]
    assert 10 < figures["megabytes"] <= 40
    assert figures["megabytes"] < figures["gitlab_megabytes"]
    assert machine.docker("images", "--quiet", "attested-publish-bench") == ""
