"""Ask git whether a file has changes that are not committed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_SECONDS = 60
_KEPT = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "TMPDIR", "TEMP", "LANG")


def why_not_to_change(root: Path, name: str) -> str | None:
    """Return why a file of a repository should not be changed; `None`: it is as committed."""
    program = shutil.which("git")
    if program is None:
        return "git is not installed, so whether it has uncommitted changes is not known"
    command = [
        *(program, "--no-optional-locks", "--literal-pathspecs"),
        # Neither of these programs is needed, whoever configured them.
        *("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}"),
        *("status", "--porcelain", "--ignored", "--untracked-files=all", "--", name),
    ]
    kept = {key: os.environ[key] for key in _KEPT if key in os.environ}
    try:
        done = subprocess.run(  # noqa: S603 - git itself, no shell
            command,
            cwd=root,
            env={**kept, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "git could not be asked whether it has uncommitted changes"
    if done.returncode:
        return "git does not know it, so what is replaced could not be restored"
    return "it has uncommitted changes; commit them first" if done.stdout.strip() else None
