"""Every example uses the action at one and the same commit; `make pin` moves them together."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from pin_examples import Pin, pages, pinned, released, uses, versions

from support.checkout import names_of_files
from support.paths import ROOT

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PLACEHOLDER = "0123456789abcdef0123456789abcdef01234567"
_AT_A_REF = re.compile(r"(?:uses|component): *\S*attested-publish[\w./-]*@(\S+)")
"""This action, its workflows or its component, under whatever owner, in whatever file."""


def _tracked() -> list[Path]:
    names = [name for name in names_of_files() if name.endswith((".md", ".yml", ".yaml"))]
    return [ROOT / name for name in names]


def test_all_examples_have_one_and_the_same_pin() -> None:
    found = [use for page in pages() for use in uses(page.read_text(encoding="utf-8"))]
    assert len(found) > 30
    ((commit, comment),) = {(use.ref, use.comment) for use in found}
    assert _COMMIT.fullmatch(commit)
    installed = {version for page in pages() for version in versions(page.read_text("utf-8"))}
    assert {f"v{version}" for version in installed} == {comment}
    # Once there is a release, the README must not say any more that there is none.
    told = "the commit is a placeholder" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert told == (commit == _PLACEHOLDER)


def test_no_example_anywhere_uses_the_action_at_a_tag_or_branch() -> None:
    known = set(pages())
    for path in _tracked():
        refs = _AT_A_REF.findall(path.read_text(encoding="utf-8"))
        assert [ref for ref in refs if not _COMMIT.fullmatch(ref)] == [], path
        # What `make pin` would miss stays behind at the next release.
        assert not refs or path in known, path


def test_no_workflow_moves_a_tag() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        commands = re.findall(r"git (?:push|tag)\b.*", path.read_text(encoding="utf-8"))
        assert not [each for each in commands if re.search(r"--force|\s-f\b|\s\+", each)], path


def test_a_release_is_pinned_by_the_commit_of_its_tag(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        done = subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "Release 2.1.0")
    # An annotated tag is an object of its own, and no commit.
    git("tag", "--annotate", "--message", "2.1.0", "v2.1.0")
    commit = git("rev-parse", "HEAD")
    pin = released("2.1.0", tmp_path)
    assert pin == released("v2.1.0", tmp_path) == Pin(commit, "2.1.0")

    url = (
        "https://github.com/attested-publish/attested-publish"
        "/.github/workflows/release.yml@refs/heads/main"
    )
    text = f"""\
- uses: attested-publish/attested-publish@main
- uses: attested-publish/attested-publish/.github/workflows/publish.yml@abc # v0.1.0
- component: $CI_SERVER_FQDN/octo-group/attested-publish/publish@v1
- uses: actions/checkout@0000 # v7.0.1
  run: uvx attested-publish==0.1.0 check; curl /attested-publish/releases/download/v0.1.0/a.txt
  image: registry.example.com/octo-group/attested-publish@sha256:00
$ version=0.1.0
$ cosign --certificate-identity {url}
"""
    assert (
        pinned(text, pin)
        == f"""\
- uses: attested-publish/attested-publish@{commit} # v2.1.0
- uses: attested-publish/attested-publish/.github/workflows/publish.yml@{commit} # v2.1.0
- component: $CI_SERVER_FQDN/octo-group/attested-publish/publish@{commit} # v2.1.0
- uses: actions/checkout@0000 # v7.0.1
  run: uvx attested-publish==2.1.0 check; curl /attested-publish/releases/download/v2.1.0/a.txt
  image: registry.example.com/octo-group/attested-publish@sha256:00
$ version=2.1.0
$ cosign --certificate-identity {url}
"""
    )
    assert pinned(pinned(text, pin), pin) == pinned(text, pin)


@pytest.mark.parametrize("version", ["", "1", "v1", "1.2", "main", "1.2.3 --all", "9.9.9"])
def test_what_is_no_released_version_is_refused(version: str) -> None:
    with pytest.raises(ValueError, match=r"not a full version|no tag v9\.9\.9"):
        released(version)
