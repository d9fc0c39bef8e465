"""`verify --lock` within its bounds: large pages, ten thousand packages, nobody at the address."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.wrappers import Request, Response

from attested_publish.fronts import cli
from attested_publish.rehearsal.serving import Server
from support.dependencies import requirements
from support.filled import filled_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.filled import Filled


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(
        tmp_path_factory.mktemp("world"), lambda releases: releases.publish("alpha", "1.0")
    ) as world:
        yield world


def test_down(tmp_path: Path, filled: Filled, capsys: pytest.CaptureFixture) -> None:
    """With nobody at the port, 60 packages are given up together, and soon."""
    lock = tmp_path / "requirements.txt"
    many = [(f"p{number}", "1.0", {"x": f"{number:064x}"}) for number in range(60)]
    lock.write_text(requirements(many))
    began = time.monotonic()
    status = cli.main(
        [
            *("verify", "--lock", str(lock), "--index-url", "http://127.0.0.1:9/simple/"),
            *("--report", str(tmp_path / "r.json")),
            *("--sigstore-trust-config", str(filled.trust)),
        ]
    )
    assert status == 1
    assert time.monotonic() - began < 60
    report = json.loads((tmp_path / "r.json").read_text())
    assert len(report["packages"]) == 60
    assert len(report["problems"]) < 4
    named = " ".join(problem["title"] for problem in report["problems"])
    assert "could not be verified" in named
    assert "more could not" in named


class LargePages:
    """An index whose pages have a given size: twenty files a version."""

    def __init__(self, bytes_of_a_page: int) -> None:
        listed = []
        size = 0
        for number in count():
            entry = json.dumps(
                {
                    "filename": f"PROJECT-0.{number // 20}-cp{number % 20}-none-any.whl",
                    "url": f"https://files.example/{'x' * 200}/{number}.whl",
                    "hashes": {"sha256": f"{number:064x}"},
                    "size": 100,
                    "upload-time": "2024-01-01T00:00:00Z",
                }
            )
            listed.append(entry)
            size += len(entry) + 2
            if size >= bytes_of_a_page:
                break
        document = '{"meta": {"api-version": "1.4"}, "name": "PROJECT", "files": [%s]}'
        self.page = (document % ", ".join(listed)).encode()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        project = Request(environ).path.strip("/").rpartition("/")[2]
        answer = Response(
            self.page.replace(b"PROJECT", project.encode()),
            content_type="application/vnd.pypi.simple.v1+json",
        )
        return answer(environ, start_response)


def run_apart(arguments: list[str]) -> tuple[int, int, str]:
    """Run the command in a process of its own; give its status, KiB of memory, and output."""
    program = (
        "import pathlib, re, sys\n"
        "from attested_publish.fronts.cli import main\n"
        "status = main(sys.argv[1:])\n"
        # Not `getrusage`, which begins with what the parent has.
        "state = pathlib.Path('/proc/self/status').read_text()\n"
        "print('KiB', re.search(r'VmHWM:\\s+(\\d+)', state)[1])\n"
        "sys.exit(status)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
    )
    assert not done.stderr, done.stderr
    head, _, memory = done.stdout.rpartition("KiB ")
    return done.returncode, int(memory), head


@pytest.mark.skipif(sys.platform != "linux", reason="measures with /proc")
@pytest.mark.parametrize(
    ("size", "status"), [(20 << 20, 0), (40 << 20, 1)], ids=["20 MiB", "40 MiB"]
)
def test_large_pages(filled: Filled, tmp_path: Path, size: int, status: int) -> None:
    """Two large pages are read one after the other; a larger one is a problem in a sentence."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(requirements([(name, "0.3", {"x": f"{63:064x}"}) for name in ("one", "two")]))
    server = Server(LargePages(size))
    server.start()
    try:
        found, memory, printed = run_apart(
            [
                *("verify", "--lock", str(lock), "--index-url", f"{server.url}/simple/"),
                *("--sigstore-trust-config", str(filled.trust)),
            ]
        )
    finally:
        server.stop()
    assert found == status, printed
    assert memory < 150_000
    if status:
        assert "one, two could not be verified" in printed.replace("two, one", "one, two")
        assert "has more than 33554432 bytes" in printed


@pytest.mark.skipif(sys.platform != "linux", reason="measures with /proc")
def test_ten_thousand_packages(filled: Filled, tmp_path: Path) -> None:
    """Ten thousand entries of a hundred projects: each page is read once."""
    projects = [f"p{number}" for number in range(100)]
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        requirements(
            [
                (project, f"0.{number}", {"x": f"{number * 20:064x}"})
                for project in projects
                for number in range(100)
            ]
        )
    )
    pages = LargePages(900_000)
    asked = []

    def counting(environ: Any, start_response: Any) -> Any:
        asked.append(environ["PATH_INFO"])
        return pages(environ, start_response)

    server = Server(counting)
    server.start()
    try:
        found, memory, printed = run_apart(
            [
                *("verify", "--lock", str(lock), "--index-url", f"{server.url}/simple/"),
                *("--sigstore-trust-config", str(filled.trust)),
            ]
        )
    finally:
        server.stop()
    assert found == 0, printed
    assert len(asked) == 100
    assert "0 of 10000 packages" in printed
    # Mostly what is between the pages, and threads that parse some at the same time.
    assert memory < 230_000
