"""`verify --lock` and `services` with what somebody made to harm who runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from attested_publish.fronts import cli
from support.dependencies import pylock, requirements
from support.environment import without_a_job
from support.filled import filled_world, rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.dependencies import Releases
    from support.filled import Filled

pytestmark = pytest.mark.usefixtures("own_cache")

SHA256 = "a" * 64
DIGITS = "9" * 5000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    for version in ("1.0", "1.1"):
        releases.publish("alpha", version)


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="there are no such files")  # noqa: PTH112
def test_a_report_into_a_pipe_without_a_name(filled: Filled, tmp_path: Path) -> None:
    """As with `--report >(jq …)`."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(requirements([filled.of("alpha", "1.1")]))
    reading, writing = os.pipe()
    line = [sys.executable, "-m", "attested_publish", "verify", *filled.options]
    done = subprocess.run(
        [*line, "--lock", lock, "--report", f"/dev/fd/{writing}"],
        pass_fds=[writing],
        env={**without_a_job(), "NO_PROXY": "127.0.0.1", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    with open(reading, encoding="utf-8") as pipe:  # noqa: PTH123 - a descriptor
        assert done.returncode == 0, done.stderr
        assert json.loads(pipe.read())["result"] == "done"


def test_a_page_with_a_version_of_5000_digits(filled: Filled, tmp_path: Path) -> None:
    odd = {"filename": f"alpha-{DIGITS}.tar.gz", "url": "x", "hashes": {"sha256": SHA256}}
    with filled.changed() as proxy:
        proxy.edit("/simple/alpha/", lambda page: page["files"].append(odd))
        status, report = filled.verify(tmp_path, lock=pylock([filled.of("alpha", "1.1")]))
    assert (status, rules(report)) == (0, {"alpha": set()})


@pytest.mark.parametrize(
    "arguments", [("--lock", "LOCK"), (f"alpha=={DIGITS}",), ("alpha", "--watch-since", DIGITS)]
)
def test_a_version_of_5000_digits(
    filled: Filled, tmp_path: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture
) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(f"alpha=={DIGITS} --hash=sha256:{SHA256}\n")
    given = [str(lock) if each == "LOCK" else each for each in arguments]
    try:
        status = cli.main(["verify", *filled.options, *given])
    except SystemExit as ended:
        status = ended.code
    printed = "".join(capsys.readouterr())
    assert status in {1, 2}
    assert "Something unexpected" not in printed
    assert "Traceback" not in printed


def test_files_of_a_project_in_quarantine(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def quarantine(page: dict[str, object]) -> None:
        page["project-status"] = {"status": "quarantined", "reason": "malware"}

    with filled.changed() as proxy:
        proxy.edit("/simple/alpha/", quarantine)
        status, report = filled.verify(tmp_path, lock=pylock([filled.of("alpha", "1.1")]))
        capsys.readouterr()
        for options in (["alpha==1.1"], ["alpha", "--watch-since", "1.0"]):
            assert cli.main(["verify", *filled.options, *options]) == 1
            assert "nobody is to install it (malware)" in capsys.readouterr().out
    assert (status, rules(report)) == (1, {"alpha": {"version-not-served"}})
    assert "malware" in report["packages"][0]["findings"][0]["message"]


def test_what_may_be_secret_in_an_address(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    lines = [
        "--index-url https://user:SECRET1@index.example/simple/?token=SECRET2",
        "--extra-index-url https://index.example/SIMPLE?SECRET3",
        "--find-links https://files.example/?SECRET4=x",
        f"alpha==1.1 --hash=sha256:{SHA256}",
        "beta @ https://user:SECRET5@files.example/b-1.0.tar.gz?SECRET6#SECRET7",
    ]
    lock = tmp_path / "requirements.txt"
    lock.write_text("\n".join(lines))
    status, report = filled.verify(tmp_path, "--lock", lock, "--verbose")
    assert status == 1
    printed = "".join(capsys.readouterr()) + json.dumps(report)
    assert "index.example/simple/?…" in "".join(
        each["message"] for each in report["packages"][0]["findings"]
    )
    assert "SECRET" not in printed


def test_a_lock_with_a_long_path_is_pinned(filled: Filled, tmp_path: Path) -> None:
    folder = tmp_path / ("a" * 100) / ("b" * 100) / ("c" * 100)
    folder.mkdir(parents=True)
    lock = folder / "pylock.toml"
    lock.write_text(pylock([filled.of("alpha", "1.1")]))
    assert filled.verify(tmp_path, "--lock", lock, "--write")[0] == 0
    assert "octo-org/alpha" in lock.read_text()


def test_an_empty_policy_is_written(filled: Filled, tmp_path: Path) -> None:
    policy = tmp_path / "publishers.toml"
    policy.touch()
    lock = pylock([filled.of("alpha", "1.1")])
    status, _ = filled.verify(tmp_path, "--policy", policy, "--write", lock=lock)
    assert status == 0
    assert "octo-org/alpha" in policy.read_text()


def test_without_a_home_there_is_no_cache(
    filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path would be relative: to a folder that may be a stranger's."""
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "home")
    monkeypatch.chdir(tmp_path)
    assert filled.verify(tmp_path, lock=pylock([filled.of("alpha", "1.1")]))[0] == 0
    assert not (tmp_path / "home").exists()
