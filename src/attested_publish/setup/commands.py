"""Recognize the commands that upload to an index, and those that build."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from attested_publish.setup.addresses import (
    SECRET_TEXT,
    UNKNOWN_TEXT,
    Place,
    may_be_public,
    place_named,
    place_of,
    pypirc,
)
from attested_publish.setup.shell import Command, Part, Word, assignment, commands

if TYPE_CHECKING:
    from attested_publish.setup.projects import Projects

_MOST_TEXTS = 16
_MOST_WORDS = 1000
_DEEPEST = 4

_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*(?:\.exe)?|py|\ue000")
_SHELLS = frozenset({"bash", "sh", "zsh", "dash"})
_RUNNERS = {
    "uv": ("run",),
    "uvx": (),
    "npx": (),
    "bunx": (),
    "pipx": ("run",),
    "poetry": ("run",),
    "pdm": ("run",),
    "hatch": ("run",),
    "pixi": ("run",),
    "rye": ("run",),
    "pipenv": ("run",),
}
_TASK_RUNNERS = frozenset(
    [
        *("make", "gmake", "tox", "nox", "just", "task", "invoke", "inv", "doit", "poe", "mage"),
        *("bazel", "nx", "semantic-release", "release-it"),
    ]
)
_OF_NODE = frozenset({"npm", "pnpm", "yarn", "bun"})
"""Programs that run the scripts in a package.json."""

_OF_NODE_ITSELF = frozenset(
    ["publish", "install", "ci", "add", "exec", "dlx", "version", "config", "pack", "login"]
)
_FOLDER_OPTIONS = frozenset({"-C", "--directory", "--prefix"})
_OTHER_OPTIONS = frozenset({"-f", "--file", "-j", "-r", "-c", "--workspace"})
_TOP = re.compile(r"(?:GITHUB_WORKSPACE|CI_PROJECT_DIR|HOME|PWD|OLDPWD|RUNNER_TEMP)")
"""Variables whose value is not that of one of several projects' folders."""

_PUBLISHING = re.compile(r"publish|release|upload|pypi|twine", re.IGNORECASE)
"""What is in the name of a task or script that may publish."""

_VARIABLES_FILE = re.compile(r"\bGITHUB_ENV\b")
"""What a command names that writes to GitHub's file of variables."""

_VARIABLE_SET = re.compile(r"(?<![\w$-])(?P<quote>[\"'])?(?P<name>[A-Za-z_]\w*)(?:=(?!=)|<<)")
"""What names a variable in a text for GitHub's file of variables: `NAME=value`, `NAME<<END`."""

_BUILDING = re.compile(r"(?:^|[^a-z])(?:build|sdist|wheels?|package)(?:[^a-z]|$)", re.IGNORECASE)
"""What is in the name of a task or script that builds distributions."""

_NO_BUILDING = re.compile(r"doc|test|check|lint", re.IGNORECASE)
"""What is in the name of one that does something else with them."""

_BEFORE = frozenset(
    {"sudo", "env", "nohup", "exec", "command", "time", "timeout", "retry", "xargs"}
)
_WITHOUT_VALUE = frozenset(
    [
        "--no-project",
        "--isolated",
        "--frozen",
        "--locked",
        "--no-sync",
        "--all-extras",
        "--no-dev",
        "--quiet",
        "-q",
        "--verbose",
        "-v",
        "--refresh",
        "--offline",
        "--no-cache",
        "--exact",
        "-n",
        "--active",
        "--no-config",
        "-y",
        "--pip-args",
    ]
)

Texts = tuple[str, ...]
"""Every text that a word may stand for, with marks for what is not known."""


