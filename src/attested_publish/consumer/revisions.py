"""Read files as they are in a revision of a Git repository, without running anything of it.

The repository may be a stranger's, with a configuration of their own: git runs no hook, filter,
pager or monitor of it, fetches nothing, and only prints objects.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, Topic

_SECONDS = 30.0
_LIMIT = 64 << 20
"""Bytes of a file that are read."""

_OPTIONS = (
    "--no-pager",
    "--no-replace-objects",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.sshCommand=false"),
    *("-c", "protocol.allow=never"),
)
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_REVISION = re.compile(r"[^\s\x00-\x1f\x7f:?*\[\\-][^\s\x00-\x1f\x7f:?*\[\\]{0,250}")
_OBJECT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


class RevisionProblem(FilesProblem):
    """A file cannot be read in a revision."""

    def __init__(self, revision: str, why: str, remedy: str) -> None:
        super().__init__(
            f"Nothing can be compared with {shown(revision, 100)}",
            topic=Topic.LOCK_UNUSABLE,
            detail=why,
            remedy=remedy,
        )


@dataclass(frozen=True)
class Revision:
    """A commit of the repository that contains `folder`."""

    name: str
    commit: str
    folder: Path
    _git: str

    @classmethod
    def of(cls, name: str, folder: Path) -> Revision:
        """Find a revision, by any name that git knows. Raises `RevisionProblem`."""
        if _REVISION.fullmatch(name) is None:
            raise RevisionProblem(
                name,
                f"{shown(name, 100)!r} is not the name of a revision.",
                "Give a branch, a tag or a commit.",
            )
        git = shutil.which("git")
        if git is None:
            raise RevisionProblem(
                name, "There is no git on PATH.", "Install it, or give the old lock with --against."
            )
        inside = _run(git, folder, "rev-parse", "--is-inside-work-tree")
        if inside is None or inside.strip() != b"true":
            raise RevisionProblem(
                name,
                f"{shown(folder, 200)} is not in a Git repository that this user may read.",
                "Run in a checkout of the repository, or give the old lock with --against.",
            )
        found = _run(
            git,
            folder,
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            f"{name}^{{commit}}",
        )
        commit = (found or b"").decode("ascii", "replace").strip()
        if _OBJECT.fullmatch(commit) is None:
            is_shallow = _run(git, folder, "rev-parse", "--is-shallow-repository") == b"true\n"
            raise RevisionProblem(
                name,
                "The repository has no such commit"
                + (", as it is a shallow clone." if is_shallow else "."),
                "Fetch it first; for actions/checkout, set fetch-depth: 0."
                if is_shallow
                else "Check its spelling, or fetch it first.",
            )
        return cls(name, commit, folder, git)

    def content(self, path: str) -> bytes | None:
        """Return a file's content; `path` is relative to the folder. `None` if there is none.

        Raises `RevisionProblem` if it is too large, or cannot be read.
        """
        if "\0" in path or Path(path).is_absolute():
            return None
        place = f"{self.commit}:./{path.replace(os.sep, '/')}"
        found = _run(self._git, self.folder, "rev-parse", "--verify", "--quiet", place)
        blob = (found or b"").decode("ascii", "replace").strip()
        if _OBJECT.fullmatch(blob) is None:
            return None
        size = _run(self._git, self.folder, "cat-file", "-s", blob)
        if size is None or not size.strip().isdigit():
            raise RevisionProblem(
                self.name,
                f"{shown(path, 200)} is there, but its content was not fetched.",
                "Fetch it first: a partial clone leaves it out.",
            )
        if int(size) > _LIMIT:
            raise RevisionProblem(
                self.name, f"{shown(path, 200)} has more than {_LIMIT >> 20} MiB.", ""
            )
        return _run(self._git, self.folder, "cat-file", "blob", blob)


def _run(git: str, folder: Path, *arguments: str) -> bytes | None:
    """Return what git prints; `None` if it fails or takes too long."""
    environment = {
        name: value for name, value in os.environ.items() if not name.upper().startswith("GIT_")
    }
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and nothing that looks like an option
            [git, *_OPTIONS, *arguments],
            cwd=folder,
            env={**environment, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
