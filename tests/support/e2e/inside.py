"""Commands in another Debian, which sees the same /tmp, processes and devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# A mount namespace of its own, and not only chroot, in which no user namespaces can be made. It
# ends with the last process in it, and so do its mounts.
_ENTER = """
set -e
root=$1 cwd=$PWD
shift
mount --bind "$root" "$root"
for shared in /proc /sys /dev /tmp; do
  mount --rbind "$shared" "$root$shared"
done
# What runs there finds no sockets of this machine's services.
mount -t tmpfs -o mode=755 none "$root/run"
cd "$root"
pivot_root . .
umount -l .
cd "$cwd"
exec "$@"
"""


def inside(root: Path) -> tuple[str, ...]:
    """Return what to put before a command so that it runs in the Debian below `root`.

    It replaces itself by the command, so signals reach that.
    """
    return ("unshare", "--mount", "bash", "-c", _ENTER, "inside", str(root))


USER = 23456
"""A user without rights, for whom `add_user` adds ids that he may use in a user namespace."""


def add_user(root: Path) -> None:
    """Make USER known in the Debian below `root`."""
    lines = {
        "passwd": f"caller:x:{USER}:{USER}::/nowhere:/bin/sh",
        "group": f"caller:x:{USER}:",
        "subuid": "caller:200000:65536",
        "subgid": "caller:200000:65536",
    }
    for name, line in lines.items():
        with (root / "etc" / name).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def as_user(number: int) -> tuple[str, ...]:
    """Return what to put before a command so that it runs as another user than root."""
    return ("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups")
