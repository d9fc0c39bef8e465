"""Locks and policies with something wrong in them: other values, other lines, other bytes."""

from __future__ import annotations

import contextlib
import json
import tomllib
from typing import TYPE_CHECKING, Any

from attested_publish.consumer.earlier_entries import EarlierEntries
from attested_publish.consumer.lock_judgement import not_checkable, version_of
from attested_publish.consumer.locks import LockError, parse_lock
from attested_publish.consumer.locks.expectations import parse_policy
from attested_publish.consumer.locks.writing import write_identities
from fuzz.documents import as_bytes, changed
from fuzz.texts import damaged, encoded, text, word
from support.lock_files import lock_paths

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from attested_publish.consumer.locks.model import Lock

SECRET = "hunter2-is-secret"
_IDENTITY = {"kind": "GitHub", "repository": "octo-org/sample", "workflow": "release.yml"}
_POLICY = """# who
[project.aperture]
kind = "GitHub"
repository = "octo-org/aperture"
since = "1.0"

[[project.aperture.exceptions]]
rule = "yanked"
reason = "x"
until = 2099-01-01

[project]
brightness.kind = "GitLab"
"""
_LINES = (
    f"--index-url https://user:{SECRET}@index.example/simple/",
    f"-e git+https://user:{SECRET}@example.org/a.git@main#egg=a",
    f"a @ https://user:{SECRET}@example.org/a-1.0-py3-none-any.whl",
    "-r requirements.txt",
    "-c other.txt",
    "-r ../other.txt",
    "--hash=sha256:" + "0" * 64,
    "./a-1.0-" + ".".join(f"p{n}" for n in range(40)) + "-none-any.whl",
    "a==1!2.0+local.1 ; python_version < '3' \\",
)


def lock(chance: random.Random) -> tuple[str, bytes]:
    """Make a lock; return its name and content."""
    path = chance.choice(lock_paths())
    content = path.read_bytes()
    match chance.randrange(5):
        case 0:
            return path.name, damaged(chance, content)
        case 1 | 2:
            return path.name, _with_other_values(chance, path.name, content)
        case 3:
            return path.name, _with_other_lines(chance, content)
        case _:
            name = chance.choice(
                ("requirements.txt", "uv.lock", "pylock.toml", "x", "Pipfile.lock")
            )
            return name, encoded(chance, text(chance, int(200_000 ** chance.random()) + 1))


def policy(chance: random.Random) -> bytes:
    """Make a policy."""
    content = _POLICY.encode()
    match chance.randrange(3):
        case 0:
            return damaged(chance, content)
        case 1:
            return _with_other_values(chance, "publishers.toml", content)
        case _:
            return _with_other_lines(chance, content)


def _with_other_values(chance: random.Random, name: str, content: bytes) -> bytes:
    """Change values of a TOML or JSON document; lines, where it is neither."""
    with contextlib.suppress(ValueError, TypeError, UnicodeError, RecursionError):
        if name == "Pipfile.lock":
            return as_bytes(chance, changed(chance, json.loads(content)))
        if not name.endswith(".txt"):
            made = changed(
                chance, json.loads(json.dumps(tomllib.loads(content.decode()), default=str))
            )
            return _as_toml(made if isinstance(made, dict) else {"package": made}).encode(
                "utf-8", "surrogatepass"
            )
    return _with_other_lines(chance, content)


def _as_toml(document: dict[str, Any]) -> str:
    """Write TOML with headers for the tables and arrays of tables of the outermost level."""
    plain, tables = [], []
    for key, value in document.items():
        entries = value if isinstance(value, list) else [value]
        if not entries or not all(isinstance(each, dict) for each in entries):
            plain.append(f"{json.dumps(key)} = {_inline(value)}")
            continue
        header = f"[[{json.dumps(key)}]]" if isinstance(value, list) else f"[{json.dumps(key)}]"
        for each in entries:
            lines = [f"{json.dumps(name)} = {_inline(inner)}" for name, inner in each.items()]
            tables += [header, *lines, ""]
    return "\n".join([*plain, "", *tables])


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key)} = {_inline(each)}" for key, each in value.items())
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    # There is no null in TOML.
    return '""' if value is None else json.dumps(value)


def _with_other_lines(chance: random.Random, content: bytes) -> bytes:
    lines = content.decode("utf-8", "replace").split("\n")
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(lines) + 1)
        match chance.randrange(4):
            case 0:
                lines[place : place + 1] = []
            case 1:
                lines[place:place] = lines[place : place + 3] * chance.choice((1, 2, 300))
            case 2:
                lines[place:place] = [chance.choice((word(chance), *_LINES))]
            case _:
                cut = "".join(lines[place : place + 1])
                half = cut[: chance.randrange(len(cut) + 1)]
                lines[place : place + 1] = [half + word(chance) + cut[len(half) :]]
    return chance.choice(("\n", "\n", "\r\n")).join(lines).encode("utf-8", "surrogatepass")


def read(name: str, content: bytes) -> tuple[list[str], Lock | None]:
    """Read a lock as a run does; return what would be said of it, and the lock."""
    try:
        found = parse_lock(content, name, beside=lambda _: content)
    except LockError as why:
        return [why.detail, str(why)], None
    EarlierEntries(found)
    said = []
    for package in found.packages:
        version_of(package)
        said += [each.message for each in not_checkable(package)]
    return said, found


def judged_policy(content: bytes) -> list[str]:
    """Read a policy; return what would be said of it."""
    try:
        parse_policy(content, "publishers.toml")
    except LockError as why:
        return [why.detail, str(why)]
    return []


def written(path: Path, content: bytes, verified: list[str]) -> list[str]:
    """Pin identities in a file; return what would be said of it.

    Raises `AssertionError` if a file that was valid is not any more.
    """
    path.write_bytes(content)
    try:
        write_identities(path, {name: [_IDENTITY] for name in verified})
    except LockError as why:
        assert path.read_bytes() == content, "refused, but changed"
        return [why.detail, str(why)]
    tomllib.loads(path.read_text("utf-8-sig"))
    return []
