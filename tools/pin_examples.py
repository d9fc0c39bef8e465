"""Pin every example to a release: by the commit of its tag, with the version in a comment.

    python tools/pin_examples.py VERSION

The tag has to be known to git here. It fetches nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[1]

_VERSION: Final = re.compile(r"v?(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_USE: Final = re.compile(
    r"(?P<name>(?:(?<!github\.com/)attested-publish/attested-publish|octo-group/attested-publish/publish)"
    r"(?:/[\w./-]+)?)@(?P<ref>[\w./-]+)(?P<comment> # \S+)?"
)
"""The action, its reusable workflow, or the GitLab component, in a line that uses it."""

_INSTALLED: Final = re.compile(
    r"(?P<before>\battested-publish==|/attested-publish/releases/download/v|^\$ version=)"
    r"(?P<version>\d[\w.]*\w)",
    re.MULTILINE,
)
"""The command at a version, in a line that installs it, or the version for the lines below."""


class Pin(NamedTuple):
    """A full commit, and the version that it is."""

    commit: str
    version: str

    def __str__(self) -> str:
        """What follows the name of the action."""
        return f"@{self.commit} # v{self.version}"


class Use(NamedTuple):
    """A place that uses the action: what is used, at which ref, with which comment."""

    name: str
    ref: str
    comment: str


def pages() -> Iterator[Path]:
    """Yield the files with examples, and the workflows of the end-to-end tests."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").glob("**/*.md"))
    yield from sorted((ROOT / "docs" / "examples").glob("*.yml"))
    yield from sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    yield ROOT / "src" / "attested_publish" / "fronts" / "carried_files" / "troubleshooting.md"
    yield from sorted((ROOT / "tests" / "e2e" / "caller").glob(".github/**/*.yml"))


def uses(text: str) -> list[Use]:
    """Return every use of the action in a text."""
    return [
        Use(match["name"], match["ref"], (match["comment"] or "").removeprefix(" # "))
        for match in _USE.finditer(text)
    ]


def versions(text: str) -> set[str]:
    """Return the versions of the command that a text installs."""
    return {match["version"] for match in _INSTALLED.finditer(text)}


def pinned(text: str, pin: Pin) -> str:
    """Return a text with every use of the action at a pin, and the command at its version."""
    text = _USE.sub(lambda match: f"{match['name']}{pin}", text)
    return _INSTALLED.sub(lambda match: f"{match['before']}{pin.version}", text)


def released(version: str, folder: Path = ROOT) -> Pin:
    """Return the pin of a release, from its tag in a repository.

    Raises `ValueError` if that is no full version, or if the repository has no such tag.
    """
    full = _VERSION.fullmatch(version)
    if not full:
        raise ValueError(f"{version!r} is not a full version, such as 1.2.3.")
    tag = f"refs/tags/v{full[1]}^{{commit}}"
    done = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", tag],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    commit = done.stdout.strip()
    if not _COMMIT.fullmatch(commit):
        raise ValueError(
            f"There is no tag v{full[1]} here. If it is released: git fetch origin tag v{full[1]}"
        )
    return Pin(commit, full[1])


def main() -> None:
    """Pin them."""
    try:
        pin = released(" ".join(sys.argv[1:]))
    except ValueError as error:
        sys.exit(str(error))
    for path in pages():
        text = path.read_text(encoding="utf-8")
        changed = pinned(text, pin)
        if changed != text:
            path.write_text(changed, encoding="utf-8", newline="\n")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
