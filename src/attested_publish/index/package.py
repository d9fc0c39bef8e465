"""Read a distribution as twine does before uploading it: the only module that knows how.

It is called in a judge (see `judges`), because the file is untrusted. Based on twine 7.0.0,
`twine/package.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from twine.exceptions import InvalidDistribution
from twine.package import DIST_TYPES, PackageFile

from attested_publish.distributions import kind_of
from attested_publish.findings import Severity
from attested_publish.rules.form import read_metadata
from attested_publish.rules.metadata import specification_findings

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata

    from attested_publish.distributions import Distribution
    from attested_publish.sandbox.judges import Judges

__all__ = ["InvalidDistribution", "Package", "package_file", "package_of", "read_package"]


@dataclass(frozen=True)
class Package:
    """What a file's upload form is made from: its metadata, and twine's names for its kind.

    `metadata` is packaging's RawMetadata, `filetype` `sdist` or `bdist_wheel`.
    """

    metadata: Mapping[str, Any]
    python_version: str
    filetype: str


def read_package(judges: Judges, distribution: Distribution) -> Package:
    """Let a judge read a distribution. Raises `NotJudged`, `NotReadable`."""
    read = judges.ask_about("package", distribution.path, distribution.filename, distribution.size)
    return Package(**read)


def package_of(path: Path) -> Package:
    """Read the distribution at `path` as twine does.

    What twine refuses only because its list of versions, licences or fields may be older than the
    index's is left to the index. Raises `InvalidDistribution`, and for bad files any exception of
    twine's readers.
    """
    try:
        package = PackageFile.from_filename(str(path), comment=None)
    except InvalidDistribution:
        kind = kind_of(path.name)
        if kind is None:
            raise
        file = DIST_TYPES[kind.value](str(path))
        raw, findings = read_metadata(file.read())
        if raw is None or any(
            finding.severity is Severity.ERROR
            for finding in (*findings, *specification_findings(raw))
        ):
            raise
        return Package(cast("Mapping[str, Any]", raw), file.py_version, kind.value)
    return Package(
        cast("Mapping[str, Any]", package.metadata), package.python_version, package.filetype
    )


def package_file(path: Path, package: Package) -> PackageFile:
    """Create twine's own object from what was read from the file at `path`; hashes the file."""
    metadata = cast("RawMetadata", package.metadata)
    return PackageFile(str(path), None, metadata, package.python_version, package.filetype)
