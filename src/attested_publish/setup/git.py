"""Ask git whether a file is as it was committed, and run nothing that a repository configures."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from attested_publish.setup.reading import is_linked

_SECONDS = 60
_KEPT = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TMPDIR", "TEMP", "LANG")
_SHA1_DIGITS = 40


def why_not_to_change(root: Path, name: str) -> str | None:
    """Return why a file of a repository should not be changed; `None`: it is as committed.

    What git has of it, in the last commit and in the index, is compared with the file itself: git
    would run the filters that the repository's own configuration names.
    """
    if is_linked(root, name):
        return "it is a link, or in a folder that is one"
    program = shutil.which("git")
    if program is None:
        return "git is not installed, so whether it has uncommitted changes is not known"
    try:
        content = (root / name).read_bytes()
        committed = answer_of_git(program, root, "ls-tree", "HEAD", "--", name)
        staged = answer_of_git(program, root, "ls-files", "--stage", "--", name)
    except (OSError, subprocess.TimeoutExpired):
        return "git could not be asked whether it has uncommitted changes"
    if committed is None or staged is None:
        return "git does not know it, so what is replaced could not be restored"
    # "<mode> blob <id>\t<name>" and "<mode> <id> <stage>\t<name>"
    in_commit, in_index = committed.split()[2:3], staged.split()[1:2]
    if not in_commit or in_commit != in_index or in_commit[0] not in _ids(content, in_commit[0]):
        return "it has uncommitted changes; commit them first"
    return None


def answer_of_git(program: str, root: Path, *words: str) -> str | None:
    """Return what git, whose path is `program`, prints about a repository; `None` if it fails.

    Raises `OSError`, `subprocess.TimeoutExpired`.
    """
    command = [
        *(program, "--no-optional-locks", "--literal-pathspecs"),
        # None of these is needed, whoever configured them; and nothing is to be fetched.
        *("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}"),
        *("-c", "protocol.allow=never", "-c", "core.sshCommand=false", "-c", "credential.helper="),
        *words,
    ]
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    done = subprocess.run(  # noqa: S603 - git itself, no shell
        command,
        cwd=root,
        env={**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"},
        capture_output=True,
        timeout=_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return None if done.returncode else done.stdout.decode(errors="replace")


def _ids(content: bytes, like: str) -> set[str]:
    """Return git's names for a content, as it is and with the line ends that git may have made."""
    algorithm = "sha1" if len(like) == _SHA1_DIGITS else "sha256"
    return {
        hashlib.new(algorithm, b"blob %d\0" % len(each) + each, usedforsecurity=False).hexdigest()
        for each in (content, content.replace(b"\r\n", b"\n"))
    }
