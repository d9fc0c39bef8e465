"""Debian packages that a test needs for a while, shared by the sessions that run at once."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from support.e2e.commands import ENDING, run, undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator

_POLICY = Path("/usr/sbin/policy-rc.d")
STATE = Path("/run/attested-publish-e2e-packages")
"""Who uses packages (`users` is locked), and which were added (`packages`)."""

_OTHERS_SECONDS = 300
"""How long apt waits for another program that installs something."""


@contextlib.contextmanager
def installed(program: str, package: str) -> Iterator[None]:
    """Have a Debian package, for as long as needed, unless its program is there.

    Its services are not started. What came with it goes when the last session that needs any
    package is done: `make e2e` runs two at once, and apt serves one at a time.
    """
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        if shutil.which(program) is None:
            raise RuntimeError(
                f"There is no {program} here, and it cannot be installed: `make e2e` needs a "
                "Docker engine, or root on Debian."
            )
        yield
        return
    STATE.mkdir(exist_ok=True)
    with (STATE / "users").open("w") as users:
        try:
            with _alone():
                fcntl.flock(users, fcntl.LOCK_SH)
                if shutil.which(program) is None:
                    _install(package)
            yield
        finally:
            with undisturbed(), _alone():
                _remove_unless_used(users.fileno())


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    with (STATE / "apt").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _added() -> Path:
    return STATE / "packages"


def _install(package: str) -> None:
    before = _packages()
    try:
        with _no_services_started():
            _update_lists()
            _apt_get("install", "--no-install-recommends", package)
    finally:
        with _added().open("a", encoding="utf-8") as file:
            file.writelines(f"{name}\n" for name in sorted(_packages() - before))


def _remove_unless_used(users: int) -> None:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if _added().exists():
        added = _packages().intersection(_added().read_text(encoding="utf-8").split())
        if added:
            _apt_get("purge", *sorted(added))
        _added().unlink()


@contextlib.contextmanager
def _no_services_started() -> Iterator[None]:
    if _POLICY.exists():
        yield
        return
    try:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
        yield
    finally:
        _POLICY.unlink(missing_ok=True)


@functools.cache
def _update_lists() -> None:
    _apt_get("update")


def _apt_get(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Half an installation would be worse than a late interrupt: those that come meanwhile,
    # to it or to us, wait until it is done.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        waiting = f"DPkg::Lock::Timeout={_OTHERS_SECONDS}"
        run("apt-get", "--yes", "-qq", "-o", waiting, *arguments, env=environment)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _packages() -> set[str]:
    return set(run("dpkg-query", "--show", "--showformat", "${Package}\\n").split())
