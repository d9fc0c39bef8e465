"""Read `poetry.lock`, formats 1.x and 2.x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attested_publish.consumer.locks.entries import (
    Hashes,
    compatible,
    index_address,
    is_own,
    normalized,
    plain,
    release_numbers,
)
from attested_publish.consumer.locks.model import LockedPackage, Source
from attested_publish.consumer.locks.toml import Lines, Table

_SOURCES = {
    "legacy": Source.INDEX,
    "pypi": Source.INDEX,
    "git": Source.GIT,
    "url": Source.URL,
    "file": Source.PATH,
    "directory": Source.PATH,
}


def read_poetry(values: Mapping[str, Any], text: str, path: str) -> list[LockedPackage]:
    """Return the packages of a `poetry.lock`. Raises `Broken`.

    Like Poetry, it reads every 1.x and 2.x. Up to 1.1 the files of all packages were in a table
    of their own, `metadata.files`.
    """
    table = Table(values)
    metadata = table.table("metadata")
    version = metadata.required_text("lock-version")
    compatible(release_numbers(version)[:1], (2,), "Poetry", version)
    apart = metadata.table("files")
    by_name = {normalized(name): apart.tables(name) for name in apart.values}
    lines = Lines(text, "package")
    found = [
        _package(each, index, by_name, lines, path)
        for index, each in enumerate(table.tables("package"))
    ]
    return [each for each in found if each is not None]


def _package(
    package: Table, index: int, by_name: Mapping[str, list[Table]], lines: Lines, path: str
) -> LockedPackage | None:
    name = normalized(package.required_text("name"))
    where = package.table("source")
    kind = where.text("type") or "pypi"
    if kind not in _SOURCES:
        raise where.wrong("type", "is none that is known")
    source = _SOURCES[kind]
    url = where.text("url")
    if source is Source.PATH and url is not None and is_own(url):
        return None
    line = lines.of_entry(index)
    hashes = Hashes(line, lambda digest: lines.of_hash(index, digest))
    listed = package.tables("files") if "files" in package.values else by_name.get(name, [])
    for file in listed:
        hashes.add(file.text("hash"), file.required_text("file"))
    files, remarks = hashes.finish()
    is_index = source is Source.INDEX
    return LockedPackage(
        name=name,
        version=package.required_text("version"),
        files=files,
        source=source,
        line=line,
        path=path,
        index_urls=(index_address(url),) if is_index and url else (),
        origin=plain(url) if url and not is_index else None,
        remarks=remarks if is_index else (),
    )
