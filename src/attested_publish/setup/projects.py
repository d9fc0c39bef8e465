"""The projects of a repository: their names, where they are, what builds them, their indexes."""

from __future__ import annotations

import fnmatch
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from attested_publish.setup.addresses import UNKNOWN_TEXT, named_urls, uv_indexes
from attested_publish.setup.documents import name_in_setup, read_toml
from attested_publish.setup.ini import parsed_ini
from attested_publish.setup.reading import Deadline, NotRead, Tree, is_utf8, legible

_MOST_PROJECTS = 100
_MOST_FOLDERS = 300
_DEEPEST = 3
MOST_HINTS = 500
"""Paths and names that are compared with projects, for a job."""

_LONGEST_LINE = 4096
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SKIPPED = frozenset(
    [
        "test",
        "tests",
        "testing",
        "doc",
        "docs",
        "example",
        "examples",
        "sample",
        "samples",
        "benchmark",
        "benchmarks",
        "bench",
        "demo",
        "demos",
        "fixtures",
        "templates",
        "template",
        "node_modules",
        "dist",
        "build",
        "vendor",
        "third_party",
        "venv",
        "env",
    ]
)
_PRIVATE = "Private :: Do Not Upload"


@dataclass(frozen=True)
class Project:
    """A project: its folder (empty: the repository's), its name if it is known, its backend."""

    folder: str
    name: str | None
    backend: str = ""
    is_compiled: bool = False
    uses_cibuildwheel: bool = False

    @property
    def normalized(self) -> str:
        """The name, normalized (PEP 503)."""
        return canonicalize_name(self.name or "")


