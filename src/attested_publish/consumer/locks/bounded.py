"""Read locks and policies within bounds: small ones here, large ones in a child process.

tomllib takes up to 3 seconds and 130 MB for a MiB that is made to, and the others are not far
from it. The child is ended at its bounds, and is gone before anything is verified.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from attested_publish.consumer.locks.exchange import unpacked_lock, unpacked_policy
from attested_publish.consumer.locks.expectations import MOST_BYTES as MOST_OF_POLICY
from attested_publish.consumer.locks.expectations import Policy, parse_policy
from attested_publish.consumer.locks.model import Lock, LockError
from attested_publish.consumer.locks.reading import (
    bounded_content,
    content_of,
    parse_lock,
    why_unread,
)
from attested_publish.consumer.locks.requirements import LARGEST, Beside
from attested_publish.consumer.locks.toml import Broken
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.net.untrusted import shown
from attested_publish.sandbox.pool import BeyondBounds, Sandbox, Unreadable
from attested_publish.sandbox.questions import Answer, about_file

MOST_HERE: Final = 256 << 10
"""Bytes of a lock, with what it includes, or of a policy, that are parsed in this process.

At worst that takes less than a second and 40 MB; a child takes a quarter of a second to start.
"""

_SECONDS = 15.0
"""Processor time for a file. An honest lock of 10 MB takes a third of it."""

_MEMORY = 300 << 20
"""An honest lock takes ten times its size: this is for all that are read within the time."""

_LEAST = 0.1
"""Seconds that are worth another question."""

_LOCK = "attested_publish.consumer.locks.answering:lock"
_POLICY = "attested_publish.consumer.locks.answering:policy"


def read_lock(path: Path) -> Lock:
    """Read a lock from a file, and the files of requirements that it includes.

    These have to lie below its folder, also after symbolic links are followed. Raises `LockError`.
    """
    content = content_of(path)
    folder = path.resolve().parent

    def beside(relative: str) -> bytes | None:
        try:
            target = (path.parent / relative).resolve()
            return bounded_content(target) if target.is_relative_to(folder) else None
        except (OSError, ValueError, RuntimeError):
            return None

    return lock_in(content, str(path), beside=beside)


def lock_in(content: bytes, name: str, *, beside: Beside = lambda _: None) -> Lock:
    """Read a lock from its bytes, such as those in another revision; as `parse_lock` does."""
    included = _Included(beside, len(content))
    if len(content) <= MOST_HERE:
        try:
            return parse_lock(content, name, beside=included.small)
        except _TooLargeForHere:
            pass
    with asking(name, _SECONDS, _MEMORY) as ask:
        try:
            while "needs" in (answer := ask(_LOCK, content, included.content)):
                # Each time at least one more, until there are as many as may be included.
                for each in answer["needs"]:
                    included.get(each)
        except Broken as error:
            raise LockError(shown(name, 200), error.why) from error
    return unpacked_lock(answer["read"])


def read_policy(path: Path) -> Policy:
    """Read `publishers.toml`. Raises `LockError`."""
    content = content_of(path, MOST_OF_POLICY)
    if len(content) <= MOST_HERE:
        return parse_policy(content, str(path))
    with asking(str(path), _SECONDS, _MEMORY) as ask:
        return unpacked_policy(ask(_POLICY, content)["read"])


class Asking:
    """Asks one child about one file, within a time for all questions together."""

    def __init__(self, name: str, folder: Path, sandbox: Sandbox, seconds: float) -> None:
        self._name = name
        self._folder = folder
        self._sandbox = sandbox
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._paths: dict[int, str] = {}

    def __call__(
        self,
        function: str,
        content: bytes,
        included: Mapping[str, bytes | None] | None = None,
        **question: Any,  # noqa: ANN401 - JSON
    ) -> Answer:
        """Ask about a content, and others by their names. Raises `LockError`."""
        name = shown(self._name, 200)
        left = self._until - time.monotonic()
        if left < _LEAST:
            raise LockError(name, f"It could not be read: it exceeded {self._seconds:.0f} seconds.")
        given = {
            each: None if other is None else self._path(other)
            for each, other in (included or {}).items()
        }
        asked = {"path": self._path(content), "filename": self._name, "included": given}
        try:
            answer = self._sandbox.ask(function, {**asked, **question}, left)
        except (BeyondBounds, Unreadable) as error:
            raise LockError(name, f"It could not be read: {error}.") from error
        if "refused" in answer:
            line, remedy = answer["line"], answer["remedy"]
            raise LockError(name, answer["refused"], line=line, remedy=remedy)
        return answer

    def _path(self, content: bytes) -> str:
        """Return where the child finds a content: as a file, because JSON would take more room."""
        if id(content) not in self._paths:
            path = self._folder / str(len(self._paths))
            try:
                path.write_bytes(content)
            except OSError as error:
                why = f"It could not be copied to {self._folder}: {why_unread(error)}."
                raise LockError(shown(self._name, 200), why) from error
            self._paths[id(content)] = str(about_file(path, "", 0)["path"])
        return self._paths[id(content)]


@contextmanager
def asking(name: str, seconds: float, memory: int) -> Iterator[Asking]:
    """Provide a child that can be asked about the file `name`. Raises `LockError`."""
    with ended_when_stopped() as until_done:
        try:
            folder = until_done.enter_context(
                tempfile.TemporaryDirectory(prefix="attested-publish-", ignore_cleanup_errors=True)
            )
        except OSError as error:
            why = f"There is no room to copy it: {why_unread(error)}."
            raise LockError(shown(name, 200), why) from error
        sandbox = Sandbox(children=1, memory=memory)
        until_done.callback(sandbox.close)
        yield Asking(name, Path(os.path.realpath(folder)), sandbox, seconds)


class _TooLargeForHere(Exception):
    """With what it includes, a lock is for a child."""


@dataclass
class _Included:
    """The files that a lock includes, each read once; no more of them than are looked at."""

    beside: Beside
    size: int
    content: dict[str, bytes | None] = field(default_factory=dict)

    def get(self, name: str) -> bytes | None:
        """Return a file's content; nothing once there is more than may be included."""
        if name not in self.content:
            found = self.beside(name) if self.size <= 2 * LARGEST else b""
            self.size += len(found or b"")
            self.content[name] = found
        return self.content[name]

    def small(self, name: str) -> bytes | None:
        """As `get`. Raises `_TooLargeForHere`."""
        found = self.get(name)
        if self.size > MOST_HERE:
            raise _TooLargeForHere
        return found
