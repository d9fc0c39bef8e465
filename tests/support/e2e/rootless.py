"""A rootless Docker engine: Debian's, started by a user without rights."""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

from support.e2e.commands import undisturbed
from support.e2e.inside import USER, as_user, inside
from support.e2e.machine import Machine, end_engine, wait_for_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("docker.io", "docker-cli", "rootlesskit", "uidmap", "iptables", "procps")

_START = "/usr/share/docker.io/contrib/dockerd-rootless.sh"


@contextlib.contextmanager
def rootless_engine(root: Path, folder: Path) -> Iterator[Machine]:
    """Run the engine of the Debian below `root` as USER, with its state in `folder`.

    It has the machine's network, which none of its containers may use: they have none.
    """
    for path in (folder, folder / "home"):
        path.mkdir()
        os.chown(path, USER, USER)
    socket = f"unix://{folder}/docker.sock"
    environment = os.environ | {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": f"{folder}/home",
        "XDG_RUNTIME_DIR": f"{folder}/home",
        "DOCKERD_ROOTLESS_ROOTLESSKIT_NET": "host",
        "DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER": "none",
    }
    log = folder / "log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            [
                *(*inside(root), *as_user(USER), "sh", _START),
                *("--bridge=none", "--iptables=false", "--ip-forward=false"),
                *("--data-root", folder / "data", "--exec-root", folder / "exec"),
                *("--pidfile", folder / "pid", "--host", socket),
            ],
            stdout=output,
            stderr=output,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    machine = Machine(
        {"DOCKER_HOST": socket, "DOCKER_CONFIG": str(folder / "home")},
        "no base: the image is loaded",
        "",
        run_arguments="--network none",
    )
    try:
        wait_for_engine(daemon, machine.environment, log)
        yield machine
    finally:
        with undisturbed():
            end_engine(daemon)
