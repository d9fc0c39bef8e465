"""Write the workflow, or change the one that publishes: never over what is not committed."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from attested_publish import DOCUMENTATION, __version__
from attested_publish.net import secrecy
from attested_publish.setup import pins
from attested_publish.setup.changing import change_upload, drop_variables, is_to_change, permit
from attested_publish.setup.documents import List, SetupProblem, Table, Text, Value
from attested_publish.setup.edits import Editor, NotChangeable
from attested_publish.setup.git import why_not_to_change
from attested_publish.setup.github_steps import OURS
from attested_publish.setup.jobs import Job, Kind, Provider, Uploading
from attested_publish.setup.reading import Tree, is_linked
from attested_publish.setup.remote import GITHUB, GITLAB
from attested_publish.setup.rules import STORED_TOKEN, Finding
from attested_publish.setup.sources import WORKFLOWS
from attested_publish.setup.survey import Survey, survey
from attested_publish.setup.templates import new_workflow, why_not_to_build

_TOKEN = re.compile(r"pypi-[A-Za-z0-9_-]{16,}")
_GIVEN = re.compile(
    r"(?:\s-p[ =]?|--password[ =]|--token[ =]|(?:PASSWORD|TOKEN)=)\s*([^\s;&|]+)", re.IGNORECASE
)
_CREDENTIAL = re.compile(r"(?:password|(?<!id-)token)$", re.IGNORECASE)
_NO_SECRETS = {"__token__", "read", "write", "none", "true", "false"}
_NAMES = ("release", "publish", "pypi", "publish-to-pypi")


@dataclass(frozen=True)
class Change:
    """A file that was written: its name, its text before (empty: it is new), and its text now."""

    name: str
    before: str
    after: str

    def difference(self) -> list[str]:
        """Return the difference as lines of a unified diff."""
        old = f"a/{self.name}" if self.before else "/dev/null"
        return list(
            difflib.unified_diff(
                self.before.splitlines(),
                self.after.splitlines(),
                old,
                f"b/{self.name}",
                lineterm="",
            )
        )


@dataclass
class Outcome:
    """What was written, and why something was not: sentences."""

    written: list[Change] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


def write(found: Survey, *, offline: bool) -> Outcome:
    """Write what the repository needs. Raises `SetupProblem` where a file cannot be written."""
    outcome = Outcome()
    if found.remote and found.remote.may_run_workflows:
        outcome.refused.append(f"No workflow is written for {found.remote.host}.")
        return outcome
    secrecy.keep(_written_down(found))
    pin = pins.own_pin(offline=offline)
    if pin is None:
        where = " without --offline" if offline else ", once GitHub can be reached"
        outcome.refused.append(
            f"Nothing was written: the commit of attested-publish {__version__}, to pin this "
            f"action, is not known here. Run this again{where}."
        )
        return outcome
    own = str(pin)
    if not found.jobs:
        _write_new(found, own, outcome)
        _note_pin(pin, outcome)
        return outcome
    jobs = _to_change(found)
    left = {job.file for job in found.jobs if job.provider is Provider.GITLAB}
    if not jobs:
        what = (
            f"{', '.join(sorted(left))} is not changed: see {DOCUMENTATION}docs/gitlab.md."
            if left
            else (
                "There is nothing to change: what publishes here uses this action already, goes to "
                "an index that is not known, or uses a tool that cannot be replaced without "
                "changing how the project is built."
            )
        )
        outcome.notices.append(what)
        return outcome
    changes = _changes(found, jobs, own, outcome, checks_files=True)
    if not outcome.refused:
        for change in changes:
            _replace(found.tree, change)
            outcome.written.append(change)
    _note_pin(pin, outcome)
    return outcome


def with_remedies(found: Survey) -> list[Finding]:
    """Return the findings; those of stored tokens also say whether `setup --write` mends them."""
    jobs = _to_change(found)
    if not jobs or not any(each.rule == STORED_TOKEN for each in found.findings):
        return found.findings
    outcome = Outcome()
    changed = {each.name for each in _changes(found, jobs, f"{OURS}@{'0' * 40}", outcome)}
    why_not = outcome.refused[0].replace(" was not changed: ", ": ", 1) if outcome.refused else ""
    added = (
        f"`setup --write` would change nothing: {why_not}"
        if why_not
        else "`setup --write` changes the workflow."
    )
    files = {job.file for job in jobs}
    return [
        replace(each, remedy=f"{each.remedy} {added}")
        if each.rule == STORED_TOKEN and each.file in (files if why_not else changed)
        else each
        for each in found.findings
    ]


def why_no_new(found: Survey) -> str:
    """Return why no workflow would be written where nothing publishes; empty: one would be."""
    if found.remote and found.remote.host != GITHUB:
        where = f": see {DOCUMENTATION}docs/gitlab.md" if found.remote.host == GITLAB else ""
        return f"No pipeline is written for {found.remote.host}{where}."
    if not found.projects.found:
        return found.projects.why_none
    if found.may_publish:
        return "No workflow is written, as something here may publish already."
    if why_not := why_not_to_build(found.projects):
        return f"No workflow is written: {why_not}."
    return ""


def _to_change(found: Survey) -> list[Job]:
    return [
        job
        for job in found.jobs
        if job.provider is Provider.GITHUB and job.is_public and any(map(is_to_change, job.uploads))
    ]


def _note_pin(pin: pins.Pin, outcome: Outcome) -> None:
    """Note that what was written uses a commit that GitHub may not have."""
    if outcome.written and not pin.is_release:
        outcome.notices.append(
            f"This action is pinned at the commit of this program, {pin.commit}, which is not "
            "known to be that of a release. If it is not on GitHub, the workflow cannot start: "
            "pin a release instead."
        )


def _written_down(found: Survey) -> Iterator[str]:
    """Yield passwords and tokens that are in the workflows as they are: a difference has them."""
    for document in found.sources.workflows() if found.sources else ():
        yield from _TOKEN.findall(document.source)
        for given in _GIVEN.findall(document.source):
            if "$" not in given:
                yield given.strip("'\"")
        yield from _credentials(document.root)


def _credentials(value: Value) -> Iterator[str]:
    match value:
        case Table():
            for key, inner in value.pairs:
                if isinstance(inner, Text) and _CREDENTIAL.search(key.text):
                    if "${{" not in inner.text and inner.text not in _NO_SECRETS:
                        yield inner.text
                else:
                    yield from _credentials(inner)
        case List():
            for each in value.values:
                yield from _credentials(each)
        case Text():
            pass


def _write_new(found: Survey, own: str, outcome: Outcome) -> None:
    if why_not := why_no_new(found):
        outcome.refused.append(why_not)
        return
    tree = found.tree
    name = next(
        (
            each
            for each in _NAMES
            if not any(tree.has(f"{WORKFLOWS}/{each}.{end}") for end in ("yml", "yaml"))
        ),
        None,
    )
    if name is None:
        outcome.refused.append(f"{WORKFLOWS} has a file of every name that a new one could get.")
        return
    change = Change(f"{WORKFLOWS}/{name}.yml", "", new_workflow(found.projects, own, name))
    with _explained(change.name):
        if is_linked(tree.root, WORKFLOWS):
            raise SetupProblem(
                f"{WORKFLOWS} is a link, or in a folder that is one",
                remedy="Make it a folder of the repository.",
            )
        (tree.root / WORKFLOWS).mkdir(parents=True, exist_ok=True)
        with (tree.root / change.name).open("x", encoding="utf-8", newline="") as file:
            file.write(change.after)
    outcome.written.append(change)


def _changes(
    found: Survey, jobs: list[Job], own: str, outcome: Outcome, *, checks_files: bool = False
) -> list[Change]:
    """Work out the changes of all files, and that they do what they should.

    With `checks_files`: also that the files are as they were committed, and may be written.
    """
    editors = _Editors(found)
    try:
        changed = [each.key for job in jobs for each in job.uploads if is_to_change(each)]
        for job in jobs:
            steps = {start for name, start in changed if name == job.file}
            _change(job, own, editors, steps)
        for name, steps in editors.of_commands.items():
            editors.drop_variables(name, None, steps)
        texts = {name: each.result() for name, each in editors.opened.items()}
    except NotChangeable as why:
        outcome.refused.append(f"{editors.current} was not changed: {why}.")
        return []
    outcome.notices += dict.fromkeys(editors.notices)
    for name in texts if checks_files else ():
        if why_not := why_not_to_change(found.tree.root, name):
            outcome.refused.append(f"{name} was not changed: {why_not}.")
        elif not (found.tree.root / name).stat().st_mode & stat.S_IWUSR:
            outcome.refused.append(f"{name} was not changed: it is read-only.")
    if not _does_it(found, jobs, texts):
        outcome.refused.append(
            f"{', '.join(texts)} was not changed: the changed file would not publish the same."
        )
    return [
        Change(name, before, text)
        for name, text in texts.items()
        if text != (before := editors.opened[name].document.source)
    ]


class _Editors:
    """The editors of the files that are changed; `current` is the one that was asked for last.

    `of_commands` are the files where commands are replaced, with the steps that are changed.
    """

    def __init__(self, found: Survey) -> None:
        assert found.sources is not None
        self._sources = found.sources
        self.opened: dict[str, Editor] = {}
        self.notices: list[str] = []
        self.current = ""
        self.of_commands: dict[str, set[int]] = {}

    def drop_variables(self, name: str, job: str | None, changed: set[int]) -> None:
        """Remove what only commands needed from a job, or the workflow; note what is left."""
        left = drop_variables(self.of(name), job, changed)
        self.notices += [left] if left else []

    def of(self, name: str) -> Editor:
        """Return the editor of a file."""
        self.current = name
        if name not in self.opened:
            document = self._sources.document(name)
            assert document is not None
            self.opened[name] = Editor(document)
        return self.opened[name]


def _change(job: Job, own: str, editors: _Editors, changed: set[int]) -> None:
    """Change what a job uploads with, and let it ask for an identity token."""
    editors.current = job.file
    if job.started != job.file:
        raise NotChangeable("it is a reusable workflow")
    is_command = False
    for upload in _each_once(job):
        if upload.key[0] != job.file:
            raise NotChangeable(f"the upload is in {upload.key[0]}, which others may use, too")
        change_upload(editors.of(job.file), job, upload, own)
        is_command = is_command or upload.kind is Kind.COMMAND
    if is_command:
        editors.of_commands[job.file] = changed
        editors.drop_variables(job.file, job.name, changed)
    if not job.has_identity:
        permit(editors.of(job.file), job, changed)


def _each_once(job: Job) -> Iterator[Uploading]:
    """Yield the uploads to change, one a step. Raises `NotChangeable` for a step with several."""
    of_step: dict[tuple[str, int], list[Uploading]] = {}
    for upload in job.uploads:
        of_step.setdefault(upload.key, []).append(upload)
    for uploads in of_step.values():
        if not any(map(is_to_change, uploads)):
            continue
        if len({each.rows for each in uploads}) > 1:
            raise NotChangeable(f"the script on line {uploads[0].spot.line} uploads more than once")
        yield next(filter(is_to_change, uploads))


def _does_it(found: Survey, jobs: list[Job], texts: dict[str, str]) -> bool:
    """Whether the changed files publish what the old ones did, as the same publishers, with us."""
    after = survey(found.tree.root, Tree(found.tree.root, texts))
    if {*after.publishers} != {*found.publishers}:
        return False
    names = {(job.file, job.name) for job in jobs}
    changed = [job for job in after.jobs if (job.file, job.name) in names]
    return bool(changed) and all(
        job.has_identity and not any(is_to_change(each) for each in job.uploads) for job in changed
    )


def _replace(tree: Tree, change: Change) -> None:
    """Replace a file as a whole, with the permissions that it has."""
    path = tree.root / change.name
    with _explained(change.name):
        content = path.read_bytes()
        if content.decode("utf-8-sig") != change.before:
            raise SetupProblem(
                f"{change.name} was changed meanwhile", remedy="Run the command again."
            )
        mark = b"\xef\xbb\xbf" if content.startswith(b"\xef\xbb\xbf") else b""
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".setup-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(mark + change.after.encode())
            Path(name).chmod(path.stat().st_mode & 0o777)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SetupProblem(
            f"{name} could not be written: {error.strerror}",
            remedy="Give the command the right to write there.",
        ) from error