@dataclass(frozen=True)
class Tool:
    """A tool that uploads: its subcommands, the options that say where, with what, and what not.

    `names` and `urls` are options, `name_variables` and `url_variables` variables; `secrets` and
    `secret_variables` give a password.
    """

    name: str
    subcommands: frozenset[str]
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    name_variables: tuple[str, ...] = ()
    url_variables: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    secret_variables: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    """Options with a value that matters for nothing here."""

    builds: Callable[[Sequence[str], str], bool] = lambda _words, _command: False


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "twine",
            frozenset({"upload"}),
            names=("-r", "--repository"),
            urls=("--repository-url",),
            name_variables=("TWINE_REPOSITORY",),
            url_variables=("TWINE_REPOSITORY_URL",),
            secrets=("-p", "--password"),
            secret_variables=("TWINE_PASSWORD",),
            others=(
                *("-u", "--username", "--sign-with", "-i", "--identity", "-c", "--comment"),
                *("--config-file", "--cert", "--client-cert"),
            ),
        ),
        Tool(
            "uv",
            frozenset({"publish"}),
            names=("--index",),
            urls=("--publish-url",),
            name_variables=("UV_PUBLISH_INDEX",),
            url_variables=("UV_PUBLISH_URL",),
            secrets=("-t", "--token", "-p", "--password"),
            secret_variables=("UV_PUBLISH_TOKEN", "UV_PUBLISH_PASSWORD"),
            others=(
                *("-u", "--username", "--check-url", "--trusted-publishing", "--keyring-provider"),
                *("--directory", "--project", "--config-file", "--color", "--cache-dir"),
            ),
        ),
        Tool(
            "poetry",
            frozenset({"publish"}),
            names=("-r", "--repository"),
            secrets=("-p", "--password"),
            secret_variables=("POETRY_PYPI_TOKEN_*", "POETRY_HTTP_BASIC_*_PASSWORD"),
            others=("-u", "--username", "--cert", "--client-cert", "--dist-dir", "-C", "-P"),
            builds=lambda words, _: "--build" in words,
        ),
        Tool(
            "hatch",
            frozenset({"publish"}),
            names=("-r", "--repo"),
            name_variables=("HATCH_INDEX_REPO",),
            secrets=("-a", "--auth"),
            secret_variables=("HATCH_INDEX_AUTH",),
            others=("-u", "--user", "--ca-cert", "--client-cert", "--client-key", "-p", "-o"),
        ),
        Tool(
            "flit",
            frozenset({"publish"}),
            names=("--repository",),
            url_variables=("FLIT_INDEX_URL",),
            secret_variables=("FLIT_PASSWORD",),
            others=("-f", "--ini-file", "--pypirc", "--format"),
            builds=lambda _words, _command: True,
        ),
        Tool(
            "maturin",
            frozenset({"upload", "publish"}),
            names=("-r", "--repository"),
            urls=("--repository-url",),
            name_variables=("MATURIN_REPOSITORY",),
            url_variables=("MATURIN_REPOSITORY_URL",),
            secrets=("-p", "--password"),
            secret_variables=("MATURIN_PYPI_TOKEN", "MATURIN_PASSWORD"),
            others=("-u", "--username", "-i", "--interpreter", "-m", "--manifest-path", "--target"),
            builds=lambda _words, command: command == "publish",
        ),
        Tool(
            "pdm",
            frozenset({"publish"}),
            names=("-r", "--repository"),
            name_variables=("PDM_PUBLISH_REPO",),
            secrets=("-P", "--password"),
            secret_variables=("PDM_PUBLISH_PASSWORD",),
            others=("-u", "--username", "-c", "--comment", "-d", "--dest", "-p", "--project"),
            builds=lambda words, _: "--no-build" not in words,
        ),
        Tool(
            "rye",
            frozenset({"publish"}),
            names=("-r", "--repository"),
            urls=("--repository-url",),
            secrets=("--token",),
            others=("-u", "--username", "-i", "--identity"),
        ),
    )
}
"""The tools that upload, by the name of their program."""

