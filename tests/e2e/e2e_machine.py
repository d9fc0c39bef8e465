"""A machine that lacks something: one clear sentence, and a release that is done stays done."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attested_publish.fronts.running import write_json
from attested_publish.fronts.summary import summary
from attested_publish.report import FileReport, Report
from support.action import job, outputs, run_action
from support.command import command, fails
from support.environment import without_a_job
from support.makers import make_release, make_wheel
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.releases import Stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits and mounts of Linux")

is_root = hasattr(os, "geteuid") and os.geteuid() == 0
as_root = pytest.mark.skipif(
    not is_root or shutil.which("unshare") is None,
    reason="mounts and networks of its own need root; make e2e runs as root",
)


def limited(limit: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command under a limit of the shell's."""
    words = [sys.executable, "-m", "attested_publish", *map(str, arguments)]
    return subprocess.run(
        ["bash", "-c", f'ulimit {limit}; exec "$@"', "bash", *words],
        env=without_a_job(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def sentence(done: subprocess.CompletedProcess[str], words: str) -> None:
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert words in told
    assert "Traceback" not in told
    assert "bug in attested-publish" not in told


@pytest.mark.parametrize("limit", ["-v 45000", "-v 60000"])
def test_no_memory(limit: str, dist: Path) -> None:
    """Threads need some, too, so that they may be what is missing first."""
    sentence(limited(limit, "check", "--offline", dist), "The run has no ")


@pytest.mark.sample(1)
@pytest.mark.parametrize("limit", ["-n 5", "-n 8"])
def test_no_open_files(limit: str, dist: Path) -> None:
    sentence(limited(limit, "rehearse", dist), "no open files left")


def test_few_open_files_are_enough(tmp_path: Path) -> None:
    for number in range(40):
        make_wheel(tmp_path, tag=f"py3{number}-none-any")
    done = limited("-n 64", "check", "--offline", tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.sample(1)
@as_root
@pytest.mark.parametrize("mode", ["rehearse", "services"])
def test_no_loopback(mode: str, dist: Path) -> None:
    """A network of its own, whose interface is down."""
    arguments = [mode, str(dist)] if mode == "rehearse" else [mode]
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "attested_publish", *arguments],
        env=without_a_job(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    sentence(done, "There is no loopback interface")


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["check", "--offline", "dist"], 1, "no longer exists"),
        (["check", "--offline", "{dist}"], 0, "passed"),
        (["check", "--offline", "{dist}", "--report", "r.json"], 2, "--report cannot be written"),
        pytest.param(["rehearse", "{dist}"], 0, "pip installed", marks=pytest.mark.slow),
    ],
)
def test_a_working_directory_that_is_gone(
    arguments: list[str], status: int, words: str, dist: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    told = [each.format(dist=dist) for each in arguments]
    done = subprocess.run(
        [
            "sh",
            "-c",
            'rmdir "$PWD"; exec "$@"',
            "sh",
            sys.executable,
            "-m",
            "attested_publish",
            *told,
        ],
        cwd=gone,
        env=without_a_job(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_finished_release_is_done_without_its_report(stage: Stage, tmp_path: Path) -> None:
    """The folder of the report goes while the release is on its way."""
    folder = tmp_path / "reports"
    stage.fault("simple=slow:1.0*1")
    config = tmp_path / "config.json"
    config.write_text(stage.world.trust_config)
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "attested_publish", "publish", stage.folder),
            *("--repository-url", stage.world.upload_url, "--sigstore-trust-config", config),
            *("--report", folder / "report.json"),
        ],
        env={**without_a_job(), **stage.world.environment, "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        assert any(line.startswith("rules") for line in iter(process.stdout.readline, ""))
        folder.rmdir()
        folder.write_text("a file now")
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    assert "The report could not be written" in printed
    assert len(stage.served()) == 2


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", ["GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"])
@pytest.mark.parametrize("path", ["/dev/full", "/nowhere/file", "/dev"])
def test_a_finished_release_is_done_without_outputs(stage: Stage, name: str, path: str) -> None:
    environment = job(stage.world, stage.folder)
    done = run_action({**environment, name: path})
    assert done.returncode == 0, done.stdout
    assert "could not be written" in done.stdout
    assert "::warning" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    if name == "GITHUB_OUTPUT":
        assert "sample 1.0 published" in Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
    else:
        assert outputs(environment)["result"] == "done"


@pytest.mark.sample(1)
@pytest.mark.parametrize("path", ["/dev/full", "/nowhere/file"])
def test_a_refused_release_stays_refused_without_outputs(stage: Stage, path: str) -> None:
    """What cannot be written hides neither the problem nor that the step failed."""
    make_wheel(stage.folder, version="1.0+local")
    environment = job(stage.world, stage.folder)
    done = run_action({**environment, "GITHUB_OUTPUT": path, "GITHUB_STEP_SUMMARY": path})
    assert done.returncode == 1, done.stdout
    assert "::error title=sample-1.0+local" in done.stdout
    assert "could not be written" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not stage.served()


def test_an_output_that_nobody_takes(stage: Stage) -> None:
    """The log's own end may be gone or full; the release is done, and the job is told."""
    environment = job(stage.world, stage.folder)
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "entrypoint.py"],
            cwd=ROOT,
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert outputs(environment)["result"] == "done"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["publish", pytest.param("attest", marks=pytest.mark.slow)])
def test_a_runner_without_its_temporary_folder(stage: Stage, tmp_path: Path, mode: str) -> None:
    environment = job(stage.world, stage.folder, mode=mode)
    for temp in (None, str(tmp_path / "not" / "yet")):
        changed = {**environment, "RUNNER_TEMP": temp or ""}
        if temp is None:
            del changed["RUNNER_TEMP"]
        done = run_action(changed)
        assert done.returncode == 0, done.stdout + done.stderr
        values = outputs(environment)
        assert json.loads(Path(values["report"]).read_text())["result"] == "done"
        Path(environment["GITHUB_OUTPUT"]).unlink()
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    done = run_action({**environment, "RUNNER_TEMP": str(blocked)})
    assert "Traceback" not in done.stdout + done.stderr
    values = outputs(environment)
    if mode == "publish":
        assert done.returncode == 0
        assert (values["result"], values["report"]) == ("done", "")
    else:
        assert "attestation files could not be written" in done.stdout
        assert values["result"] == "failed"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this root may not mount; make e2e runs where it may")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while True:
            filler.write(b"x" * 4096)


