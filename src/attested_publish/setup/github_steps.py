"""What a step of GitHub's does that matters: it uploads, builds, or restores a cache."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from attested_publish.setup.addresses import SECRET_TEXT, UNKNOWN_TEXT, Place, place_of
from attested_publish.setup.commands import Delegated, Found, Shell, Texts, may_export, read
from attested_publish.setup.documents import Text
from attested_publish.setup.expressions import Unknown, pieces
from attested_publish.setup.jobs import Kind, Spot, Uploading
from attested_publish.setup.tasks import Answer

if TYPE_CHECKING:
    from attested_publish.setup.projects import Projects
    from attested_publish.setup.scopes import Scope
    from attested_publish.setup.steps import Step
    from attested_publish.setup.tasks import Tasks

OURS = "attested-publish/attested-publish"
PYPA = "pypa/gh-action-pypi-publish"

_MATURIN = ("pyo3/maturin-action", "messense/maturin-action")
_BUILDING = (
    "pypa/cibuildwheel",
    "hynek/build-and-inspect-python-package",
    "ralfg/python-wheels-manylinux-build",
)
_MOST_SCRIPTS = 8
# From the last of the first words only, or a long name would take quadratic time.
_PUBLISHING = re.compile(
    r"pypi|twine|poetry(?:(?!poetry).)*publish|python(?:(?!python).)*publish"
    r"|jupyter_releaser/(?:(?!jupyter_releaser/).)*finalize",
    re.IGNORECASE,
)
"""What is in the name of an action that may publish to PyPI."""

_FOR_UPLOADS = re.compile(
    r"pypi|twine|uv_publish|flit_password|hatch_index|pdm_publish|maturin_password", re.IGNORECASE
)
"""What is in the name of a variable, an input or a secret with which an upload signs in."""

_FOR_RELEASES = re.compile(r"repository_(?:password|token)", re.IGNORECASE)
"""The variables and inputs with which python-semantic-release uploads, up to its version 7."""

_SEMANTIC_RELEASE = re.compile(r"[\w.-]+/semantic-release-action\b", re.IGNORECASE)
_NO_PUBLISHING = re.compile(
    r"python-semantic-release/(?:publish-action|upload-to-gh-release)\b", re.IGNORECASE
)
"""Actions that publish only to GitHub's releases."""

_SCRIPT_INPUTS = ("run", "script", "command", "publish")
"""The inputs with which an action is given a script to run."""

_OF_OTHER_LANGUAGES = frozenset({"actions/github-script"})
_PASSWORDS = re.compile(r"token|pass|secret|key|auth", re.IGNORECASE)
_FOR_DOWNLOADS = re.compile(r"(?:PIP|UV_(?:EXTRA_|DEFAULT_)?INDEX|POETRY_HTTP)_", re.IGNORECASE)
"""Variables with a secret for an index that is only read."""

_OTHER_SHELLS = re.compile(r"(?:python|perl|ruby|node|Rscript|julia)\b")
_NO = frozenset({"false", "no", "0", "off", ""})
_SETUP_UV_CACHES_SINCE = 5
_ARTIFACT = re.compile(
    r"^(?:dist|wheels?|packages?|artifacts?|python)[-_]|[-_](?:dist|wheels?|package|artifacts?)$"
)


Script: TypeAlias = tuple[Found, int]
"""What a script does, and its first line in its file."""


class Scripts:
    """Reads the scripts of steps, each text with the same variables once."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects
        self._found: dict[tuple[str, int], Found] = {}
        self._variables: dict[int, tuple[Scope, int, dict[str, Texts]]] = {}
        self._numbers: dict[tuple[tuple[str, Texts], ...], int] = {}

    def of(self, step: Step) -> list[Script]:
        """Return what a step's script does, for every value of its expressions."""
        texts, first = _scripts(step)
        if not texts:
            return []
        number, variables = self._variables_in(step.scope)
        for text in texts:
            if (text, number) not in self._found:
                shell = Shell(self._projects, {**variables})
                self._found[text, number] = read(text, shell)
        return [(self._found[text, number], first) for text in texts]

    def _variables_in(self, scope: Scope) -> tuple[int, dict[str, Texts]]:
        """Return a scope's variables, and a number that those with the same values share."""
        if id(scope.env) not in self._variables:
            found = {
                name: tuple(dict.fromkeys(_marked(text, own)))
                for name, (text, own) in scope.env.items()
            }
            number = self._numbers.setdefault(tuple(found.items()), len(self._numbers))
            # The scope is kept, too, so that no other mapping gets the same identity.
            self._variables[id(scope.env)] = scope, number, found
        _, number, found = self._variables[id(scope.env)]
        return number, found


