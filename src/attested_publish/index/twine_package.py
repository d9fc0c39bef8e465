"""Read a distribution as twine does before uploading it: the only module that knows how.

`read` is called in a child process (see `sandbox`), as what it reads is untrusted. Facts: twine
7.0.0, `twine/package.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from twine.exceptions import InvalidDistribution
from twine.package import DIST_TYPES, PackageFile

from attested_publish.distributions import kind_of
from attested_publish.findings import Severity
from attested_publish.index.package import Package
from attested_publish.rules.form import read_metadata, readable_metadata
from attested_publish.rules.metadata import specification_findings
from attested_publish.sandbox.questions import Answer, Question, Unreadable, path_in

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata


def read(question: Question) -> Answer:
    """Read in the child process what twine sends of a file: a `Package` as JSON."""
    path = path_in(question)
    try:
        return asdict(readable(path) if question["index_judges"] else package_of(path))
    except InvalidDistribution as error:
        raise Unreadable(str(error)) from error


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


def readable(path: Path) -> Package:
    """Read the distribution at `path` with twine's readers, without twine's judgement of it.

    Its metadata needs a name and a version, without which there is no form. Raises as
    `package_of` does.
    """
    kind = kind_of(path.name)
    if kind is None:
        raise InvalidDistribution(f"Unknown distribution format: {path.name!r}")
    file = DIST_TYPES[kind.value](str(path))
    raw = readable_metadata(file.read())
    for field in ("name", "version"):
        if not raw.get(field):
            raise InvalidDistribution(f"its metadata has no {field}")
    return Package(cast("Mapping[str, Any]", raw), file.py_version, kind.value)


def package_file(path: Path, package: Package) -> PackageFile:
    """Create twine's own object from what was read from the file at `path`; hashes the file."""
    metadata = cast("RawMetadata", package.metadata)
    return PackageFile(str(path), None, metadata, package.python_version, package.filetype)
