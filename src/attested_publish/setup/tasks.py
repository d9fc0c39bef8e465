"""Look into the tasks and scripts of a repository that its jobs run: whether one uploads.

Only texts are read, and no task is run. What is not found, or not understood, is not known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from attested_publish.setup.addresses import MARKS, UNKNOWN_TEXT
from attested_publish.setup.commands import Delegated, Shell, read
from attested_publish.setup.reading import NotRead

if TYPE_CHECKING:
    from attested_publish.setup.projects import Projects
    from attested_publish.setup.reading import Tree

_DEEPEST = 4
_MOST_LINES = 20_000
_MOST_LOOKED_AT = 500
_LONGEST_TASK = 1 << 16
_LONGEST_LINE = 4096

_SEMANTIC_RELEASE = (
    *(".releaserc", ".releaserc.json", ".releaserc.yml", ".releaserc.yaml", ".releaserc.js"),
    *("release.config.js", "release.config.cjs", "release.config.mjs", "package.json"),
)
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_JUSTFILES = ("justfile", "Justfile", ".justfile")
_SHELL_SCRIPT = re.compile(r"#!.*\b(?:ba|z|da|k)?sh\b")
_SET = re.compile(r"[^\s=]+\s*=")
_INCLUDE = re.compile(r"[-s]?include\s+(?P<names>[^#]+)")
_MOST_INCLUDED = 20
_TOX_FILES = ("tox.ini", "setup.cfg", "pyproject.toml", "tox.toml")
_TOX_COMMANDS = frozenset({"run", "r", "run-parallel", "p"})
_TOX_TABLE = re.compile(r"(?:tool\.tox\.)?env\.[\"']?(?P<name>[\w.-]+?)[\"']?")
_TOX_NAMES = {
    **dict.fromkeys(["tool.tox.env_run_base", "env_run_base"], "testenv"),
    **dict.fromkeys(["tool.tox", "tox:tox", ""], "tox"),
}
"""What sections are called in a tox.ini that are called otherwise in another file."""

_TOX_LIST = re.compile(r"\s*env_?list\s*=")
_SCRIPT_FILES = ("pyproject.toml", "hatch.toml")
_SCRIPT_TABLE = re.compile(
    r"\[[\w.\"'-]*(?:scripts|tasks)(?:\.[\"']?(?P<name>[\w:.-]+?)[\"']?)?\]\s*"
)
_SCRIPT_KEY = re.compile(r"[\"']?(?P<name>[\w:.-]+)[\"']?\s*=")
_TOX_SECTION = re.compile(r"\[(?P<name>[^\]\n]+)\]\s*")
_SESSION = re.compile(r"def\s+(?P<name>\w+)\s*\(")
_SESSION_NAME = re.compile(r"name\s*=\s*['\"](?P<name>[\w.-]+)['\"]")

UPLOADING = re.compile(
    r"(?:^|[^\w.-])(?:twine|uv|poetry|flit|hatch|pdm|maturin|rye)(?:\.exe)?[\"']?"
    r"(?:\s*,\s*[\"']|\s+)(?:-\S+\s+){0,4}[\"']?(?:publish|upload)\b(?![\w./-])"
    r"|setup\.py(?:\s+[\w=.-]+){0,6}\s+upload\b(?![\w./-])",
    re.IGNORECASE,
)
"""A command that uploads, in a text that is no shell script: also as a list of words."""


class Answer(Enum):
    """Whether a task uploads to PyPI, TestPyPI, or where only a run will know."""

    YES = "it uploads"
    NO = "it does not"
    UNKNOWN = "it was not found, or not understood"


class Tasks:
    """Reads the tasks of a repository's own folder, and its scripts."""

    def __init__(self, tree: Tree, projects: Projects) -> None:
        self._tree = tree
        self._projects = projects
        self._known: dict[tuple[Delegated, str], Answer] = {}
        self._rules: dict[tuple[Sequence[str], str], Mapping[str, tuple[str, str]] | None] = {}

    def answer(self, run: Delegated, folder: str = "", depth: int = 0) -> Answer:
        """Say whether what a command runs uploads; `folder` is where the command is run."""
        key = (run, folder)
        if key not in self._known:
            if depth > _DEEPEST or len(self._known) >= _MOST_LOOKED_AT:
                return Answer.UNKNOWN
            # What runs itself adds nothing.
            self._known[key] = Answer.NO
            self._known[key] = self._worked_out(run, folder.strip("./"), depth)
        return self._known[key]

    def _worked_out(self, run: Delegated, folder: str, depth: int) -> Answer:
        if any(mark in folder for mark in MARKS):
            folder = ""
        match run.program:
            case "make" | "gmake":
                return self._of_rules(_MAKEFILES, run.names, _in(folder, run), depth)
            case "just":
                return self._of_rules(_JUSTFILES, run.names, _in(folder, run), depth)
            case "tox":
                return self._of_tox(run.names, folder, depth)
            case "nox":
                return self._of_nox(run.names, folder)
            case "npm":
                return self._of_package_json(run.names, folder, depth)
            case "semantic-release":
                return self._of_semantic_release(folder)
            case "poe":
                return self._of_project_scripts(run.names, folder)
            case "":
                return self._of_script(run.names, folder, depth)
            case _:
                return Answer.UNKNOWN

    def _text(self, folder: str, name: str) -> str | None:
        """Return a file's text: one that is in a folder, else in that of the repository."""
        for place in dict.fromkeys((f"{folder}/{name}" if folder else name, name)):
            try:
                text = self._tree.text(place)
            except NotRead:
                continue
            if text is not None:
                return text
        return None

    def _of_shell(self, script: str, folder: str, depth: int) -> Answer:
        """Say whether a shell script uploads, by itself or by what it runs."""
        found = read(script[:_LONGEST_TASK], Shell(self._projects))
        if found.may_be_public or found.by_setup_py:
            return Answer.YES
        answers = {self.answer(each, folder, depth + 1) for _, each in found.delegates}
        if Answer.YES in answers:
            return Answer.YES
        return Answer.UNKNOWN if Answer.UNKNOWN in answers else Answer.NO

    def _of_script(self, names: Sequence[str], folder: str, depth: int) -> Answer:
        name = names[0].removeprefix("./") if names else ""
        text = self._text(folder, name) if name and not PurePosixPath(name).is_absolute() else None
        if text is None:
            return self._of_project_scripts(names, folder)
        if name.endswith(".sh") or _SHELL_SCRIPT.match(text):
            return self._of_shell(text, folder, depth)
        return Answer.YES if uploads_somewhere(text) else Answer.UNKNOWN

    def _of_rules(
        self, files: Sequence[str], names: Sequence[str], folder: str, depth: int
    ) -> Answer:
        """Say whether a rule of a Makefile or justfile uploads, or one that it needs."""
        if (files, folder) not in self._rules:
            text = next((text for name in files if (text := self._text(folder, name))), None)
            whole = [] if text is None else [text, *self._included(text, folder)]
            self._rules[files, folder] = _rules_by_name("\n".join(whole)) if whole else None
        rules = self._rules[files, folder]
        if rules is None:
            return Answer.UNKNOWN
        first = next((name for name in rules if not name.startswith(".")), "")
        wanted = [name for name in names if name in rules] or [first] * (not names)
        answers = set() if wanted else {Answer.UNKNOWN}
        seen: set[str] = set()
        while wanted and len(seen) < _MOST_LOOKED_AT:
            name = wanted.pop()
            if name in seen or name not in rules:
                continue
            seen.add(name)
            needs, body = rules[name]
            wanted += re.findall(r"[\w.%/-]+", needs)
            lines = (line.strip().lstrip("@+-") for line in body.splitlines())
            script = "\n".join(lines).replace("$(MAKE)", "make").replace("$$", "$")
            # What a variable of make's or an expression of just's stands for is not worked out.
            script = re.sub(r"\{\{[^{}\n]*\}\}|\$\([\w.]+\)", UNKNOWN_TEXT, script)
            answers.add(self._of_shell(script, folder, depth))
        return _worst(answers)

    def _included(self, text: str, folder: str) -> Iterator[str]:
        """Yield the texts of the files that a Makefile includes, and that these do."""
        names = list(_included_names(text))
        seen: set[str] = set()
        while names and len(seen) < _MOST_INCLUDED:
            name = names.pop(0)
            parent, _, last = name.rpartition("/")
            where = "/".join(part for part in (folder, parent) if part)
            found = [name]
            if "*" in last:
                found = [each for each in self._tree.files(where) if fnmatchcase(each, f"*{last}")]
            for each in found[:_MOST_INCLUDED]:
                if each not in seen and (inner := self._text("" if "*" in last else folder, each)):
                    seen.add(each)
                    names += _included_names(inner)
                    yield inner

    def _of_tox(self, names: Sequence[str], folder: str, depth: int) -> Answer:
        texts = [text for name in _TOX_FILES if (text := self._text(folder, name))]
        sections: dict[str, str] = {}
        for text in texts:
            for name, body in _sections(text):
                sections[name] = f"{sections.get(name, '')}\n{body}"
        names = [name for name in names if name not in _TOX_COMMANDS]
        if not names:
            # Without a name, tox runs those of its list.
            listed = _tox_list(sections.get("tox", ""))
            names = [name for name in listed if f"testenv:{name}" in sections] or [""]
        answers = set()
        for name in names:
            is_own = f"testenv:{name}" in sections
            body = sections.get(f"testenv:{name}" if is_own else "testenv", "")
            lines = [
                re.sub(r"\{[^{}\n]*\}", "x", line).partition("commands =")[2] or line
                for line in body.splitlines()
            ]
            script = "\n".join(line.strip().removeprefix("- ") for line in lines)
            found = self._of_shell(script, folder, depth)
            found = Answer.YES if uploads_somewhere(body) else found
            answers.add(found if is_own or found is Answer.YES else Answer.UNKNOWN)
        return _worst(answers)

    def _of_project_scripts(self, names: Sequence[str], folder: str) -> Answer:
        """Say whether a script in pyproject.toml uploads: of hatch, PDM, Rye, Poe or the like."""
        wanted = {name.rpartition(":")[2] for name in names}
        texts = [text for name in _SCRIPT_FILES if (text := self._text(folder, name))]
        scripts = (each for text in texts for each in _project_scripts(text))
        uploads = any(name in wanted and uploads_somewhere(body) for name, body in scripts)
        return Answer.YES if uploads else Answer.UNKNOWN

    def _of_package_json(self, names: Sequence[str], folder: str, depth: int) -> Answer:
        try:
            scripts = json.loads(self._text(folder, "package.json") or "{}")["scripts"]
            script = scripts[names[0]]
        except (ValueError, LookupError, TypeError, RecursionError):
            return Answer.UNKNOWN
        return self._of_shell(script, folder, depth) if isinstance(script, str) else Answer.UNKNOWN

    def _of_semantic_release(self, folder: str) -> Answer:
        """Say whether semantic-release has a plugin for PyPI, or runs a command that uploads."""
        texts = [text for name in _SEMANTIC_RELEASE if (text := self._text(folder, name))]
        is_for_pypi = any("semantic-release-pypi" in text for text in texts)
        return Answer.YES if is_for_pypi or any(map(uploads_somewhere, texts)) else Answer.UNKNOWN

    def _of_nox(self, names: Sequence[str], folder: str) -> Answer:
        text = self._text(folder, "noxfile.py")
        if text is None:
            return Answer.UNKNOWN
        sessions = dict(_sessions(text))
        answers = {
            Answer.UNKNOWN
            if (body := sessions.get(name)) is None
            else Answer.YES
            if uploads_somewhere(body)
            else Answer.NO
            for name in names
        }
        return _worst(answers or {Answer.UNKNOWN})


