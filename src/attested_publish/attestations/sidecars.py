"""Files next to a distribution that contain its attestations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.distributions import Distribution

PUBLISH_SUFFIX = ".publish.attestation"
SLSA_SUFFIX = ".slsa.attestation"
ATTESTATION_SUFFIXES = (PUBLISH_SUFFIX, SLSA_SUFFIX)
"""The suffix after the distribution's filename, as pypi-attestations, twine and uv use it."""

PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
SLSA = "https://slsa.dev/provenance/v1"
KINDS = {PUBLISH: "publish", SLSA: "slsa"}
"""The predicate types that PyPI accepts, and their names in filenames and here."""

BUNDLE_SUFFIXES = (".sigstore.json", ".sigstore", ".intoto.jsonl")
"""The suffixes of bundles from Sigstore's tools and GitHub's actions."""


@dataclass(frozen=True)
class Ready:
    """An attestation that the index will accept, and the file it was found in."""

    path: Path
    predicate_type: str
    attestation: Attestation


@dataclass(frozen=True)
class Fault:
    """A file whose attestation the index would not accept; `why` is a sentence (or several).

    `was_made_for_upload` is true for an attestation file, which has no other purpose next to a
    distribution. A Sigstore bundle may be there for other consumers.
    """

    path: Path
    why: str
    was_made_for_upload: bool


@dataclass
class Existing:
    """What can be uploaded, by distribution filename, what cannot, and what exists twice."""

    usable: dict[str, list[Ready]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    spare: list[Ready] = field(default_factory=list)

    def lacks(self, distribution: Distribution, predicate_type: str) -> bool:
        """Whether a distribution has no attestation of this type yet.

        One does not replace another: SLSA provenance states how a file was built, not that it was
        meant to be published.
        """
        usable = self.usable.get(distribution.filename, ())
        return all(ready.predicate_type != predicate_type for ready in usable)

    def together(self, made: Mapping[str, Sequence[Attestation]]) -> dict[str, list[Attestation]]:
        """Return what is uploaded with each file: what was `made` for it, and what existed."""
        together = {filename: list(of_file) for filename, of_file in made.items()}
        for filename, usable in self.usable.items():
            together.setdefault(filename, []).extend(ready.attestation for ready in usable)
        return together


def beside(distributions: Sequence[Distribution]) -> list[Path]:
    """Return the files next to the distributions that may contain their attestations.

    Attestation files, named after the distribution with a suffix, come before bundles, which may
    have any name.
    """
    names: dict[Path, set[str]] = {}
    for each in distributions:
        names.setdefault(each.source.parent, set()).add(each.filename)
    attestations: list[Path] = []
    bundles: list[Path] = []
    for folder, filenames in sorted(names.items()):
        for path in _files_in(folder):
            if is_attestation_file(path):
                if without_suffix(path) in filenames:
                    attestations.append(path)
            elif path.name.lower().endswith(BUNDLE_SUFFIXES):
                bundles.append(path)
    return attestations + bundles


def attestation_file(filename: str, predicate_type: str) -> str:
    """Return the name of a distribution's attestation file with this kind of statement."""
    return f"{filename}{PUBLISH_SUFFIX if predicate_type == PUBLISH else SLSA_SUFFIX}"


def is_attestation_file(path: Path) -> bool:
    """Whether a file is named like an attestation, whose only purpose is to be uploaded."""
    return path.name.endswith(ATTESTATION_SUFFIXES)


def without_suffix(path: Path) -> str:
    """Return the name of the distribution that an attestation or bundle is named after."""
    for suffix in (*ATTESTATION_SUFFIXES, *BUNDLE_SUFFIXES):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def _files_in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        # Files may be readable in a folder that cannot be listed.
        return []
