"""What is known of the values in a job: its matrix, inputs, variables, event and ref."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from attested_publish.setup.addresses import UNKNOWN_TEXT
from attested_publish.setup.documents import List, Table, Text, Value
from attested_publish.setup.expressions import (
    UNKNOWN,
    Possible,
    Unknown,
    evaluated,
    member,
    pieces,
    possible,
    truth,
)

OTHER = "\ue012"
"""A value that a condition does not name."""

ANY_TAG = "refs/tags/\ue011"
"""A ref for "a tag of any name"."""

ANY_BRANCH = "refs/heads/\ue010"
"""A ref for "a branch of any name": it equals no other."""

_MOST_COMBINATIONS = 256
"""GitHub's limit for a matrix."""

_MOST_ROWS = 2000
_MOST_COMPARISONS = 200_000
_LONGEST = 100_000
_MOST_CASES = 16
_LONGEST_CONDITION = 4000
_DECIDES = re.compile(r"&&|\|\||[!=]=")
_QUOTED = re.compile(r"'[^']*'")
_PATH = re.compile(r"\b(?:github|inputs|needs|vars|env|steps)(?:\.[A-Za-z_][\w-]*)+")
_MENTION = re.compile(r"\b(inputs|env)\s*\.\s*([A-Za-z_][\w-]*)")
_SECRET = re.compile(r"\bsecrets\b")
_IN_MATRIX = re.compile(r"\bmatrix\b(?:\s*\.\s*([A-Za-z_][\w-]*))?", re.IGNORECASE)


