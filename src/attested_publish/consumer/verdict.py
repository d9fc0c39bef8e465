"""What is verified, and what comes of it: the files of a release, and a verdict on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.version import Version
    from pypi_attestations import Publisher

    from attested_publish.consumer.expected import Origin
    from attested_publish.index.pages import IndexFile


@dataclass(frozen=True)
class Wanted:
    """A file of a release that is to be verified: the user's own (`local`), or the index's."""

    project: str
    version: Version
    filename: str
    served: IndexFile | None
    local: Path | None = None


@dataclass(frozen=True)
class Release:
    """The files of one release to verify, and all files of its project on the index."""

    project: str
    version: Version
    wanted: tuple[Wanted, ...]
    of_project: Mapping[str, IndexFile]


@dataclass(frozen=True)
class Verdict:
    """The result for a file; `why_not` is empty if everything is valid.

    `publishers` are those of the attestations that were checked, `predicate_types` and
    `log_indexes` what each valid one states and its index in the log, in the same order, `origins`
    the refs and commits that their certificates name. All are unverified claims of the index unless
    `is_proven`: every attestation is valid for these bytes, whoever was expected. `is_unattested`:
    the index serves none.
    """

    wanted: Wanted
    sha256: str = ""
    publishers: tuple[Publisher, ...] = ()
    predicate_types: tuple[str, ...] = ()
    log_indexes: tuple[int, ...] = ()
    origins: tuple[Origin, ...] = ()
    why_not: str = ""
    is_proven: bool = False
    is_unattested: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the bytes and every attestation are valid, for the expected publisher."""
        return not self.why_not
