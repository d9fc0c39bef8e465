"""An index of the test's own that notes what it is sent, and how many files at the same time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from attested_publish.distributions import copy_privately, release_of
from attested_publish.index.contents import New
from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.index import Dialect, Index
from attested_publish.index.upload import Delivery, Outcome, upload
from attested_publish.sandbox.pool import shared_sandbox
from support.releases import deadlines
from support.servers import serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from attested_publish.distributions import Distribution
    from attested_publish.problems import Problem

_LONGEST = 3.0
"""Seconds."""

OK = Response("<title>200 OK</title>", mimetype="text/html")


@dataclass(frozen=True)
class Sent:
    """A file that was sent: with which others, which had been answered, and the answer."""

    filename: str
    beside: tuple[str, ...]
    after: tuple[str, ...]
    status: int


@dataclass
class CountingIndex:
    """Keeps each file for `seconds`, and gives the answer of `answer`.

    `answer` is called with the filename, and how often that file was sent before. A file is kept
    longer, up to `_LONGEST`, as long as `until` is not true, which is called with this and the
    filename: so that a slow machine can show that something happens at the same time.
    """

    seconds: float = 0.1
    answer: Callable[[str, int], Response] = lambda *_: OK
    until: Callable[[CountingIndex, str], bool] = lambda *_: True
    sent: list[Sent] = field(default_factory=list)
    _here: list[str] = field(default_factory=list)
    _done: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with Request(environ) as request:
            filename = request.files["content"].filename or ""
        with self._lock:
            before = sum(each.filename == filename for each in self.sent)
            response = self.answer(filename, before)
            beside, after = tuple(self._here), tuple(self._done)
            self.sent.append(Sent(filename, beside, after, response.status_code))
            self._here.append(filename)
        time.sleep(self.seconds)
        end = time.monotonic() + _LONGEST
        while not self.until(self, filename) and time.monotonic() < end:
            time.sleep(0.01)
        with self._lock:
            self._here.remove(filename)
            self._done.append(filename)
        return response(environ, start_response)

    @property
    def filenames(self) -> list[str]:
        """What was sent, in that order."""
        return [each.filename for each in self.sent]

    def most(self) -> int:
        """How many files were here at the same time."""
        return max(1 + len(each.beside) for each in self.sent)

    def most_of_a_release(self) -> int:
        """How many files of one release were here at the same time."""
        return max(
            1 + [release_of(name) for name in each.beside].count(release_of(each.filename))
            for each in self.sent
        )


@dataclass
class Told:
    """What `upload` reported."""

    begun: list[str] = field(default_factory=list)
    done: dict[str, Outcome] = field(default_factory=dict)
    failed: dict[str, Problem] = field(default_factory=dict)
    waits: list[str] = field(default_factory=list)


def send(
    folder: Path,
    index: CountingIndex,
    dialect: Dialect,
    parallel: int | None = None,
    *,
    new: Callable[[list[Distribution]], New] = lambda _: New(),
    is_there: Callable[[Distribution], bool] = lambda _: False,
    seconds: float = 20.0,
    told: Told | None = None,
) -> Told:
    """Upload what is in `folder` with twine; return what was reported (also in `told`)."""
    told = told or Told()
    with serving(index) as server, copy_privately([folder]) as copies:
        delivery = Delivery(
            index=Index.at(f"{server.url}/legacy/", dialect),
            credentials=GivenCredentials("__token__", "secret"),
            parallel=parallel,
            skip_existing=False,
            deadlines=deadlines(seconds, answer=10.0),
            is_there=is_there,
            tell=told.waits.append,
            sandbox=shared_sandbox(),
        )
        upload(
            copies.distributions,
            {},
            delivery,
            new=new(list(copies.distributions)),
            begun=lambda each: told.begun.append(each.filename),
            done=lambda each, outcome: told.done.update({each.filename: outcome}),
            failed=lambda each, problem: told.failed.update({each.filename: problem}),
        )
    return told


def until_together(number: int) -> Callable[[CountingIndex, str], bool]:
    """Keep what is sent until so many files were here at the same time, if that ever happens."""
    return lambda index, _: index.most() >= number


def all_new(distributions: list[Distribution]) -> New:
    """Every release is new, and every project is there."""
    return New(releases=frozenset(each.release for each in distributions))
