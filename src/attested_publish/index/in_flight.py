"""Which file is uploaded next, given what is in flight, and how many at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from attested_publish.distributions import Distribution, Kind
from attested_publish.net.retry import GaveUp
from attested_publish.net.untrusted import shown
from attested_publish.problems import Problem

if TYPE_CHECKING:
    from packaging.version import Version

    from attested_publish.index.contents import New
    from attested_publish.net.retry import Tell

Release: TypeAlias = "tuple[str | None, Version | None]"

MOST = 16
"""The most uploads in flight that `parallel-uploads` can ask for."""

_OF_A_RELEASE_ON_PYPI = 2
"""PyPI's database takes no more: each insert locks every row of the release, and keeps the locks
while the file is stored, so three uploads of one release deadlock, and one is answered with 500."""

_ON_PYPI = 6
"""By default; several projects do not disturb one another."""

_ELSEWHERE = 2
"""What `auto` begins with."""

_LOOK_AGAIN = 0.2
"""Seconds after which waiting threads notice that the run was stopped."""


@dataclass(frozen=True)
class Limits:
    """How many uploads may be in flight: `now`, which grows to at most `most`.

    `of_a_release` is PyPI's bound for one release (`None`: another index, without one); of a
    release in `singly` only one may be. `lowered` counts how often `now` was: what was sent before
    that says nothing about the limits since then.
    """

    now: int
    most: int
    of_a_release: int | None = None
    singly: frozenset[Release] = frozenset()
    lowered: int = 0

    @classmethod
    def asked_for(cls, number: int | None, *, works_as_pypi: bool) -> Limits:
        """Return the limits to begin with; `number` is `parallel-uploads`, `None` its `auto`."""
        if works_as_pypi:
            now = number or _ON_PYPI
            return cls(now, now, of_a_release=min(now, _OF_A_RELEASE_ON_PYPI))
        return cls(number or _ELSEWHERE, number or MOST)

    def allow(self, release: Release, in_flight: Sequence[Release]) -> bool:
        """Whether one more of `release` may be in flight, beside these."""
        return len(in_flight) < self.now and in_flight.count(release) < self._most_of(release)

    def after_success(self, sent_under: Limits) -> Limits:
        """Return the limits after an upload was accepted, while as many as allowed were sent."""
        if sent_under.lowered != self.lowered:
            return self
        return replace(self, now=min(self.now + 1, self.most))

    def after_trouble(self, release: Release, sent_under: Limits) -> Limits:
        """Return the limits after a file of `release` got 429, 5xx, or no answer.

        PyPI goes on with an upload whose client has lost the connection, so that no answer may
        mean that one more is in flight than we know of.
        """
        if self.of_a_release is not None:
            is_lower = self._most_of(release) > 1
            return replace(self, singly=self.singly | {release}) if is_lower else self
        # All that were sent together may fail together, and are one trouble.
        if sent_under.lowered != self.lowered:
            return self
        return replace(self, now=max(self.now // 2, 1), lowered=self.lowered + 1)

    def _most_of(self, release: Release) -> int:
        if release in self.singly:
            return 1
        return self.most if self.of_a_release is None else self.of_a_release


@dataclass(frozen=True)
class Order:
    """What has to come first: `firsts` has the file that creates a release, for each new one.

    `creating` are those among them that create a project, too.
    """

    firsts: Mapping[Release, Distribution] = field(default_factory=dict)
    creating: Sequence[Distribution] = ()

    @classmethod
    def of(cls, distributions: Sequence[Distribution], new: New) -> Order:
        """Choose the first file of each new release.

        That is its smallest wheel, which shows soonest whether the index accepts the release.
        """
        firsts = {
            release: min(
                (each for each in distributions if each.release == release),
                key=lambda each: (_is_sdist(each), each.size),
            )
            for release in sorted({each.release for each in distributions} & new.releases, key=str)
        }
        creating = tuple(each for each in firsts.values() if each.project in new.projects)
        return cls(firsts, creating)

    def next(
        self,
        waiting: Sequence[Distribution],
        in_flight: Sequence[Distribution],
        limits: Limits,
        unsent: Sequence[Distribution] = (),
    ) -> Distribution | None:
        """Return the file to start now; `None`: something in flight has to go on or end first.

        `unsent` are those in flight that are still being prepared.

        * A file that creates a project goes before everything else, and alone.
        * The first file of a new release goes before the others of that release, and alone among
          them; those of several releases may go together.
        * An sdist starts when no wheel of the whole run is still to be sent, so that hardly any
          installer builds from source while wheels are still being uploaded.
        """
        if len(in_flight) >= limits.now:
            return None
        for each in self.creating:
            if each in in_flight:
                return None
            if each in waiting:
                return None if in_flight else each
        releases = [each.release for each in in_flight]
        is_wheel_waiting = any(not _is_sdist(each) for each in (*waiting, *unsent))
        blocked: set[Release] = set()
        for each in sorted(waiting, key=lambda each: self.firsts.get(each.release) != each):
            if (_is_sdist(each) and is_wheel_waiting) or each.release in blocked:
                continue
            first = self.firsts.get(each.release, each)
            is_its_turn = first == each or not (first in waiting or first in in_flight)
            if is_its_turn and limits.allow(each.release, releases):
                return each
            blocked.add(each.release)
        return None


def _is_sdist(distribution: Distribution) -> bool:
    return distribution.kind is not Kind.WHEEL


class Flights:
    """Hands out files to several threads, and lets them send no more at a time than is allowed.

    A file that pauses before its next try keeps its place: an index in trouble gets no other
    file instead. `tell` is called once when a release goes on one file at a time. Once something
    has `given_up`, no further file is started, or sent again.
    """

    def __init__(
        self,
        distributions: Sequence[Distribution],
        order: Order,
        limits: Limits,
        tell: Tell,
    ) -> None:
        self._waiting = list(distributions)
        self._order = order
        self._limits = limits
        self.given_up = GaveUp()
        self._tell = tell
        self._in_flight: list[Distribution] = []
        self._unsent: list[Distribution] = []
        self._sent: list[Release] = []
        self._changed = threading.Condition()

    @property
    def threads(self) -> int:
        """How many threads can ever have something to do."""
        of_a_release = self._limits.of_a_release or self._limits.most
        at_most = of_a_release * len({each.release for each in self._waiting})
        return min(len(self._waiting), self._limits.most, at_most)

    @property
    def is_empty(self) -> bool:
        """See `net.parallel.Source`."""
        return not self._waiting

    def take(self) -> Distribution | None:
        """See `net.parallel.Source`; `None` also after a final failure."""
        with self._changed:
            while self._waiting and not self.given_up:
                chosen = self._order.next(
                    self._waiting, self._in_flight, self._limits, self._unsent
                )
                if chosen is not None:
                    self._waiting.remove(chosen)
                    self._in_flight.append(chosen)
                    self._unsent.append(chosen)
                    return chosen
                self._changed.wait(_LOOK_AGAIN)
        return None

    def end(self, distribution: Distribution) -> None:
        """Note that a file that was taken is done with, however it ended."""
        with self._changed:
            self._in_flight.remove(distribution)
            self._no_longer_unsent(distribution)
            self._changed.notify_all()

    @contextlib.contextmanager
    def sending(self, distribution: Distribution) -> Iterator[None]:
        """Wait until a file that was taken may be sent (again); how that ends sets the limits.

        The limits may have been lowered since it was taken. Raises `Stopped` if nothing is to be
        sent any more.
        """
        with self._changed:
            while not self._limits.allow(distribution.release, self._sent):
                self.given_up.heed()
                self._changed.wait(_LOOK_AGAIN)
            self._sent.append(distribution.release)
            self._no_longer_unsent(distribution)
            self._changed.notify_all()
            sent_under = self._limits
        try:
            yield
            self._answered(distribution, sent_under)
        except Problem as problem:
            self._answered(distribution, sent_under, problem)
            raise
        finally:
            with self._changed:
                self._sent.remove(distribution.release)
                self._changed.notify_all()

    def _no_longer_unsent(self, distribution: Distribution) -> None:
        if distribution in self._unsent:
            self._unsent.remove(distribution)

    def _answered(
        self, distribution: Distribution, sent_under: Limits, problem: Problem | None = None
    ) -> None:
        release = distribution.release
        with self._changed:
            before = self._limits
            if problem is not None and problem.may_pass:
                self._limits = before.after_trouble(release, sent_under)
            elif problem is None and len(self._sent) >= before.now:
                self._limits = before.after_success(sent_under)
            others = [
                each
                for each in (*self._waiting, *self._in_flight)
                if each.release == release and each is not distribution
            ]
            is_told = others and len(self._limits.singly) > len(before.singly)
        if problem is not None and is_told:
            name = shown(" ".join(str(part) for part in release if part is not None))
            self._tell(
                f"{problem.title}: from here on, the files of {name or 'this release'} are "
                "uploaded one at a time."
            )