@dataclass(frozen=True)
class Projects:
    """What a repository has of them.

    `has_main`: the project in the repository's own folder is published when nothing says which.
    `indexes` are upload addresses by the name that a tool gives them, by tool.
    """

    found: tuple[Project, ...] = ()
    has_main: bool = False
    indexes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    not_read: tuple[tuple[str, str], ...] = ()
    why_none: str = ""
    """If there is no project: why, as a sentence."""

    _about: dict[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def of_job(
        self, hints: Sequence[str], further: Sequence[str], all_of_them: bool
    ) -> list[Project]:
        """Return the projects that a job publishes, by the paths and names that it mentions.

        `further` are those of the jobs before it, which count where its own fit no project. In
        them `UNKNOWN_TEXT` is what is not known. Without any that fits: the main project, or all.
        """
        if all_of_them or len(self.found) <= 1:
            return list(self.found)
        for each in (hints, further):
            if fitting := self._fitting(each):
                return fitting
        return [each for each in self.found if not each.folder] if self.has_main else [*self.found]

    def _fitting(self, hints: Sequence[str]) -> list[Project]:
        folders: set[str] = set()
        for hint in itertools.islice(dict.fromkeys(hints), MOST_HINTS):
            if hint not in self._about:
                self._about[hint] = frozenset(
                    each.folder for each in self.found if each.folder and _is_about(hint, each)
                )
            folders |= self._about[hint]
        return [each for each in self.found if each.folder in folders]


def _is_about(hint: str, project: Project) -> bool:
    """Whether a path or a name is of a project."""
    path = hint.strip().removeprefix("./").strip("/")
    if not path.replace(UNKNOWN_TEXT, "") or len(path) > _LONGEST_LINE:
        return False
    parts = path.split("/")
    folder = project.folder.split("/")
    if len(parts) >= len(folder) and all(map(_matches, folder, parts)):
        return True
    return any(
        _matches(name, canonicalize_name(part) if name == project.normalized else part)
        for part in parts
        if part not in {"dist", UNKNOWN_TEXT} and "*" not in part
        for name in (project.normalized, folder[-1])
        if name
    )


def _matches(name: str, part: str) -> bool:
    if UNKNOWN_TEXT not in part:
        return name == part
    pattern = "".join(
        "*" if char == UNKNOWN_TEXT else f"[{char}]" for char in part if char not in "[]"
    )
    return fnmatch.fnmatchcase(name, pattern)


def find(tree: Tree, deadline: Deadline | None = None) -> Projects:
    """Read the projects of a repository. What cannot be read is listed, not raised."""
    deadline = deadline or Deadline()
    not_read: list[tuple[str, str]] = []
    left_out: list[str] = []
    projects: list[Project] = []
    tool: Mapping[str, Any] = {}
    for folder in _folders(tree, not_read):
        if folder and deadline.is_over:
            not_read.append((folder, "the folders before it took too long to read"))
            break
        project, document = _project(tree, folder, not_read, left_out)
        if not folder:
            tool = _table(document, "tool")
        if project is not None:
            projects.append(project)
        if len(projects) >= _MOST_PROJECTS:
            break
    is_package = _table(tool, "uv").get("package") is not False
    has_main = is_package and any(not each.folder and each.name for each in projects)
    if not is_package or (len(projects) > 1 and not has_main):
        projects = [each for each in projects if each.folder] or projects
    indexes, defaults = _indexes(tree, tool, not_read)
    why_none = "" if projects else _why_none(tree, left_out)
    return Projects(tuple(projects), has_main, indexes, defaults, tuple(not_read), why_none)


def _why_none(tree: Tree, left_out: list[str]) -> str:
    """Return a sentence on why no project was found."""
    if left_out:
        return f"There is no project to publish: {left_out[0]} has the classifier `{_PRIVATE}`."
    for name in ("pyproject.toml", "setup.cfg"):
        if tree.has(name):
            return f"There is no project to publish: {name} has no project's name."
    return "There is no project to publish: no pyproject.toml, setup.cfg or setup.py was found."


def _folders(tree: Tree, not_read: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the folders that may be projects: the repository's own, then a few levels down."""
    level = [""]
    seen = 0
    for depth in range(_DEEPEST + 1):
        following = []
        for folder in level:
            yield folder
            if depth == _DEEPEST:
                continue
            for name in tree.files(folder):
                last = name.rpartition("/")[2]
                path = tree.root / name
                if last.startswith(".") or last.lower() in _SKIPPED or path.is_symlink():
                    continue
                if path.is_dir():
                    seen += 1
                    if seen > _MOST_FOLDERS:
                        return
                    if is_utf8(name):
                        following.append(name)
                    else:
                        not_read.append((legible(name), "its name is not UTF-8"))
        level = following


def _project(
    tree: Tree, folder: str, not_read: list[tuple[str, str]], left_out: list[str]
) -> tuple[Project | None, Mapping[str, Any]]:
    """Read the project in a folder, and its pyproject.toml; `None` if there is none."""
    prefix = f"{folder}/" if folder else ""
    document = _toml(tree, f"{prefix}pyproject.toml", not_read)
    project = _table(document, "project")
    build = _table(document, "build-system")
    tool = _table(document, "tool")
    poetry = _table(tool, "poetry")
    name: object = project.get("name") or poetry.get("name")
    if not name:
        name = _table(_table(tool, "flit"), "metadata").get("dist-name")
        name = name or _table(_table(tool, "flit"), "metadata").get("module")
        name = name or _name_in_setup_cfg(tree, f"{prefix}setup.cfg", not_read)
    has_setup = tree.has(f"{prefix}setup.py")
    if not name and has_setup:
        name = _name_in_setup_py(tree, f"{prefix}setup.py", not_read)
    if not name and not has_setup and not (build and not folder):
        return None, document
    is_private = _PRIVATE in _list(project.get("classifiers")) + _list(poetry.get("classifiers"))
    if is_private:
        left_out.append(f"{prefix}pyproject.toml")
        return None, document
    backend = str(build.get("build-backend", ""))
    is_valid = isinstance(name, str) and _NAME.fullmatch(name) and len(name) < _LONGEST_LINE
    return (
        Project(
            folder,
            name if isinstance(name, str) and is_valid else None,
            backend,
            is_compiled=_is_compiled(tree, prefix, backend, document),
            uses_cibuildwheel="cibuildwheel" in tool,
        ),
        document,
    )


def _is_compiled(tree: Tree, prefix: str, backend: str, document: Mapping[str, Any]) -> bool:
    """Whether its wheels are for platforms, by its backend and what it requires to build."""
    if backend in {"maturin", "scikit_build_core.build", "mesonpy"}:
        return True
    requires = " ".join(map(str, _list(_table(document, "build-system").get("requires"))))
    is_extension = re.search(
        r"\b(?:cython|pybind11|nanobind|cffi|setuptools-rust|scikit-build|numpy)\b",
        requires,
        re.IGNORECASE,
    )
    tables = _table(_table(document, "tool"), "setuptools")
    if is_extension or tables.get("ext-modules"):
        return True
    try:
        text = tree.text(f"{prefix}setup.py") or ""
    except NotRead:
        return False
    return "ext_modules" in text or "Extension(" in text


def _indexes(
    tree: Tree, tool: Mapping[str, Any], not_read: list[tuple[str, str]]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Return the upload addresses by tool and name, and the default address by tool."""
    uv, hatch = _table(tool, "uv"), _table(tool, "hatch")
    uv_file = _toml(tree, "uv.toml", not_read)
    poetry_file = _toml(tree, "poetry.toml", not_read)
    pdm_file = _toml(tree, "pdm.toml", not_read)
    hatch_index = _table(_table(hatch, "publish"), "index")
    indexes = {
        # uv.toml comes before pyproject.toml.
        "uv": uv_indexes(uv) | uv_indexes(uv_file),
        "poetry": named_urls(poetry_file.get("repositories")),
        "hatch": {
            "main": "",
            "test": "https://test.pypi.org/legacy/",
            **named_urls(hatch_index.get("repos")),
        },
        "pdm": named_urls(pdm_file.get("repository")),
    }
    defaults = {
        "uv": str(uv_file.get("publish-url") or uv.get("publish-url") or ""),
        "hatch": str(hatch_index.get("repo") or ""),
    }
    return indexes, defaults


def _toml(tree: Tree, name: str, not_read: list[tuple[str, str]]) -> dict[str, Any]:
    try:
        text = tree.text(name)
        if text is None:
            return {}
        return read_toml(text)
    except NotRead as why:
        not_read.append((name, str(why)))
    return {}


def _name_in_setup_cfg(tree: Tree, name: str, not_read: list[tuple[str, str]]) -> str | None:
    try:
        text = tree.text(name)
        if text is None:
            return None
        return parsed_ini(text).get("metadata", "name", fallback=None)
    except NotRead as why:
        not_read.append((name, str(why)))
    return None


def _name_in_setup_py(tree: Tree, name: str, not_read: list[tuple[str, str]]) -> str | None:
    try:
        text = tree.text(name)
        return None if text is None else name_in_setup(text)
    except NotRead as why:
        not_read.append((name, str(why)))
        return None


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
