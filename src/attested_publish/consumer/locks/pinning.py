"""Put verified identities into the text of a lock or a policy: layout and comments stay.

tomlkit takes up to 20 seconds for a MiB: what is not small is changed in a child (`writing`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attested_publish.consumer.locks.answering import refusal
from attested_publish.consumer.locks.entries import normalized
from attested_publish.consumer.locks.expectations import FIELDS, parse_policy
from attested_publish.consumer.locks.model import LockError
from attested_publish.consumer.locks.reading import is_pylock, parse_lock
from attested_publish.net.untrusted import shown
from attested_publish.problems import missing_extra
from attested_publish.sandbox.questions import Answer, Question, path_in

try:
    import tomlkit
except ImportError:  # an extra: see `_kit`
    tomlkit = None  # type: ignore[assignment]

_OF_TOMLKIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

Identities = Mapping[str, Sequence[Mapping[str, str]]]
"""By normalized project name: PEP 740's publisher objects."""


def pin(question: Question) -> Answer:
    """Change a text in the child; `text` in the answer is `None` if nothing changes."""
    old = path_in(question).read_bytes().decode()
    try:
        return {"text": pinned(old, Path(question["filename"]), question["verified"])}
    except LockError as error:
        return refusal(error)


def pinned(old: str, path: Path, verified: Identities) -> str | None:
    """Return the text with verified identities, in this process; `None` if nothing changes.

    `path` is that of the file, whose name says what it is. Raises `LockError`.
    """
    name = shown(path, 200)
    change = _in_lock if is_pylock(path.name) else _in_policy
    new, expected = change(old, path, name, verified)
    if new is None:
        return None
    if old.count("\n") == old.count("\r\n") > 0:
        new = new.replace("\r\n", "\n").replace("\n", "\r\n")
    if tomllib.loads(new) != expected:
        raise LockError(name, "tomlkit would have changed more than the identities.")
    return new


def _in_lock(
    old: str, path: Path, name: str, verified: Identities
) -> tuple[str | None, Mapping[str, Any]]:
    """Return the new text, if anything changes, and what it should mean."""
    parse_lock(old.encode(), str(path))  # broken ones are refused
    kit = _kit(name)
    expected = tomllib.loads(old)
    has_changed = False
    for package in expected.get("packages", []):
        wanted = [_fields(each) for each in verified.get(package["name"], ())]
        if wanted and package.get("attestation-identities") != wanted:
            package["attestation-identities"] = wanted
            has_changed = True
    if not has_changed:
        return None, expected
    with _refusing(kit, name):
        document = kit.parse(old)
        for package in document.get("packages", []):
            wanted = [_fields(each) for each in verified.get(package["name"], ())]
            if wanted and _plain(package.get("attestation-identities", [])) != wanted:
                package.pop("attestation-identities", None)
                is_inline = isinstance(package, kit.items.InlineTable)
                package["attestation-identities"] = _array_of(kit, wanted, is_inline=is_inline)
        return kit.dumps(document), expected


def _in_policy(
    old: str, path: Path, name: str, verified: Identities
) -> tuple[str | None, Mapping[str, Any]]:
    """Return the new text, if anything changes, and what it should mean."""
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
    if not additions:
        return None, expected
    with _refusing(kit, name):
        document = kit.parse(old)
        for key, fields in additions.items():
            _add_project(kit, document, key, fields)
        return kit.dumps(document), expected


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
