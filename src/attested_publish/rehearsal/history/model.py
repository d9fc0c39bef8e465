"""What a history file describes: releases, their files, and who published each of them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from packaging.version import Version

    from attested_publish.rehearsal.history.publishers import Publisher
    from attested_publish.rehearsal.pypi.store import Status


class Kind(enum.Enum):
    """The kinds of attestations that PyPI accepts, by their names in a history file."""

    PUBLISH = "publish"
    SLSA = "slsa"


class Fault(enum.Enum):
    """What is wrong with the provenance that is served for a file."""

    MISSING = "missing"
    """The project's page has its address, where the answer is 404."""

    EMPTY = "empty"
    """It has no bundles."""

    GARBAGE = "garbage"
    """It is truncated JSON."""

    OTHER_BYTES = "other-bytes"
    """It is about a file with the same name and another digest."""

    OTHER_PUBLISHER = "other-publisher"
    """It names another publisher than its certificates do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file of a release.

    Without `attestations` it has no provenance, unless a `fault` makes one. `yanked` is why it was
    withdrawn, perhaps empty; `None`: it was not. `uploaded_at` has a time zone.
    """

    filename: str
    uploaded_at: datetime
    publisher: Publisher | None = None
    attestations: tuple[Kind, ...] = ()
    fault: Fault | None = None
    yanked: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """A release of `project`, as its owners spell it."""

    project: str
    version: Version
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class History:
    """Releases, and the status of projects that are not simply active (PEP 792)."""

    releases: tuple[Release, ...] = ()
    statuses: Mapping[str, Status] = field(default_factory=lambda: MappingProxyType({}))