_BUILDS = {
    "uv": {"build"},
    "poetry": {"build"},
    "hatch": {"build"},
    "flit": {"build", "publish"},
    "pdm": {"build"},
    "rye": {"build"},
    "maturin": {"build", "sdist", "publish"},
    "pip": {"wheel"},
    "pip3": {"wheel"},
    "build": None,
    "pyproject-build": None,
    "cibuildwheel": None,
}
"""The programs that build, with the subcommands that do (`None`: always)."""

_IN_SETUP_PY = frozenset({"sdist", "bdist_wheel", "bdist", "bdist_egg", "build"})
_NOTHING_DONE = frozenset({"--help", "-h", "--version", "--dry-run", "-V"})


@dataclass(frozen=True)
class Upload:
    """A command that uploads: to which indexes, and whether a stored secret is given to it.

    `paths` are the files it names, `line` to `end` its lines in the script, from 0.
    """

    tool: str
    line: int
    end: int
    places: tuple[Place, ...]
    has_secret: bool = False
    paths: tuple[str, ...] = ()
    attests: bool = False
    """Whether it uploads the attestations that are beside the files."""


@dataclass(frozen=True)
class Delegated:
    """What a command runs that is the repository's: tasks of a runner, or (no program) a script.

    `folder` is where the runner looks for its file.
    """

    program: str
    names: tuple[str, ...]
    folder: str = ""

    @property
    def may_publish(self) -> bool:
        """Whether, by its name, it may publish."""
        named = (self.program, *self.names) if self.program == "semantic-release" else self.names
        return any(map(_PUBLISHING.search, named))

    @property
    def may_build(self) -> bool:
        """Whether, by its name, it builds distributions."""
        last = [PurePosixPath(name).name for name in self.names]
        return any(_BUILDING.search(name) and not _NO_BUILDING.search(name) for name in last)


@dataclass(frozen=True)
class Found:
    """What a script does that matters: its uploads, and the lines on which it builds.

    `hints` are the folders and names of projects that it builds or uploads.
    """

    uploads: tuple[Upload, ...] = ()
    builds: tuple[int, ...] = ()
    hints: tuple[str, ...] = ()
    builds_all: bool = False
    delegates: tuple[tuple[int, Delegated], ...] = ()
    """The tasks and scripts of the repository that it runs, with the lines that do."""

    by_setup_py: tuple[int, ...] = ()
    """The lines with an upload by setup.py, which no index accepts a token from today."""

    exported: tuple[tuple[str, Texts], ...] = ()
    """The variables that later steps of the job have, by GitHub's `GITHUB_ENV`."""

    @property
    def may_be_public(self) -> bool:
        """Whether an upload may be to PyPI or TestPyPI."""
        return any(may_be_public(each.places) for each in self.uploads)

    @property
    def delegated(self) -> tuple[int, ...]:
        """The lines that run what, by its name, may publish."""
        return tuple(line for line, each in self.delegates if each.may_publish)


@dataclass
class Shell:
    """The variables of a script, while its commands are read in order.

    `undefined` is what a variable stands for that nothing here sets.
    """

    projects: Projects
    variables: dict[str, Texts] = field(default_factory=dict)
    undefined: Callable[[str], str] = lambda _name: UNKNOWN_TEXT
    urls: dict[str, str] = field(default_factory=dict)
    """Addresses by name that the script itself configures."""

    has_stored: bool = False
    """Whether the script stores a secret in a tool's configuration."""

    exported: list[tuple[str, Texts]] = field(default_factory=list)
    """What the script writes to GitHub's file of variables."""

    printed: list[tuple[str, Texts]] = field(default_factory=list)
    """What it printed so far that would be a variable there."""

    understood: set[str] = field(default_factory=set)
    """The variables whose values it is known to print or write."""

    assigned: set[str] = field(default_factory=set)
    """The variables that it sets for itself."""

    def texts(self, word: Word) -> Texts:
        """Return every text that a word may stand for."""
        choices: list[Texts] = []
        for part in word:
            if part.text is not None:
                choices.append((part.text,))
            elif part.variable is None:
                choices.append((UNKNOWN_TEXT,))
            else:
                known = self.variables.get(part.variable)
                choices.append(known or (part.default or self.undefined(part.variable),))
        found = {
            "".join(each) for each in itertools.islice(itertools.product(*choices), _MOST_TEXTS)
        }
        return tuple(sorted(found))

    def text(self, word: Word) -> str:
        """Return the text of a word, marked as unknown if there are several."""
        found = self.texts(word)
        if len(found) == 1:
            return found[0]
        return SECRET_TEXT if any(SECRET_TEXT in each for each in found) else UNKNOWN_TEXT

    def assign(self, pairs: Iterable[tuple[str, Word]]) -> None:
        """Note what variables are set to."""
        for name, word in pairs:
            self.variables[name] = self.texts(word)


