"""Links in a Git revision are followed, and lead nowhere else."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from attested_publish.consumer.revisions import Revision, RevisionProblem

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = ("-c", "user.email=a@example.org", "-c", "user.name=A")


@pytest.fixture
def revision(tmp_path: Path) -> Revision:
    folder = tmp_path / "repository"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret\n")
    (folder / "sub" / "real lock").write_text("old\n")
    links = {
        "linked": "sub/real lock",
        "sub/up": "../linked",
        "sub/down": "real lock",
        "folder": "sub",
        "absolute": str(tmp_path / "secret"),
        "outside": "../secret",
        "dangling": "none",
        "loop": "loop",
        "through": "sub/real lock/x",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run(["git", *IDENTITY, *command], cwd=folder, check=True, capture_output=True)
    (folder / "sub" / "real lock").write_text("new\n")
    return Revision.of("HEAD", folder)


@pytest.mark.parametrize(
    "name", ["linked", "sub/up", "sub/down", "folder/real lock", "sub/real lock"]
)
def test_the_file_that_a_link_leads_to(revision: Revision, name: str) -> None:
    assert revision.content(name) == b"old\n"


@pytest.mark.parametrize("name", ["absolute", "outside", "dangling", "loop", "through"])
def test_a_link_to_no_file_of_the_revision(revision: Revision, name: str) -> None:
    with pytest.raises(RevisionProblem) as raised:
        revision.content(name)
    assert "a link there" in raised.value.detail
    assert "secret" not in raised.value.detail


@pytest.mark.parametrize("name", ["none", "sub", "sub/none", "sub\nsub/real lock", "folder"])
def test_no_file(revision: Revision, name: str) -> None:
    assert revision.content(name) is None
