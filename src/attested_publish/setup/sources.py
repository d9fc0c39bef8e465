"""The YAML files of a repository, each read once, within a limit for all of them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import PurePosixPath

from attested_publish.setup.documents import Document, Table, read
from attested_publish.setup.reading import MOST_FILES, NotRead, Tree

WORKFLOWS = ".github/workflows"

_SECONDS = 60.0
_RELEVANT = re.compile(r"publish|upload|twine|\.pypirc|\./|uses:.*\.github/|\\[xuU]", re.IGNORECASE)
"""What a workflow contains that uploads, or leads to what does."""


class Sources:
    """Reads files when they are asked for. `problems` says what was not read, and why."""

    def __init__(self, tree: Tree, repository: str) -> None:
        self.tree = tree
        self.problems: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.repository = repository
        self._documents: dict[str, Document | None] = {}
        self._until = time.monotonic() + _SECONDS

    def workflows(self) -> Iterator[Document]:
        """Yield the workflows that may upload."""
        names = [
            name for name in self.tree.files(WORKFLOWS) if name.lower().endswith((".yml", ".yaml"))
        ]
        for name in names[MOST_FILES:]:
            self.problems[name] = f"more than {MOST_FILES:,} workflows are not read"
        for name in names[:MOST_FILES]:
            if not name.endswith((".yml", ".yaml")):
                self.problems[name] = (
                    "GitHub and PyPI want names that end in .yml or .yaml, in lower case"
                )
                continue
            document = self.document(name)
            if document is not None:
                yield document

    def document(self, name: str) -> Document | None:
        """Return a file that may matter; `None` if there is none, or it cannot be read."""
        if name not in self._documents:
            self._documents[name] = self._read(name)
        return self._documents[name]

    def action(self, uses: str) -> tuple[str, Table] | None:
        """Return the repository's own action that a step uses: its file, and what is in it."""
        for name in _action_files(uses, self.repository):
            document = self.document(name)
            if document is not None:
                return name, document.root
        return None

    def _read(self, name: str) -> Document | None:
        try:
            text = self.tree.text(name)
            if text is None or not _RELEVANT.search(text):
                return None
            if time.monotonic() > self._until:
                self.problems[name] = f"the files before it took {_SECONDS:.0f} seconds"
                return None
            document = read(name, text)
        except NotRead as why:
            self.problems[name] = str(why)
            return None
        if document.repeated:
            lines = ", ".join(map(str, document.repeated))
            self.notes[name] = f"a key occurs twice in a mapping (line {lines})"
        return document


def _action_files(uses: str, repository: str) -> list[str]:
    """Return where an action of the repository itself may be; nothing for one of others."""
    path = uses
    if repository and uses.lower().startswith(f"{repository.lower()}/"):
        path = f"./{uses[len(repository) + 1 :]}"
    if not (path.startswith("./") or path == ".") or ".." in PurePosixPath(path).parts:
        return []
    folder = path.removeprefix(".").strip("/")
    # A checkout may be in a folder of its own.
    below = folder.partition("/")[2] if "/" in folder else None
    folders = [folder] if below is None else [folder, below]
    return [
        f"{each}/{name}" if each else name
        for each in folders
        for name in ("action.yml", "action.yaml")
    ]
