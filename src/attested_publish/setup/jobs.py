"""A job that uploads, as the rules see it: of GitHub's workflows and of GitLab's pipelines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from attested_publish.setup.addresses import Place, may_be_public

_FOR_PUBLISHING = re.compile(r"pypi|release|publish|deploy", re.IGNORECASE)


class Provider(StrEnum):
    """Whose job it is, as the report names it."""

    GITHUB = "github"
    GITLAB = "gitlab"


@dataclass(frozen=True, order=True)
class Spot:
    """A line of a file of the repository."""

    file: str
    line: int


class Kind(StrEnum):
    """With what a job uploads, as far as it matters for changing it."""

    OURS = "this action"
    PYPA = "pypa/gh-action-pypi-publish"
    ACTION = "another action"
    COMMAND = "a command"


@dataclass(frozen=True)
class Uploading:
    """A step or command that uploads: where to, with what, and whether a secret is given to it."""

    spot: Spot
    kind: Kind
    tool: str
    places: tuple[Place, ...]
    has_secret: bool = False
    key: tuple[str, int] = ("", 0)
    """What identifies the step in its file: the file, and where the step starts in its text."""

    paths: tuple[str, ...] = ()
    needs_identity: bool = False
    """Whether nothing but an identity token can give it access: no password is given to it."""

    attests: bool = True
    """Whether it may upload attestations, too."""

    rows: tuple[int, int] | None = None
    """The first and the last line of a command in its file."""

    folder: str = ""
    """The working directory of a command; with a mark where it is not known."""

    interpreter: str = ""
    """The shell of a command; empty where the runner decides."""

    @property
    def may_be_public(self) -> bool:
        """Whether it may upload to PyPI or TestPyPI."""
        return may_be_public(self.places)


@dataclass(frozen=True)
class Trigger:
    """What may start a job that should not, or not like this: the event, and where it is named."""

    event: str
    spot: Spot


@dataclass
class Job:
    """One combination of a job, with all that it does in the end.

    `file` defines it, and `started` is the file that is started. `environment` is its name, empty
    for none, and `None` if it has one that is not known. `has_identity`: it may ask for an identity
    token. Spots are where a rule's finding is.
    """

    provider: Provider
    file: str
    started: str
    name: str
    spot: Spot
    environment: str | None = ""
    has_identity: bool = False
    lacks_identity: bool = False
    """Whether it is known that it may not ask for an identity token."""

    uploads: list[Uploading] = field(default_factory=list)
    builds: list[Spot] = field(default_factory=list)
    caches: list[Spot] = field(default_factory=list)
    unpinned: list[tuple[str, Spot]] = field(default_factory=list)
    wide: list[tuple[str, Spot]] = field(default_factory=list)
    untrusted: list[Trigger] = field(default_factory=list)
    any_branch: Spot | None = None
    is_reusable: bool = False
    hints: list[str] = field(default_factory=list)
    needed_hints: list[str] = field(default_factory=list)
    builds_all: bool = False
    needs: tuple[str, ...] = ()
    checks_out: bool = False

    @property
    def is_locked_out(self) -> bool:
        """Whether no index can accept what it publishes: it gets neither a token nor a password."""
        return self.lacks_identity and any(
            each.needs_identity and any(place.is_public for place in each.places)
            for each in self.uploads
        )

    @property
    def may_be_for_publishing(self) -> bool:
        """Whether what it is allowed, or its environment, is meant for publishing."""
        is_named = self.environment is not None and _FOR_PUBLISHING.search(self.environment)
        return self.has_identity or bool(is_named)

    @property
    def attests(self) -> bool:
        """Whether it may upload attestations to PyPI or TestPyPI."""
        return any(each.attests for each in self.uploads if each.may_be_public)

    @property
    def is_public(self) -> bool:
        """Whether it uploads to PyPI or TestPyPI."""
        return any(place.is_public for each in self.uploads for place in each.places)
