"""What a pipeline of GitLab's consists of: its file, and what that includes, merged."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from attested_publish.setup.addresses import UNKNOWN_TEXT
from attested_publish.setup.documents import EMPTY, List, Table, Text, Value
from attested_publish.setup.jobs import Spot
from attested_publish.setup.reading import is_utf8

if TYPE_CHECKING:
    from attested_publish.setup.documents import Document
    from attested_publish.setup.reading import Tree
    from attested_publish.setup.sources import Sources

REFERENCE = "!reference"

_NO_JOBS = frozenset(
    {
        *("default", "include", "stages", "variables", "workflow", "image", "services", "cache"),
        *("before_script", "after_script", "pages", "spec"),
    }
)
_MOST_FILES = 150
"""GitLab's own limit."""

_MOST_ENTRIES = 5000
_MOST_VALUES = 200_000
_DEEPEST = 10
_INPUT = re.compile(r"\$\[\[\s*(?:inputs\.([A-Za-z_][\w-]*)\s*)?(.*?)\]\]", re.DOTALL)
_ADDRESS = ("http://", "https://")


@dataclass
class Merged:
    """The jobs of a pipeline (file, table and line of each), and what applies to all of them.

    `outside` are includes that are not of this repository, or not known before a run: what they
    are, and where.
    """

    jobs: dict[str, tuple[str, Table, int]] = field(default_factory=dict)
    shared: dict[str, Value] = field(default_factory=dict)
    outside: dict[str, Spot] = field(default_factory=dict)
    _extended: dict[str, tuple[Table, bool]] = field(default_factory=dict)
    _left: int = _MOST_VALUES

    def table(self, name: str) -> Table:
        """Return what applies to all jobs, if it is a table; else an empty one."""
        value = self.shared.get(name)
        return value if isinstance(value, Table) else EMPTY

    def job(self, name: str) -> tuple[Table, bool]:
        """Return a job with all that it extends and refers to, and whether all of it is known."""
        table, is_whole = self._with_bases(name)
        found = self.resolved(table, 0)
        return (found if isinstance(found, Table) else table), is_whole

    def _with_bases(self, name: str) -> tuple[Table, bool]:
        if name not in self._extended:
            # What extends itself, which GitLab refuses, is not known.
            self._extended[name] = EMPTY, False
            if name in self.jobs:
                whole, is_whole = EMPTY, True
                table = self.jobs[name][1]
                for text in table.texts("extends"):
                    base, is_known = self._with_bases(text.text)
                    whole, is_whole = merged(whole, base), is_whole and is_known
                self._extended[name] = merged(whole, table), is_whole
        return self._extended[name]

    def resolved(self, value: Value, depth: int) -> Value:
        """Return a value with what its `!reference` lists name; those that name nothing stay."""
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            return value
        match value:
            case List(tag="!reference"):
                named = self._named(value)
                return value if named is None else self.resolved(named, depth + 1)
            case List():
                return replace(
                    value, values=tuple(self.resolved(each, depth) for each in value.values)
                )
            case Table():
                pairs = tuple((key, self.resolved(each, depth)) for key, each in value.pairs)
                return replace(value, pairs=pairs)
            case _:
                return value

    def _named(self, reference: List) -> Value | None:
        names = [each.text for each in reference.values if isinstance(each, Text)]
        if len(names) != len(reference.values) or not names:
            return None
        value: Value | None = (
            self._with_bases(names[0])[0] if names[0] in self.jobs else self.shared.get(names[0])
        )
        for name in names[1:]:
            value = value.get(name) if isinstance(value, Table) else None
        return value


