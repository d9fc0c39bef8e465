"""GitHub's expressions, evaluated as far as a repository shows: to every value they may have.

A value that only a run will know is `UNKNOWN`. What follows from it is not guessed: an expression
has the values of both its branches then.
"""

from __future__ import annotations

import itertools
import json
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, TypeAlias

_MOST = 32
"""Values of one expression; with more, it is unknown."""

_LONGEST = 20_000
_DEEPEST = 40

_EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?(?:0x[0-9a-fA-F]+|[0-9]+(?:\.[0-9]+)?))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|(?P<mark>&&|\|\||==|!=|<=|>=|[!<>()\[\],.*]))"
)


class Unknown(Enum):
    """What cannot be known before a run."""

    ANYTHING = "anything"
    NOTHING_TRUE = "anything that counts as false"


UNKNOWN = Unknown.ANYTHING

Possible: TypeAlias = tuple[Any, ...]
"""Every value that something may have: texts, numbers, booleans, None, lists, objects, unknown."""

Lookup: TypeAlias = Callable[[Sequence[str]], Possible]
"""Gives the values of a context, by its path: `("github", "ref")`."""


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


class _NotAnExpression(Exception):
    """It is not one that this module understands."""


def possible(text: str, lookup: Lookup) -> Possible:
    """Return every value of a text with `${{ … }}` in it: texts, or unknown as a whole."""
    parts: list[Possible] = []
    for is_expression, part in pieces(text):
        parts.append(_texts(evaluated(part, lookup)) if is_expression else (part,))
    found: list[Any] = []
    for combination in itertools.islice(itertools.product(*parts), _MOST + 1):
        is_known = not any(isinstance(part, Unknown) for part in combination)
        found.append("".join(combination) if is_known else UNKNOWN)
    return _bounded(found)


