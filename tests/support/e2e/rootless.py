"""A rootless Docker engine: Debian's, started by a user without rights."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import TYPE_CHECKING

from support.e2e.commands import undisturbed
from support.e2e.inside import USER, as_user, inside
from support.e2e.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("docker.io", "docker-cli", "rootlesskit", "uidmap", "iptables", "procps")

_START = "/usr/share/docker.io/contrib/dockerd-rootless.sh"
_START_SECONDS = 60


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
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(machine):
            if daemon.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"dockerd does not start:\n{log.read_text()[-4000:]}")
            time.sleep(0.3)
        yield machine
    finally:
        with undisturbed():
            daemon.terminate()
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _answers(machine: Machine) -> bool:
    try:
        machine.docker("info", timeout=20)
    except (RuntimeError, subprocess.TimeoutExpired):
        return False
    return True
