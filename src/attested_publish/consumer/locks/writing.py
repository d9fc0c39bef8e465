"""Put verified identities into `pylock.toml` or `publishers.toml`: layout and comments stay."""

from __future__ import annotations

import os
import secrets
import stat
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from attested_publish.consumer.locks.entries import normalized
from attested_publish.consumer.locks.expectations import FIELDS, parse_policy
from attested_publish.consumer.locks.model import LockError
from attested_publish.consumer.locks.reading import (
    bounded_content,
    is_pylock,
    parse_lock,
    unread,
    why_unread,
)
from attested_publish.consumer.locks.toml import Broken
from attested_publish.net.untrusted import shown
from attested_publish.problems import missing_extra

try:
    import tomlkit
except ImportError:  # an extra: see `_kit`
    tomlkit = None  # type: ignore[assignment]

_BOM = "\ufeff"
_OF_TOMLKIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Identities = Mapping[str, Sequence[Mapping[str, str]]]
"""By normalized project name: PEP 740's publisher objects."""


def write_identities(path: Path, verified: Identities) -> bool:
    """Pin verified identities in a lock or a policy; returns whether the file has changed.

    In a `pylock.toml` the `attestation-identities` of the projects in `verified` are replaced, and
    those of others stay. Any other TOML file is a policy, which is made if there is none: a
    project that has fields there already is left alone, and so is one with several identities,
    because a policy expects one.

    The file is replaced at once, with its permissions; what a link leads to is replaced, not the
    link. Raises `LockError`: the file cannot be written or is broken, or tomlkit is missing.
    """
    if is_pylock(path.name):
        return _write_to_lock(path, verified)
    if path.suffix != ".toml":
        raise LockError(
            shown(path, 200),
            "Only pylock.toml has a place for identities.",
            remedy="Write them into a file of expectations (publishers.toml).",
        )
    return _write_to_policy(path, verified)


def _write_to_lock(path: Path, verified: Identities) -> bool:
    name = shown(path, 200)
    old = _text_of(path, name)
    parse_lock(old.encode(), str(path))  # broken ones are refused
    kit = _kit(name)
    with _refusing(kit, name):
        document = kit.parse(old)
        for package in document.get("packages", []):
            wanted = [_fields(each) for each in verified.get(package["name"], ())]
            if wanted and _plain(package.get("attestation-identities", [])) != wanted:
                package.pop("attestation-identities", None)
                is_inline = isinstance(package, kit.items.InlineTable)
                package["attestation-identities"] = _array_of(kit, wanted, is_inline=is_inline)
        new = kit.dumps(document)
    expected = tomllib.loads(old)
    for package in expected.get("packages", []):
        wanted = [_fields(each) for each in verified.get(package["name"], ())]
        if wanted:
            package["attestation-identities"] = wanted
    return _replace(path, name, old, new, expected)


def _write_to_policy(path: Path, verified: Identities) -> bool:
    name = shown(path, 200)
    old = _text_of(path, name) if path.exists() or path.is_symlink() else ""
    there = parse_policy(old.encode(), str(path)).projects if old.strip() else {}
    kit = _kit(name)
    expected = tomllib.loads(old)
    additions: dict[str, dict[str, str]] = {}
    spelled = {normalized(each): each for each in expected.get("project", {})}
    for project in sorted(verified):
        known = there.get(project)
        identities = {tuple(sorted(_fields(each).items())) for each in verified[project]}
        if len(identities) != 1 or (known is not None and known.identity):
            continue
        fields = _fields(verified[project][0])
        key = spelled.get(project, project)
        expected.setdefault("project", {}).setdefault(key, {}).update(fields)
        additions[key] = fields
    with _refusing(kit, name):
        document = kit.parse(old)
        for key, fields in additions.items():
            _add_project(kit, document, key, fields)
        new = kit.dumps(document)
    return _replace(path, name, old, new, expected)


def _add_project(kit: Any, document: Any, key: str, fields: Mapping[str, str]) -> None:  # noqa: ANN401 - tomlkit's types are wider than what they are
    projects = document.setdefault("project", kit.table(is_super_table=True))
    if key in projects:
        exceptions = projects[key].pop("exceptions", None)
        projects[key].update(fields)
        if exceptions is not None:
            projects[key]["exceptions"] = exceptions
        return
    table = kit.inline_table() if isinstance(projects, kit.items.InlineTable) else kit.table()
    table.update(fields)
    projects.append(key, table)


def _array_of(kit: Any, identities: Sequence[Mapping[str, str]], *, is_inline: bool) -> Any:  # noqa: ANN401
    array = kit.array() if is_inline else kit.aot()
    for each in identities:
        table = kit.inline_table() if is_inline else kit.table()
        table.update(each)
        array.append(table)
    return array


def _fields(identity: Mapping[str, str]) -> dict[str, str]:
    """Return the fields that a file has: no claims, and nothing that is not given."""
    return {key: value for key in FIELDS if isinstance(value := identity.get(key), str)}


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value.unwrap() if hasattr(value, "unwrap") else value


def _kit(name: str) -> Any:  # noqa: ANN401
    if tomlkit is None:
        raise LockError(
            name,
            "Writing needs tomlkit, which is not installed.",
            remedy=missing_extra("tomlkit", "lock"),
        )
    return tomlkit


@contextmanager
def _refusing(kit: Any, name: str) -> Iterator[None]:  # noqa: ANN401
    """Raise `LockError` where tomlkit cannot read or change what is valid TOML.

    It raises more than its own exceptions: `ValueError` for a table in an inline table, for one.
    """
    try:
        yield
    except (kit.exceptions.TOMLKitError, *_OF_TOMLKIT) as error:
        raise LockError(name, f"tomlkit cannot change it: {shown(error, 200)}.") from error


def _text_of(path: Path, name: str) -> str:
    try:
        return bounded_content(path).decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        raise LockError(name, "It is not UTF-8.") from error
    except Broken as error:
        raise LockError(name, error.why) from error
    except (OSError, ValueError) as error:
        raise unread(name, error) from error


def _replace(path: Path, name: str, old: str, new: str, expected: Mapping[str, Any]) -> bool:
    """Replace the file at once, if its meaning has changed as it should and in nothing else."""
    if tomllib.loads(old) == expected:
        return False
    if old.count("\n") == old.count("\r\n") > 0:
        new = new.replace("\r\n", "\n").replace("\n", "\r\n")
    if tomllib.loads(new) != expected:
        raise LockError(name, "tomlkit would have changed more than the identities.")
    try:
        start = _BOM if path.exists() and bounded_content(path).startswith(_BOM.encode()) else ""
        _write(path.resolve(), (start + new).encode("utf-8"))
    except (OSError, RuntimeError, Broken) as error:
        raise LockError(name, f"It could not be written: {why_unread(error)}.") from error
    return True


def _write(target: Path, content: bytes) -> None:
    """Replace a file, which links lead to, by one with the same permissions. Raises `OSError`."""
    temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(8)}")
    created = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(created, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
