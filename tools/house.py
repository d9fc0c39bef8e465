"""Print how the package is built, from its source, and fail where it is not as we want it.

What grimp sees are all imports, those inside functions and those for types included. The layers
are those of the contract in pyproject.toml; where a checkout has none, only circles show what
points up. `house.py FOLDER` looks at another checkout.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import grimp

PACKAGE: Final = "attested_publish"
CONTRACT: Final = "Packages import downwards"

MOST_AT_THE_TOP: Final = 24
MOST_LAYERS: Final = 10
MOST_FUNCTION_IMPORTS: Final = 9
MOST_METHODS: Final = 15
MOST_LINES: Final = 60

_FRONTS: Final = ("fronts", "__main__")
"""Where a mode is chosen, and what it needs imported: function-level imports are free."""

_WORLD: Final = ("rehearsal",)
"""An embedded server has a method for each endpoint: classes may be large."""

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_REMARK: Final = re.compile(r"  # (?!type:|noqa)(.+)")


@dataclass(frozen=True)
class Check:
    """What was counted, how much of it there is, and how much there may be."""

    name: str
    count: int
    bound: int
    listed: Sequence[str] = ()

    @property
    def is_kept(self) -> bool:
        """Whether there is no more of it than there should be."""
        return self.count <= self.bound

    def __str__(self) -> str:
        mark = "  " if self.is_kept else "✗ "
        lines = [f"{mark}{self.name}: {self.count} (at most {self.bound})"]
        return "\n".join([*lines, *(f"      {each}" for each in self.listed)])


@dataclass(frozen=True)
class Source:
    """A module's file: its dotted name below the package, its tree and its lines."""

    name: str
    tree: ast.Module
    lines: Sequence[str]

    @property
    def top(self) -> str:
        """The module or package at the top that it belongs to."""
        return self.name.partition(".")[0]


