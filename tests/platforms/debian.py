"""A Debian with one of its Pythons, in a folder, with a copy of this repository."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.e2e import machine
from support.e2e.commands import run
from support.paths import ROOT, TESTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from platforms.clocks import Clock

PYTHONS = {"3.13": ("trixie", "tr_TR"), "3.14": ("sid", "de_DE")}
"""The suite that has it (none has 3.12), and a language whose programs say other things."""

_PACKAGES = (
    *("ca-certificates", "gcc", "git", "libc6-dev", "locales", "make", "netbase", "openssl"),
    *("procps", "tzdata"),
)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_SOURCE = "attested-publish"
_CLOCK = "/usr/local/lib/clock.so"


@dataclass(frozen=True)
class Debian:
    """A file system, its Python, and the language of its programs."""

    root: Path
    python: str
    language: str

    def make(self, *arguments: str, **variables: str) -> int:
        """Run make in the copy of the repository; return how it ended."""
        return subprocess.run(
            [
                # Its mounts, and all that it starts, exist in there only.
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("sh", "-ec", _IN_ROOT, "sh", self.root),
                *("make", "-C", f"/{_SOURCE}", f"PYTHON=python{self.python}", *arguments),
            ],
            env={**_of_the_network(), "LANG": f"{self.language}.UTF-8", **variables},
            stdin=subprocess.DEVNULL,
            check=False,
        ).returncode

    def set_clock(self, clock: Clock) -> None:
        """Have every program know another time, whatever variables it gets."""
        preload = self.root / "etc/ld.so.preload"
        preload.unlink(missing_ok=True)
        if clock.ahead:
            shutil.copy(TESTS / "support" / "clock.c", self.root)
            options = ["-O2", "-fPIC", "-shared", f"-DAHEAD={clock.ahead}", "-o", _CLOCK]
            run("chroot", str(self.root), "gcc", *options, "/clock.c")
            preload.write_text(f"{_CLOCK}\n")


_IN_ROOT = """
root=$1
shift
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" "$@"
"""


@contextlib.contextmanager
def debian_with(python: str) -> Iterator[Debian]:
    """Make it, for as long as it is needed. mmdebstrap has to be installed."""
    suite, language = PYTHONS[python]
    with tempfile.TemporaryDirectory(prefix="attested-publish-debian-") as folder:
        root = Path(folder) / "root"
        machine.debian(suite, root, *_PACKAGES, f"python{python}-venv")
        machine.trust_as_here(root)
        run("chroot", str(root), "localedef", "-i", language, "-f", "UTF-8", f"{language}.UTF-8")
        _copy_repository(root / _SOURCE)
        yield Debian(root, python, language)


def _copy_repository(target: Path) -> None:
    """Copy what git has or would add, also what is not committed."""
    # The history of a worktree is elsewhere; a clone has it.
    run("git", "clone", "--quiet", "--no-checkout", "--no-hardlinks", str(ROOT), str(target))
    listed = run("git", "-C", str(ROOT), "ls-files", "-z", "-co", "--exclude-standard")
    names = [name for name in listed.split("\0") if name and os.path.lexists(ROOT / name)]
    packed = subprocess.run(
        ["tar", "-C", ROOT, "--null", "-T", "-", "-cf", "-"],
        input="".join(f"{name}\0" for name in names).encode(),
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    subprocess.run(["tar", "-C", target, "--no-same-owner", "-xf", "-"], input=packed, check=True)
    run("git", "-C", str(target), "reset", "--quiet")


def _of_the_network() -> dict[str, str]:
    """Return how the network is reached, and nothing else of this machine."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.lower().endswith("_proxy") or name in {"PIP_INDEX_URL", "npm_config_registry"}
    }
    return {**kept, "PATH": _PATH, "HOME": "/root", "NODE_EXTRA_CA_CERTS": _CERTIFICATES}