def read(script: str, shell: Shell, depth: int = 0) -> Found:
    """Return what a script does. The variables that it sets stay set in `shell`."""
    uploads: list[Upload] = []
    builds: list[int] = []
    hints: list[str] = []
    builds_all = False
    delegates: list[tuple[int, Delegated]] = []
    by_setup_py: list[int] = []
    for command in commands(script):
        _note_exported(command, shell)
        shell.assigned |= {name for name, _ in command.assignments}
        if not command.words:
            shell.assign(command.assignments)
            continue
        _note_files(command, shell)
        words = [shell.text(word) for word in command.words[:_MOST_WORDS]]
        inner = _inner_script(command, words)
        if inner is not None and depth < _DEEPEST:
            found = read(inner, shell, depth + 1)
            uploads += [replace(each, line=command.line, end=command.end) for each in found.uploads]
            builds += [command.line] * bool(found.builds)
            hints += found.hints
            delegates += ((command.line, each) for _, each in found.delegates)
            by_setup_py += [command.line] * bool(found.by_setup_py)
            continue
        start = _program(words)
        program, rest = _name(words[start]) if start < len(words) else "", words[start + 1 :]
        _note_settings(program, rest, command, shell)
        run = _delegated(words, start)
        if program in TOOLS:
            own = Shell(shell.projects, {**shell.variables}, shell.undefined, shell.urls)
            own.has_stored = shell.has_stored
            own.assign(command.assignments)
            upload = _upload(program, rest, command, start, own)
            if upload is not None:
                uploads.append(upload)
                hints += upload.paths
        elif run is not None and "setup.py" in map(_name, run.names[:1]):
            by_setup_py += [command.line] * ("upload" in rest)
        elif run is not None:
            delegates.append((command.line, run))
        is_build = _is_build(program, rest) and (program != "build" or start)
        if is_build or (run and run.may_build):
            builds.append(command.line)
            hints += _built(rest)
            builds_all = builds_all or bool({"--all-packages", "--all"} & set(rest))
        if program in {"cd", "pushd"} and rest:
            hints.append(rest[0])
            builds_all = builds_all or _is_unknown_folder(command.words[start + 1], rest[0])
    return Found(
        tuple(uploads),
        tuple(builds),
        tuple(hints),
        builds_all,
        tuple(delegates),
        tuple(by_setup_py),
        () if depth else (*shell.exported, *may_export(script, shell)),
    )


def may_export(script: str, shell: Shell | None = None) -> Iterator[tuple[str, Texts]]:
    """Yield what a script may write to GitHub's file of variables in a way that is not understood.

    That is each variable that a script with this file names, unless `shell` has understood where it
    goes. The script may be in any language. What the variables are set to is not known.
    """
    if not _VARIABLES_FILE.search(script):
        return
    names: set[str] = set()
    for match in _VARIABLE_SET.finditer(script):
        name = match["name"]
        # A quoted text is no assignment.
        is_own = shell and (name in shell.assigned and not match["quote"])
        if name not in names and not is_own and not (shell and name in shell.understood):
            names.add(name)
            yield name, (UNKNOWN_TEXT,)