def main() -> int:
    """Print every check. Returns 1 when a bound is broken, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", nargs="?", type=Path, default=Path(__file__).parents[1])
    checkout: Path = parser.parse_args().checkout.resolve()
    sys.path.insert(0, str(checkout / "src"))
    graph = grimp.build_graph(PACKAGE, cache_dir=None)
    sources = list(_sources(checkout / "src" / PACKAGE))
    checks = [
        *_checks_of_imports(graph, _layers(checkout / "pyproject.toml")),
        *_function_imports(sources),
        _large_classes(sources),
        _long_functions(sources),
    ]
    print(*checks, sep="\n")
    return 0 if all(check.is_kept for check in checks) else 1


def _checks_of_imports(graph: grimp.ImportGraph, layers: Mapping[str, int]) -> Iterator[Check]:
    tops = sorted(map(_top, graph.find_children(PACKAGE)))
    yield Check("modules and packages at the top", len(tops), MOST_AT_THE_TOP, [", ".join(tops)])

    closing = sorted(graph.nominate_cycle_breakers(PACKAGE))
    chain = _longest_chain(graph, set(closing))
    yield Check("layers, by the longest chain", len(chain), MOST_LAYERS, [" → ".join(chain)])

    circles = sorted(_circles(graph))
    yield Check("packages with a circle inside, or among them", len(circles), 0, circles)

    up = {
        (importer, imported)
        for importer, imported in _imports(graph)
        if layers.get(_top(importer), 0) > layers.get(_top(imported), 0)
    }
    listed = [f"{importer} → {imported}" for importer, imported in sorted(up.union(closing))]
    yield Check("imports up", len(listed), 0, listed)


def _layers(pyproject: Path) -> Mapping[str, int]:
    """Return how deep each module and package at the top lies; nothing without a contract."""
    tools = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]
    contracts = tools.get("importlinter", {}).get("contracts", [])
    layers: list[str] = next((each["layers"] for each in contracts if each["name"] == CONTRACT), [])
    return {
        top.strip(): depth
        for depth, layer in enumerate(layers)
        for top in layer.replace(":", "|").split("|")
    }


def _imports(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            if PACKAGE not in {importer, imported}:
                yield importer, imported


def _top(module: str) -> str:
    return module.split(".")[1]


def _longest_chain(graph: grimp.ImportGraph, closing: set[tuple[str, str]]) -> tuple[str, ...]:
    """Return the longest way down from one module or package at the top to another.

    `closing` are the imports that close a circle. They are left out: in a circle, no way ends.
    """
    below: dict[str, set[str]] = {}
    for importer, imported in set(_imports(graph)) - closing:
        if _top(importer) != _top(imported):
            below.setdefault(_top(importer), set()).add(_top(imported))

    @cache
    def down_from(top: str) -> tuple[str, ...]:
        return (top, *_longest(down_from(each) for each in sorted(below.get(top, ()))))

    return _longest(down_from(top) for top in sorted(below))


def _longest(chains: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return max(chains, key=len, default=())


def _circles(graph: grimp.ImportGraph) -> Iterator[str]:
    """Yield each package whose children import each other in a circle, with what closes it."""
    for package in [PACKAGE, *graph.find_descendants(PACKAGE)]:
        closing = graph.nominate_cycle_breakers(package)
        if closing:
            listed = ", ".join(f"{importer} → {imported}" for importer, imported in sorted(closing))
            yield f"{package}, closed by {listed}"


def _sources(folder: Path) -> Iterator[Source]:
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        name = ".".join(path.relative_to(folder).with_suffix("").parts)
        yield Source(name, ast.parse(text), text.splitlines())


def _function_imports(sources: Sequence[Source]) -> Iterator[Check]:
    with_reason = []
    without = []
    for source in sources:
        if source.top not in _FRONTS:
            reasons = _reasons(source)
            for statement in _imports_in_functions(source.tree):
                line = f"{source.name}:{statement.lineno}: {ast.unparse(statement)}"
                if reason := reasons.get(statement.lineno):
                    with_reason.append(f"{line}  # {reason}")
                else:
                    without.append(line)
    count = len(with_reason) + len(without)
    name = "function-level imports outside the fronts"
    yield Check(name, count, MOST_FUNCTION_IMPORTS, with_reason)
    yield Check(f"{name}, without a comment why", len(without), 0, without)


def _imports_in_functions(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    found = {
        statement
        for function in ast.walk(tree)
        if isinstance(function, _FUNCTIONS)
        for statement in ast.walk(function)
        if isinstance(statement, ast.Import | ast.ImportFrom)
    }
    return sorted(found, key=lambda statement: statement.lineno)


def _reasons(source: Source) -> Mapping[int, str]:
    """Return why imports stand in functions, by their line: the comment above them, or behind.

    One comment may serve several imports in a row.
    """
    reasons: dict[int, str] = {}
    before = (0, "")
    for statement in _imports_in_functions(source.tree):
        last = statement.end_lineno or statement.lineno
        behind = _REMARK.search(source.lines[last - 1])
        reason = _comment_above(source, statement.lineno) or (behind[1] if behind else "")
        if not reason and before[0] == statement.lineno - 1:
            reason = before[1]
        before = (last, reason)
        reasons[statement.lineno] = reason
    return reasons


def _comment_above(source: Source, line: int) -> str:
    words: list[str] = []
    for each in reversed(source.lines[: line - 1]):
        if not each.strip().startswith("#"):
            break
        words.insert(0, each.strip().removeprefix("#").strip())
    return " ".join(words)


def _large_classes(sources: Sequence[Source]) -> Check:
    listed = []
    for source in sources:
        for each in ast.walk(source.tree):
            if isinstance(each, ast.ClassDef) and source.top not in _WORLD:
                methods = sum(isinstance(part, _FUNCTIONS) for part in each.body)
                if methods > MOST_METHODS:
                    listed.append(f"{source.name}.{each.name}: {methods}")
    return Check(f"classes with more than {MOST_METHODS} methods", len(listed), 0, listed)


def _long_functions(sources: Sequence[Source]) -> Check:
    listed = []
    for source in sources:
        for each in ast.walk(source.tree):
            if isinstance(each, _FUNCTIONS):
                lines = (each.end_lineno or each.lineno) - each.lineno + 1
                if lines > MOST_LINES:
                    listed.append(f"{source.name}.{each.name}: {lines}")
    return Check(f"functions with more than {MOST_LINES} lines", len(listed), 0, listed)


if __name__ == "__main__":
    sys.exit(main())
