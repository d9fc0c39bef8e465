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

_MOST_REMOTES = 100
_MOST_LISTED = 5
_CONTINUED = re.compile(r"\\\r?\n")
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


@dataclass(frozen=True)
class _Configuration:
    """What git's configuration says: the remotes' addresses by name, and what rewrites addresses.

    `rewritten` are pairs: a beginning, and what to put in its place; first those of `insteadOf`.
    """

    remotes: dict[str, str]
    rewritten: list[tuple[str, str]]

    def parsed(self, name: str) -> Remote | None:
        """Return the repository that a remote is, by its address, or by what replaces it."""
        url = self.remotes[name]
        fitting = [pair for pair in self.rewritten if pair[0] and url.startswith(pair[0])]
        longest = sorted(fitting, key=lambda pair: len(pair[0]), reverse=True)
        others = [new + url[len(old) :] for old, new in longest]
        found = [each for each in map(parse, [url, *others]) if each is not None]
        return next((each for each in found if each.host in {GITHUB, GITLAB}), None) or next(
            iter(found), None
        )


def remote_of(root: Path) -> tuple[Remote | None, str | None]:
    """Return the repository that git's `origin`, `upstream`, or its only remote, is.

    `None`: there is none, or it is no address of a host. If there are others, a sentence says which
    was taken. What an address has as password is kept out of everything that is printed from then
    on.
    """
    known = _configuration(root)
    repositories = {name: known.parsed(name) for name in known.remotes}
    only = [*repositories] if len(repositories) == 1 else []
    name = next((each for each in ("origin", "upstream", *only) if each in repositories), None)
    if name is None:
        what = "git has several remotes, and none is called origin, so none was taken."
        return None, what if repositories else None
    remote = repositories[name]
    others = [
        f"{each} ({found.path})"
        for each, found in repositories.items()
        if found is not None and found != remote and found.host in {GITHUB, GITLAB}
    ]
    if remote is None or not others:
        return remote, None
    listed = ", ".join(others[:_MOST_LISTED])
    return remote, (
        f"git has several remotes: {name} ({remote.path}) was taken, not {listed}. Publishers "
        "belong to the repository whose workflows publish."
    )


def parse(url: str) -> Remote | None:
    """Understand the address of a remote; `None` if it names no repository at a host."""
    remote = _parsed(url)
    secrets = list(secrecy.credentials_in(url))
    if remote is not None and len(secrets) == 1:
        # A name alone before the `@` may be a token, but not if it is whose repository it is.
        names = {*remote.owner.lower().split("/"), remote.name.lower()}
        secrets = [each for each in secrets if each.lower() not in names]
    secrecy.keep(secrets)
    return remote


def _parsed(url: str) -> Remote | None:
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


def _configuration(root: Path) -> _Configuration:
    """Read git's configuration of a repository, without the files that it includes."""
    folder = git_folder(root)
    text = _text(folder / "config") if folder else None
    found = _Configuration({}, [])
    for_pushing: list[tuple[str, str]] = []
    section, name = "", ""
    for line in _CONTINUED.sub("", text or "").splitlines():
        stripped = line.strip()
        if match := _SECTION.match(stripped):
            section, _, old_name = match[1].lower().partition(".")
            name = old_name if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
            stripped = stripped[match.end() :].strip()
        key, _, written = stripped.partition("=")
        value = _unquoted(written)
        match section, key.strip().lower():
            case "remote", "url" if len(found.remotes) < _MOST_REMOTES:
                found.remotes.setdefault(name, value)
            case "url", "insteadof" if len(found.rewritten) < _MOST_REMOTES:
                found.rewritten.append((value, name))
            case "url", "pushinsteadof" if len(for_pushing) < _MOST_REMOTES:
                for_pushing.append((value, name))
    found.rewritten.extend(for_pushing)
    return found


def _unquoted(written: str) -> str:
    """Return a value of git's configuration without its quotes, and the comment behind it."""
    kept = []
    is_quoted = False
    characters = iter(written.strip())
    for char in characters:
        if char == "\\":
            kept.append(next(characters, ""))
        elif char == '"':
            is_quoted = not is_quoted
        elif char in "#;" and not is_quoted:
            break
        else:
            kept.append(char)
    return "".join(kept).strip()


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
