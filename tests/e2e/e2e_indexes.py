"""Real indexes other than PyPI take a release, and pip gets it from them.

tests/index/test_index_answers.py has imitations of those that cannot be run here.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from support.command import command, command_line
from support.e2e.real_indexes import RealIndex, running_devpi, running_pypiserver
from support.environment import without_a_job
from support.makers import make_release, make_wheel
from support.other_indexes import NEXUS, OtherIndex
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECTS = iter(f"sample{number}" for number in range(100))


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[OtherIndex, str]]:
    """An index that has every release already: whoever takes its pages for another's, errs."""
    index = OtherIndex(replace(NEXUS, page="/simple/$project/"))
    with serving(index) as server:
        yield index, f"{server.url}/simple/"


@pytest.fixture(scope="module", params=["devpi-server", "pypiserver"])
def index(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    elsewhere: tuple[OtherIndex, str],
) -> Iterator[RealIndex]:
    folder = tmp_path_factory.mktemp("index")
    running = (
        running_devpi(folder)
        if request.param == "devpi-server"
        else running_pypiserver(folder, elsewhere[1])
    )
    with running as index:
        yield index


@dataclass
class Release:
    """A release of a project that no other test has, to publish as a user does."""

    index: RealIndex
    project: str
    folder: Path
    report: dict

    @property
    def wheel(self) -> Path:
        return self.folder / f"{self.project}-1.0-py3-none-any.whl"

    def publish(self, *options: str, **changed: str) -> subprocess.CompletedProcess[str]:
        report = self.folder.parent / "report.json"
        report.unlink(missing_ok=True)
        done = command(
            *("publish", self.folder, "--report", report, *options),
            *("--repository-url", changed.get("address", self.index.upload_url)),
            *("--user", changed.get("user", self.index.user)),
            ATTESTED_PUBLISH_PASSWORD=changed.get("password", self.index.password),
        )
        self.report = json.loads(report.read_text())
        output = done.stdout + done.stderr
        assert "Traceback" not in output
        for secret in (self.index.password, changed.get("password", self.index.password)):
            assert secret not in output + report.read_text()
        return done

    def file(self, name: str) -> dict:
        (file,) = [file for file in self.report["files"] if file["filename"] == name]
        return file

    @property
    def statuses(self) -> set[str]:
        return {file["status"] for file in self.report["files"]}

    @property
    def told(self) -> str:
        (problem,) = self.report["problems"]
        return f"{problem['title']}\n{problem['detail']}\n{problem['remedy']}"

    def build_again(self) -> bytes:
        """Put other bytes in the wheel; return those it had."""
        before = self.wheel.read_bytes()
        make_wheel(self.folder, self.project, extra_files={f"{self.project}/new.py": b"new = 1\n"})
        assert self.wheel.read_bytes() != before
        return before


@pytest.fixture
def release(index: RealIndex, elsewhere: tuple[OtherIndex, str], tmp_path: Path) -> Release:
    project = next(PROJECTS)
    folder = tmp_path / "dist"
    folder.mkdir()
    for path in make_release(folder, project):
        elsewhere[0].hold(path, project)
    return Release(index, project, folder, {})


def test_a_release_is_published_confirmed_and_installed(release: Release, tmp_path: Path) -> None:
    done = release.publish()
    assert done.returncode == 0, done.stdout
    assert release.statuses == {"uploaded"}
    assert "not confirmed" not in done.stdout
    assert all(file["url"] for file in release.report["files"]), "as its page gives it"
    downloaded = release.index.downloaded(f"{release.project}==1.0", tmp_path / "downloaded")
    assert downloaded == {release.wheel.name: release.wheel.read_bytes()}

    done = release.publish()
    assert done.returncode == 0, done.stdout
    assert release.statuses == {"already-there"}


