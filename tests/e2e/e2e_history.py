"""An index with a history, as clients see it: pip installs from it, and locks are verified."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests
from locks import table, verify_lock

from support.command import command, command_line
from support.environment import without_a_job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SIMPLE = "application/vnd.pypi.simple.v1+json"
OLD = "2019-03-01T12:00:00+01:00"
GITHUB = {"repository": "octo-org/github", "workflow": "publish.yaml", "environment": "pypi"}
GITLAB = {"kind": "GitLab", "repository": "octo-group/sub/gitlab", "workflow_filepath": "ci/a.yml"}


@pytest.fixture
def services(tmp_path: Path) -> Iterator[dict[str, Any]]:
    path = tmp_path / "history.json"
    releases = [
        {"project": "amber-dust", "version": "1.0", "publisher": GITHUB, "uploaded": OLD},
        {"project": "amber-dust", "version": "1.1", "publisher": GITLAB},
    ]
    path.write_text(json.dumps({"releases": releases}))
    with subprocess.Popen(
        command_line("services", "--history", path, "--export", tmp_path / "world"),
        env=without_a_job(),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0


def pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-I", "-m", "pip", "--isolated", "--disable-pip-version-check"),
            *map(str, arguments),
        ],
        env={**without_a_job(), "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_pip_installs_from_it_and_locks_are_verified(
    services: dict[str, Any], tmp_path: Path
) -> None:
    index = ("--index-url", services["index_url"], "--no-cache-dir", "--no-deps")
    pip("download", *index, "--dest", tmp_path / "wheels", "amber-dust==1.0")
    (wheel,) = (tmp_path / "wheels").iterdir()
    assert wheel.name == "amber_dust-1.0-py3-none-any.whl"
    for name, kind in (("wheel", "--only-binary"), ("sdist", "--no-binary")):
        target = tmp_path / name
        pip("install", *index, "--target", target, kind, ":all:", "amber-dust==1.1")
        module = (target / "amber_dust" / "__init__.py").read_text()
        assert module.startswith('"""amber-dust 1.1')
        assert (target / "amber_dust-1.1.dist-info" / "RECORD").is_file()

    files = {
        file["filename"]: file["hashes"]["sha256"]
        for file in requests.get(
            f"{services['index_url']}amber-dust/", headers={"Accept": SIMPLE}, timeout=20
        ).json()["files"]
    }
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"amber-dust==1.1 --hash=sha256:{files['amber_dust-1.1-py3-none-any.whl']}\n")
    done = command(
        *("verify", "--lock", lock, "--index-url", services["index_url"], "--no-cache"),
        *("--sigstore-trust-config", tmp_path / "world" / "trust_config.json"),
        *("--report", tmp_path / "report.json"),
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (package,) = json.loads((tmp_path / "report.json").read_text())["packages"]
    assert [each["rule"] for each in package["findings"]] == ["publisher-changed"]
    assert package["publisher"]["repository"] == "octo-group/sub/gitlab"


def test_the_benchmark_verifies_a_small_lock_cold_and_warm() -> None:
    found = verify_lock(1, packages=3, files=10)
    assert found["files"] == 10
    assert min(found["cold_seconds"], found["warm_seconds"]) > 0
    assert found["peak_mb"] > 20
    assert "peak_mb" in table(found)
