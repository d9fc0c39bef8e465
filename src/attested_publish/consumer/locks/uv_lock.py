"""Read `uv.lock`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attested_publish.consumer.locks.entries import (
    Hashes,
    compatible,
    index_address,
    is_own,
    last_segment,
    normalized,
    plain,
)
from attested_publish.consumer.locks.model import LockedPackage, Source
from attested_publish.consumer.locks.toml import Lines, Table

_VERSION = 1
"""Of the format. A `revision` changes nothing for older readers, by uv's own rule."""


def read_uv(values: Mapping[str, Any], text: str, path: str) -> list[LockedPackage]:
    """Return the packages of a `uv.lock`. Raises `Broken`.

    The project that the lock belongs to is left out; other members of the workspace have a path.
    """
    table = Table(values)
    version = table.number("version")
    if version is None:
        raise table.wrong("version", "is missing")
    compatible((version,), (_VERSION,), "uv", version)
    lines = Lines(text, "package")
    found = [
        _package(each, index, lines, path) for index, each in enumerate(table.tables("package"))
    ]
    return [each for each in found if each is not None]


def _package(package: Table, index: int, lines: Lines, path: str) -> LockedPackage | None:
    source, origin = _source(package.table("source"))
    if source is Source.PATH and is_own(origin):
        return None
    line = lines.of_entry(index)
    hashes = Hashes(line, lambda digest: lines.of_hash(index, digest))
    sdist = package.table("sdist")
    for file in [*([sdist] if sdist.values else []), *package.tables("wheels")]:
        url = file.text("url")
        name = file.text("filename") or last_segment(url or file.text("path") or "")
        hashes.add(file.text("hash"), name, url)
    files, remarks = hashes.finish()
    is_index = source is Source.INDEX
    return LockedPackage(
        name=normalized(package.required_text("name")),
        version=package.text("version"),
        files=files,
        source=source,
        line=line,
        path=path,
        index_urls=(index_address(origin),) if is_index else (),
        origin=None if is_index else plain(origin),
        remarks=remarks if is_index else (),
    )


def _source(table: Table) -> tuple[Source, str]:
    """Return the kind of a source, and its address or path.

    A registry that is a path is a folder of files (a flat index).
    """
    for key, source in (
        ("registry", Source.INDEX),
        ("git", Source.GIT),
        ("url", Source.URL),
        ("path", Source.PATH),
        ("directory", Source.PATH),
        ("editable", Source.PATH),
        ("virtual", Source.PATH),
    ):
        where = table.text(key)
        if where is not None:
            is_folder = source is Source.INDEX and "://" not in where
            return (Source.PATH if is_folder else source), where
    raise table.wrong("registry", "is missing, and there is no other source that is known")
