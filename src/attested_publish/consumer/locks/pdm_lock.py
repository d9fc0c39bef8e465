"""Read `pdm.lock`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attested_publish.consumer.locks.entries import (
    Hashes,
    compatible,
    is_own,
    last_segment,
    normalized,
    plain,
    release_numbers,
    source_of,
)
from attested_publish.consumer.locks.model import LockedPackage, Source
from attested_publish.consumer.locks.toml import Lines, Table

_NEWEST = (4, 5)
"""PDM's rule: the first number says what older releases cannot read, the second what newer ones
cannot be read by; the third does not matter."""


def read_pdm(values: Mapping[str, Any], text: str, path: str) -> list[LockedPackage]:
    """Return the packages of a `pdm.lock`. Raises `Broken`.

    A package with extras has an entry of its own with the same files: only one is returned. Up to
    4.0 the files of all packages were in a table of their own, by name and version.
    """
    table = Table(values)
    metadata = table.table("metadata")
    version = metadata.required_text("lock_version")
    compatible(release_numbers(version)[:2], _NEWEST, "PDM", version)
    apart = metadata.table("files")
    lines = Lines(text, "package")
    found: dict[tuple[object, ...], LockedPackage] = {}
    for index, each in enumerate(table.tables("package")):
        package = _package(each, index, apart, lines, path)
        if package is not None:
            hashes = frozenset(file.sha256 for file in package.files)
            key = (package.name, package.version, package.source, package.origin, hashes)
            found.setdefault(key, package)
    return list(found.values())


def _package(
    package: Table, index: int, apart: Table, lines: Lines, path: str
) -> LockedPackage | None:
    name = package.required_text("name")
    version = package.text("version")
    source, origin = _source(package)
    if source is Source.PATH and is_own(origin or ""):
        return None
    line = lines.of_entry(index)
    hashes = Hashes(line, lambda digest: lines.of_hash(index, digest))
    listed = package.tables("files") or apart.tables(f"{name} {version}")
    for file in listed:
        url = file.text("url")
        hashes.add(file.text("hash"), file.text("file") or last_segment(url or ""), url)
    files, remarks = hashes.finish()
    return LockedPackage(
        name=normalized(name),
        version=version,
        files=files,
        source=source,
        line=line,
        path=path,
        origin=plain(origin) if origin else None,
        remarks=remarks if source is Source.INDEX else (),
    )


def _source(package: Table) -> tuple[Source, str | None]:
    for key in ("git", "hg", "svn", "bzr"):
        where = package.text(key)
        if where is not None:
            return Source.GIT, where
    where = package.text("path")
    if where is not None:
        return Source.PATH, where
    where = package.text("url")
    if where is not None:
        return source_of(where), where
    return Source.INDEX, None
