"""Make a workflow publish with this action, with as few changes as that takes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace

from attested_publish.net.untrusted import shown
from attested_publish.setup.addresses import MARKS, Place
from attested_publish.setup.documents import Document, List, Table, Text, Value
from attested_publish.setup.edits import Editor, NotChangeable, last
from attested_publish.setup.github_steps import OURS
from attested_publish.setup.jobs import Job, Kind, Uploading
from attested_publish.setup.permissions import Permissions
from attested_publish.setup.scripts import (
    before_upload,
    command_in,
    is_harmless,
    without_secrets,
    without_uploads,
)

_OLD_NAMES = {
    name.replace("-", "_"): name
    for name in ("repository-url", "packages-dir", "verify-metadata", "skip-existing", "print-hash")
}
_CREDENTIALS = {"user", "password"}
_VARIABLE = re.compile(r"(?:TWINE|UV_PUBLISH)_\w+")
_OF_COMMAND = {"name", "id", "if", "run", "env", "shell", "working-directory"}
_SHELLS = {"bash", "sh"}
_ASKED_FOR = re.compile(r"env(?:\.|\[\s*['\"])(?:TWINE|UV_PUBLISH)_")
_TWINE = re.compile(r"\btwine\b")
_PATH = re.compile(r"[\w./*-]+", re.ASCII)
_TOKEN_USED = re.compile(r"github\.token|secrets\.GITHUB_TOKEN|run-id:", re.IGNORECASE)
_KNOWN_ACTIONS = re.compile(
    r"actions/(?:checkout|setup-\w+|upload-artifact|download-artifact|cache)(?:/.*)?"
    r"|astral-sh/setup-uv|pypa/(?:cibuildwheel|gh-action-pypi-publish|hatch)"
    r"|hynek/build-and-inspect-python-package|step-security/harden-runner|pyo3/maturin-action"
    rf"|{OURS}",
    re.IGNORECASE,
)
"""Actions that need no credential from the environment, and no permission but to check out."""

_PERMISSION = "id-token: write # to prove the identity of this job"


def is_to_change(upload: Uploading) -> bool:
    """Whether an upload can and should become one of this action."""
    if not all(place.is_public for place in upload.places):
        return False
    if upload.kind is Kind.PYPA:
        return True
    is_command = upload.kind is Kind.COMMAND and upload.tool in {"twine", "uv"}
    return upload.has_secret and (upload.kind is Kind.OURS or is_command)


def change_upload(editor: Editor, job: Job, upload: Uploading, own: str) -> None:
    """Change the step that uploads; `own` is what uses this action. Raises `NotChangeable`."""
    steps, step = _step_at(editor.document.root, upload.key[1])
    if step.is_flow:
        raise NotChangeable("the step is written in braces")
    if upload.kind is Kind.COMMAND:
        _replace_command(editor, steps, step, _with_shell(editor, job, upload), own)
        return
    uses = step.text("uses")
    assert uses is not None
    if upload.kind is Kind.PYPA:
        editor.set_value(uses, own)
        for key, _ in step.table("with").pairs:
            if key.text in _OLD_NAMES:
                editor.replace(key.start, key.end, _OLD_NAMES[key.text])
    if upload.has_secret and editor.remove(step.table("with"), _CREDENTIALS):
        editor.remove_entry(step, "with")


def _with_shell(editor: Editor, job: Job, upload: Uploading) -> Uploading:
    """Return an upload with the shell that the job's runner has, where the step names none."""
    runner = editor.document.root.table("jobs").table(job.name).text("runs-on")
    is_unix = runner is not None and runner.text.startswith(("ubuntu-", "macos-"))
    return replace(upload, interpreter="bash") if is_unix and not upload.interpreter else upload


def permit(editor: Editor, job: Job, changed: Collection[int]) -> None:
    """Let the job ask for an identity token. Raises `NotChangeable`.

    Where that takes permissions away that other steps may use, nothing is changed. `changed` are
    the steps of the file that are changed, by where they start.
    """
    root = editor.document.root
    table = root.table("jobs").table(job.name)
    own = table.get("permissions")
    given = own if own is not None else root.get("permissions")
    _refuse_invalid(given, (table if own is not None else root).key("permissions"))
    line = next(_users(table, changed), None)
    if line is None and _TOKEN_USED.search(editor.document.source[table.start : table.end]):
        line = table.line
    if not isinstance(given, Table) and line is not None:
        raise NotChangeable(
            f"the step on line {line} may need permissions that the job has by default and would "
            "lose; give the job its `permissions`, or move the publishing to a job of its own"
        )
    match own:
        case Table(pairs=[_, *_]):
            level = own.text("id-token")
            if level is None:
                editor.append(own, _PERMISSION)
            else:
                editor.set_value(level, "write")
        case Table() | Text():
            levels = ["contents: read"] if isinstance(own, Text) else []
            editor.replace(own.start, own.end, f"{{ {', '.join([*levels, 'id-token: write'])} }}")
        case _:
            key = table.key("steps")
            if key is None or table.is_flow:
                raise NotChangeable("there is no place for permissions in the job")
            lines = "".join(f"  {line}\n" for line in _levels(editor.document, job))
            editor.insert_before(key, f"permissions:\n{lines}")


