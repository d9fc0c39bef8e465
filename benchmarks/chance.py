"""What can happen to a release in the soak test: drawn from a seed, to be repeatable."""

from __future__ import annotations

import os
import random
import signal
from dataclasses import dataclass

from attested_publish.rehearsal.faults import ENDPOINTS, TRANSPORT, Fault

LATENCY = {"identity": 0.05, "certificate": 0.1, "log": 0.2, "upload": 0.3, "index": 0.05}
"""Seconds. Without them, a kill would hardly ever hit a request in progress."""

_STATUSES = ("400", "403", "404", "429", "500", "502", "503")
_NEVER_ASKED = {"file"}
_KILLS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGKILL") if hasattr(signal, name)
)


@dataclass(frozen=True)
class Kill:
    """A signal at a moment: `moment` 1.0 is when an undisturbed run would have ended."""

    signal: signal.Signals
    moment: float

    @property
    def is_outright(self) -> bool:
        """Whether the program cannot react to it."""
        return self.signal.name == "SIGKILL" or os.name == "nt"

    def __str__(self) -> str:
        return f"{self.signal.name} at {self.moment:.2f}"


@dataclass(frozen=True)
class Attempt:
    """One run of the program, and what happens to it."""

    faults: tuple[Fault, ...] = ()
    kill: Kill | None = None

    def __str__(self) -> str:
        return ", ".join(map(str, (*self.faults, self.kill or "runs to its end")))


@dataclass(frozen=True)
class Case:
    """A release of `files` distributions, attempted repeatedly; lifetimes are in seconds."""

    number: int
    files: int
    token_lifetime: float
    identity_lifetime: float
    attempts: tuple[Attempt, ...]

    def __str__(self) -> str:
        return (
            f"{self.files} files, API tokens valid for {self.token_lifetime:g} s, identities "
            f"{self.identity_lifetime:g} s"
        )


def case_of(seed: int, number: int) -> Case:
    """Draw a case: one to three disturbed attempts, then an undisturbed one."""
    chance = random.Random(f"{seed}/{number}")
    disturbed = [_attempt(chance) for _ in range(chance.choice((1, 1, 2, 3)))]
    return Case(
        number=number,
        files=chance.randint(1, 6),
        token_lifetime=chance.choice((900.0, 900.0, 900.0, 3.0)),
        identity_lifetime=chance.choice((300.0, 300.0, 300.0, 5.0)),
        attempts=(*disturbed, Attempt()),
    )


def _attempt(chance: random.Random) -> Attempt:
    kill = None
    if chance.random() < 1 / 3:
        kill = Kill(chance.choice(_KILLS), chance.uniform(0.1, 1.2))
    faults = [_fault(chance) for _ in range(chance.randint(0 if kill else 1, 3))]
    return Attempt(tuple(faults), kill)


def _fault(chance: random.Random) -> Fault:
    endpoint = chance.choice(sorted(ENDPOINTS.keys() - _NEVER_ASKED))
    kind = chance.choice((*sorted(TRANSPORT | ENDPOINTS[endpoint]), *_STATUSES))
    value = None
    match kind:
        case "hang" | "slow":
            value = round(chance.uniform(0.1, 1.0), 1)
        case "expires":
            value = float(chance.randint(1, 3))
        case "429":
            value = 1.0
    return Fault(endpoint, kind, value, chance.randint(1, 4))
