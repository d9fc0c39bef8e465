"""`--write`: identities get into the file, and nothing else changes."""

from __future__ import annotations

import difflib
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from attested_publish.consumer.locks import LockError, read_lock
from attested_publish.consumer.locks.bounded import read_policy
from attested_publish.consumer.locks.writing import write_identities
from support.lock_files import lay_out

GITHUB = {
    "kind": "GitHub",
    "repository": "octo-org/aperture",
    "workflow": "release.yml",
    "environment": "pypi",
}
GITLAB = {
    "kind": "GitLab",
    "repository": "octo-org/dark-room",
    "workflow_filepath": ".gitlab-ci.yml",
    "environment": None,
    "claims": {"ref": "main"},
}
VERIFIED = {"aperture": [GITHUB], "dark-room": [GITLAB, GITHUB]}
KEPT = {key: GITLAB[key] for key in ("kind", "repository", "workflow_filepath")}

PYLOCKS = (
    "made/uv-export/pylock.toml",
    "made/uv-compile/pylock.dev.toml",
    "made/pdm-pylock/pylock.toml",
    "by_hand/pylock-tables/pylock.toml",
    "by_hand/pylock-identities/pylock.toml",
    "by_hand/pylock-minor/pylock.next.toml",
    "by_hand/pylock-windows/pylock.toml",
    "by_hand/pylock-sources/pylock.toml",
)


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("locks")
    lay_out(folder, 4242)
    return folder


@pytest.mark.parametrize("name", PYLOCKS)
def test_identities_get_into_a_lock_and_nothing_else_changes(laid: Path, tmp_path: Path, name: str):
    path = tmp_path / Path(name).name
    before = (laid / name).read_bytes()
    path.write_bytes(before)
    changed = write_identities(path, VERIFIED)
    after = path.read_bytes()
    for package in read_lock(path).packages:
        wanted = {"aperture": (GITHUB,), "dark-room": (KEPT, GITHUB)}.get(package.name, ())
        assert tuple(map(dict, package.identities)) == wanted
    assert changed == (before != after)
    diff = list(difflib.ndiff(before.decode().splitlines(), after.decode().splitlines()))
    gone = [line for line in diff if line.startswith("- ")]
    if "identities" not in name:
        assert not gone
    assert after.count(b"\r\n") in {0, after.count(b"\n")}
    assert (b"\r\n" in after) == (b"\r\n" in before)
    assert not write_identities(path, VERIFIED)
    assert path.read_bytes() == after


def test_identities_of_others_stay(laid: Path, tmp_path: Path):
    path = tmp_path / "pylock.toml"
    path.write_bytes((laid / "by_hand/pylock-identities/pylock.toml").read_bytes())
    before = path.read_bytes()
    assert not write_identities(path, {"brightness": [GITHUB], "aperture": []})
    assert path.read_bytes() == before


def test_an_inline_array_of_the_same_identities_stays(tmp_path: Path):
    path = tmp_path / "pylock.toml"
    path.write_text(
        'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "aperture"\n'
        'attestation-identities = [{ kind = "Google", email = "a@example.org" }]\n'
        f'sdist = {{ path = "aperture-1.tar.gz", hashes = {{ sha256 = "{"0" * 64}" }} }}\n'
    )
    assert not write_identities(path, {"aperture": [{"kind": "Google", "email": "a@example.org"}]})
    assert write_identities(path, {"aperture": [GITHUB]})
    (package,) = read_lock(path).packages
    assert list(map(dict, package.identities)) == [GITHUB]


POLICY = """\
# Ours.

[project.aperture]  # old
kind = "GitHub"
repository = "octo-org/aperture"

[[project.Dark_Room.exceptions]]
rule = "yanked"   # why not
reason = "x"
until = 2026-12-31
"""


def test_identities_get_into_a_policy(tmp_path: Path):
    path = tmp_path / "publishers.toml"
    path.write_text(POLICY)
    verified = {
        "aperture": [{**GITHUB, "repository": "other/repository"}],
        "dark-room": [GITLAB],
        "emulsion": [GITHUB, GITHUB],
        "fixer": [GITHUB, GITLAB],
        "grain": [],
    }
    assert write_identities(path, verified)
    text = path.read_text()
    assert all(line in text for line in POLICY.splitlines())
    projects = read_policy(path).projects
    assert dict(projects["aperture"].identity) == {
        "kind": "GitHub",
        "repository": "octo-org/aperture",
    }
    assert dict(projects["dark-room"].identity) == KEPT
    assert [each.rule for each in projects["dark-room"].exceptions] == ["yanked"]
    assert dict(projects["emulsion"].identity) == GITHUB
    assert set(projects) == {"aperture", "dark-room", "emulsion"}
    assert not write_identities(path, verified)
    assert path.read_text() == text


def test_a_policy_is_made(tmp_path: Path):
    path = tmp_path / "publishers.toml"
    old = os.umask(0o027)
    try:
        assert write_identities(path, {"zoom": [GITHUB], "aperture": [GITHUB]})
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tomllib.loads(path.read_text())["project"]) == ["aperture", "zoom"]
    assert path.read_text().startswith('[project.aperture]\nkind = "GitHub"\n')
    assert not write_identities(path, {"zoom": [GITHUB], "aperture": [GITHUB]})


def test_permissions_stay_and_what_a_link_leads_to_is_replaced(laid: Path, tmp_path: Path):
    target = tmp_path / "locks" / "real.toml"
    target.parent.mkdir()
    target.write_bytes((laid / PYLOCKS[0]).read_bytes())
    target.chmod(0o604)
    link = tmp_path / "pylock.toml"
    link.symlink_to("locks/real.toml")
    assert write_identities(link, VERIFIED)
    assert link.is_symlink()
    assert stat.S_IMODE(target.stat().st_mode) == 0o604
    assert b"octo-org/aperture" in target.read_bytes()
    assert [each.name for each in target.parent.iterdir()] == ["real.toml"]


def test_what_cannot_be_written(laid: Path, tmp_path: Path):
    def why(path: Path) -> str:
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(LockError) as caught:
            write_identities(path, VERIFIED)
        assert not before or path.read_bytes() == before
        return caught.value.detail

    assert why(laid / "made/uv/uv.lock") == "Only pylock.toml has a place for identities."
    assert "no such file" in why(tmp_path / "pylock.toml")
    (tmp_path / "pylock.toml").write_text("[")
    assert "not valid TOML" in why(tmp_path / "pylock.toml")
    (tmp_path / "pylock.b.toml").write_bytes(b"# \xe4\n")
    assert "UTF-8" in why(tmp_path / "pylock.b.toml")
    (tmp_path / "publishers.toml").write_text("[project.a]\nx = 1\n")
    assert "project.a.x is not known" in why(tmp_path / "publishers.toml")
    (tmp_path / "lost.toml").symlink_to("nowhere/p.toml")
    assert "no such file" in why(tmp_path / "lost.toml")


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path):
    """In another process, which has everything but tomlkit."""
    program = (
        "import sys; sys.modules['tomlkit'] = None\n"
        "from pathlib import Path\n"
        "from attested_publish.consumer.locks.model import LockError\n"
        "from attested_publish.consumer.locks.writing import write_identities\n"
        "try: write_identities(Path(sys.argv[1]), {'a': [{'kind': 'GitHub'}]})\n"
        "except LockError as error: print(error.detail, error.remedy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "publishers.toml")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(
        "Writing needs tomlkit, which is not installed. Install the command with its extra `lock`,"
    )
    assert f"add tomlkit to the environment that it runs in, {sys.prefix}." in done.stdout
    assert not done.stderr
