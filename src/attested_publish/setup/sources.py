"""The YAML files of a repository, each read once, within a limit for all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from attested_publish.setup.documents import Document, Table, read
from attested_publish.setup.reading import (
    MOST_FILES,
    Deadline,
    NotRead,
    Tree,
    is_utf8,
    legible,
)

WORKFLOWS = ".github/workflows"

_RELEVANT = re.compile(
    r"publish|upload|twine|pypi|release|[.$]/|uses:.*\.github/|id-token|environment|\\[xuU]"
    r"|\b(?:make|just|tox|nox|npm|pnpm|yarn)\b|\.sh\b",
    re.IGNORECASE,
)
"""What a workflow of GitHub's contains that uploads, or leads to what does."""

_LIKELY = re.compile(r"publish|twine|pypi|upload(?!-artifact)|id-token", re.IGNORECASE)
"""What a file contains that may upload, as far as its text shows."""


class Sources:
    """Reads files when they are asked for, until the deadline.

    `problems` says what was not read, and why; those of `likely` may upload. `repository` is
    `OWNER/NAME` on GitHub; empty for another host, whose files are all read that are asked for.
    """

    def __init__(
        self, tree: Tree, repository: str, deadline: Deadline, *, reads_all: bool = False
    ) -> None:
        self.tree = tree
        self.deadline = deadline
        self.problems: dict[str, str] = {}
        self.likely: list[str] = []
        self.notes: dict[str, str] = {}
        self.repository = repository
        self._reads_all = reads_all
        self._documents: dict[str, Document | None] = {}

    def workflows(self) -> Iterator[Document]:
        """Yield the workflows that may upload."""
        names = [
            name for name in self.tree.files(WORKFLOWS) if name.lower().endswith((".yml", ".yaml"))
        ]
        for name in names[MOST_FILES:]:
            self.skip(legible(name), f"more than {MOST_FILES:,} workflows are not read")
        for name in names[:MOST_FILES]:
            if not is_utf8(name):
                self.skip(legible(name), "its name is not UTF-8")
                continue
            if not name.endswith((".yml", ".yaml")):
                self.problems[name] = (
                    "GitHub and PyPI want names that end in .yml or .yaml, in lower case"
                )
                continue
            document = self.document(name)
            if document is not None:
                yield document

    def document(self, name: str, *, reads_all: bool = False) -> Document | None:
        """Return a file that may matter; `None` if there is none, or it cannot be read.

        With `reads_all`, any file that is there may matter.
        """
        if name not in self._documents:
            self._documents[name] = self._read(name, reads_all=reads_all or self._reads_all)
        return self._documents[name]

    def action(self, uses: str) -> tuple[str, Table] | None:
        """Return the repository's own action that a step uses: its file, and what is in it."""
        for name in _action_files(uses, self.repository):
            # What only sets up Python, in a job that publishes, may restore a cache.
            document = self.document(name, reads_all=True)
            if document is not None:
                return name, document.root
        return None

    def skip(self, name: str, why: str, *, is_likely: bool = True) -> None:
        """Note that a file was not read ("it …"), and whether it may be one that uploads."""
        self.problems[name] = why
        if is_likely:
            self.likely.append(name)

    def is_late(self, name: str, *, is_likely: bool = True) -> bool:
        """Whether the time is up; if so, note that a file was not looked at as a whole."""
        if self.deadline.is_over and name not in self.problems:
            part = "not all of its jobs were looked at, " if name in self._documents else ""
            seconds = f"{self.deadline.seconds:.0f} seconds"
            self.skip(
                name,
                f"{part}the time was up, which is {seconds} for all files",
                is_likely=is_likely,
            )
        return self.deadline.is_over

    def _read(self, name: str, *, reads_all: bool) -> Document | None:
        text = None
        try:
            text = self.tree.text(name)
            is_relevant = text is not None and bool(_RELEVANT.search(text))
            if text is None or not (reads_all or is_relevant):
                return None
            if self.is_late(name, is_likely=is_relevant or self._reads_all):
                return None
            document = read(name, text)
        except NotRead as why:
            self.skip(name, str(why), is_likely=text is None or bool(_LIKELY.search(text)))
            return None
        if document.repeated:
            lines = ", ".join(map(str, document.repeated))
            self.notes[name] = f"a key occurs twice in a mapping (line {lines})"
        return document


def own_path(uses: str, repository: str) -> str:
    """Return what a step or job uses as a path (`./…`), where it is the repository's own.

    That may also be named by the repository, or be in that of the workflow itself (`$/…`).
    """
    if uses.startswith("$/"):
        return f"./{uses[2:]}"
    if repository and uses.lower().startswith(f"{repository.lower()}/"):
        return f"./{uses[len(repository) + 1 :]}"
    return uses


def _action_files(uses: str, repository: str) -> list[str]:
    """Return where an action of the repository itself may be; nothing for one of others."""
    path = own_path(uses, repository)
    if not (path.startswith("./") or path == ".") or ".." in PurePosixPath(path).parts:
        return []
    folder = "/".join(PurePosixPath(path).parts)
    # A checkout may be in a folder of its own.
    below = folder.partition("/")[2] if "/" in folder else None
    folders = [folder] if below is None else [folder, below]
    return [
        f"{each}/{name}" if each else name
        for each in folders
        for name in ("action.yml", "action.yaml")
    ]
