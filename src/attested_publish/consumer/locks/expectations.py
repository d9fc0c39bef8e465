"""What is expected of the publishers of a lock's packages: `publishers.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from packaging.version import Version


@dataclass(frozen=True, slots=True)
class Exempted:
    """An exception of a project: `rule` is not held against it until the end of the day `until`.

    It counts only with a reason and a date: `why_not` says what it lacks, and is empty otherwise.
    """

    rule: str
    reason: str
    until: date | None
    line: int
    why_not: str = ""

    def counts(self, today: date) -> bool:
        """Whether the exception is complete and has not ended."""
        return not self.why_not and self.until is not None and today <= self.until


@dataclass(frozen=True, slots=True)
class Expectation:
    """Who should publish a project, from the version `since` on.

    `identity` has the fields that are given: `kind`, `repository`, `workflow` (GitLab:
    `workflow_filepath`), `environment`, `email`, … as in PEP 740's publisher objects; a field
    that is not given may have any value. It may be empty, where there are only exceptions.
    """

    project: str
    identity: Mapping[str, str]
    since: Version | None
    line: int
    exceptions: tuple[Exempted, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The file's expectations, by normalized project name."""

    path: str
    projects: Mapping[str, Expectation] = field(default_factory=dict)


def read_policy(path: Path) -> Policy:
    """Read `publishers.toml`. Raises `LockError`."""
    raise NotImplementedError


def parse_policy(content: bytes, name: str) -> Policy:
    """Read a policy from its bytes; `name` is its path, for messages. Raises `LockError`."""
    raise NotImplementedError