def test_other_bytes_are_refused_or_skipped(release: Release, tmp_path: Path) -> None:
    assert release.publish().returncode == 0
    served = release.file(release.wheel.name)["sha256"]
    before = release.build_again()

    done = release.publish()
    assert done.returncode == 1, done.stdout
    assert release.report["result"] == "refused"
    assert release.wheel.name in release.told
    (finding,) = release.file(release.wheel.name)["findings"]
    assert finding["rule"] == "filename-taken"
    assert served in finding["message"]

    done = release.publish("--skip-existing", "true")
    assert done.returncode == 0, done.stdout
    (finding,) = release.file(release.wheel.name)["findings"]
    assert finding["severity"] == "warning"
    assert served in finding["message"]

    downloaded = release.index.downloaded(release.project, tmp_path / "downloaded")
    assert downloaded == {release.wheel.name: before}


def test_a_wrong_password_is_told_as_one(release: Release) -> None:
    done = release.publish(password="never-that-of-anybody")
    assert done.returncode == 1, done.stdout
    assert re.search("40[13]", release.told)
    assert re.search("password|credentials", release.told)
    assert "uploaded" not in release.statuses
    # The right one goes on where the wrong one stopped.
    assert release.publish().returncode == 0
    assert release.statuses == {"uploaded"}


def test_missing_rights_are_told_in_the_index_s_words(release: Release) -> None:
    if release.index.stranger is None:
        pytest.skip("whoever has a password of pypiserver may upload")
    user, password = release.index.stranger
    done = release.publish("--skip-existing", "true", user=user, password=password)
    assert done.returncode == 1, done.stdout
    assert release.report["result"] == "refused"
    assert "no permission to submit" in release.told


def test_an_address_that_takes_no_uploads_is_named(release: Release) -> None:
    done = release.publish(address=release.index.wrong_url)
    assert done.returncode == 1, done.stdout
    assert re.search("40[45]", release.told)
    assert re.search("repository-url|address", release.told)


@pytest.mark.parametrize("moment", [0.0, 0.15, 0.4])
def test_an_index_that_crashes_in_the_middle_of_uploads(
    index: RealIndex, tmp_path: Path, moment: float
) -> None:
    """It is started again with what it had stored; the run goes on, or the next one does."""
    project = next(PROJECTS)
    release = Release(index, project, tmp_path / "dist", {})
    release.folder.mkdir()
    for number in range(6):
        content = random.Random(number).randbytes(8_000_000)
        make_wheel(
            release.folder,
            project,
            tag=f"cp31{number}-none-any",
            extra_files={f"{project}/data.bin": content},
        )
    command = command_line(
        *("publish", release.folder, "--repository-url", index.upload_url),
        *("--user", index.user),
    )
    with subprocess.Popen(
        command,
        env={
            **without_a_job(),
            "NO_PROXY": "127.0.0.1",
            "ATTESTED_PUBLISH_PASSWORD": index.password,
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    ) as process:
        lines = iter(process.stdout.readline, "")
        assert any(line.startswith("upload") for line in lines)
        time.sleep(moment)
        index.server.kill()
        time.sleep(1)
        index.server.start()
        printed = "".join(lines)
    assert "Traceback" not in printed
    assert process.returncode in {0, 1}
    again = release.publish()
    if again.returncode and index.software == "pypiserver":
        # It writes a file where it serves it from, so a crash leaves half of one: that is named.
        (taken,) = [file for file in release.report["files"] if file["findings"]]
        assert taken["findings"][0]["rule"] == "filename-taken"
        half = index.file(project, taken["filename"])
        assert (release.folder / taken["filename"]).read_bytes().startswith(half)
        return
    assert again.returncode == 0, printed + again.stdout
    assert {file["status"] for file in release.report["files"]} <= {"uploaded", "already-there"}
    for path in release.folder.iterdir():
        stored = index.file(project, path.name)
        assert hashlib.sha256(stored).digest() == hashlib.sha256(path.read_bytes()).digest()
