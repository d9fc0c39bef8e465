"""YAML files as values that know where they are, TOML and setup.py, read in the sandbox."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from attested_publish.problems import Problem, Stage, missing_extra
from attested_publish.sandbox.pool import BeyondBounds, Unreadable, shared_sandbox
from attested_publish.setup.reading import NotRead, is_utf8

_COMPOSE = "attested_publish.setup.composing:compose"
_SETUP_NAME = "attested_publish.setup.composing:setup_name"
_TOML = "attested_publish.setup.composing:toml"
_SECONDS = 10.0
_TOML_SECONDS = 2.0
"""An honest file takes a tenth of it, even one of the largest size that is read."""

_BLOCK = frozenset("|>")


class SetupProblem(Problem):
    """What stops `setup`."""

    stage = Stage.FILES


@dataclass(frozen=True)
class Text:
    """A scalar: its text, its line (from 1), where it starts and ends, how it is written."""

    text: str
    line: int
    start: int = 0
    end: int = 0
    style: str = ""
    is_null: bool = False

    @property
    def first_line(self) -> int:
        """The line in the file of the first line of the text."""
        return self.line + 1 if self.style in _BLOCK else self.line


@dataclass(frozen=True)
class List:
    """A sequence."""

    values: tuple[Value, ...]
    line: int
    start: int
    end: int
    is_flow: bool = False
    tag: str = ""
    """GitLab's `!reference`, or empty."""


@dataclass(frozen=True)
class Table:
    """A mapping: pairs of a key and a value, each key once."""

    pairs: tuple[tuple[Text, Value], ...]
    line: int
    start: int
    end: int
    is_flow: bool = False

    def get(self, name: str) -> Value | None:
        """Return the value of a key, `None` if there is none."""
        return next((value for key, value in self.pairs if key.text == name), None)

    def key(self, name: str) -> Text | None:
        """Return the key itself, for its position."""
        return next((key for key, _ in self.pairs if key.text == name), None)

    def text(self, name: str) -> Text | None:
        """Return the value of a key, if it is a text that is not null."""
        value = self.get(name)
        return value if isinstance(value, Text) and not value.is_null else None

    def table(self, name: str) -> Table:
        """Return the value of a key, an empty table if it is none."""
        value = self.get(name)
        return value if isinstance(value, Table) else EMPTY

    def texts(self, name: str) -> list[Text]:
        """Return the text or the texts that a key has."""
        return texts_in(self.get(name))

    def items(self) -> Iterator[tuple[str, Value]]:
        """Yield the names of the keys, and their values."""
        for key, value in self.pairs:
            yield key.text, value


Value: TypeAlias = Text | List | Table
EMPTY = Table((), 0, 0, 0)


@dataclass(frozen=True)
class Document:
    """A YAML file: its name, its text, what is in it (of several documents the last).

    `header` is the first of several documents, `repeated` are the lines of keys that occur twice
    in a mapping.
    """

    name: str
    source: str
    root: Table
    has_aliases: bool = False
    repeated: tuple[int, ...] = ()
    header: Table = EMPTY


def texts_in(value: Value | None) -> list[Text]:
    """Return the texts that a value consists of, those of nested lists, too."""
    match value:
        case Text(is_null=False):
            return [value]
        case List():
            return [text for each in value.values for text in texts_in(each)]
        case _:
            return []


def read(name: str, source: str) -> Document:
    """Read a YAML file. Raises `NotRead`."""
    answer = _asked(_COMPOSE, source)
    documents = [_value(each) for each in answer["documents"]]
    root = documents[-1] if documents else EMPTY
    if not isinstance(root, Table):
        raise NotRead("it is not a mapping")
    header = documents[0] if len(documents) > 1 else EMPTY
    return Document(
        name,
        source,
        root,
        bool(answer["aliases"]),
        tuple(answer["repeated"]),
        header if isinstance(header, Table) else EMPTY,
    )


def read_toml(source: str) -> dict[str, Any]:
    """Read a TOML file; dates in it are texts. Raises `NotRead`."""
    document: dict[str, Any] = _asked(_TOML, source, _TOML_SECONDS)["document"]
    return document


def name_in_setup(source: str) -> str | None:
    """Return the name in a setup.py, which is not run, if it is a literal. Raises `NotRead`."""
    name = _asked(_SETUP_NAME, source)["name"]
    return name if isinstance(name, str) else None


def require_yaml() -> None:
    """Raise `SetupProblem` if the library that reads YAML is not installed."""
    try:
        is_there = importlib.util.find_spec("ruamel.yaml") is not None
    except ImportError:
        is_there = False
    if not is_there:
        raise SetupProblem(
            "`attested-publish setup` reads YAML with ruamel.yaml, which is not installed",
            detail="Publishing does not need it, so it is an extra of the package.",
            remedy=missing_extra("ruamel.yaml", "setup"),
        )


def _asked(function: str, source: str, seconds: float = _SECONDS) -> dict[str, Any]:
    try:
        return shared_sandbox().ask(function, {"text": source}, seconds)
    except BeyondBounds as error:
        raise NotRead(f"it could not be read: {error}") from error
    except Unreadable as error:
        raise NotRead(f"it is not valid: {error}") from error


def _value(written: list[Any]) -> Value:
    kind, content, line, start, end, style = written
    match kind:
        case "list":
            tag = style if style.startswith("!") else ""
            values = tuple(map(_value, content))
            return List(values, line, start, end, bool(tag) or style == "flow", tag)
        case "table":
            pairs = tuple((_text(key), _value(value)) for key, value in content)
            return Table(pairs, line, start, end, style == "flow")
        case _:
            return _text(written)


def _text(written: list[Any]) -> Text:
    kind, content, line, start, end, style = written
    if not is_utf8(content):
        # An escape can write half a character, which nothing else can.
        content = content.encode("utf-8", "replace").decode()
    return Text(content, line, start, end, style, is_null=kind == "null")
