"""The action and the command as they are started: what they say, hand over, and keep secret."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from attested_publish.console.github import command as workflow_command
from support.action import ACTION, job, outputs, run_action
from support.makers import make_release, make_wheel
from support.releases import staged
from support.waiting import wait_for

if TYPE_CHECKING:
    from support.releases import Stage


def test_the_action_publishes(stage: Stage) -> None:
    environment = job(stage.world, stage.folder)
    done = run_action(environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert stage.served().keys() == {"sample-1.0-py3-none-any.whl", "sample-1.0.tar.gz"}
    values = outputs(environment)
    assert values.keys() == {"result", "files", "projects", "attestations-dir", "report"}
    assert values["result"] == "done"
    report = json.loads(Path(values["report"]).read_text())
    assert json.loads(values["files"]) == report["files"]
    assert {file["status"] for file in report["files"]} == {"uploaded"}
    summary = Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
    for file in report["files"]:
        assert file["provenance_url"] in summary
    assert "::group::" in done.stdout
    assert done.stdout.count("::group::") == done.stdout.count("::endgroup::")


def test_the_report_is_as_the_design_says(stage: Stage) -> None:
    environment = job(stage.world, stage.folder)
    run_action(environment)
    report = json.loads(Path(outputs(environment)["report"]).read_text())
    assert list(report) == [
        *("schema", "mode", "result", "index", "identity", "files", "problems", "seconds"),
        "forecast",
    ]
    assert report["schema"] == 2
    assert report["mode"] == "publish"
    assert report["index"] == stage.world.upload_url
    assert report["identity"]["repository"] == "octo-org/sample-project"
    for file in report["files"]:
        assert list(file) == [
            *("filename", "project", "version", "size", "sha256", "status", "findings"),
            *("attestations", "attestation", "url", "provenance_url"),
        ]
        assert file["project"] == "sample"
        assert file["version"] == "1.0"
        assert file["attestations"] == [file["attestation"]]
        assert list(file["attestation"]) == ["predicate_type", "log_index", "identity"]
        assert file["attestation"]["identity"].startswith(
            "https://github.com/octo-org/sample-project/.github/workflows/release.yml@"
        )
    assert all(isinstance(seconds, float) for seconds in report["seconds"].values())
    assert {"files", "rules", "upload", "confirmation"} <= report["seconds"].keys()


@pytest.mark.slow
def test_no_secret_is_shown_or_kept(stage: Stage, tmp_path: Path) -> None:
    environment = job(stage.world, stage.folder, verbose="true")
    done = run_action(environment)
    masked = re.findall(r"^::add-mask::(.*)$", done.stdout, re.MULTILINE)
    tokens = [value for value in masked if value.startswith(("eyJ", "pypi-"))]
    assert len(tokens) == 3, "two identity tokens and an API token are masked"
    shown = re.sub(r"^::add-mask::.*$", "", done.stdout, flags=re.MULTILINE) + done.stderr
    for path in tmp_path.rglob("*"):
        if path.is_file():
            shown += path.read_bytes().decode("latin-1")
    for token in tokens:
        assert token not in shown
        assert base64.b64encode(f"__token__:{token}".encode()).decode() not in shown


def test_a_token_is_masked_before_anything_else_is_done_with_it(stage: Stage) -> None:
    """Also where it comes to nothing: the index is out of order and a second one is tried."""
    stage.fault("mint=500*1")
    done = run_action(job(stage.world, stage.folder))
    assert done.returncode == 0
    assert len(re.findall(r"^::add-mask::eyJ", done.stdout, re.MULTILINE)) == 3
    assert "next try in" in done.stdout


def test_a_problem_is_annotated_and_summed_up(stage: Stage) -> None:
    make_wheel(stage.folder, version="1.0+local")
    environment = job(stage.world, stage.folder)
    done = run_action(environment)
    assert done.returncode == 1
    errors = re.findall(r"^::error title=(.*?)::(.*)$", done.stdout, re.MULTILINE)
    assert any("sample-1.0+local" in title for title, _ in errors)
    assert outputs(environment)["result"] == "refused"
    assert "refused" in Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
    assert not stage.served()


def test_no_more_than_ten_annotations_of_a_kind(tmp_path: Path) -> None:
    folder = tmp_path / "dist"
    folder.mkdir()
    for number in range(14):
        make_wheel(folder, version=f"1.{number}+local")
    with staged(folder) as stage:
        environment = job(stage.world, folder)
        done = run_action(environment)
        assert len(re.findall(r"^::error ", done.stdout, re.MULTILINE)) == 10
        summary = Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
        assert all(f"1.{number}+local" in summary for number in range(14))


def test_foreign_text_cannot_give_commands(stage: Stage) -> None:
    hostile = "::set-output name=x::y-1.0-py3-none-any.whl"
    make_wheel(stage.folder).rename(stage.folder / hostile)
    done = run_action(job(stage.world, stage.folder))
    assert done.returncode == 1
    commands = re.findall(r"^\s*::([a-z-]+)", done.stdout, re.MULTILINE)
    assert set(commands) <= {"add-mask", "group", "endgroup", "error", "warning", "notice"}


@pytest.mark.parametrize(
    ("text", "properties", "line"),
    [
        ("100%\r\nnext", {}, "::error::100%25%0D%0Anext"),
        ("a", {"title": "x:y,z\n%"}, "::error title=x%3Ay%2Cz %25::a"),
    ],
)
def test_workflow_commands_are_escaped(text: str, properties: dict[str, str], line: str) -> None:
    assert workflow_command("error", text, **properties) == line


def test_wrong_input_is_exit_status_2(stage: Stage) -> None:
    done = run_action(job(stage.world, stage.folder, attestations="maybe"))
    assert done.returncode == 2
    assert "::error title=Wrong input::attestations" in done.stdout


def test_all_wrong_inputs_are_told_at_once(stage: Stage) -> None:
    wrong = {"attestations": "maybe", "skip_existing": "on", "parallel_uploads": "0"}
    environment = job(stage.world, stage.folder, **wrong)
    done = run_action(environment)
    assert done.returncode == 2
    assert done.stdout.count("::error title=Wrong input::") == 3
    values = outputs(environment)
    assert values["result"] == "failed"
    assert values["files"] == values["projects"] == "[]"
    (problem,) = json.loads(Path(values["report"]).read_text())["problems"]
    assert problem["title"] == "3 wrong inputs"
    page = Path(environment["GITHUB_STEP_SUMMARY"]).read_text()
    for name in wrong:
        assert name.replace("_", "-") in problem["detail"]
        assert name.replace("_", "-") in page


def test_a_setting_that_the_mode_cannot_have_is_summed_up_too(stage: Stage) -> None:
    environment = job(stage.world, stage.folder, mode="attest", attestations="false")
    assert run_action(environment).returncode == 2
    assert outputs(environment)["result"] == "failed"
    assert "drop one of them" in Path(environment["GITHUB_STEP_SUMMARY"]).read_text()


def test_the_action_rehearses(stage: Stage) -> None:
    environment = job(stage.world, stage.folder, mode="rehearse")
    done = run_action(environment)
    assert done.returncode == 0, done.stdout
    assert "Rehearsed on" in done.stdout
    assert "pip installed sample-1.0" in done.stdout
    assert not stage.served(), "a rehearsal has an index of its own"


def test_a_summary_stays_within_github_s_limit() -> None:
    from attested_publish.fronts.summary import summary
    from attested_publish.report import FileReport, Report

    report = Report(mode="publish", index="https://example.org/legacy/")
    for number in range(20_000):
        name = f"sample-1.0-{number}-py3-none-any.whl"
        report.files[name] = FileReport(name, "sample", "1.0", 1, "0" * 64)
    text = summary(report, limit=1 << 20)
    assert len(text.encode()) <= 1 << 20
    assert "more lines" in text


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "name", ["SIGTERM", "SIGINT", *(["SIGHUP"] if hasattr(signal, "SIGHUP") else [])]
)
def test_a_stopped_run_revokes_its_token_and_says_so(dist: Path, name: str) -> None:
    with staged(dist, latency={"log": 5.0}) as stage:
        environment = job(stage.world, dist)
        process = subprocess.Popen(
            ACTION,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        wait_for(lambda: len(stage.world.index.issued_tokens) == 1)
        process.send_signal(getattr(signal, name))
        printed, _ = process.communicate(timeout=30)
        assert process.returncode == 1
        assert f"received {name}" in printed
        assert [token.is_revoked for token in stage.world.index.issued_tokens] == [True]
        assert outputs(environment)["result"] == "failed"


@pytest.mark.slow
def test_rehearse_without_files_builds_a_sample(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "attested_publish", "rehearse", "--report", str(report)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pip installed attested_publish_rehearsal" in done.stdout
    assert {file["status"] for file in json.loads(report.read_text())["files"]} == {"uploaded"}
    assert list(tmp_path.iterdir()) == [report]


def test_rehearse_takes_a_registry(tmp_path: Path) -> None:
    make_release(tmp_path)
    registry = tmp_path / "registry.json"
    registry.write_text('{"publishers": [], "pending_publishers": []}')
    done = subprocess.run(
        [sys.executable, "-m", "attested_publish", "rehearse", tmp_path, "--registry", registry],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "no trusted publisher" in done.stdout