def uploads_somewhere(text: str) -> bool:
    """Whether a line of a text, other than a comment, has a command that uploads."""
    return next(uploading_lines(text), None) is not None


def uploading_lines(text: str, comments: tuple[str, ...] = ("#",)) -> Iterator[int]:
    """Yield the lines of a text, from 1, that have a command that uploads."""
    for number, line in enumerate(text.splitlines()[:_MOST_LINES], 1):
        short = line.strip()[:_LONGEST_LINE]
        if short.startswith(comments) or "dry-run" in short:
            continue
        if UPLOADING.search(short):
            yield number


def _in(folder: str, run: Delegated) -> str:
    return "/".join(part for part in (folder, run.folder.strip("./")) if part)


def _worst(answers: set[Answer]) -> Answer:
    return next((each for each in (Answer.YES, Answer.UNKNOWN) if each in answers), Answer.NO)


def _rules_by_name(text: str) -> dict[str, tuple[str, str]]:
    """Return what each rule of a Makefile or a justfile needs, and its lines."""
    rules: dict[str, tuple[str, str]] = {}
    for heads, needs, body in _rules(text):
        for head in heads:
            earlier = rules.get(head, ("", ""))
            rules[head] = (f"{earlier[0]} {needs}", f"{earlier[1]}\n{body}")
    return rules