class Files:
    """Reads the files of one pipeline."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._left = _MOST_FILES
        self._merged = Merged()

    def of_document(self, document: Document) -> Merged:
        """Return the pipeline that a file is. Its inputs are only known when it is started."""
        self._add(document, {}, 0)
        return self._merged

    def of_included(self, value: Value | None, file: str) -> Merged:
        """Return the pipeline that consists of what an `include` names, in a file."""
        self._include(value, file, 0)
        return self._merged

    def _add(self, document: Document, inputs: Mapping[str, str], depth: int) -> None:
        """Add the jobs of a file; what it includes first, as its own replace those."""
        root = document.root
        if "$[[" in document.source:
            interpolated = _interpolated(root, inputs)
            root = interpolated if isinstance(interpolated, Table) else root
        self._include(root.get("include"), document.name, depth)
        for key, value in root.pairs:
            if key.text in _NO_JOBS:
                earlier = self._merged.shared.get(key.text)
                self._merged.shared[key.text] = (
                    merged(earlier, value)
                    if isinstance(value, Table) and isinstance(earlier, Table)
                    else value
                )
            elif isinstance(value, Table):
                before = self._merged.jobs.get(key.text)
                table = value if before is None else merged(before[1], value)
                self._merged.jobs[key.text] = (document.name, table, key.line)

    def _include(self, value: Value | None, file: str, depth: int) -> None:
        for each in value.values if isinstance(value, List) else [value] if value else []:
            inputs = each.table("inputs") if isinstance(each, Table) else EMPTY
            for name in self._names(each, file):
                self._left -= 1
                if self._left < 0 or depth >= _DEEPEST:
                    self._sources.skip(name, f"more than {_MOST_FILES} includes are not read")
                    return
                document = self._sources.document(name)
                if document is not None:
                    self._add(document, _given(document, inputs), depth + 1)
                elif name not in self._sources.problems:
                    self._sources.skip(name, "it is included, but there is no such file")

    def _names(self, include: Value, file: str) -> Iterator[str]:
        """Yield the files of the repository that an include names; note what else it names."""
        match include:
            case Text(text=text, is_null=False) if not text.startswith(_ADDRESS):
                local: str | None = text
            case Table() if found := include.text("local"):
                local = found.text
            case Text(is_null=True):
                return
            case _:
                local = None
        if local is None or "$" in local or UNKNOWN_TEXT in local:
            self._merged.outside.setdefault(_described(include), Spot(file, include.line))
        elif "*" in local:
            yield from _matching(self._sources.tree, local.strip("/"))
        else:
            yield local.lstrip("/")


def merged(below: Table, above: Table) -> Table:
    """Return two tables as one, as GitLab merges them: tables in them too, lists not."""
    pairs = {key.text: (key, value) for key, value in below.pairs}
    for key, value in above.pairs:
        earlier = pairs.get(key.text)
        if earlier and isinstance(value, Table) and isinstance(earlier[1], Table):
            pairs[key.text] = (key, merged(earlier[1], value))
        else:
            pairs[key.text] = (key, value)
    return Table(tuple(pairs.values()), above.line, above.start, above.end)


def _described(include: Value) -> str:
    """Return what an include is, in a few words."""
    if isinstance(include, Table):
        for name in ("local", "component", "project", "remote", "template", "artifact"):
            if text := include.text(name):
                return f"{name} {text.text.replace(UNKNOWN_TEXT, '$[[…]]')}"
    return include.text.replace(UNKNOWN_TEXT, "$[[…]]") if isinstance(include, Text) else "a list"


def _given(document: Document, given: Table) -> dict[str, str]:
    """Return the inputs of an included file: those it is given, else what it has as default."""
    found = {
        name: default.text
        for name, declared in document.header.table("spec").table("inputs").items()
        if isinstance(declared, Table) and (default := declared.text("default"))
    }
    return found | {
        name: value.text if isinstance(value, Text) else UNKNOWN_TEXT
        for name, value in given.items()
    }


def _interpolated(value: Value, inputs: Mapping[str, str]) -> Value:
    """Return a value with the inputs that are known; the others are marked as unknown."""

    def replaced(match: re.Match[str]) -> str:
        # A function behind the name, as in `inputs.name | expand_vars`, is not worked out.
        return UNKNOWN_TEXT if match[2] else inputs.get(match[1] or "", UNKNOWN_TEXT)

    match value:
        case Text(text=text):
            # Only where each beginning has an end: the pattern takes quadratic time for others.
            text, end, rest = text.rpartition("]]")
            return replace(value, text=_INPUT.sub(replaced, text + end) + rest)
        case List():
            return replace(
                value, values=tuple(_interpolated(each, inputs) for each in value.values)
            )
        case Table():
            pairs = tuple((key, _interpolated(each, inputs)) for key, each in value.pairs)
            return replace(value, pairs=pairs)


def _matching(tree: Tree, pattern: str) -> Iterator[str]:
    """Yield the YAML files of the repository that a pattern with `*` and `**` fits."""
    left = _MOST_ENTRIES
    seen = set()
    waiting: list[tuple[str, list[str]]] = [("", pattern.split("/"))]
    while waiting:
        folder, parts = waiting.pop()
        if (folder, len(parts)) in seen or not parts:
            continue
        seen.add((folder, len(parts)))
        if parts[0] == "**":
            waiting.append((folder, parts[1:]))
        for name in tree.files(folder):
            left -= 1
            if left < 0:
                return
            last = name.rpartition("/")[2]
            fits = parts[0] == "**" or fnmatch.fnmatchcase(last, parts[0])
            if not fits or not is_utf8(name) or last == ".git":
                continue
            if len(parts) == 1 and last.endswith((".yml", ".yaml")):
                yield name
            elif (tree.root / name).is_dir() and not (tree.root / name).is_symlink():
                waiting.append((name, parts if parts[0] == "**" else parts[1:]))
