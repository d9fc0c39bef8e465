"""Where a repository is hosted, from git's own configuration, which is parsed and not run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from attested_publish.net import secrecy
from attested_publish.setup.reading import LARGEST

GITHUB = "github.com"
GITLAB = "gitlab.com"

_OTHER_HOSTS = frozenset({GITLAB, "bitbucket.org", "codeberg.org", "git.sr.ht", "gitea.com"})
"""Well-known hosts that run no workflows of GitHub's."""

_SECTION = re.compile(r'\[\s*([A-Za-z.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\]')
_ADDRESS = re.compile(
    r"(?:git\+)?(?:https?|ssh|git)://(?:[^/@\s]*@)?(?P<host>[A-Za-z0-9.-]+)(?::[0-9]+)?/(?P<path>\S+)",
    re.IGNORECASE,
)
_SCP = re.compile(r"(?:[^/@:\s]+@)?(?P<host>[A-Za-z0-9.-]+):(?!//)(?P<path>\S+)")
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")
_REPOSITORY = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
_NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")


@dataclass(frozen=True)
class Remote:
    """A repository at its host, in lower case; `owner` is a GitLab namespace with its subgroups."""

    host: str
    owner: str
    name: str

    @property
    def path(self) -> str:
        """`OWNER/NAME`."""
        return f"{self.owner}/{self.name}"

    @property
    def may_run_workflows(self) -> bool:
        """Whether it is on a server that may run GitHub's workflows, but is not github.com."""
        return self.host != GITHUB and self.host not in _OTHER_HOSTS


def remote_of(root: Path) -> Remote | None:
    """Return the repository that git's `origin`, or its only remote, is.

    `None`: there is none, or it is no address of a host. What an address has as password is kept
    out of everything that is printed from then on.
    """
    remotes = _remotes(root)
    url = remotes.get("origin") or (next(iter(remotes.values())) if len(remotes) == 1 else None)
    return None if url is None else parse(url)


def parse(url: str) -> Remote | None:
    """Understand the address of a remote; `None` if it names no repository at a host."""
    secrecy.keep(secrecy.credentials_in(url))
    match = _ADDRESS.fullmatch(url) or _SCP.fullmatch(url)
    if match is None:
        return None
    host = match["host"].lower().removeprefix("www.").rstrip(".")
    host = {"ssh.github.com": GITHUB, "altssh.gitlab.com": GITLAB}.get(host, host)
    if "." not in host or host.startswith((f"{GITHUB}-", f"{GITLAB}-")):
        # A drive, or an alias in somebody's configuration of ssh.
        return None
    path = match["path"].partition("?")[0].partition("#")[0].strip("/").removesuffix(".git")
    owner, _, name = path.rpartition("/")
    owner_form = _NAMESPACE if host != GITHUB else _OWNER
    if not owner_form.fullmatch(owner) or not _REPOSITORY.fullmatch(name):
        return None
    return Remote(host, owner, name)


def _remotes(root: Path) -> dict[str, str]:
    folder = git_folder(root)
    text = _text(folder / "config") if folder else None
    found: dict[str, str] = {}
    remote = None
    for line in (text or "").splitlines():
        stripped = line.strip()
        if section := _SECTION.match(stripped):
            remote = section[2] if section[1].lower() == "remote" else None
            stripped = stripped[section.end() :].strip()
        name, _, value = stripped.partition("=")
        if remote and name.strip().lower() == "url" and remote not in found:
            found[remote] = value.strip().strip('"')
    return found


def git_folder(root: Path) -> Path | None:
    """Return git's own folder of a working tree, that of the main one for a linked one."""
    place = root / ".git"
    if place.is_dir():
        return place
    pointer = _text(place)
    if pointer is None or not pointer.startswith("gitdir:"):
        return None
    folder = root / pointer.partition(":")[2].strip()
    common = _text(folder / "commondir")
    return folder if common is None else folder / common.strip()


def _text(path: Path) -> str | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(LARGEST).decode(errors="replace")
    except (OSError, ValueError):
        return None