def _rules(text: str) -> Iterator[tuple[list[str], str, str]]:
    """Yield the rules of a Makefile or a justfile: names, what they need, their lines."""
    heads: list[str] = []
    needs = ""
    body: list[str] = []
    for line in text.replace("\\\n", " ").splitlines()[:_MOST_LINES]:
        if heads and (line[:1] in {"\t", " "} or not line.strip()):
            body.append(line[:_LONGEST_LINE])
            continue
        if line.startswith("#"):
            continue
        if heads:
            yield heads, needs, "\n".join(body)
        head, colon, rest = line[:_LONGEST_LINE].partition(":")
        is_set = _SET.match(head) or rest.startswith("=")
        is_rule = colon and not is_set and head[:1] not in " \t"
        heads = [each.lstrip("@") for each in head.split()] if is_rule else []
        needs, semicolon, command = rest.partition(";")
        body = [command] if semicolon else []
    if heads:
        yield heads, needs, "\n".join(body)


def _included_names(text: str) -> Iterator[str]:
    """Yield the files that a Makefile includes: names and patterns."""
    for line in text.splitlines()[:_MOST_LINES]:
        if match := _INCLUDE.match(line[:_LONGEST_LINE]):
            yield from match["names"].split()


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield the sections of a configuration of tox; a name such as `testenv:{a,b}` is several."""
    name, body = "", list[str]()
    for line in [*text.splitlines()[:_MOST_LINES], "[]"]:
        match = _TOX_SECTION.fullmatch(line) or (line == "[]" or None)
        if match is None:
            body.append(line[:_LONGEST_LINE])
            continue
        table = _TOX_TABLE.fullmatch(name)
        name = f"testenv:{table['name']}" if table else _TOX_NAMES.get(name, name)
        start, brace, end = name.partition("{")
        listed = end.rpartition("}")[0].split(",") if brace else [""]
        yield from ((start + each.strip(), "\n".join(body)) for each in listed)
        name, body = (match["name"] if isinstance(match, re.Match) else ""), []


def _tox_list(section: str) -> list[str]:
    """Return the environments that tox runs when none is named; those with factors are left out."""
    lines = section.splitlines()
    start = next((at for at, line in enumerate(lines) if _TOX_LIST.match(line)), len(lines))
    names: list[str] = []
    for at, line in enumerate(lines[start:]):
        if at and "=" in line:
            break
        names += re.findall(r"[\w.-]+", line.partition("=")[2] if not at else line)
    return names


def _project_scripts(text: str) -> Iterator[tuple[str, str]]:
    """Yield the scripts and tasks in a TOML file: the name, and the text of what it runs."""
    table: re.Match[str] | None = None
    name, body = "", list[str]()
    for line in [*text.splitlines()[:_MOST_LINES], "[]"]:
        is_table = line.startswith("[") and line.rstrip().endswith("]")
        key = _SCRIPT_KEY.match(line) if table and not table["name"] else None
        if is_table or key:
            if name:
                yield name, "\n".join(body)
            table = _SCRIPT_TABLE.fullmatch(line) if is_table else table
            name, body = (key["name"] if key else (table and table["name"]) or ""), []
        body.append(line[:_LONGEST_LINE])


def _sessions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the sessions of a noxfile: the name, and the text of the function."""
    name, decorated, body = "", list[str](), list[str]()
    for line in [*text.splitlines()[:_MOST_LINES], "def end():"]:
        if line.startswith("@"):
            decorated.append(line)
            continue
        match = _SESSION.match(line)
        if match is None:
            body.append(line[:_LONGEST_LINE])
            continue
        if name:
            yield name, "\n".join(body)
            yield name.replace("_", "-"), "\n".join(body)
        given = next((_SESSION_NAME.search(each) for each in reversed(decorated)), None)
        name, decorated, body = (given["name"] if given else match["name"]), [], []