def _delegated(words: Sequence[str], start: int) -> Delegated | None:
    """Return what a command runs that is the repository's: tasks, or a script."""
    if start >= len(words):
        return None
    program, rest = _name(words[start]), words[start + 1 :]
    if program in _OF_NODE:
        names = [word for word in rest if not word.startswith("-")]
        names = names[1:] if names[:1] == ["run"] else names
        is_own = names and names[0] not in _OF_NODE_ITSELF
        return Delegated("npm", tuple(names[:1])) if is_own else None
    if program in _TASK_RUNNERS:
        tasks, folder = _tasks(rest)
        return Delegated(program, tasks, folder)
    if program in _SHELLS | {"source", "."} or _PYTHON.fullmatch(program):
        return Delegated("", tuple([word for word in rest if not word.startswith("-")][:1]))
    is_script = "/" in words[start] or program.endswith((".sh", ".py"))
    is_task = is_script or words[start - 1 : start] == ["-m"] or _is_run(words[:start])
    return Delegated("", (words[start],)) if is_task else None


def _tasks(words: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the tasks that a runner is given, and the folder where it is to look for them."""
    names: list[str] = []
    folder = ""
    previous = ""
    for word in words:
        if previous in _FOLDER_OPTIONS:
            folder = word
        elif not word.startswith("-") and previous not in _OTHER_OPTIONS and "=" not in word:
            names += filter(None, word.split(","))
        previous = word
    return tuple(names), folder


def _is_run(words: Sequence[str]) -> bool:
    """Whether the words before a program end in a runner's: then it may be a task's name."""
    return any(name in _RUNNERS and _RUNNERS[name] for name in map(_name, words))


def _is_unknown_folder(word: Word, text: str) -> bool:
    """Whether nothing is known of a folder: it may be any project's."""
    is_top = any(_TOP.fullmatch(part.variable or "") for part in word)
    return not is_top and not text.replace(UNKNOWN_TEXT, "").strip("./") and UNKNOWN_TEXT in text


def _inner_script(command: Command, words: Sequence[str]) -> str | None:
    """Return the script that a shell is given: by `-c`, or in a here-document."""
    program = _name(words[0])
    if program not in _SHELLS:
        return None
    for option, value in itertools.pairwise(words[1:]):
        if re.fullmatch(r"-[a-z]*c", option):
            return value
    return "\n".join(command.documents) if command.documents else None


def _note_exported(command: Command, shell: Shell) -> None:
    """Note what a command writes to GitHub's file of variables, by itself or for its group."""
    words = [shell.text(word) for word in command.words[:1]]
    printed = list(command.assignments)
    if words and words[0] in {"echo", "printf", "Write-Output"}:
        pairs = [pair for word in command.words[1:] if (pair := assignment(word)) is not None]
        printed += pairs[:1]
    for document in command.documents:
        for line in document.splitlines():
            name, equals, value = line.partition("=")
            if equals and name.isidentifier():
                printed.append((name, (Part(value) if "$" not in value else Part(),)))
    found = [
        (name, tuple(each.removesuffix("\\n") for each in shell.texts(word)))
        for name, word in printed
    ]
    if command.words or command.target:
        shell.understood |= {name for name, _ in found}
    is_file = bool(_VARIABLES_FILE.search(command.target))
    is_tee = bool(words) and words[0] in {"tee", "Out-File", "Add-Content"}
    if is_tee:
        names = (part.variable or "" for word in command.words for part in word)
        is_file = any(map(_VARIABLES_FILE.search, names))
    if is_file:
        # A group's output goes there as a whole: what was printed in it is not told apart.
        shell.exported += found or shell.printed
    elif not command.target:
        shell.printed += found if command.words else []


def _note_files(command: Command, shell: Shell) -> None:
    """Read a `.pypirc` that the script writes."""
    if not command.target.endswith(".pypirc"):
        return
    for document in command.documents:
        # The shell replaces variables in it.
        text = re.sub(
            r"\$\{?([A-Za-z_]\w*)\}?",
            lambda match: (shell.variables.get(match[1]) or (shell.undefined(match[1]),))[0],
            document,
        )
        urls, has_secret = pypirc(text)
        shell.urls |= urls
        shell.has_stored = shell.has_stored or has_secret


def _note_settings(program: str, words: Sequence[str], command: Command, shell: Shell) -> None:
    """Note what a script configures: variables, repositories, tokens."""
    if program == "export":
        for word in command.words[1:]:
            first = word[0].text or ""
            name, equals, value = first.partition("=")
            if equals:
                rest = (Part(value), *word[1:])
                shell.assign([(name, rest)])
    if program == "poetry" and words[:1] == ["config"]:
        values = [word for word in words[1:] if not word.startswith("-")]
        match values:
            case [key, url, *_] if key.startswith("repositories."):
                shell.urls[key.removeprefix("repositories.").removesuffix(".url")] = url
            case [key, *secrets] if key.startswith(("pypi-token.", "http-basic.")):
                shell.has_stored = shell.has_stored or any(SECRET_TEXT in each for each in secrets)


def _program(words: Sequence[str]) -> int:
    """Return where the program is among the words, behind what only starts it."""
    at = 0
    while at < len(words):
        name = _name(words[at])
        if name in _BEFORE:
            at += 1
            while at < len(words) and (words[at].startswith("-") or "=" in words[at]):
                at += 1
            if name == "timeout" and at < len(words):
                at += 1
        elif _PYTHON.fullmatch(name):
            module = _module(words, at + 1)
            if module is None:
                return at
            at = module
        elif name in {"uv", "hatch", "rye"} and words[at + 1 : at + 3] == ["tool", "run"]:
            at = _after_options(words, at + 3)
        elif name in _RUNNERS and words[at + 1 : at + 1 + len(_RUNNERS[name])] == list(
            _RUNNERS[name]
        ):
            at = _after_options(words, at + 1 + len(_RUNNERS[name]))
        else:
            return at
    return at


def _module(words: Sequence[str], at: int) -> int | None:
    """Return where the module is that Python runs with `-m`; `None` if it runs none."""
    while at < len(words) and words[at].startswith("-"):
        if words[at] == "-m":
            return at + 1
        at += 2 if words[at] in {"-W", "-X"} else 1
    return None


def _after_options(words: Sequence[str], at: int) -> int:
    """Return where a runner's options end."""
    while at < len(words) and words[at].startswith("-"):
        if words[at] == "--":
            return at + 1
        has_value = "=" not in words[at] and words[at] not in _WITHOUT_VALUE
        at += 2 if has_value else 1
    return at


def _name(word: str) -> str:
    name = PurePosixPath(word.replace("\\", "/")).name
    return name.partition("@")[0].partition("==")[0].removesuffix(".exe").partition("[")[0]


def _upload(
    program: str, words: Sequence[str], command: Command, start: int, shell: Shell
) -> Upload | None:
    tool = TOOLS.get(program)
    if tool is None or _NOTHING_DONE & set(words):
        return None
    options, positional = _split(words, tool)
    subcommand = positional[0] if positional else ""
    if subcommand not in tool.subcommands:
        return None
    places = _places(tool, options, shell)
    # A word with several values was marked as unknown; the places are worked out for each.
    if Place.UNKNOWN in places:
        places = tuple(_places_of_each(tool, command, start, shell)) or places
    given = [
        *(value for name, value in options if name in tool.secrets),
        *(
            value
            for name, values in shell.variables.items()
            if any(_fits(name, pattern) for pattern in tool.secret_variables)
            for value in values
        ),
    ]
    is_stored = shell.has_stored and program in {"twine", "poetry", "flit", "maturin"}
    return Upload(
        tool=program,
        line=command.line,
        end=command.end,
        places=places,
        has_secret=is_stored or any(_is_secret(value) for value in given),
        paths=tuple(positional[1:]),
        attests=program == "uv" or (program == "twine" and "--attestations" in words),
    )


def _is_secret(value: str) -> bool:
    """Whether it is a secret, or a password that is written down, not what the script was given."""
    return SECRET_TEXT in value or (value != "" and UNKNOWN_TEXT not in value)


def _places_of_each(tool: Tool, command: Command, start: int, shell: Shell) -> Iterator[Place]:
    """Yield where the upload goes for each value of a word that has several."""
    choices = [shell.texts(word) for word in command.words[start + 1 : _MOST_WORDS]]
    seen = set()
    for words in itertools.islice(itertools.product(*choices), _MOST_TEXTS):
        for place in _places(tool, _split(words, tool)[0], shell):
            if place not in seen:
                seen.add(place)
                yield place


def _places(tool: Tool, options: Sequence[tuple[str, str]], shell: Shell) -> tuple[Place, ...]:
    """Return where an upload goes: by option, else by variable, else by configuration."""
    indexes = shell.projects.indexes.get(tool.name, {})
    configured = {**indexes, **shell.urls}
    for wanted, variables, meaning in (
        (tool.urls, tool.url_variables, place_of),
        (tool.names, tool.name_variables, lambda name: place_named(name, configured)),
    ):
        given = [value for name, value in options if name in wanted]
        if given:
            return (meaning(given[-1]),)
        for variable in variables:
            values = shell.variables.get(variable, ())
            if any(values):
                return tuple(dict.fromkeys(map(meaning, values)))
    default = shell.projects.defaults.get(tool.name, "")
    if tool.name == "hatch" and default:
        return (place_named(default, configured),)
    return (place_of(default or configured.get("pypi", "")),)


def _split(words: Sequence[str], tool: Tool) -> tuple[list[tuple[str, str]], list[str]]:
    """Separate options, with their values, from other words."""
    with_value = {*tool.names, *tool.urls, *tool.secrets, *tool.others}
    options: list[tuple[str, str]] = []
    positional: list[str] = []
    at = 0
    while at < len(words):
        word = words[at]
        name, equals, value = word.partition("=")
        if name.startswith("-") and equals and name in with_value:
            options.append((name, value))
        elif word in with_value:
            options.append((word, words[at + 1] if at + 1 < len(words) else ""))
            at += 1
        elif word[:2] in with_value and not word.startswith("--") and len(word) > 2:  # noqa: PLR2004 - `-rNAME`
            options.append((word[:2], word[2:]))
        elif word == "-m":
            pass
        elif not word.startswith("-"):
            positional.append(word)
        at += 1
    return options, positional


def _is_build(program: str, words: Sequence[str]) -> bool:
    if _NOTHING_DONE & set(words):
        return False
    if program in _BUILDS:
        subcommands = _BUILDS[program]
        if subcommands is None:
            return True
        tool = TOOLS.get(program)
        first = next((word for word in words if not word.startswith("-")), "")
        if first in subcommands:
            return True
        return tool is not None and first in tool.subcommands and tool.builds(words, first)
    is_script = bool(_PYTHON.fullmatch(program)) and words[:1] == ["setup.py"]
    if program == "setup.py" or is_script:
        return bool(_IN_SETUP_PY & set(words))
    return False


def _built(words: Sequence[str]) -> Iterator[str]:
    """Yield the folders and packages that a building command names."""
    for option, value in itertools.pairwise(("", *words)):
        if option in {"--package", "-p", "--directory", "--project", "-C", "-m", "--manifest-path"}:
            yield value.removesuffix("/Cargo.toml")
    yield from (
        word.partition("=")[2]
        for word in words
        if word.startswith(("--package=", "--directory=", "--project="))
    )
    yield from (word for word in words if not word.startswith("-") and "/" in word)


def _fits(name: str, pattern: str) -> bool:
    start, star, end = pattern.partition("*")
    return name.startswith(start) and name.endswith(end) if star else name == pattern
