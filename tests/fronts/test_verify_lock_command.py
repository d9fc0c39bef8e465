"""`verify --lock`: comparing with a Git revision, pinning publishers, what is printed."""

from __future__ import annotations

import subprocess
import tomllib
from typing import TYPE_CHECKING

import pytest

from attested_publish.fronts import cli
from support.dependencies import pylock, requirements
from support.filled import filled_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.dependencies import Releases
    from support.filled import Filled

pytestmark = pytest.mark.usefixtures("own_cache")

IDENTITY = ("-c", "user.email=a@example.org", "-c", "user.name=A")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    with filled_world(tmp_path_factory.mktemp("world"), fill) as world:
        yield world


def fill(releases: Releases) -> None:
    for version in ("1.0", "1.1"):
        releases.publish("alpha", version, environment="pypi")
        releases.publish("plain", version, attested=False)
    releases.publish("moved", "1.0")
    releases.publish("moved", "2.0", "evil-org/moved")
    releases.publish("moved", "2.1", "evil-org/moved")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, check=True, capture_output=True)


def test_against_a_revision_with_an_included_file(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """2.1 follows 2.0 on the index; but the old lock, in an included file, has 1.0."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    lock, included = folder / "requirements.txt", folder / "more.txt"
    lock.write_text("-r more.txt\n")
    included.write_text(requirements([filled.of("moved", "1.0")]))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "old")
    included.write_text(requirements([filled.of("moved", "2.1")]))

    assert filled.verify(folder, "--lock", lock)[0] == 0
    status, report = filled.verify(folder, "--lock", lock, "--against-git", "HEAD")
    assert status == 1
    (found,) = report["packages"][0]["findings"]
    assert found["rule"] == "publisher-changed"
    assert "1.0 (in HEAD) was published by GitHub octo-org/moved" in found["message"]
    assert found["file"] == str(included)
    printed = capsys.readouterr().out
    assert "Since the lock in HEAD: 1 publisher changed" in printed

    status, report = filled.verify(folder, "--lock", lock, "--against-git", "none")
    assert (status, report["result"]) == (1, "failed")
    assert report["packages"][0]["attested"] == 1


def test_publishers_are_pinned_where_nothing_is_wrong(filled: Filled, tmp_path: Path) -> None:
    lock = tmp_path / "pylock.toml"
    names = (("alpha", "1.1"), ("moved", "2.0"), ("plain", "1.1"))
    lock.write_text("# kept\n" + pylock([filled.of(*each) for each in names]))
    assert filled.verify(tmp_path, "--lock", lock, "--write")[0] == 1
    text = lock.read_text()
    packages = {each["name"]: each for each in tomllib.loads(text)["packages"]}
    (pinned,) = packages["alpha"]["attestation-identities"]
    assert pinned["repository"] == "octo-org/alpha"
    assert pinned["environment"] == "pypi"
    assert "attestation-identities" not in packages["moved"]
    assert "attestation-identities" not in packages["plain"]
    assert text.startswith("# kept\n")


def test_a_policy_is_made(filled: Filled, tmp_path: Path) -> None:
    lock, policy = tmp_path / "requirements.txt", tmp_path / "publishers.toml"
    lock.write_text(requirements([filled.of("alpha", "1.1")]))
    assert filled.verify(tmp_path, "--lock", lock, "--policy", policy, "--write")[0] == 0
    expected = tomllib.loads(policy.read_text())["project"]["alpha"]
    assert expected["repository"] == "octo-org/alpha"
    assert filled.verify(tmp_path, "--lock", lock, "--policy", policy)[0] == 0
    policy.write_text(policy.read_text().replace("octo-org/alpha", "octo-org/other"))
    assert filled.verify(tmp_path, "--lock", lock, "--policy", policy)[0] == 1


def test_what_is_printed(filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    lock = tmp_path / "requirements.txt"
    names = (("alpha", "1.1"), ("moved", "2.0"), ("plain", "1.1"))
    lock.write_text(requirements([filled.of(*each) for each in names]))
    assert cli.main(["verify", "--lock", str(lock), *filled.options]) == 1
    printed = capsys.readouterr().out
    assert printed.index("✗ publisher-changed") < printed.index("2 of 3 packages")
    assert "1 by GitHub octo-org/alpha release.yml, environment pypi" in printed
    # Counted, not scolded.
    assert "unattested" not in printed


def test_of_a_lock_that_is_not_there_nothing_is_counted(
    filled: Filled, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    status, report = filled.verify(tmp_path, "--lock", tmp_path / "none.txt")
    assert (status, report["result"]) == (1, "failed")
    printed = capsys.readouterr().out
    assert "There is no such file." in printed
    assert "have valid attestations" not in printed