def _refuse_invalid(permissions: Value | None, key: Text | None) -> None:
    """Refuse permissions that mean nothing: what the job may do now is not known."""
    is_word = isinstance(permissions, Text) and permissions.text in {"read-all", "write-all"}
    if key is not None and not isinstance(permissions, Table) and not is_word:
        raise NotChangeable(
            f"GitHub does not accept the value of `permissions` on line {key.line}; write "
            "`permissions: {}` for none, or remove the line"
        )


def drop_variables(editor: Editor, name: str | None, changed: Collection[int]) -> str:
    """Remove the variables of a job, or of the whole workflow, that only its commands needed.

    Return why some are left, as a sentence, or an empty text. `changed` are the steps of the file
    that are changed, by where they start.
    """
    root = editor.document.root
    jobs = root.table("jobs")
    table = root if name is None else jobs.table(name)
    env = table.table("env")
    names = {name for name, _ in env.items() if _VARIABLE.fullmatch(name)}
    if not names:
        return ""
    users = [each for _, each in jobs.items()] if name is None else [table]
    line = next((line for each in users for line in _users(each, changed)), None)
    if line is not None:
        return (
            f"{', '.join(sorted(names))} stays in {editor.document.name}, as the step on line "
            f"{line} may use it."
        )
    if editor.remove(env, names):
        editor.remove_entry(table, "env")
    return ""


def _users(job: Value, changed: Collection[int]) -> Iterator[int]:
    """Yield the lines of a job's steps that may need its permissions or its variables."""
    if not isinstance(job, Table):
        return
    if job.text("uses"):
        yield job.line
    steps = job.get("steps")
    for step in steps.values if isinstance(steps, List) else ():
        if not isinstance(step, Table):
            continue
        uses, run = step.text("uses"), step.text("run")
        is_known = uses is None or _KNOWN_ACTIONS.fullmatch(uses.text.partition("@")[0].strip())
        script = run.text if run is not None else ""
        if step.start in changed:
            script = without_uploads(script)
        if not is_known or not is_harmless(script):
            yield step.line


def _levels(document: Document, job: Job) -> Iterator[str]:
    """Yield what a job may do so far, and to ask for an identity token.

    Permissions of its own replace those of the workflow, and the default ones.
    """
    whole = Permissions.read(document.root.get("permissions"), document.name)
    levels = {name: level for name, (level, _) in whole.levels.items()} if whole else {}
    if job.checks_out and (whole is None or whole.everything):
        levels.setdefault("contents", "read")
    for name, level in levels.items():
        if name != "id-token":
            yield f"{name}: {level}" + (" # to check out" if name == "contents" else "")
    yield _PERMISSION


def _step_at(root: Value, start: int) -> tuple[List, Table]:
    """Return the step that starts at a position, and the list that it is in."""
    waiting: list[Value] = [root]
    while waiting:
        match waiting.pop():
            case Table() as table:
                inner = [value for _, value in table.pairs]
            case List() as values:
                for each in values.values:
                    if isinstance(each, Table) and each.start == start:
                        return values, each
                inner = list(values.values)
            case _:
                inner = []
        # Not the whole file again for each of its steps.
        waiting += [value for value in inner if value.start <= start < value.end]
    raise NotChangeable("its step was not found")


