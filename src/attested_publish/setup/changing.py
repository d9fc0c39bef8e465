"""Make a workflow publish with this action, with as few changes as that takes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attested_publish.setup.addresses import MARKS, Place
from attested_publish.setup.documents import Document, List, Table, Text, Value
from attested_publish.setup.edits import Editor, NotChangeable, last
from attested_publish.setup.jobs import Job, Kind, Uploading
from attested_publish.setup.permissions import Permissions

_OLD_NAMES = {
    name.replace("-", "_"): name
    for name in ("repository-url", "packages-dir", "verify-metadata", "skip-existing", "print-hash")
}
_CREDENTIALS = {"user", "password"}
_VARIABLE = re.compile(r"(?:TWINE|UV_PUBLISH)_\w+")
_UPLOAD = re.compile(
    r"(?:(?:python|python3|py)\s+-m\s+|uvx\s+|uv\s+run\s+|uv\s+tool\s+run\s+|pipx\s+run\s+"
    r"|poetry\s+run\s+)?(?:twine\s+upload|uv\s+publish)\b[^;&|<>`]*"
)
_ONLY_FOR_IT = re.compile(
    r"(?:(?:python3?|uv)\s+(?:-m\s+)?)?pip3?\s+install(?:\s+(?:-U|--upgrade|--user|-q|pip|twine"
    r"|setuptools|wheel)(?:[=<>~]=?[\w.]+)?)*|set\s+-\w+|#.*"
)
_PERMISSION = "id-token: write # to prove the identity of this job"


def is_to_change(upload: Uploading) -> bool:
    """Whether an upload can and should become one of this action."""
    if not all(place.is_public for place in upload.places):
        return False
    if upload.kind is Kind.PYPA:
        return True
    is_known = upload.kind is Kind.OURS or upload.tool in {"twine", "uv"}
    return upload.has_secret and is_known


def change_upload(editor: Editor, upload: Uploading, own: str) -> None:
    """Change the step that uploads; `own` is what uses this action. Raises `NotChangeable`."""
    steps, step = _step_at(editor.document.root, upload.key[1])
    if step.is_flow:
        raise NotChangeable("the step is written in braces")
    if upload.kind is Kind.COMMAND:
        _replace_command(editor, steps, step, upload, own)
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


def permit(editor: Editor, job: Job) -> None:
    """Let the job ask for an identity token. Raises `NotChangeable`."""
    table = editor.document.root.table("jobs").table(job.name)
    own = table.get("permissions")
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


def drop_variables(editor: Editor, job: Job) -> None:
    """Remove the variables of the job and the workflow that only its command needed."""
    root = editor.document.root
    for table in (root, root.table("jobs").table(job.name)):
        env = table.table("env")
        names = {name for name, _ in env.items() if _VARIABLE.fullmatch(name)}
        if names and editor.remove(env, names):
            editor.remove_entry(table, "env")


def _levels(document: Document, job: Job) -> Iterator[str]:
    """Yield what a job may do so far, and to ask for an identity token.

    Permissions of its own replace those of the workflow, and the default ones.
    """
    whole = Permissions.read(document.root.get("permissions"), document.name)
    levels = {name: level for name, (level, _) in whole.levels.items()} if whole else {}
    if job.checks_out and whole is None:
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
                waiting += [value for _, value in table.pairs]
            case List() as values:
                for each in values.values:
                    if isinstance(each, Table) and each.start == start:
                        return values, each
                waiting += values.values
            case _:
                pass
    raise NotChangeable("its step was not found")


def _replace_command(editor: Editor, steps: List, step: Table, upload: Uploading, own: str) -> None:
    """Replace a command by a step of this action; what else the script does stays."""
    run = step.text("run")
    if run is None or steps.is_flow or upload.rows is None:
        raise NotChangeable("the command is not in a script of its own")
    first, end = (row - run.first_line for row in upload.rows)
    lines = run.text.split("\n") if run.style == "|" else [run.text]
    command = " ".join(line.strip().removesuffix("\\") for line in lines[first : end + 1])
    if not _UPLOAD.fullmatch(command.strip()):
        raise NotChangeable("the command is part of a longer one")
    rest = [
        line
        for line in (*lines[:first], *lines[end + 1 :])
        if line.strip() and not _ONLY_FOR_IT.fullmatch(line.strip())
    ]
    indent = " " * editor.column(step.pairs[0][0])
    dash = editor.line_start(step.start)
    item = editor.document.source[dash : step.pairs[0][0].start]
    if item.strip() != "-":
        raise NotChangeable("the step does not begin with its first entry")
    kept = [(name, text.text) for name in ("name", "id", "if") if (text := step.text(name))]
    inputs = list(_inputs(step, upload, command))
    block = [f"uses: {own}", *(["with:"] if inputs else []), *(f"  {each}" for each in inputs)]
    stop = editor.line_end(max(last(key, value) for key, value in step.pairs))
    if not rest:
        source = editor.document.source
        for name, _ in reversed(kept):
            entry, text = step.key(name), step.text(name)
            assert entry is not None
            assert text is not None
            block.insert(0, source[entry.start : text.end])
        written = f"{item}{f'{editor.newline}{indent}'.join(block)}{editor.newline}"
        editor.replace(dash, stop, written)
        return
    if run.style != "|":
        raise NotChangeable("the command is part of a longer one")
    condition = step.text("if")
    if condition:
        block.insert(0, f"if: {condition.text}")
    start, last_row = _rows(editor, run, first, end)
    editor.replace(start, last_row, "")
    editor.replace(stop, stop, f"{item}{f'{editor.newline}{indent}'.join(block)}{editor.newline}")
    env = step.table("env")
    names = {name for name, _ in env.items() if _VARIABLE.fullmatch(name)}
    if names and editor.remove(env, names):
        editor.remove_entry(step, "env")


def _rows(editor: Editor, run: Text, first: int, end: int) -> tuple[int, int]:
    """Return where lines of a block of text begin and end in the file."""
    at = editor.line_end(run.start + 1)
    starts = [at]
    for _ in range(end + 1):
        at = editor.line_end(at + 1)
        starts.append(at)
    return starts[first], starts[end + 1]


def _inputs(step: Table, upload: Uploading, command: str) -> Iterator[str]:
    """Yield the action's inputs that mean what the command's words did."""
    folder = text.text.strip("/") if (text := step.text("working-directory")) else ""
    paths = list(upload.paths) or ["dist/*"]
    if any(mark in path for mark in MARKS + "$`" for path in (*paths, folder)):
        raise NotChangeable("what the command uploads is not known before a run")
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
