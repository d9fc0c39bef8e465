"""The embedded services record when each request began and ended."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
import requests
from packaging.utils import canonicalize_name

from attested_publish.fronts import cli
from attested_publish.rehearsal.faults import parse_fault
from attested_publish.rehearsal.pypi.commits import Commits
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.request_log import Answered, RequestLog
from attested_publish.rehearsal.world import World
from support.environment import without_a_job
from support.index_client import JOB, client_of
from support.makers import make_sdist
from support.waiting import wait_for


def new_world(recorded, **options):
    return World(claims=JOB, registry=Registry.open(), record=recorded.append, **options)


def test_every_request_has_its_stage_status_and_times(tmp_path):
    recorded: list[Answered] = []
    begun = time.time()
    with new_world(recorded, latency={"upload": 0.2, "store": 0.1}) as world:
        client = client_of(world)
        assert client.upload(make_sdist(tmp_path, "sample"), client.token()).status_code == 200
        requests.get(f"{world.index_url}missing/", timeout=10)
        wait_for(lambda: len(recorded) >= 5)
    ended = time.time()
    assert [(each.stage, each.endpoint, each.status) for each in recorded] == [
        ("index", "mint", 200),
        # The parts of an upload come before it: lines are in the order in which they end.
        ("locks", "upload", None),
        ("store", "upload", None),
        ("upload", "upload", 200),
        ("index", "simple", 404),
    ]
    _, locks, store, upload, page = recorded
    assert begun <= upload.start
    assert upload.start + 0.2 <= locks.start <= locks.end <= store.start
    assert store.end - store.start >= 0.1
    assert store.end <= upload.end <= page.end <= ended


def test_a_request_without_an_answer_has_no_status():
    recorded: list[Answered] = []
    with new_world(recorded, faults=[parse_fault("simple=refuse"), parse_fault("mint=503")]) as it:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{it.index_url}sample/", timeout=10)
        requests.post(it.upload_url.replace("legacy/", "_/oidc/mint-token"), timeout=10)
        wait_for(lambda: len(recorded) >= 2)
    assert [(each.endpoint, each.status) for each in recorded] == [("simple", None), ("mint", 503)]


def test_the_wait_for_a_project_is_apart_from_its_storage():
    recorded: list[Answered] = []
    commits = Commits(
        store_seconds=lambda: 0.3, pause=threading.Event().wait, seed=1, record=recorded.append
    )

    def upload(_):
        with commits.turn(canonicalize_name("sample"), "1.0") as turn:
            turn.store()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(upload, range(2)))
    waits = sorted(each.end - each.start for each in recorded if each.stage == "locks")
    stores = sorted(
        (each for each in recorded if each.stage == "store"), key=lambda each: each.start
    )
    assert waits[0] < 0.1
    assert waits[1] > 0.2
    assert all(each.end - each.start >= 0.3 for each in stores)
    assert stores[0].end <= stores[1].start + 0.01


def test_a_log_has_a_line_for_each(tmp_path):
    log = tmp_path / "log"
    with log.open("w", encoding="utf-8") as file:
        record = RequestLog(file)
        answered = [Answered("index", "simple", 200, 1.0, number) for number in range(200)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(record, answered))
    # Services that stop may still have requests in progress.
    record(answered[0])
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert sorted(lines, key=lambda line: line["end"]) == list(map(asdict, answered))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a full disk at hand")
def test_a_full_disk_is_said_once_and_stops_nothing(caplog):
    with contextlib.ExitStack() as until_done:
        # It fails once more when it is closed.
        until_done.enter_context(contextlib.suppress(OSError))
        file = until_done.enter_context(Path("/dev/full").open("w", encoding="utf-8"))
        record = RequestLog(file)
        with caplog.at_level(logging.ERROR):
            for _ in range(3):
                record(Answered("index", "simple", 200, 1.0, 2.0))
    assert [each.message for each in caplog.records] == [
        "The log of the requests cannot be written: No space left on device"
    ]


def test_the_command_writes_it_where_it_is_told(tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-m", "attested_publish", "services", f"--log={log}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=without_a_job()) as services:
        try:
            told = json.loads(services.stdout.readline())
            requests.get(told["index_url"], timeout=10)
            # Each line is there at once: whoever runs the services can read it meanwhile.
            wait_for(lambda: log.read_text(encoding="utf-8").endswith("\n"))
        finally:
            services.terminate()
    (line,) = log.read_text(encoding="utf-8").splitlines()
    entry = json.loads(line)
    assert list(entry) == ["stage", "endpoint", "status", "start", "end"]
    assert (entry["stage"], entry["endpoint"], entry["status"]) == ("index", "simple", 200)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_what_judges_uploads_is_there_before_the_first():
    command = [sys.executable, "-m", "attested_publish", "services"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=without_a_job()) as services:
        try:
            assert services.stdout.readline()
            children = Path(f"/proc/{services.pid}/task/{services.pid}/children").read_text()
        finally:
            services.terminate()
    assert len(children.split()) == 1


def test_a_log_that_cannot_be_written_is_wrong_usage(tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["services", f"--log={tmp_path / 'missing' / 'log'}", "--port=x"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        "attested-publish: --port is 'x'; it must be 0 to 65535.",
        "attested-publish: --log cannot be written: No such file or directory.",
    ]
