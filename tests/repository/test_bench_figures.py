"""What the benchmarks count and add up, seen with real processes and real services."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from critical_path import critical_path, table
from hundred import check_hundred
from many_wheels import make_wheels
from measure import Cost, measured, medians
from process_tree import watched
from releases import Comparison, Run, compare, one_run
from service_log import between, read_log, server_errors
from ways import publish

from attested_publish.rehearsal.faults import parse_fault
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.request_log import Answered, RequestLog
from attested_publish.rehearsal.world import World
from support.index_client import JOB
from support.paths import ROOT

needs_wait4 = pytest.mark.skipif(not hasattr(os, "wait4"), reason="as the benchmarks do")

FILE_KEYS = ["seconds", "manual_seconds", "ratio", "peak_mb", "tree_peak_mb", "server_errors"]

_CHILD = "import sys; held = b'x' * 60_000_000; print(flush=True); sys.stdin.read()"
_TWO_CHILDREN = f"""
import subprocess, sys, threading, time
both = threading.Barrier(2)
def run():
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", {_CHILD!r}], **pipes) as child:
        child.stdout.readline()
        both.wait()
        time.sleep(1)
        child.stdin.close()
# The children of other threads than the first count, too.
threads = [threading.Thread(target=run) for _ in range(2)]
for each in threads: each.start()
for each in threads: each.join()
"""

_MEASURE = """
import os, sys
from measure import measured
cost, _ = measured([sys.executable, "-c", sys.argv[1]], os.environ, watches_tree=True)
print(cost.peak_mb, cost.tree_peak_mb)
"""


@needs_wait4
@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_the_memory_of_all_processes_is_added_up():
    # From a small process: the peak of a program begins with that of who starts it.
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, _TWO_CHILDREN],
        env={**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    peak_mb, tree_peak_mb = map(float, done.stdout.split())
    assert 60 < peak_mb < 100
    assert 120 < tree_peak_mb < 200
    assert tree_peak_mb >= peak_mb


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_pages_shared_with_other_programs_count_in_full():
    # This Python has the same libraries loaded.
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", _CHILD], **pipes) as child:
        child.stdout.readline()
        with watched(child.pid) as tree:
            time.sleep(0.2)
        lines = Path("/proc", str(child.pid), "smaps_rollup").read_text("ascii").splitlines()
        child.stdin.close()
    resident_kib = next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
    assert tree.bytes >= resident_kib * 1024


@needs_wait4
def test_what_is_measured_keeps_its_bytecode():
    script = "import sys; print(sys.dont_write_bytecode)"
    _, printed = measured(
        [sys.executable, "-c", script], {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    )
    assert printed.strip() == "False"


@needs_wait4
def test_memory_is_sampled_only_on_request():
    cost, _ = measured([sys.executable, "-c", ""], os.environ)
    assert cost.tree_peak_mb is None


def test_server_errors_of_the_index_are_counted(tmp_path):
    log = tmp_path / "log"
    faults = [parse_fault("upload=500*2"), parse_fault("simple=503*1"), parse_fault("log=502*1")]
    with (
        log.open("w", encoding="utf-8") as file,
        World(claims=JOB, registry=Registry.open(), faults=faults, record=RequestLog(file)) as it,
    ):
        statuses = [requests.post(it.upload_url, timeout=10).status_code for _ in range(3)]
        statuses += [requests.get(it.index_url, timeout=10).status_code for _ in range(2)]
        log_url = json.loads(it.signing_config)["rekorTlogUrls"][0]["url"]
        statuses.append(requests.post(f"{log_url}/api/v1/log/entries", timeout=10).status_code)
    assert statuses[:2] == [500, 500]
    assert statuses[3:] == [503, 200, 502]
    # Neither the refusal of an upload, nor what Sigstore answers.
    assert server_errors(read_log(log)) == 3


def test_only_requests_of_a_run_count():
    requests_made = [Answered("upload", "upload", 500, start, start + 1) for start in range(5)]
    assert server_errors(between(requests_made, 1, 3)) == 3


def test_the_figures_of_a_release():
    compared = Comparison(
        ours=Cost(1.0, 0.5, 90_000_000),
        manual=Cost(2.0, 1.0, 60_000_000),
        server_errors=1,
        manual_server_errors=0,
        tree_peak_mb=None,
    )
    assert compared.as_json() == dict(zip(FILE_KEYS, (1.0, 2.0, 0.5, 90.0, None, 1), strict=True))


@pytest.mark.slow
@needs_wait4
def test_both_ways_publish_and_nothing_is_a_server_error():
    figures = compare(1, 1, {}).as_json()
    assert list(figures) == FILE_KEYS
    assert figures["server_errors"] == 0
    if sys.platform == "linux":
        assert figures["tree_peak_mb"] > 50


@needs_wait4
def test_what_cannot_be_measured_is_null_and_the_reason_is_said(tmp_path):
    done = bench(ROOT / "benchmarks", "image", path=tmp_path)
    assert done.returncode == 0
    *_, reason, last = done.stdout.splitlines()
    assert reason == "Cannot be measured here: there is no docker command on PATH."
    assert json.loads(last) == {"image": None}


@needs_wait4
def test_what_the_first_call_needs_is_said(tmp_path):
    done = bench(ROOT / "benchmarks", "first-call", path=tmp_path)
    *_, reason, last = done.stdout.splitlines()
    assert reason == "Cannot be measured here: there is no bash on PATH."
    assert json.loads(last) == {"first_call": None}
    assert done.returncode == 0


@needs_wait4
def test_a_part_that_fails_costs_only_that_part(tmp_path):
    copy = tmp_path / "benchmarks"
    shutil.copytree(ROOT / "benchmarks", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "hundred.py").write_text("{}['nobody expects this']\n", encoding="utf-8")
    done = bench(copy, "check", "image", path=tmp_path)
    *_, reason, last = done.stdout.splitlines()
    assert "KeyError: 'nobody expects this'" in done.stderr
    assert reason == "Cannot be measured here: there is no docker command on PATH."
    assert json.loads(last) == {"check": None, "image": None}
    assert done.returncode == 1


def bench(folder, *parts, path):
    return subprocess.run(
        [sys.executable, folder / "bench.py", "--parts", *parts],
        env={**os.environ, "PATH": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_number_of_runs_is_said():
    assert medians(1) == "Figures of one run."
    assert medians(9) == "Medians of 9 runs."


@pytest.mark.parametrize("are_distinct", [False, True])
def test_wheels_share_their_python_files_or_not(tmp_path, are_distinct):
    sums = []
    for wheel in make_wheels(tmp_path / "dist", 2, are_distinct=are_distinct):
        with zipfile.ZipFile(wheel) as archive:
            members = [each for each in archive.infolist() if each.filename.endswith(".py")]
        sums.append({each.CRC for each in members})
    assert all(len(each) > 200 for each in sums)
    assert len(sums[0] & sums[1]) == (0 if are_distinct else len(sums[0]))


@pytest.mark.slow
@needs_wait4
def test_both_kinds_of_wheels_are_checked():
    found = check_hundred(1, wheels=2)
    names = ["seconds", "twine_seconds", "ratio", "cpu_seconds", "twine_cpu_seconds"]
    assert list(found) == [*names, "peak_mb", *(f"distinct_{name}" for name in names)]
    assert all(figure > 0 for figure in found.values())


# The critical path. Times are in seconds since the run was started.


def run_of(*requests_made):
    return Run(Cost(9.0, 1.0, 1), 100.0, 109.0, [at_hundred(*each) for each in requests_made])


def at_hundred(stage, endpoint, start, end):
    return Answered(stage, endpoint, 200, 100.0 + start, 100.0 + end)


def steps_of(run):
    return [(step.name, round(step.start, 3), round(step.end, 3)) for step in critical_path(run)]


def test_the_path_follows_what_was_waited_for():
    run = run_of(
        ("index", "simple", 0.5, 0.7),
        ("identity", "identity", 0.6, 1.0),
        ("index", "mint", 1.2, 1.4),
        # Beside one another: only the last is waited for.
        ("log", "log", 1.4, 2.0),
        ("log", "log", 1.4, 2.2),
        ("locks", "upload", 3.0, 3.1),
        ("store", "upload", 3.1, 3.5),
        ("upload", "upload", 2.2, 3.5),
        # Two at a time; the first file is confirmed meanwhile, and nothing waits for that.
        ("index", "simple", 3.5, 4.49),
        ("upload", "upload", 3.5, 4.45),
        ("upload", "upload", 3.5, 5.0),
        ("upload", "upload", 4.5, 6.0),
        ("index", "integrity", 6.0, 6.5),
        ("index", "burn", 7.0, 8.0),
    )
    assert steps_of(run) == [
        ("start", 0.0, 0.6),
        ("identity", 0.6, 1.0),
        ("program", 1.0, 1.2),
        ("token", 1.2, 1.4),
        ("log", 1.4, 2.2),
        ("transfer", 2.2, 3.0),
        ("locks", 3.0, 3.1),
        ("store", 3.1, 3.5),
        ("transfer", 3.5, 4.45),
        ("program", 4.45, 4.5),
        ("transfer", 4.5, 6.0),
        ("confirmation", 6.0, 6.5),
        ("program", 6.5, 7.0),
        ("revocation", 7.0, 8.0),
        ("end", 8.0, 9.0),
    ]


def test_the_table_adds_up():
    path = critical_path(
        run_of(
            ("index", "mint", 1.0, 2.0), ("upload", "upload", 2.0, 4.0), ("log", "log", 4.0, 5.0)
        )
    )
    assert list(table({2: path})) == [
        "| seconds on the critical path | 2 files |",
        "|---|---:|",
        "| the program, until its first request | 1.00 |",
        "| API token | 1.00 |",
        "| log entries | 1.00 |",
        "| uploads: transfer and checks | 2.00 |",
        "| the program, after its last request | 4.00 |",
        "| **together** | 9.0 |",
    ]


@pytest.mark.slow
@needs_wait4
def test_the_path_of_a_real_release_has_no_gaps():
    run = one_run(publish, 2, {"upload": 0.3, "store": 0.2})
    path = critical_path(run)
    assert path[0].start == 0
    for one, two in pairwise(path):
        assert one.end == pytest.approx(two.start)
    assert path[-1].end == pytest.approx(run.end - run.start)
    # The first file of a release goes alone, so both are on the path.
    assert [step.name for step in path].count("store") == 2
    assert sum(step.seconds for step in path if step.name == "store") >= 0.4
