"""Read `pylock.toml` (PEP 751), as packaging understands it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from packaging.pylock import Package, Pylock, PylockValidationError

from attested_publish.consumer.locks.entries import (
    Hashes,
    compatible,
    index_address,
    is_own,
    last_segment,
    plain,
    release_numbers,
)
from attested_publish.consumer.locks.model import LockedPackage, Source
from attested_publish.consumer.locks.toml import Broken, Lines, Table
from attested_publish.net.untrusted import shown


def read_pylock(values: Mapping[str, Any], text: str, path: str) -> list[LockedPackage]:
    """Return the packages of a `pylock.toml`. Raises `Broken`.

    By the format's own rule, an unknown minor version can be read, and an unknown major one not.
    """
    version = Table(values).required_text("lock-version")
    numbers = release_numbers(version)
    compatible(numbers[:1], (1,), "tool", version)
    try:
        # Packaging logs a warning for an unknown minor version.
        lock = Pylock.from_dict({**values, "lock-version": "1.0"})
    except PylockValidationError as error:
        context = f" in {shown(error.context, 200)}" if error.context else ""
        raise Broken(f"{shown(error.message, 200).rstrip('.')}{context}.") from error
    lines = Lines(text, "packages")
    found = [_package(each, index, lines, path) for index, each in enumerate(lock.packages)]
    return [each for each in found if each is not None]


def _package(package: Package, index: int, lines: Lines, path: str) -> LockedPackage | None:
    line = lines.of_entry(index)
    hashes = Hashes(line, lambda digest: lines.of_hash(index, digest))
    origin = None
    source = Source.INDEX
    if package.vcs:
        source, origin = Source.GIT, package.vcs.url or package.vcs.path
    elif package.directory:
        source, origin = Source.PATH, package.directory.path
        if is_own(origin):
            return None
    elif package.archive:
        source = Source.URL if package.archive.url else Source.PATH
        origin = package.archive.url or package.archive.path
        hashes.add_any(
            dict(package.archive.hashes), last_segment(origin or ""), package.archive.url
        )
    for file in [package.sdist, *(package.wheels or ())]:
        if file:
            hashes.add_any(dict(file.hashes), file.filename, file.url)
    files, remarks = hashes.finish()
    return LockedPackage(
        name=package.name,
        version=None if package.version is None else str(package.version),
        files=files,
        source=source,
        line=line,
        path=path,
        index_urls=(index_address(package.index),) if package.index else (),
        origin=plain(origin) if origin else None,
        identities=_identities(package, index),
        remarks=remarks if source is Source.INDEX else (),
    )


def _identities(package: Package, index: int) -> tuple[Mapping[str, str], ...]:
    identities = [
        Table(each, f"packages[{index}].attestation-identities[{number}]")
        for number, each in enumerate(package.attestation_identities or ())
    ]
    return tuple({key: each.text(key) or "" for key in each.values} for each in identities)