@dataclass(frozen=True)
class Scope:
    """The values that expressions may use.

    `inputs` and `env` are texts with the scopes that they were written in; `matrix` is one
    combination, `None` if it is unknown. `events` and `refs` are what may start the job.
    """

    facts: Mapping[str, str] = field(default_factory=dict)
    events: Possible = (UNKNOWN,)
    refs: Possible = (UNKNOWN,)
    matrix: Mapping[str, Any] | None = field(default_factory=dict)
    inputs: Mapping[str, tuple[str, Scope]] = field(default_factory=dict)
    env: Mapping[str, tuple[str, Scope]] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The values that an input may have, where it has several that are known."""

    assumed: Mapping[str, Any] = field(default_factory=dict)
    """What else is supposed to have which value: by its path, in lower case."""

    _known: dict[tuple[str, str], Possible] = field(default_factory=dict, compare=False, repr=False)

    def values(self, text: str) -> Possible:
        """Return every value that a text with expressions may have."""
        if "${{" not in text:
            return (text,)
        key = ("values", text)
        if key not in self._known:
            found = possible(text, self.lookup)
            is_short = all(isinstance(each, Unknown) or len(each) <= _LONGEST for each in found)
            self._known[key] = found if is_short else (UNKNOWN,)
        return self._known[key]

    def value(self, text: str) -> str | None:
        """Return the value of a text; `None` if it may have several, or is unknown."""
        found = self.values(text)
        return found[0] if len(found) == 1 and isinstance(found[0], str) else None

    def truth(self, condition: str) -> frozenset[bool]:
        """Return whether a condition may be true, and whether it may be false."""
        key = ("truth", condition)
        if key not in self._known:
            self._known[key] = tuple(truth(condition, self.lookup))
        return frozenset(self._known[key])

    def lookup(self, path: Sequence[str]) -> Possible:
        """See `expressions.Lookup`."""
        context, *rest = (name.lower() for name in path)
        if (whole := ".".join((context, *rest))) in self.assumed:
            return (self.assumed[whole],)
        match context, rest:
            case "github", ["event", "inputs", name]:
                return self._given("inputs", name, path[3])
            case (("inputs" | "env"), [name]):
                return self._given(context, name, path[1])
            case "matrix", [_, *_]:
                return self._in_matrix(path[1:])
            case "github", ["event_name"]:
                return self.events
            case "github", ["ref"]:
                return self.refs
            case "github", ["ref_name" | "ref_type" as part]:
                return tuple(_part_of_ref(ref, part) for ref in self.refs)
            case "github", [name] if name in self.facts:
                return (self.facts[name],)
        return (UNKNOWN,)

    def within(
        self,
        *,
        env: Table | None = None,
        inputs: Mapping[str, tuple[str, Scope]] | None = None,
    ) -> Scope:
        """Return a scope inside this one, with more variables, or with other inputs."""
        scope = self
        if env is not None and env.pairs:
            added = {
                key: (value.text, self) for key, value in env.items() if isinstance(value, Text)
            }
            scope = replace(self, env={**self.env, **added}, _known={})
        return scope if inputs is None else replace(scope, inputs=inputs, _known={})

    def is_secret(self, text: str) -> bool:
        """Whether a secret of the repository is in the text, or in what it names."""
        return "${{" in text and any(
            self._has_secret(part) for is_one, part in pieces(text) if is_one
        )

    def _has_secret(self, expression: str) -> bool:
        if _SECRET.search(expression):
            return True
        for context, name in _MENTION.findall(expression[:_LONGEST]):
            given, scope = self._text_of(context, name) or ("", self)
            key = (f"secret {context}", name.lower())
            if key not in self._known:
                self._known[key] = (given != "" and scope.is_secret(given),)
            if self._known[key][0]:
                return True
        return False

    def _given(self, context: str, name: str, spelled: str) -> Possible:
        if (context, name) not in self._known:
            text = self._text_of(context, spelled)
            found: Possible = (UNKNOWN,)
            if text is not None:
                found = text[1].values(text[0])
            elif context == "inputs" and name in self.choices:
                found = tuple(
                    UNKNOWN if each == UNKNOWN_TEXT else each for each in self.choices[name]
                )
            self._known[context, name] = found
        return self._known[context, name]

    def _text_of(self, context: str, name: str) -> tuple[str, Scope] | None:
        if context == "env":
            return self.env.get(name)
        return next(
            (given for own, given in self.inputs.items() if own.lower() == name.lower()), None
        )

    def _in_matrix(self, path: Sequence[str]) -> Possible:
        if self.matrix is None:
            return (UNKNOWN,)
        value: Any = dict(self.matrix)
        for name in path:
            value = member(value, name)
        return (value,)


def _part_of_ref(ref: object, part: str) -> Any:  # noqa: ANN401 - or unknown
    if not isinstance(ref, str):
        return UNKNOWN
    is_tag = ref.startswith("refs/tags/")
    if part == "ref_type":
        return "tag" if is_tag else "branch"
    return ref.removeprefix("refs/heads/").removeprefix("refs/tags/")


def any_of(values: Sequence[str]) -> tuple[str, Scope]:
    """Return a text and its scope that may have any of several values."""
    return "${{ inputs.any }}", Scope(choices={"any": tuple(values)})


def cases(text: str, scope: Scope) -> Iterator[Scope]:
    """Yield a scope for each case that the expressions in a text distinguish.

    `${{ github.ref == 'refs/heads/main' && 'pypi' || 'testpypi' }}` has one for that branch, and
    one for any other ref. Without such a condition, or with too many: the scope itself.
    """
    expressions = [part for is_expression, part in pieces(text) if is_expression]
    if scope.value(text) is not None or not any(map(_DECIDES.search, expressions)):
        yield scope
        return
    joined = " ".join(expressions)[:_LONGEST_CONDITION]
    axes: dict[str, list[Any]] = {}
    for path in dict.fromkeys(match[0] for match in _PATH.finditer(_QUOTED.sub("''", joined))):
        known = scope.lookup(path.split("."))
        if len(known) > 1 and UNKNOWN not in known:
            axes[path.lower()] = list(known)
        elif UNKNOWN in known:
            axes[path.lower()] = _distinguished(path, joined)
    if {"github.ref", "github.ref_name", "github.ref_type"} & axes.keys():
        named = [*axes.pop("github.ref", []), *axes.pop("github.ref_name", [])]
        axes.pop("github.ref_type", None)
        axes["github.ref"] = [*dict.fromkeys((*named, ANY_TAG, ANY_BRANCH))]
    if math.prod(map(len, axes.values())) > _MOST_CASES:
        yield scope
        return
    for row in itertools.product(*axes.values()):
        assumed = dict(zip(axes, row, strict=True))
        refs: Possible = scope.refs
        events: Possible = scope.events
        if "github.ref" in assumed:
            refs = (assumed.pop("github.ref"),)
        if "github.event_name" in assumed:
            events = (assumed.pop("github.event_name"),)
        yield replace(
            scope, refs=refs, events=events, assumed={**scope.assumed, **assumed}, _known={}
        )


def _distinguished(path: str, text: str) -> list[Any]:
    """Return the values that conditions compare a path with, and one that equals none of them."""
    name = re.escape(path)
    literal = r"'(?P<text>[^']*)'|(?P<bool>true|false)\b"
    found: list[Any] = []
    for pattern in (
        rf"{name}\s*[!=]=\s*(?:{literal})",
        rf"(?:{literal})\s*[!=]=\s*{name}\b",
        rf"(?:startsWith|contains)\(\s*{name}\s*,\s*(?:{literal})",
    ):
        found += (
            match["bool"] == "true" if match["text"] is None else match["text"]
            for match in re.finditer(pattern, text, re.IGNORECASE)
        )
    if path.lower() == "github.ref_name":
        return [f"refs/heads/{each}" for each in found]
    if path.lower() == "github.ref":
        return found
    if any(isinstance(each, bool) for each in found):
        return [True, False]
    # A value that nothing says counts as true; without a comparison that is what matters.
    return [*dict.fromkeys(found), OTHER] if found else [OTHER, ""]


def combinations(job: Table, scope: Scope) -> Iterator[Scope]:
    """Yield the scope of each combination of a job's matrix; the scope itself without one.

    Combinations that differ in nothing that the job mentions are one.
    """
    matrix = job.table("strategy").get("matrix")
    if matrix is None:
        yield scope
        return
    found = _expanded(_plain(matrix, scope))
    if found is None or len(found) > _MOST_COMBINATIONS:
        yield replace(scope, matrix=None, _known={})
        return
    names = _mentioned(job)
    rows: dict[str, dict[str, Any]] = {}
    for row in found:
        kept = {
            name: value for name, value in row.items() if names is None or name.lower() in names
        }
        rows.setdefault(json.dumps(kept, sort_keys=True, default=str), kept)
    for kept in rows.values():
        yield replace(scope, matrix=kept, _known={})


def _mentioned(job: Table) -> set[str] | None:
    """Return the names in a matrix that a job mentions, in lower case; `None`: it may be all."""
    names: set[str] = set()
    for text in _texts_of(job):
        if text.startswith("./"):
            # An action of the repository may mention any.
            return None
        for match in _IN_MATRIX.finditer(text):
            if not match[1]:
                return None
            names.add(match[1].lower())
    return names


def _texts_of(job: Table) -> Iterator[str]:
    """Yield the texts in a job that may hold expressions: neither keys nor the matrix itself."""
    waiting = [value for key, value in job.pairs if key.text != "strategy"]
    while waiting:
        match waiting.pop():
            case Text(text=text):
                yield text
            case List(values=values):
                waiting += values
            case Table(pairs=pairs):
                waiting += (each for _, each in pairs)


def _expanded(matrix: Any) -> list[dict[str, Any]] | None:  # noqa: ANN401 - a plain value
    """Return the combinations of a matrix, as GitHub makes them; `None` if it is unknown."""
    if not isinstance(matrix, dict):
        return None
    axes = {name: values for name, values in matrix.items() if name not in {"include", "exclude"}}
    listed = {
        name: values if isinstance(values, list) else [UNKNOWN] for name, values in axes.items()
    }
    excluded, included = _rows(matrix.get("exclude")), _rows(matrix.get("include"))
    size = math.prod(map(len, listed.values()))
    if size > _MOST_ROWS or (size + len(included)) * len(excluded + included) > _MOST_COMPARISONS:
        return None
    product = itertools.product(*listed.values())
    rows = [dict(zip(listed, row, strict=True)) for row in product]
    rows = [row for row in rows if not any(_fits(row, each) for each in excluded)]
    if not axes:
        rows = []
    originals = [dict(row) for row in rows]
    if matrix.get("include") is UNKNOWN:
        return None
    for added in included:
        # It is added to every combination of which it changes no value, else it is one itself.
        shared = [
            row
            for row, original in zip(rows, originals, strict=False)
            if all(original.get(name, value) == value for name, value in added.items())
        ]
        for row in shared:
            row.update(added)
        if not shared:
            rows.append(dict(added))
    return rows


def _rows(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _fits(row: Mapping[str, Any], pattern: Mapping[str, Any]) -> bool:
    return bool(pattern) and all(row.get(name) == value for name, value in pattern.items())


def _plain(value: Value, scope: Scope) -> Any:  # noqa: ANN401 - a plain value
    """Return a YAML value as GitHub's expressions see it; texts are evaluated."""
    match value:
        case Text(is_null=True):
            return None
        case Text(text=text, style=style):
            if not style and text in {"true", "false"}:
                return text == "true"
            parts = list(pieces(text))
            if len(parts) == 1 and parts[0][0]:
                found = evaluated(parts[0][1], scope.lookup)
                return found[0] if len(found) == 1 else UNKNOWN
            known = scope.value(text)
            return UNKNOWN if known is None else known
        case List():
            return [_plain(each, scope) for each in value.values]
        case Table():
            return {name: _plain(each, scope) for name, each in value.items()}
