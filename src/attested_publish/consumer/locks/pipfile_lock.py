"""Read `Pipfile.lock`: hashes without the names of files, and the indexes by their names."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from attested_publish.consumer.locks.entries import (
    Hashes,
    bounded_indexes,
    compatible,
    direct_source,
    index_address,
    is_own,
    normalized,
    plain,
)
from attested_publish.consumer.locks.model import LockedPackage, Source
from attested_publish.consumer.locks.toml import Broken, Table
from attested_publish.net.untrusted import shown

_SPEC = 6
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\]:,\n]')


def parsed_json(text: str) -> dict[str, Any]:
    """Parse an object of JSON. Raises `Broken`, also for a key that occurs twice."""
    try:
        value = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        why = f"It is not valid JSON: {error.msg} (line {error.lineno})."
        raise Broken(why, error.lineno) from error
    except RecursionError as error:
        raise Broken("It is nested too deeply.") from error
    except ValueError as error:  # a number of too many digits
        raise Broken(f"It has a value that cannot be read: {shown(error, 200)}.") from error
    if not isinstance(value, dict):
        raise Broken("It is not an object of JSON.")
    return value


def read_pipfile(values: Mapping[str, Any], text: str, path: str) -> list[LockedPackage]:
    """Return the packages of all categories of a `Pipfile.lock`. Raises `Broken`.

    A package that names no index may come from any of the lock's sources.
    """
    table = Table(values)
    meta = table.table("_meta")
    spec = meta.number("pipfile-spec")
    if spec is None:
        raise meta.wrong("pipfile-spec", "is missing")
    compatible((spec,), (_SPEC,), "Pipenv", spec)
    sources = {
        each.text("name") or str(number): index_address(each.required_text("url"))
        for number, each in enumerate(meta.tables("sources"))
    }
    indexes: dict[str | None, tuple[str, ...]] = {key: (url,) for key, url in sources.items()}
    # Those of a package that names none, which share one tuple.
    indexes[None] = bounded_indexes(sources.values())
    lines = _Lines(text)
    return [
        package
        for category in values
        if category != "_meta"
        for name in table.table(category).values
        if (package := _package(table.table(category), name, indexes, lines, path)) is not None
    ]


def _package(
    category: Table,
    name: str,
    indexes: Mapping[str | None, tuple[str, ...]],
    lines: _Lines,
    path: str,
) -> LockedPackage | None:
    package = category.table(name)
    source, origin = direct_source(package, address="file")
    if source is Source.PATH and is_own(origin or ""):
        return None
    key = (category.path, name)
    line = lines.of_entry(key)
    hashes = Hashes(line, lambda digest: lines.of_hash(key, digest))
    for each in package.texts("hashes"):
        hashes.add(each)
    files, remarks = hashes.finish()
    chosen = package.text("index")
    if chosen not in indexes:
        raise package.wrong("index", "is not the name of one of the sources")
    is_index = source is Source.INDEX
    return LockedPackage(
        name=normalized(name),
        version=_version(package) if is_index else None,
        files=files,
        source=source,
        line=line,
        path=path,
        index_urls=indexes[chosen] if is_index else (),
        origin=plain(origin) if origin else None,
        remarks=remarks if is_index else (),
    )


def _version(package: Table) -> str | None:
    version = package.text("version")
    if version is None or not version.startswith("=="):
        return None
    return version.lstrip("=").strip()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        (twice, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise Broken(f"It has {shown(twice, 100)} twice in one object.")
    return found


class _Lines:
    """The lines of the packages (keys two levels deep) and of their hashes, in valid JSON."""

    def __init__(self, text: str) -> None:
        self._entries: dict[tuple[str, str], int] = {}
        self._hashes: dict[tuple[tuple[str, str], str], int] = {}
        line, depth = 1, 0
        category = entry = last = ""
        for token in _TOKEN.findall(text):
            if token == "\n":  # noqa: S105 - of a text
                line += 1
            elif token in {"{", "["}:
                depth += 1
            elif token in {"}", "]"}:
                depth -= 1
            elif token == ":" and depth == 1:  # noqa: S105
                category = json.loads(last)
            elif token == ":" and depth == 2:  # noqa: S105, PLR2004 - of a category
                entry = json.loads(last)
                self._entries[category, entry] = line
            elif token.startswith('"'):
                last = token
                digest = token.strip('"').rpartition(":")[2].strip().lower()
                self._hashes.setdefault(((category, entry), digest), line)

    def of_entry(self, key: tuple[str, str]) -> int:
        """Return the line of a package, by its category and name."""
        return self._entries.get(key, 1)

    def of_hash(self, key: tuple[str, str], sha256: str) -> int:
        """Return the line of one of its hashes."""
        return self._hashes.get((key, sha256), self.of_entry(key))
