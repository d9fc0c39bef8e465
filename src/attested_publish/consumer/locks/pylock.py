"""Read `pylock.toml` (PEP 751), as packaging understands it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from attested_publish.distributions import with_single_tags
from attested_publish.net.untrusted import shown

MOST_IDENTITIES = 100
"""Of one package: each of its files is compared with all of them."""


def read_pylock(values: Mapping[str, Any], text: str, path: str) -> list[LockedPackage]:
    """Return the packages of a `pylock.toml`. Raises `Broken`.

    By the format's own rule, an unknown minor version can be read, and an unknown major one not.
    """
    version = Table(values).required_text("lock-version")
    numbers = release_numbers(version)
    compatible(numbers[:1], (1,), "tool", version)
    try:
        # Packaging logs a warning for an unknown minor version.
        lock = Pylock.from_dict(
            {**values, "packages": _quickly_parsed(values), "lock-version": "1.0"}
        )
    except PylockValidationError as error:
        context = f" in {shown(error.context, 200)}" if error.context else ""
        raise Broken(f"{shown(error.message, 200).rstrip('.')}{context}.") from error
    lines = Lines(text, "packages")
    found = [
        _package(package, entry.get("wheels") or (), index, lines, path)
        for index, (package, entry) in enumerate(
            zip(lock.packages, values["packages"], strict=True)
        )
    ]
    return [each for each in found if each is not None]


def _quickly_parsed(values: Mapping[str, Any]) -> object:
    """Return the packages with wheels whose names have few tags.

    Packaging combines all tags of each wheel, only to compare its project and version.
    """
    packages = values.get("packages")
    if not isinstance(packages, list):
        return packages
    return [
        {**package, "wheels": [*map(_with_single_tags, package["wheels"])]}
        if isinstance(package, dict) and isinstance(package.get("wheels"), list)
        else package
        for package in packages
    ]


def _with_single_tags(wheel: object) -> object:
    if not isinstance(wheel, dict):
        return wheel
    name = _filename(wheel) or ""
    return {**wheel, "name": with_single_tags(name)} if name.endswith(".whl") else wheel


def _filename(wheel: Mapping[str, Any]) -> str | None:
    """Return the name of a wheel, as packaging does; `None` if it has none, or not in text."""
    given = next((wheel[key] for key in ("name", "path", "url") if wheel.get(key)), None)
    if not isinstance(given, str) or wheel.get("name"):
        return given if isinstance(given, str) else None
    return last_segment(given)


def _package(
    package: Package, wheels: Sequence[Mapping[str, Any]], index: int, lines: Lines, path: str
) -> LockedPackage | None:
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
    if package.sdist:
        hashes.add_any(dict(package.sdist.hashes), package.sdist.filename, package.sdist.url)
    for wheel, entry in zip(package.wheels or (), wheels, strict=True):
        hashes.add_any(dict(wheel.hashes), _filename(entry), wheel.url)
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
    given = package.attestation_identities or ()
    if len(given) > MOST_IDENTITIES:
        raise Broken(
            f"packages[{index}] has {len(given):,} attestation-identities; at most "
            f"{MOST_IDENTITIES} are read."
        )
    identities = [
        Table(each, f"packages[{index}].attestation-identities[{number}]")
        for number, each in enumerate(given)
    ]
    return tuple({key: each.text(key) or "" for key in each.values} for each in identities)
