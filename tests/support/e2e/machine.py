"""A Docker engine and the image's base on a plain Debian machine, with no trace left of either."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.e2e.commands import run, undisturbed
from support.e2e.packages import installed
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

STAND_IN = "attested-publish-e2e-base"
"""The image that stands in for the Dockerfile's base where no registry can be reached."""

_ENGINE_SECONDS = 60
_PULL_SECONDS = 120
_MADE_BY_ENGINE = ("/etc/docker/key.json", "/etc/docker", "/run/docker", "/run/containerd")
_CGROUPS = Path("/sys/fs/cgroup")
_SUITE = "trixie"
_PACKAGES = "ca-certificates,netbase,python3,python3-venv,python3-pip"
_KEPT = ROOT / ".venv" / "e2e"
_KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Machine:
    """Where images are built and containers run: the variables and arguments it takes."""

    environment: dict[str, str]
    base: str
    build_arguments: str
    run_arguments: str = "--network host"

    def docker(self, *arguments: str, **options: Any) -> str:
        """Run a docker command and return what it prints."""
        return run("docker", *arguments, env=os.environ | self.environment, **options)

    @property
    def socket(self) -> str:
        """Path of the engine's socket."""
        host = self.environment.get("DOCKER_HOST") or os.environ.get("DOCKER_HOST", "")
        return host.removeprefix("unix://") or "/var/run/docker.sock"


@contextlib.contextmanager
def plain_machine(work: Path) -> Iterator[Machine]:
    """Give an engine (the machine's own, if it has one) and an image to build upon.

    Raises where there is no engine and none can be started.
    """
    with contextlib.ExitStack() as until_done:
        environment: dict[str, str] = {}
        if not _answers(environment):
            until_done.enter_context(installed("dockerd", "docker.io"))
            environment = until_done.enter_context(_own_engine(work))
        base = re.search(
            r"^ARG PYTHON_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE
        )[1]
        build_arguments = "--network host"
        until_done.callback(_remove_images, environment, keep=_our_images(environment))
        if not _can_pull(base, environment):
            kept = _stand_in()
            if kept is None:
                # Until the end: what is unpacked later needs it, too.
                until_done.enter_context(installed("mmdebstrap", "mmdebstrap"))
                kept = _make_stand_in(work)
            run("docker", "import", str(kept), STAND_IN, env=os.environ | environment)
            base = STAND_IN
            build_arguments += f" --build-arg PYTHON_IMAGE={STAND_IN}"
        yield Machine(environment, base, build_arguments)


def unpacked(package: str, suite: str, folder: Path, *options: str) -> Path:
    """Unpack a package of a Debian suite into `folder`, which is returned.

    Together with what it depends on, and without configuring anything.
    """
    with installed("mmdebstrap", "mmdebstrap"):
        _debian(suite, folder, "--variant=extract", f"--include={package}", *options)
    return folder


def debian(suite: str, folder: Path, *packages: str) -> Path:
    """Install packages, with all that they depend on, into a small Debian below `folder`."""
    with installed("mmdebstrap", "mmdebstrap"):
        _debian(suite, folder, "--variant=minbase", f"--include={','.join(packages)}")
    return folder


def _debian(suite: str, root: Path, *options: str) -> None:
    """Make the file system of a Debian suite, with mmdebstrap and its `options`."""
    run(
        # Its mounts, and all that it starts, exist in there only.
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
        # A mirror that is some weeks old still has what is signed; sid's index expires sooner.
        *("mmdebstrap", "--quiet", '--aptopt=Acquire::Check-Valid-Until "false"'),
        *(*options, suite, str(root)),
    )


def trust_as_here(root: Path) -> None:
    """Trust the certificates in a Debian that this machine trusts, also when pip installs."""
    for certificate in _trusted_here():
        shutil.copy(certificate, root / "usr/local/share/ca-certificates")
    run("chroot", str(root), "update-ca-certificates")
    (root / "etc/pip.conf").write_text(
        "[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n", encoding="utf-8"
    )


def _answers(environment: dict[str, str]) -> bool:
    if shutil.which("docker") is None:
        return False
    try:
        run("docker", "info", env=os.environ | environment, timeout=20)
    except (RuntimeError, subprocess.TimeoutExpired):
        return False
    return True