def uploads(step: Step, scripts: Sequence[Script]) -> Iterator[Uploading]:
    """Yield the uploads of a step."""
    name = step.uses.lower().removeprefix("docker://ghcr.io/")
    if step.is_ours or name.partition(":")[0] in {OURS, PYPA}:
        yield from _of_action(step, OURS if step.is_ours or name.startswith(OURS) else PYPA)
    else:
        for found, first in scripts:
            for each in found.uploads:
                yield Uploading(
                    spot=Spot(step.file, first + each.line),
                    kind=Kind.COMMAND if step.table.text("run") else Kind.ACTION,
                    tool=each.tool,
                    places=each.places,
                    has_secret=each.has_secret,
                    key=(step.file, step.table.start),
                    paths=each.paths,
                    attests=each.attests,
                    rows=(first + each.line, first + each.end),
                    folder=step.folder,
                    interpreter=step.shell,
                )


def exported(step: Step, scripts: Sequence[Script]) -> Iterator[tuple[str, Texts]]:
    """Yield the variables that a step sets for those after it, or may set."""
    for found, _ in scripts:
        yield from found.exported
    if not scripts and (run := step.table.text("run")):
        yield from may_export(run.text)


def may_publish(
    step: Step, scripts: Sequence[Script], tasks: Tasks
) -> tuple[list[Spot], list[Spot]]:
    """Return where a step runs what uploads, and where it runs what may: tasks, scripts, actions.

    The first are those whose text says so, whatever the job is allowed.
    """
    certain: list[Spot] = []
    likely: list[Spot] = []
    if _PUBLISHING.search(step.uses) and not _NO_PUBLISHING.match(step.uses):
        likely.append(step.spot("uses"))
    if _SEMANTIC_RELEASE.match(step.uses):
        answer = tasks.answer(Delegated("semantic-release", ()))
        (certain if answer is Answer.YES else likely).append(step.spot("uses"))
    for found, first in scripts:
        certain += (Spot(step.file, first + line) for line in found.by_setup_py)
        for line, each in found.delegates:
            match tasks.answer(each, step.folder):
                case Answer.YES:
                    certain.append(Spot(step.file, first + line))
                case Answer.UNKNOWN if each.may_publish:
                    likely.append(Spot(step.file, first + line))
                case _:
                    pass
    return certain, likely


def may_sign_in(step: Step, scripts: Sequence[Script]) -> bool:
    """Whether a step is given a secret that, by its name or by that of what has it, is for PyPI."""
    programs = [each.program for found, _ in scripts for _, each in found.delegates]
    is_release = "semantic-release" in " ".join([step.uses.lower(), *programs])
    given = {
        **step.scope.env,
        **{
            name: (value.text, step.scope)
            for name, value in step.table.table("with").items()
            if isinstance(value, Text)
        },
    }
    return any(
        (_FOR_UPLOADS.search(f"{name} {text}") or (is_release and _FOR_RELEASES.fullmatch(name)))
        and scope.is_secret(text)
        for name, (text, scope) in given.items()
    )


def signing_in(step: Step, likely: Sequence[Spot]) -> Sequence[Spot]:
    """Return where a step that may sign in uploads: where it runs what may, else the step itself.

    The step itself only if it is the one that is given the secret.
    """
    own = {
        name: value.text
        for table in (step.table.table("env"), step.table.table("with"))
        for name, value in table.items()
        if isinstance(value, Text)
    }
    is_given = any(
        _FOR_UPLOADS.search(f"{name} {text}") or _FOR_RELEASES.fullmatch(name)
        for name, text in own.items()
        if _PASSWORDS.search(f"{name} {text}") and not _FOR_DOWNLOADS.match(name)
        if step.scope.is_secret(text)
    )
    itself = [step.spot("uses" if step.uses else "run")] if is_given else []
    return likely or itself


def builds(step: Step, scripts: Sequence[Script]) -> Iterator[Spot]:
    """Yield where a step builds distributions."""
    name = step.uses.lower()
    command = _value(step, "command") or "build"
    if name.startswith(_BUILDING) or (name in _MATURIN and command in {"build", "sdist"}):
        yield step.spot("uses")
        return
    for found, first in scripts:
        yield from (Spot(step.file, first + line) for line in found.builds)


