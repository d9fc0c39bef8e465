"""Two real runs that publish the same files at once, and one that is killed while it uploads."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from attested_publish.attestations.verify import load_trust
from attested_publish.distributions import copy_privately
from attested_publish.index.index import Dialect, Index
from attested_publish.index.pages import Pages
from attested_publish.journey.served import Provenances, wait_until_served
from attested_publish.net.http import new_session
from attested_publish.problems import ConfirmationProblem
from support.environment import without_a_job
from support.makers import make_release, make_wheel
from support.releases import SHORT, problem, publisher_policy, served, sign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attested_publish.journey.served import Served
    from support.releases import Stage

TAGS = ("cp312-cp312-win_amd64", "cp313-cp313-win_amd64")


@contextlib.contextmanager
def services(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    """Keep the embedded world running, as a user does."""
    command = [sys.executable, "-m", "attested_publish", "services", "--export", folder, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=without_a_job()) as world:
        try:
            yield json.loads(world.stdout.readline())
        finally:
            world.terminate()


def start(world: dict[str, Any], folder: Path, dist: Path, report: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "attested_publish", "publish", dist),
            *("--repository-url", world["upload_url"], "--report", folder / report),
            *("--sigstore-trust-config", folder / "trust_config.json"),
        ],
        env={**without_a_job(), **world["env"], "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def log_index(url: str) -> int:
    """Return the log index of the one attestation that is served."""
    import requests

    (bundle,) = requests.get(url, timeout=10).json()["attestation_bundles"]
    (attestation,) = bundle["attestations"]
    return int(attestation["verification_material"]["transparency_entries"][0]["logIndex"])


def names_what_is_served(report: Path, index_url: str) -> list[str]:
    """Hold the attestations in a report against the index; return the files' statuses."""
    files = json.loads(report.read_text())["files"]
    there = served(index_url)
    for file in files:
        assert file["attestation"]["log_index"] == log_index(there[file["filename"]]["provenance"])
    return [file["status"] for file in files]


@pytest.mark.parametrize(
    "turn", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 6))]
)
def test_two_runs_at_once_are_both_done(tmp_path: Path, turn: int) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    make_release(dist)
    for tag in TAGS:
        make_wheel(dist, tag=tag)
    # So slow that neither finds anything there when it asks.
    times = f"upload={0.3 + turn / 10}", "log=0.2", "store=0.3"
    latency = [option for time in times for option in ("--latency", time)]
    with services(tmp_path / "world", *latency) as world:
        runs = [start(world, tmp_path / "world", dist, f"{n}.json") for n in range(2)]
        printed = [run.communicate(timeout=60)[0] for run in runs]
        assert [run.returncode for run in runs] == [0, 0], "\n".join(printed)
        statuses = [
            status
            for n in range(2)
            for status in names_what_is_served(tmp_path / "world" / f"{n}.json", world["index_url"])
        ]
        assert statuses.count("uploaded") == 4, "each file is of one run"
        assert "another run uploaded it" in "".join(printed)
        assert "wrong provenance" not in "".join(printed)


@pytest.mark.slow
def test_a_killed_upload_that_arrives_late_is_done(tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    make_release(dist)
    latency = ("--latency", "upload=0.4", "--latency", "store=0.4")
    with services(tmp_path / "world", *latency) as world:
        killed = start(world, tmp_path / "world", dist, "killed.json")
        lines = iter(killed.stdout.readline, "")
        assert any(line.startswith("upload ") for line in lines)
        time.sleep(0.3)
        killed.kill()
        killed.communicate(timeout=10)
        again = start(world, tmp_path / "world", dist, "again.json")
        printed, _ = again.communicate(timeout=60)
        assert again.returncode == 0, printed
        report = json.loads((tmp_path / "world" / "again.json").read_text())
        there = served(world["index_url"])
        for file in report["files"]:
            if file["attestation"] is not None:
                url = there[file["filename"]]["provenance"]
                assert file["attestation"]["log_index"] == log_index(url)


def test_what_another_run_published_is_named_in_the_report_and_the_summary(stage: Stage) -> None:
    """The other run comes between the question and the upload."""
    from attested_publish.fronts.summary import summary

    wheel = "sample-1.0-py3-none-any.whl"
    # What is there is not known to the second run: its question is answered with nonsense once.
    assert stage.run().result == "done"
    first = {name: log_index(file["provenance"]) for name, file in stage.served().items()}
    stage.fault("simple=404*1")
    report = stage.run()
    assert report.result == "done", problem(report)
    assert {file.status.value for file in report.files.values()} == {"already-there"}
    assert {n: f.attestations[0].log_index for n, f in report.files.items()} == first
    assert "another run uploaded it" in stage.printed
    assert "was already on" in summary(report, limit=1 << 20)
    assert report.files[wheel].provenance_url in summary(report, limit=1 << 20)


def test_a_file_that_others_took_meanwhile_has_no_attestation_of_this_run(stage: Stage) -> None:
    """Both runs find nothing there; the second one's wheel is not the first one's."""
    assert stage.run().result == "done"
    wheel = "sample-1.0-py3-none-any.whl"
    make_wheel(stage.folder, extra_files={"sample/more.py": b"other"})
    stage.fault("simple=404*1")
    report = stage.run(skip_existing="true")
    assert report.result == "done", problem(report)
    assert report.files[wheel].status == "already-there"
    assert not report.files[wheel].attestations
    assert "is skipped" in stage.printed


def test_an_attestation_by_another_publisher_is_wrong(stage: Stage) -> None:
    assert stage.run().result == "done"
    trust = load_trust(stage.world.trust_config)
    with copy_privately([stage.folder]) as files, new_session() as session:
        signed_again = {
            name: [attestation]
            for name, attestation in sign(stage, files.distributions, trust).items()
        }

        pages = Pages(Index.at(stage.world.upload_url, Dialect.PYPI), session)

        def confirmed(repository: str) -> Served:
            return wait_until_served(
                files.distributions,
                Provenances(
                    signed_again, pages, trust, publisher_policy(repository, "release.yml")
                ),
                pages,
                patience=SHORT.confirmation,
                seen=lambda _, __, provenance: owners.append(provenance.is_own),
                tell=lambda _: None,
            )

        owners: list[bool] = []
        assert not confirmed("octo-org/sample-project").late
        assert owners == [False, False]
        with pytest.raises(ConfirmationProblem, match="wrong provenance"):
            confirmed("mallory/sample-project")