@contextlib.contextmanager
def _own_engine(work: Path) -> Iterator[dict[str, str]]:
    """Run an engine that leaves the host's network, services and folders alone."""
    folder = work / "engine"
    folder.mkdir()
    environment = {"DOCKER_HOST": f"unix://{folder}/docker.sock"}
    log = folder / "log"
    with _without_traces(folder):
        with log.open("wb") as output:
            daemon = subprocess.Popen(
                [
                    # Should this process be killed, the engine ends too.
                    *("setpriv", "--pdeathsig", "TERM", "dockerd"),
                    *("--bridge=none", "--iptables=false", "--ip-forward=false"),
                    *("--data-root", folder / "data", "--exec-root", folder / "exec"),
                    *("--pidfile", folder / "pid", "--host", environment["DOCKER_HOST"]),
                ],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_for_engine(daemon, environment, log)
            yield environment
        finally:
            with undisturbed():
                _stop(daemon, environment)


def _stop(daemon: subprocess.Popen[bytes], environment: dict[str, str]) -> None:
    containers = _docker_quietly(environment, "ps", "--all", "--quiet").split()
    if containers:
        _docker_quietly(environment, "rm", "--force", *containers)
    end_engine(daemon)


def wait_for_engine(
    daemon: subprocess.Popen[bytes], environment: dict[str, str], log: Path
) -> None:
    """Wait until an engine that was started answers; raise with its log if it does not."""
    deadline = time.monotonic() + _ENGINE_SECONDS
    while not _answers(environment):
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"dockerd does not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.3)


def end_engine(daemon: subprocess.Popen[bytes]) -> None:
    """End an engine, by force if it does not end by itself."""
    daemon.terminate()
    try:
        daemon.wait(30)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


@contextlib.contextmanager
def _without_traces(folder: Path) -> Iterator[None]:
    """Remove what an engine leaves outside of its own `folder`, and its mounts inside."""
    before = _left_by_engine()
    try:
        yield
    finally:
        with undisturbed():
            for line in Path("/proc/mounts").read_text().splitlines():
                if line.split()[1].startswith(f"{folder}/"):
                    subprocess.run(["umount", "--lazy", line.split()[1]], check=False)
            for path in sorted(_left_by_engine() - before, reverse=True):
                if path.is_relative_to(_CGROUPS):
                    path.rmdir()
                elif path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()


def _left_by_engine() -> set[Path]:
    paths = {Path(path) for path in _MADE_BY_ENGINE if Path(path).exists()}
    return paths | {*_CGROUPS.glob("docker"), *_CGROUPS.glob("*/docker")}


def _can_pull(image: str, environment: dict[str, str]) -> bool:
    try:
        run(
            *("docker", "pull", "--quiet", image),
            env=os.environ | environment,
            timeout=_PULL_SECONDS,
        )
    except (RuntimeError, subprocess.TimeoutExpired):
        return False
    return True


def _stand_in() -> Path | None:
    """Return the archive of the stand-in, if it was made in the same way a day ago at most."""
    path = _stand_in_path()
    is_new = path.exists() and time.time() - path.stat().st_mtime < _KEPT_SECONDS
    return path if is_new else None


def _stand_in_path() -> Path:
    recipe = [Path(__file__), *_trusted_here()]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in recipe)).hexdigest()[:16]
    return _KEPT / f"stand-in-{key}.tar"


def _trusted_here() -> list[Path]:
    """Return the certificates that this machine trusts besides Debian's."""
    return sorted(Path("/usr/local/share/ca-certificates").glob("**/*.crt"))


def _make_stand_in(work: Path) -> Path:
    """Make an image like python:3.13-slim from Debian's packages; return its archive."""
    root = work / "stand-in"
    try:
        _debian(_SUITE, root, "--variant=minbase", f"--include={_PACKAGES}")
        for name in ("python", "python3"):
            (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
        for marker in root.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
            marker.unlink()
        trust_as_here(root)
        archive = work / "stand-in.tar"
        run("tar", "-C", str(root), "-cf", str(archive), ".")
        _KEPT.mkdir(parents=True, exist_ok=True)
        for older in _KEPT.glob("stand-in-*.tar"):
            older.unlink()
        return Path(shutil.move(archive, _stand_in_path()))
    finally:
        with undisturbed():
            shutil.rmtree(root, ignore_errors=True)


def _docker_quietly(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["docker", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout


def _our_images(environment: dict[str, str]) -> list[str]:
    names = _docker_quietly(
        environment, "images", "--format", "{{.Repository}}:{{.Tag}}", "attested-publish*"
    )
    return names.split()


def _remove_images(environment: dict[str, str], keep: list[str]) -> None:
    for name in _our_images(environment):
        if name not in keep:
            _docker_quietly(environment, "rmi", name)