def restores_cache(step: Step) -> bool:
    """Whether a step restores a cache, by itself or by default."""
    name = step.uses.lower()
    owner, _, rest = name.partition("/")
    action = f"{owner}/{rest.partition('/')[0]}"
    match action:
        case "actions/cache":
            return not rest.startswith("cache/save")
        case "actions/setup-python" | "actions/setup-node" | "actions/setup-java":
            return _is_on(step, "cache")
        case "pdm-project/setup-pdm" | "oven-sh/setup-bun" | "pnpm/action-setup":
            return _is_on(step, "cache")
        case "eifinger/setup-rye" | "yezz123/setup-uv":
            return _is_on(step, "enable-cache") or _is_on(step, "uv-cache")
        case (
            "actions/setup-go"
            | "prefix-dev/setup-pixi"
            | "jdx/mise-action"
            | "actions-rust-lang/setup-rust-toolchain"
            | "moonrepo/setup-rust"
        ):
            return _is_on(step, "cache", default=True)
        case "astral-sh/setup-uv":
            major = re.match(r"v?([0-9]+)", step.version)
            is_old = major is not None and not step.is_pinned
            is_old = is_old and int(major[1][:4]) < _SETUP_UV_CACHES_SINCE if major else False
            return _is_on(step, "enable-cache", default=not is_old)
        case "swatinem/rust-cache" | "mozilla-actions/sccache-action":
            return True
        case "pyo3/maturin-action" | "messense/maturin-action":
            return _is_on(step, "sccache")
        case "ruby/setup-ruby":
            return _is_on(step, "bundler-cache")
        case _:
            return False


def hints(step: Step, scripts: Sequence[Script]) -> Iterator[str]:
    """Yield the paths and names of projects that a step is about."""
    if step.folder:
        yield step.folder
    for name in ("packages-dir", "packages_dir", "package-dir", "working-directory", "path"):
        if text := step.given(name):
            yield from _marked(text.text, step.scope)
    if "artifact" in step.uses and (text := step.given("name", "pattern")):
        for each in _marked(text.text, step.scope):
            yield _ARTIFACT.sub("", each)
    for found, _ in scripts:
        for each in found.hints:
            yield f"{step.folder}/{each}" if step.folder else each


def _of_action(step: Step, name: str) -> Iterator[Uploading]:
    if name == OURS:
        modes = step.scope.values(text.text if (text := step.given("mode")) else "publish")
        if not any(isinstance(each, Unknown) or each.strip() in {"", "publish"} for each in modes):
            return
    urls = step.given("repository-url", "repository_url")
    password = step.given("password")
    attestations = _value(step, "attestations")
    yield Uploading(
        spot=step.spot("uses"),
        kind=Kind.OURS if name == OURS else Kind.PYPA,
        tool=name,
        places=tuple(dict.fromkeys(_places(urls, step.scope))),
        has_secret=password is not None and _is_stored(password, step.scope),
        key=(step.file, step.table.start),
        needs_identity=password is None or step.scope.value(password.text) == "",
        attests=attestations is None or attestations.strip().lower() not in _NO - {""},
    )


def _places(urls: Text | None, scope: Scope) -> Iterator[Place]:
    if urls is None:
        yield Place.PYPI
        return
    for text in _marked(urls.text, scope):
        lines = [line for line in text.splitlines() if line.strip()]
        yield from map(place_of, lines or [""])


def _is_stored(password: Text, scope: Scope) -> bool:
    """Whether a password is a secret, or is written down; not what a step of the run made."""
    if scope.is_secret(password.text):
        return True
    value = scope.value(password.text)
    return bool(value)


def _scripts(step: Step) -> tuple[Texts, int]:
    """Return the texts that a step's script may be, and its first line in the file."""
    run = step.table.text("run")
    if run is not None and not _OTHER_SHELLS.match(step.shell):
        return _marked(run.text, step.scope, _MOST_SCRIPTS), run.first_line
    if step.uses.lower() in _MATURIN and (command := _value(step, "command")):
        arguments = _value(step, "args") or ""
        if run is None and command in {"upload", "publish"}:
            return (f"maturin {command} {arguments}",), step.spot("uses").line
        return (), 0
    given = step.given(*_SCRIPT_INPUTS)
    if run is None and given is not None and step.uses.lower() not in _OF_OTHER_LANGUAGES:
        return _marked(given.text, step.scope, _MOST_SCRIPTS), given.first_line
    return (), 0


def _marked(text: str, scope: Scope, most: int = 16) -> Texts:
    """Return the texts that one with expressions may be; what is unknown or secret is marked."""
    parts: list[tuple[str, ...]] = []
    for is_expression, piece in pieces(text):
        if not is_expression:
            parts.append((piece.replace(UNKNOWN_TEXT, " ").replace(SECRET_TEXT, " "),))
            continue
        whole = f"${{{{{piece}}}}}"
        if scope.is_secret(whole):
            parts.append((SECRET_TEXT,))
            continue
        values = scope.values(whole)
        parts.append(
            tuple(UNKNOWN_TEXT if isinstance(each, Unknown) else str(each) for each in values)
        )
    return tuple("".join(each) for each in itertools.islice(itertools.product(*parts), most))


def _value(step: Step, name: str) -> str | None:
    text = step.given(name)
    return None if text is None else step.scope.value(text.text)


def _is_on(step: Step, name: str, *, default: bool = False) -> bool:
    """Whether a switch of an action is on; one that is not known may be."""
    text = step.given(name)
    if text is None:
        return default
    value = step.scope.value(text.text)
    return value is None or value.strip().lower() not in _NO
