"""Read YAML, TOML and setup.py in the sandbox's child; YAML as plain lists with positions.

YAML is composed, not constructed: nothing is converted, `on` stays `on`, and every value keeps
where it is in the text. What aliases repeat is written out, within a bound.
"""

from __future__ import annotations

import ast
import itertools
import json
import tomllib
from collections.abc import Iterator
from typing import Any

try:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
except ImportError:  # an extra of the package: `documents` asks before a child is started
    YAML = None  # type: ignore[assignment, misc]

from attested_publish.sandbox.questions import Answer, Question, Unreadable

_MOST_VALUES = 50_000
_MOST_DOCUMENTS = 10
_DEEPEST = 60
_MERGE = "tag:yaml.org,2002:merge"
_NULL = "tag:yaml.org,2002:null"


def compose(question: Question) -> Answer:
    """Compose the YAML in `question["text"]`: `{"documents": [value, …], "aliases": bool, …}`.

    A value is `[kind, content, line, start, end, style]`: lines count from 1, `start` and `end`
    are characters of the text, `style` is what quotes a text, or `flow` for brackets, or GitLab's
    tag `!reference`. The kind is `text` (content: the text), `null` (also the text), `list`
    (content: its values) or `table` (content: pairs of two values, merged ones included; a key
    that occurs again replaces the one before, and its line is in `repeated`). Raises `Unreadable`
    for what is no YAML, or is too large or too deep.
    """
    yaml = YAML(typ="safe", pure=True)
    writer = _Writer()
    try:
        nodes = itertools.islice(yaml.compose_all(question["text"]), _MOST_DOCUMENTS)
        documents = [writer.value(node, 0) for node in nodes if node is not None]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise Unreadable(f"{where}{error.problem or error.context or 'it is not YAML'}") from error
    except YAMLError as error:
        raise Unreadable(str(error)) from error
    return {
        "documents": documents,
        "aliases": writer.has_aliases,
        "repeated": sorted(writer.repeated)[:_MOST_DOCUMENTS],
    }


class _Writer:
    """Writes nodes as lists; what was written before (an alias) counts again."""

    def __init__(self) -> None:
        self.has_aliases = False
        self.repeated: set[int] = set()
        self._seen: set[int] = set()
        self._left = _MOST_VALUES

    def value(self, node: Node, depth: int) -> list[Any]:
        """Write a node and what is in it. Raises `Unreadable`."""
        self._left -= 1
        if self._left < 0:
            raise Unreadable(f"it has more than {_MOST_VALUES:,} values, aliases written out")
        if depth > _DEEPEST:
            raise Unreadable(f"it is nested more than {_DEEPEST} levels deep")
        if id(node) in self._seen:
            self.has_aliases = True
        self._seen.add(id(node))
        match node:
            case ScalarNode():
                kind = "null" if node.tag == _NULL and not node.style else "text"
                return _written(kind, node.value, node)
            case SequenceNode():
                return _written("list", [self.value(each, depth + 1) for each in node.value], node)
            case MappingNode():
                return _written("table", self._pairs(node, depth), node)
            case _:
                raise Unreadable("it has a value of an unknown kind")

    def _pairs(self, node: MappingNode, depth: int) -> list[list[Any]]:
        own: dict[str, list[Any]] = {}
        merged: dict[str, list[Any]] = {}
        for key, value in node.value:
            if key.tag == _MERGE and not key.style:
                for each in self._merged(value, depth):
                    merged.setdefault(each[0][1], each)
                continue
            written = self.value(key, depth + 1)
            if written[0] not in {"text", "null"}:
                raise Unreadable(f"line {written[2]}: a key is not a text")
            if written[1] in own:
                self.repeated.add(written[2])
            own[written[1]] = [written, self.value(value, depth + 1)]
        return [*own.values(), *(pair for key, pair in merged.items() if key not in own)]

    def _merged(self, node: Node, depth: int) -> Iterator[list[Any]]:
        """Yield the pairs that `<<` adds: those of a mapping, or of several, the first first."""
        self.has_aliases = True
        for each in node.value if isinstance(node, SequenceNode) else [node]:
            if isinstance(each, MappingNode):
                yield from self.value(each, depth + 1)[1]


def _written(kind: str, content: object, node: Node) -> list[Any]:
    start, end = node.start_mark, node.end_mark
    style = node.style if isinstance(node, ScalarNode) else ""
    if isinstance(node, SequenceNode | MappingNode) and node.flow_style:
        style = "flow"
    if node.tag == "!reference":
        style = node.tag
    return [kind, content, start.line + 1, start.index, end.index, style or ""]


def toml(question: Question) -> Answer:
    """Parse the TOML in `question["text"]`: `{"document": …}`. Raises `Unreadable`.

    tomllib takes quadratic time for a key of many parts: minutes for one of 16 KB.
    """
    try:
        document = tomllib.loads(question["text"])
        return {"document": json.loads(json.dumps(document, default=str))}
    except ValueError as error:  # also a number or date that Python does not accept
        raise Unreadable(str(error)) from error


def setup_name(question: Question) -> Answer:
    """Find the literal `name` that a setup.py, which is parsed and not run, gives to `setup()`.

    `{"name": text|None}`; a name that is a constant of the module counts. Raises `Unreadable`.
    """
    try:
        tree = ast.parse(question["text"])
    except (SyntaxError, ValueError) as error:
        raise Unreadable(f"it is not Python: {error}") from error
    constants: dict[str, list[object]] = {}
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value)):
                constants.setdefault(name, []).append(value)
            case ast.Assign(targets=[ast.Name(id=name)]):
                constants.setdefault(name, []).append(None)
            case _:
                pass
    names = [_literal(call, constants) for call in ast.walk(tree) if _is_setup(call)]
    return {"name": names[0] if len(names) == 1 else None}


def _is_setup(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id="setup") | ast.Attribute(attr="setup")):
            return True
        case _:
            return False


def _literal(call: ast.AST, constants: dict[str, list[object]]) -> str | None:
    assert isinstance(call, ast.Call)
    for keyword in call.keywords:
        if keyword.arg == "name":
            match keyword.value:
                case ast.Constant(value=str(name)):
                    return name
                case ast.Name(id=variable) if len(constants.get(variable, [])) == 1:
                    value = constants[variable][0]
                    return value if isinstance(value, str) else None
    return None
