"""The commits of the actions that a written workflow uses.

Those of others are the ones that this repository's own examples use; a test compares them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import requests

from attested_publish import __version__
from attested_publish.net.http import ask, new_session
from attested_publish.setup.git import answer_of_git
from attested_publish.setup.github_steps import OURS

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SECONDS = 15.0
_LARGEST = 1 << 20


UNRELEASED = "unreleased"
"""What a comment says of a commit that is not known to be that of a release."""


class Pin(NamedTuple):
    """An action at a commit, and the version that a comment names."""

    action: str
    commit: str
    version: str

    @property
    def is_release(self) -> bool:
        """Whether it is known to be the commit of a release."""
        return self.version != UNRELEASED

    def __str__(self) -> str:
        return f"{self.action}@{self.commit} # {self.version}"


CHECKOUT = Pin("actions/checkout", "3d3c42e5aac5ba805825da76410c181273ba90b1", "v7.0.1")
SETUP_UV = Pin("astral-sh/setup-uv", "ae62891fec2bb8e7d6c99fc78c9fec3a63790f8d", "v10.0.0")
UPLOAD = Pin("actions/upload-artifact", "043fb46d1a93c77aae656e7c1c64a875d1fc6a0a", "v7.0.1")
DOWNLOAD = Pin("actions/download-artifact", "3e5f45b2cfb9172054b4087a40e8e0b5a5461e7c", "v8.0.1")
UV = "0.13.8"
CIBUILDWHEEL = "4.3.5"
MATURIN = "1.16.0"


def own_pin(*, offline: bool) -> Pin | None:
    """Return this action at the commit of this program; `None` if that cannot be found out.

    It is the commit that the program was installed from, or that its checkout is at; for a
    released version, GitHub is asked for the commit of its tag.
    """
    tag = f"v{__version__}"
    if installed := _installed_from():
        own, revision = installed
        return Pin(OURS, own, tag if revision in {tag, f"refs/tags/{tag}"} else UNRELEASED)
    root = Path(__file__).parents[3]
    if commit := _checked_out(root):
        return Pin(OURS, commit, tag if _is_tagged(root, tag, commit) else UNRELEASED)
    commit = None if offline else _released()
    return Pin(OURS, commit, tag) if commit else None


def _installed_from() -> tuple[str, str] | None:
    """Return the commit in the record of the installation (PEP 610), and what was asked for."""
    try:
        text = metadata.distribution("attested-publish").read_text("direct_url.json")
        record = json.loads(text or "{}").get("vcs_info", {})
        commit, revision = record.get("commit_id", ""), record.get("requested_revision", "")
    except (metadata.PackageNotFoundError, OSError, ValueError, AttributeError):
        return None
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        return None
    return commit, str(revision)


def _checked_out(root: Path) -> str | None:
    """Return the commit of the checkout that this program runs from, if it is one."""
    try:
        if not (root / "action.yml").is_file():
            return None
        place = root / ".git"
        if place.is_file():
            place = root / place.read_text(encoding="utf-8").partition(":")[2].strip()
        head = (place / "HEAD").read_text(encoding="utf-8").strip()
        common = place / "commondir"
        whole = place / common.read_text(encoding="utf-8").strip() if common.is_file() else place
        if not head.startswith("ref:"):
            return head if _COMMIT.fullmatch(head) else None
        name = head.partition(":")[2].strip()
        for folder in (place, whole):
            if (folder / name).is_file():
                commit = (folder / name).read_text(encoding="utf-8").strip()
                return commit if _COMMIT.fullmatch(commit) else None
        packed = (whole / "packed-refs").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    match = re.search(rf"^([0-9a-f]{{40}}) {re.escape(name)}$", packed, re.MULTILINE)
    return match[1] if match else None


def _is_tagged(root: Path, tag: str, commit: str) -> bool:
    """Whether a checkout has a tag for its commit; one that cannot be read does not count."""
    program = shutil.which("git")
    if program is None:
        return False
    words = ("rev-parse", "--verify", "--quiet", f"refs/tags/{tag}^{{commit}}")
    try:
        found = answer_of_git(program, root, *words)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found is not None and found.strip() == commit


def _released() -> str | None:
    """Ask GitHub for the commit of this version's tag."""
    url = f"https://api.github.com/repos/{OURS}/commits/v{__version__}"
    headers = {"Accept": "application/vnd.github.sha"}
    try:
        with new_session(read=_SECONDS) as session:
            answer = ask(session, "GET", url, headers=headers, limit=_LARGEST)
    except (requests.RequestException, ValueError):
        return None
    commit = answer.body.decode(errors="replace").strip()
    return commit if answer.is_success and _COMMIT.fullmatch(commit) else None