def pieces(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a text in order, and whether each is an expression."""
    end = 0
    # Only where each beginning has an end: looking for one in vain would take quadratic time.
    for match in _EXPRESSION.finditer(text, 0, text.rfind("}}") + 2):
        if match.start() > end:
            yield False, text[end : match.start()]
        yield True, match[1]
        end = match.end()
    if end < len(text) or not text:
        yield False, text[end:]


def truth(condition: str, lookup: Lookup) -> frozenset[bool]:
    """Return whether an `if:` may be true, and whether it may be false."""
    text = condition.strip()
    whole = _EXPRESSION.fullmatch(text)
    if whole is None and any(is_expression for is_expression, _ in pieces(text)):
        # A text around an expression is a text that is not empty.
        values = possible(text, lookup)
    else:
        values = evaluated(whole[1] if whole else text, lookup)
    return frozenset(itertools.chain.from_iterable(map(_truths, values)))


def evaluated(expression: str, lookup: Lookup) -> Possible:
    """Return every value of an expression, without the braces."""
    if len(expression) > _LONGEST:
        return (UNKNOWN,)
    try:
        reader = _Reader(expression, lookup)
        value = reader.either(0)
        reader.expect_end()
    except _NotAnExpression:
        return (UNKNOWN,)
    return value


def as_text(value: object) -> str:
    """Return a value as GitHub writes it into a text."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case str() | float():
            return str(value)
        case _:
            return json.dumps(value)


def _texts(values: Possible) -> Possible:
    return _bounded([value if isinstance(value, Unknown) else as_text(value) for value in values])


def _bounded(values: Sequence[Any]) -> Possible:
    kept: list[Any] = []
    for value in values:
        if not any(type(value) is type(other) and value == other for other in kept):
            kept.append(value)
    return tuple(kept) if len(kept) <= _MOST else (UNKNOWN,)


def _truths(value: object) -> tuple[bool, ...]:
    match value:
        case Unknown.ANYTHING:
            return (True, False)
        case Unknown.NOTHING_TRUE:
            return (False,)
        case list() | dict():
            return (True,)
        case _:
            return (bool(value),)


class _Reader:
    """Evaluates while it reads, by recursive descent."""

    def __init__(self, text: str, lookup: Lookup) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._lookup = lookup

    def either(self, depth: int) -> Possible:
        """Read `a || b`."""
        left = self._both(depth + 1)
        while self._take("||"):
            right = self._both(depth + 1)
            left = _chosen(left, right, wanted=True)
        return left

    def expect_end(self) -> None:
        """Make sure that nothing follows."""
        if self._at < len(self._tokens):
            raise _NotAnExpression

    def _both(self, depth: int) -> Possible:
        left = self._compared(depth)
        while self._take("&&"):
            right = self._compared(depth)
            left = _chosen(left, right, wanted=False)
        return left

    def _compared(self, depth: int) -> Possible:
        left = self._single(depth)
        for mark in ("==", "!=", "<=", ">=", "<", ">"):
            if self._take(mark):
                right = self._single(depth)
                pairs = itertools.product(left, right)
                return _bounded([_comparison(mark, *pair) for pair in pairs])
        return left

    def _single(self, depth: int) -> Possible:
        if depth > _DEEPEST:
            raise _NotAnExpression
        if self._take("!"):
            inner = self._single(depth + 1)
            return _bounded([not each for value in inner for each in _truths(value)])
        if self._take("("):
            inner = self.either(depth + 1)
            self._expect(")")
            return self._after(inner, depth)
        kind, text = self._next()
        match kind:
            case "text":
                return (text[1:-1].replace("''", "'"),)
            case "number":
                return (float(int(text, 16)) if "x" in text else float(text),)
            case "name":
                return self._named(text, depth)
            case _:
                raise _NotAnExpression

    def _named(self, name: str, depth: int) -> Possible:
        if self._take("("):
            arguments = []
            while not self._take(")"):
                arguments.append(self.either(depth + 1))
                self._take(",")
            return self._after(_called(name.lower(), arguments), depth)
        constants: dict[str, Any] = {"true": True, "false": False, "null": None}
        if name.lower() in constants:
            return (constants[name.lower()],)
        path = [name]
        while True:
            if self._take("."):
                path.append(self._next()[1])
            elif self._take("["):
                index = self.either(depth + 1)
                self._expect("]")
                is_known = len(index) == 1 and isinstance(index[0], str | float)
                path.append(as_text(index[0]) if is_known else "*")
            else:
                break
        return (UNKNOWN,) if "*" in path else self._lookup(path)

    def _after(self, value: Possible, depth: int) -> Possible:
        """Read what is taken out of a value: `fromJSON(…).name`, `(…)[0]`."""
        while True:
            if self._take("."):
                key: object = self._next()[1]
            elif self._take("["):
                index = self.either(depth + 1)
                self._expect("]")
                key = index[0] if len(index) == 1 else UNKNOWN
            else:
                return value
            value = _bounded([member(each, key) for each in value])

    def _take(self, mark: str) -> bool:
        is_next = self._at < len(self._tokens) and self._tokens[self._at] == ("mark", mark)
        self._at += is_next
        return is_next

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise _NotAnExpression

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _NotAnExpression
        self._at += 1
        return self._tokens[self._at - 1]


def _tokens(text: str) -> list[tuple[str, str]]:
    found = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise _NotAnExpression
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def member(value: object, key: object) -> Any:  # noqa: ANN401 - any value
    """Return what a value has under a key; `None` if it is known to have nothing."""
    if isinstance(value, Unknown) or isinstance(key, Unknown):
        return UNKNOWN
    if isinstance(value, dict):
        name = as_text(key).lower()
        return next((each for own, each in value.items() if own.lower() == name), None)
    if isinstance(value, list) and as_text(key).isdecimal() and len(as_text(key)) < 6:  # noqa: PLR2004 - a list's index
        index = int(as_text(key))
        return value[index] if index < len(value) else None
    return None


def _chosen(left: Possible, right: Possible, *, wanted: bool) -> Possible:
    """Return the values of `left || right` (`wanted`), or of `left && right`."""
    found: list[Any] = []
    for value in left:
        for is_true in _truths(value):
            if is_true is not wanted:
                found += right
            elif value is UNKNOWN:
                found.append(UNKNOWN if is_true else Unknown.NOTHING_TRUE)
            else:
                found.append(value)
    return _bounded(found)


def _comparison(mark: str, left: object, right: object) -> Any:  # noqa: ANN401 - or unknown
    if isinstance(left, Unknown) or isinstance(right, Unknown):
        return UNKNOWN
    if isinstance(left, str) and isinstance(right, str):
        one: Any = left.lower()
        other: Any = right.lower()
    elif type(left) is type(right):
        one, other = left, right
    else:
        one, other = _number(left), _number(right)
        if one is None or other is None:
            # NaN equals nothing.
            return mark == "!="
    try:
        return _COMPARED[mark](one, other)
    except TypeError:
        return False


def _number(value: object) -> float | None:
    match value:
        case None:
            return 0.0
        case bool() | float() | int():
            return float(value)
        case str():
            try:
                return float(value) if value.strip() else 0.0
            except ValueError:
                return None
        case _:
            return None


def _called(name: str, arguments: list[Possible]) -> Possible:
    """Return the values of a function."""
    if name == "always":
        return (True,)
    functions: dict[str, Callable[..., Any]] = {
        "contains": lambda whole, part: (
            any(as_text(each).lower() == as_text(part).lower() for each in whole)
            if isinstance(whole, list)
            else as_text(part).lower() in as_text(whole).lower()
        ),
        "startswith": lambda whole, part: as_text(whole).lower().startswith(as_text(part).lower()),
        "endswith": lambda whole, part: as_text(whole).lower().endswith(as_text(part).lower()),
        "format": _formatted,
        "fromjson": _from_json,
        "tojson": json.dumps,
        "join": lambda whole, by=",": as_text(by).join(map(as_text, whole)),
    }
    function = functions.get(name)
    if function is None or len(arguments) > _DEEPEST:
        return (UNKNOWN,)
    found = []
    for given in itertools.islice(itertools.product(*arguments), _MOST + 1):
        if any(isinstance(each, Unknown) for each in given):
            found.append(UNKNOWN)
            continue
        try:
            found.append(function(*given))
        except (TypeError, ValueError, RecursionError, LookupError):
            found.append(UNKNOWN)
    return _bounded(found)


def _formatted(text: object, *values: object) -> str:
    def value(match: re.Match[str]) -> str:
        return as_text(values[int(match[1])]) if match[1] else match[0][0]

    return re.sub(r"\{\{|\}\}|\{([0-9]{1,2})\}", value, as_text(text))


def _from_json(text: object) -> Any:  # noqa: ANN401 - any JSON
    value = json.loads(as_text(text), parse_int=float)
    # Half a character, which JSON can write, is an error here: nothing else can write it.
    json.dumps(value, ensure_ascii=False).encode()
    return value