@pytest.mark.slow
@as_root
def test_a_full_disk_keeps_what_was_there(stage: Stage, small_disk: Path) -> None:
    """Half an output would fail the step; the result has room where the rest has not."""
    for number in range(12):
        make_wheel(stage.folder, tag=f"py3{number}-none-any")
    environment = job(stage.world, stage.folder)
    output, page = small_disk / "output", small_disk / "summary.md"
    before = "earlier<<mark\nvalue\nmark\n"
    output.write_text(before)
    page.write_text("# Before\n")
    fill(small_disk)
    changed = {**environment, "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(page)}
    done = run_action(changed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The step's outputs could not be written: No space left on device" in done.stdout
    assert output.read_text().startswith(before)
    values = outputs(changed)
    assert values == {"earlier": "value", "result": "done"}
    assert output.read_text().endswith("\n")
    assert page.read_text() == "# Before\n"


BYTES = b"sample-1.0-1\xff-py3-none-any.whl"


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", [BYTES, b"notes-\xff.txt"])
@pytest.mark.parametrize("mode", ["check", "publish"])
def test_a_name_that_is_not_utf_8(stage: Stage, name: bytes, mode: str) -> None:
    (stage.folder / os.fsdecode(name)).write_bytes(b"x")
    environment = job(stage.world, stage.folder, mode=mode)
    done = run_action(environment)
    is_wheel = name == BYTES
    assert done.returncode == int(is_wheel), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "\\udcff" in done.stdout
    values = outputs(environment)
    assert values["result"] == ("failed" if is_wheel else "done")
    report = json.loads(Path(values["report"]).read_text())
    if is_wheel:
        assert "has a name that is not UTF-8" in report["problems"][0]["detail"]
        assert "not UTF-8" in Path(environment["GITHUB_STEP_SUMMARY"]).read_text()


def test_a_report_can_name_it(tmp_path: Path) -> None:
    name = os.fsdecode(BYTES)
    report = Report(mode="check", index="", files={name: FileReport(name, None, None, 1, "")})
    write_json(report.as_json(), tmp_path / "report.json")
    (file,) = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["files"]
    assert os.fsencode(file["filename"]) == BYTES
    assert summary(report, limit=1 << 20).encode()


def test_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"dist-\xff")
    folder.mkdir()
    make_release(folder)
    report = folder / "report.json"
    done = command("check", "--offline", folder, "--report", report)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(report.read_text())["result"] == "done"
    (folder / os.fsdecode(BYTES)).write_bytes(b"x")
    fails(command("check", "--offline", folder, "--report", report), report, "not UTF-8")