def _replace_command(editor: Editor, steps: List, step: Table, upload: Uploading, own: str) -> None:
    """Replace a command by this action; what the script does before it stays a step."""
    run = step.text("run")
    if run is None or steps.is_flow or upload.rows is None:
        raise NotChangeable("the command is not in a script of its own")
    source = editor.document.source
    if asked := _ASKED_FOR.search(source):
        line = source.count("\n", 0, asked.start()) + 1
        raise NotChangeable(f"the expression on line {line} asks for what would be removed")
    is_block = run.style == "|"
    if not is_block and "\n" in run.text.strip():
        raise NotChangeable("the command is part of a longer one")
    first, end = (row - run.first_line for row in upload.rows) if is_block else (0, 0)
    lines = run.text.split("\n") if is_block else [run.text]
    lines[first : end + 1] = map(without_secrets, lines[first : end + 1])
    row = next((row for row, line in enumerate(lines) if "${{" in line), None)
    if row is not None:
        raise NotChangeable(f"an expression is in the script, on line {run.first_line + row}")
    others = source[: step.start] + source[step.end :]
    rest = before_upload(
        lines, first, end, run.first_line, keeps_tools=_TWINE.search(others) is not None
    )
    _refuse_entries(step, upload, is_alone=not rest)
    inputs = list(_inputs(upload, command_in(lines[first : end + 1])))
    comments = [line.strip() for line in lines if line.strip().startswith("#")]
    block = [f"uses: {own}", *(["with:"] if inputs else []), *(f"  {each}" for each in inputs)]
    if not rest:
        key = step.key("run")
        assert key is not None
        indent = " " * editor.column(key)
        editor.rewrite(key, run, f"{editor.newline}{indent}".join([*comments, *block]))
        for name in ("env", "shell", "working-directory"):
            if step.get(name) is not None:
                editor.remove_entry(step, name)
        return
    _append_step(editor, step, block)
    start, last_row = _rows(editor, run, first, end)
    editor.replace(start, last_row, "")
    env = step.table("env")
    names = {name for name, _ in env.items() if _VARIABLE.fullmatch(name)}
    is_used = any(name in line for name in names for line in rest)
    if names and not is_used and editor.remove(env, names):
        editor.remove_entry(step, "env")


def _refuse_entries(step: Table, upload: Uploading, *, is_alone: bool) -> None:
    """Refuse what a step has that would mean something else for a step of this action."""
    for name in ("if", "id"):
        if not is_alone and step.get(name) is not None:
            raise NotChangeable(
                f"the step on line {step.line}, which would become two, has {name!r}"
            )
    if not is_alone and upload.interpreter not in _SHELLS:
        raise NotChangeable(f"the shell of the step on line {step.line} may go on after an error")
    for key, _ in step.pairs:
        if key.text not in _OF_COMMAND:
            raise NotChangeable(f"the step on line {step.line} has {key.text!r}")
    for key, _ in step.table("env").pairs:
        if is_alone and not _VARIABLE.fullmatch(key.text):
            raise NotChangeable(f"the step on line {step.line} has the variable {key.text}")


def _append_step(editor: Editor, step: Table, block: list[str]) -> None:
    """Add a step behind another one."""
    source = editor.document.source
    dash = editor.line_start(step.start)
    item = source[dash : step.pairs[0][0].start]
    if item.strip() != "-":
        raise NotChangeable("the step does not begin with its first entry")
    indent = " " * editor.column(step.pairs[0][0])
    stop = editor.line_end(max(last(key, value) for key, value in step.pairs))
    before = "" if source[:stop].endswith("\n") else editor.newline
    written = f"{editor.newline}{indent}".join(block)
    editor.replace(stop, stop, f"{before}{item}{written}{editor.newline}")


def _rows(editor: Editor, run: Text, first: int, end: int) -> tuple[int, int]:
    """Return where lines of a block of text begin and end in the file."""
    at = editor.line_end(run.start + 1)
    starts = [at]
    for _ in range(end + 1):
        at = editor.line_end(at + 1)
        starts.append(at)
    return starts[first], starts[end + 1]


def _inputs(upload: Uploading, command: str) -> Iterator[str]:
    """Yield the action's inputs that mean what the command's words did."""
    folder = upload.folder.strip("/").removeprefix("./")
    paths = list(upload.paths) or ["dist/*"]
    for each in (*paths, *([folder] if folder else [])):
        if each.startswith(("/", "~")) or ".." in each.split("/"):
            raise NotChangeable(f"{shown(each, 100)!r} may be outside the workspace")
        if any(mark in each for mark in MARKS + "$`"):
            raise NotChangeable("what the command uploads is not known before a run")
        if not _PATH.fullmatch(each):
            raise NotChangeable(f"{shown(each, 100)!r} has characters that mean more to a shell")
    folders = {path.rstrip("/").removesuffix("/*").removesuffix("/**") for path in paths}
    is_one = len(folders) == 1 and "*" not in next(iter(folders))
    named = [next(iter(folders))] if is_one else paths
    named = [f"{folder}/{each.removeprefix('./')}" if folder else each for each in named]
    if len(named) > 1:
        yield "packages-dir: |"
        yield from (f"  {each}" for each in named)
    elif named != ["dist"]:
        yield (
            f"packages-dir: {named[0]}" if named[0][0].isalnum() else f"packages-dir: '{named[0]}'"
        )
    if Place.TESTPYPI in upload.places:
        if len(upload.places) > 1:
            raise NotChangeable("the command uploads to several indexes")
        yield "repository-url: https://test.pypi.org/legacy/"
    if "--skip-existing" in command.split():
        yield "skip-existing: true"
