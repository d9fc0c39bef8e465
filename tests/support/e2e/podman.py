"""Podman as the docker command, of a Debian of its own: nothing is installed on the machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from support.e2e.commands import run
from support.e2e.inside import as_user, inside
from support.e2e.machine import Machine

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("podman", "podman-docker", "runc", "uidmap", "ca-certificates")
_CONTAINERS = """\
[containers]
# More files or processes than this the machine may not allow.
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
# In a folder of ours instead of the machine's /dev/shm.
lock_type = "file"
tmp_dir = "{folder}/tmp"
"""
_STORAGE = """\
[storage]
driver = "{driver}"
runroot = "{folder}/run"
graphroot = "{folder}/graph"
"""


class Podman:
    """Podman in the Debian below `root`, with its state in `folder`; rootless for a user's id."""

    def __init__(self, root: Path, folder: Path, user: int | None) -> None:
        self.become = (*inside(root), *(as_user(user) if user else ()))
        self.user = user or 0
        (folder / "home").mkdir(parents=True)
        # Without root, layers of overlays need a file system in user space.
        driver = "vfs" if user else "overlay"
        (folder / "containers.conf").write_text(_CONTAINERS.format(folder=folder))
        (folder / "storage.conf").write_text(_STORAGE.format(folder=folder, driver=driver))
        if user:
            for path in (folder, *folder.iterdir()):
                os.chown(path, user, user)
        self.environment = {
            # What other packages put on the machine's PATH is not in there.
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder / "home"),
            "XDG_RUNTIME_DIR": str(folder / "home"),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "PODMAN_IGNORE_CGROUPSV1_WARNING": "true",
        }

    def __call__(self, *arguments: str) -> str:
        """Run a docker command and return what it prints."""
        environment = os.environ | self.environment
        # In a folder that is there, too.
        return run(*self.become, "docker", *arguments, cwd="/tmp", env=environment)

    def machine(self, base: str) -> Machine:
        """Return it as a machine to build on `base`; commands need `become` before them."""
        build = f"--network host --build-arg PYTHON_IMAGE={base}"
        return Machine(self.environment, base, build)
