"""Find the jobs in GitHub's workflows that upload, through reusable workflows and actions."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from attested_publish.setup import github_steps
from attested_publish.setup.addresses import UNKNOWN_TEXT
from attested_publish.setup.documents import Document, Table, Text, texts_in
from attested_publish.setup.jobs import Job, Provider, Spot, Trigger, Uploading
from attested_publish.setup.permissions import Permissions
from attested_publish.setup.projects import MOST_HINTS
from attested_publish.setup.scopes import OTHER, Scope, cases, combinations
from attested_publish.setup.sources import WORKFLOWS, Sources, own_path
from attested_publish.setup.steps import Step, Steps
from attested_publish.setup.tasks import Tasks
from attested_publish.setup.triggers import (
    CALL,
    UNTRUSTED,
    Event,
    When,
    asks_which,
    asks_whose,
    events_of,
)

if TYPE_CHECKING:
    from attested_publish.setup.projects import Projects
    from attested_publish.setup.reading import Deadline

_DEEPEST = 5
_MOST_CHOICES = 64
_BY_HAND = "workflow_dispatch"
_INPUT = re.compile(r"\binputs\.([A-Za-z_][\w-]*)")
_NEVER = "its condition is never true"
_MOST_JOBS = 2000
_CREDENTIALS = re.compile(
    r"secrets|password|(?<!id-)token|keyring|vault|pypirc|self-hosted", re.IGNORECASE
)
"""What is in a workflow that may give a command another way to sign in than an identity token."""

_STATUS = re.compile(r"\b(?:always|failure|cancelled)\s*\(")
_PUBLISHING = re.compile(r"publish|pypi|release|deploy|upload", re.IGNORECASE)
_ATTESTING = re.compile(r"slsa-framework/slsa-github-generator/", re.IGNORECASE)
"""Reusable workflows that need an identity token, and publish nothing."""

_TO_PYPI = re.compile(r"publish|pypi", re.IGNORECASE)


@dataclass(frozen=True)
class Elsewhere:
    """A call of a workflow in another repository, by a job that may ask for an identity token."""

    uses: str
    spot: Spot


@dataclass(frozen=True)
class _Call:
    """How a workflow came to be read: what was started, and what its caller passed on."""

    started: str
    when: When
    inputs: Mapping[str, tuple[str, Scope]] = field(default_factory=dict)
    permissions: Permissions | None = None
    conditions: tuple[str, ...] = ()
    wide: tuple[tuple[str, Spot], ...] = ()
    depth: int = 0
    seen: set[str] = field(default_factory=set)
    """The calls that were read since the start: one that is the same has the same jobs."""

    inherits: bool = False
    """Whether what it may do depends on callers that are not in this repository."""

    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The options of inputs that are chosen from a list, where they are not gone through."""

    @property
    def is_called(self) -> bool:
        """Whether it is a reusable workflow that another one calls."""
        return self.depth > 0


@dataclass(frozen=True)
class _Defined:
    """A job as a file defines it, in one combination of its matrix, and what it has to meet."""

    document: Document
    name: str
    table: Table
    scope: Scope
    conditions: tuple[str, ...]
    is_dead: bool = False
    """Whether what it has to meet is never true."""


class Workflows:
    """Reads the workflows of a repository; `facts` are what its remote says (`repository`, …)."""

    def __init__(self, sources: Sources, projects: Projects, facts: Mapping[str, str]) -> None:
        self._sources = sources
        self._facts = facts
        self._scripts = github_steps.Scripts(projects)
        self._called: set[str] = set()
        self._left = _MOST_JOBS
        self._needs: dict[str, dict[str, tuple[str, ...]]] = {}
        self._signing_in: dict[str, bool] = {}
        self.elsewhere: dict[Spot, Elsewhere] = {}
        self._tasks = Tasks(sources.tree, projects)
        self._may_publish: dict[Spot, str] = {}
        self._dead: dict[Spot, None] = {}
        self._live: set[Spot] = set()

    @property
    def may_publish(self) -> dict[Spot, str]:
        """Where jobs that upload nothing themselves run what may, and what else there is to say."""
        dead = dict.fromkeys((each for each in self._dead if each not in self._live), _NEVER)
        return self._may_publish | dead

    def uploading(self) -> list[Job]:
        """Return the jobs that upload, each combination of a matrix on its own.

        Combinations that differ in nothing that the job mentions are one.
        """
        documents = list(self._sources.workflows())
        found: list[Job] = []
        only_called: list[Document] = []
        for document in documents:
            if _is_only_called(document):
                only_called.append(document)
            else:
                found += self._started(document)
        for document in only_called:
            if document.name not in self._called:
                found += self._started(document)
        return found

    def _started(self, document: Document) -> list[Job]:
        """Read a workflow as it is started, and ask what else could start what uploads."""
        events = [event for event in events_of(document) if event.name != CALL]
        jobs = [each for call in _calls(document, events) for each in self._jobs(document, call)]
        jobs = list({repr(each): each for each in jobs}.values())
        uploading = [(job, texts) for job, texts in jobs if job.uploads]
        if not any(job.is_public for job, _ in uploading):
            return [job for job, _ in uploading]
        for event in events:
            if event.name not in UNTRUSTED and not event.is_any_branch:
                continue
            reached = {
                (job.file, job.name)
                for job, _ in self._jobs(document, _Call(document.name, When.on(event)))
                if job.is_public
            }
            for job, conditions in uploading:
                if (job.file, job.name) not in reached:
                    continue
                if event.name in UNTRUSTED and not any(map(asks_whose, conditions)):
                    job.untrusted.append(Trigger(event.name, event.spot))
                if event.is_any_branch and not any(map(asks_which, conditions)):
                    job.any_branch = event.spot
        return [job for job, _ in uploading]

    def _jobs(self, document: Document, call: _Call) -> list[tuple[Job, tuple[str, ...]]]:
        """Return all jobs of a workflow, with the conditions of each and of what it needs."""
        tables = {
            name: value
            for name, value in document.root.table("jobs").items()
            if isinstance(value, Table)
        }
        scope = Scope(
            facts=self._facts,
            events=call.when.events,
            refs=call.when.refs,
            inputs=call.inputs,
            choices=call.choices,
        ).within(env=document.root.table("env"))
        # In another repository a condition may ask for this one's name.
        asked = replace(scope, facts={}, _known={})
        needs = self._needs_in(document, tables)
        ifs = {name: text.text for name, table in tables.items() if (text := table.text("if"))}
        found: list[tuple[Job, tuple[str, ...]]] = []
        for name, table in tables.items():
            conditions = _conditions(name, needs[name], ifs)
            is_dead = any(asked.truth(each) == {False} for each in conditions)
            texts = tuple(dict.fromkeys((*call.conditions, *conditions)))
            for inner in _scopes(table, scope):
                if self._is_enough(document):
                    break
                # Which case it is may decide about the conditions, too.
                case = replace(inner, facts={}, _known={})
                is_never = is_dead or any(case.truth(each) == {False} for each in conditions)
                defined = _Defined(document, name, table, inner, texts, is_never)
                if table.text("uses"):
                    found += [] if is_never else self._called_jobs(defined, call)
                else:
                    job = self._job(defined, call)
                    found += [] if is_never else [job]
        _pass_on_hints(found)
        return found

    def _is_enough(self, document: Document) -> bool:
        """Whether no more jobs are to be read; if so, note it for the file they are in."""
        self._left -= 1
        if self._left < 0 and document.name not in self._sources.problems:
            self._sources.skip(
                document.name,
                f"jobs beyond the first {_MOST_JOBS:,} of all files are not looked at",
            )
        return self._left < 0 or self._sources.is_late(document.name)

    def _needs_in(
        self, document: Document, tables: Mapping[str, Table]
    ) -> dict[str, tuple[str, ...]]:
        """Return the jobs that each job of a workflow needs, directly or through others."""
        if document.name not in self._needs:
            self._needs[document.name] = _needed(tables, self._sources.deadline)
        return self._needs[document.name]

    def _job(self, defined: _Defined, call: _Call) -> tuple[Job, tuple[str, ...]]:
        document, name, table = defined.document, defined.name, defined.table
        scope = defined.scope.within(env=table.table("env"))
        permissions = self._permissions(document, table) or call.permissions
        may_caller = not call.is_called or (call.permissions and call.permissions.has_identity)
        has_identity = bool(permissions and permissions.has_identity and may_caller)
        # A workflow that is only called has what its caller has, wherever that is.
        is_only_called = _is_only_called(document)
        is_inherited = call.inherits or (permissions is None and is_only_called)
        job = Job(
            provider=Provider.GITHUB,
            file=document.name,
            started=call.started,
            name=name,
            spot=Spot(document.name, _key_line(document, name)),
            environment=_environment(table, scope),
            has_identity=has_identity,
            lacks_identity=not has_identity and not is_inherited,
            is_reusable=call.is_called or is_only_called,
            needs=self._needs[document.name][name],
        )
        if permissions:
            job.wide += [*permissions.wide()]
        job.wide += [*self._wide_workflow(document), *call.wide]
        mentions: list[str] = []
        may_publish: list[Spot] = []
        signed_in: list[Spot] = []
        steps = Steps(self._sources)
        for step in steps.of_job(document.name, table, scope, document.root.table("defaults")):
            if self._sources.is_late(document.name):
                break
            scripts = self._scripts.of(step)
            uploads = list(github_steps.uploads(step, scripts))
            public = [each.spot for each in uploads if each.may_be_public]
            if defined.is_dead or step.is_dead:
                self._dead |= dict.fromkeys(public)
                continue
            self._live |= {*public}
            steps.export(step, github_steps.exported(step, scripts))
            mentions += self._note_step(job, step, scripts, uploads)
            certain, likely = github_steps.may_publish(step, scripts, self._tasks)
            may_publish += likely
            signed_in += certain
            if github_steps.may_sign_in(step, scripts):
                signed_in += github_steps.signing_in(step, likely)
        if not job.uploads:
            likely = may_publish if job.may_be_for_publishing else []
            self._may_publish |= dict.fromkeys([*likely, *signed_in], "")
        if job.uploads and job.lacks_identity:
            self._note_credentials(job)
        return job, (*defined.conditions, *dict.fromkeys(mentions))

    def _note_credentials(self, job: Job) -> None:
        """Note of the commands that upload that they need an identity token, if nothing else is."""
        for name in {job.file, job.started} - self._signing_in.keys():
            document = self._sources.document(name)
            self._signing_in[name] = bool(document and _CREDENTIALS.search(document.source))
        if not any(self._signing_in[name] for name in {job.file, job.started}):
            job.uploads = [
                each if each.has_secret else replace(each, needs_identity=True)
                for each in job.uploads
            ]

    @staticmethod
    def _note_step(
        job: Job,
        step: Step,
        scripts: Sequence[github_steps.Script],
        uploads: Sequence[Uploading],
    ) -> list[str]:
        """Add to a job what one of its steps does; return the conditions of an upload."""
        job.uploads += uploads
        job.builds += github_steps.builds(step, scripts)
        job.hints += github_steps.hints(step, scripts)
        job.builds_all = job.builds_all or any(found.builds_all for found, _ in scripts)
        if step.folder == UNKNOWN_TEXT and (uploads or any(found.builds for found, _ in scripts)):
            job.builds_all = True
        job.checks_out = job.checks_out or step.uses.lower() == "actions/checkout"
        if github_steps.restores_cache(step):
            job.caches.append(step.spot("uses"))
        if step.uses and not step.is_pinned:
            uses = f"{step.uses}@{step.version}" if step.version else step.uses
            job.unpinned.append((uses, step.spot("uses")))
        if not uploads:
            return []
        run = step.table.text("run")
        return [text for text, _ in step.conditions] + ([run.text] if run else [])

    def _called_jobs(self, defined: _Defined, call: _Call) -> Iterator[tuple[Job, tuple[str, ...]]]:
        """Yield the jobs of the reusable workflow that a job calls, if it is of this repository."""
        document, table = defined.document, defined.table
        uses = table.text("uses")
        assert uses is not None
        permissions = self._permissions(document, table) or call.permissions
        path = self._own_path(uses.text)
        if path is None:
            if permissions and permissions.has_identity and _PUBLISHING.search(uses.text):
                spot = Spot(document.name, uses.line)
                self.elsewhere[spot] = Elsewhere(uses.text, spot)
            secrets = [
                text.text for _, each in table.table("secrets").items() for text in texts_in(each)
            ]
            is_for_pypi = any(map(_TO_PYPI.search, [uses.text, *secrets]))
            may_anyway = permissions is not None and permissions.has_identity
            if is_for_pypi or (may_anyway and not _ATTESTING.match(uses.text)):
                self._may_publish[Spot(document.name, uses.line)] = ""
            return
        called = self._sources.document(path)
        if called is None or call.depth >= _DEEPEST:
            return
        self._called.add(path)
        declared = called.root.table("on").table(CALL).table("inputs")
        inputs: dict[str, tuple[str, Scope]] = {
            key: (default.text if (default := each.text("default")) else "", Scope())
            for key, each in declared.items()
            if isinstance(each, Table)
        }
        inputs |= {
            key: (value.text, defined.scope)
            for key, value in table.table("with").items()
            if isinstance(value, Text)
        }
        given = {name: scope.values(text) for name, (text, scope) in inputs.items()}
        same = repr((path, permissions, defined.conditions, given))
        if same in call.seen:
            return
        call.seen.add(same)
        inner = _Call(
            started=call.started,
            when=call.when,
            inputs=inputs,
            permissions=permissions or Permissions(Spot(document.name, table.line)),
            conditions=defined.conditions,
            wide=(*call.wide, *self._wide_workflow(document)),
            depth=call.depth + 1,
            seen=call.seen,
            inherits=call.inherits or (permissions is None and _is_only_called(document)),
        )
        yield from self._jobs(called, inner)

    def _own_path(self, uses: str) -> str | None:
        """Return the file of a reusable workflow of this repository; `None` for another's."""
        path = own_path(uses.strip().partition("@")[0], self._sources.repository)
        is_own = path.startswith(f"./{WORKFLOWS}/") and ".." not in PurePosixPath(path).parts
        return path.removeprefix("./") if is_own else None

    @staticmethod
    def _permissions(document: Document, table: Table) -> Permissions | None:
        """Return what a job may do: by its own permissions, else by those of its workflow."""
        own = Permissions.read(table.get("permissions"), document.name)
        return own or Permissions.read(document.root.get("permissions"), document.name)

    @staticmethod
    def _wide_workflow(document: Document) -> list[tuple[str, Spot]]:
        """Return that each of several jobs may ask for an identity token, if so."""
        whole = Permissions.read(document.root.get("permissions"), document.name)
        is_several = len(document.root.table("jobs").pairs) > 1
        if whole is None or not whole.levels or not whole.has_identity or not is_several:
            return []
        return [("id-token: write for every job of the workflow", whole.identity_spot())]


def _calls(document: Document, events: list[Event]) -> Iterator[_Call]:
    """Yield how a workflow may be started: by hand with each of its choices, or by other events."""
    whole = _Call(document.name, When.of(events))
    by_hand = next((event for event in events if event.name == _BY_HAND), None)
    mentioned = {name.lower() for name in _INPUT.findall(document.source)}
    declared = by_hand.filters.table("inputs").items() if by_hand else ()
    choices = {
        name.lower(): tuple(text.text for text in each.texts("options"))
        for name, each in declared
        if isinstance(each, Table) and name.lower() in mentioned
    }
    choices = {name: options for name, options in choices.items() if options}
    if by_hand is None or not choices:
        yield whole
        return
    if math.prod(map(len, choices.values())) > _MOST_CHOICES:
        yield replace(whole, choices=choices, seen=set())
        return
    for row in itertools.product(*choices.values()):
        inputs = {name: (value, Scope()) for name, value in zip(choices, row, strict=True)}
        yield _Call(document.name, When.of([by_hand]), inputs)
    others = [event for event in events if event is not by_hand]
    if others:
        yield _Call(document.name, When.of(others), {name: ("", Scope()) for name in choices})


def _scopes(table: Table, scope: Scope) -> Iterator[Scope]:
    """Yield the scopes of a job: of each combination of its matrix, in each case.

    The cases are those that its environment depends on.
    """
    text = _environment_text(table)
    for inner in combinations(table, scope):
        yield from [inner] if text is None else cases(text.text, inner)


def _is_only_called(document: Document) -> bool:
    return [event.name for event in events_of(document)] == [CALL]


def _key_line(document: Document, name: str) -> int:
    key = document.root.table("jobs").key(name)
    return key.line if key else 1


def _needed(tables: Mapping[str, Table], deadline: Deadline) -> dict[str, tuple[str, ...]]:
    """Return the jobs that each job needs, and those that they need, in the order of the file."""
    direct = {
        name: frozenset(text.text for text in table.texts("needs"))
        for name, table in tables.items()
    }
    found: dict[str, tuple[str, ...]] = {}
    for name in tables:
        seen: set[str] = set()
        waiting = [] if deadline.is_over else [name]
        while waiting:
            added = direct.get(waiting.pop(), frozenset()) - seen
            seen |= added
            waiting += added
        found[name] = tuple(each for each in tables if each in seen and each != name)
    return found


def _conditions(name: str, needed: Sequence[str], conditions: Mapping[str, str]) -> tuple[str, ...]:
    """Return the conditions that a job has to meet, and those of the jobs that it needs.

    A job that runs whatever became of the others has only its own.
    """
    own = [conditions[name]] if conditions.get(name) else []
    if own and _STATUS.search(own[0]):
        return tuple(own)
    return tuple(
        dict.fromkeys((*own, *(conditions[each] for each in needed if each in conditions)))
    )


def _environment(table: Table, scope: Scope) -> str | None:
    """Return a job's environment; empty for none, `None` if it is not known."""
    text = _environment_text(table)
    if text is None:
        return ""
    value = scope.value(text.text)
    return None if value is None or OTHER in value else value


def _environment_text(table: Table) -> Text | None:
    value = table.get("environment")
    if isinstance(value, Table):
        value = value.get("name")
    return None if not isinstance(value, Text) or value.is_null else value


def _pass_on_hints(found: list[tuple[Job, tuple[str, ...]]]) -> None:
    """Give each job what the jobs that it needs say about projects, after its own."""
    hints: dict[str, dict[str, None]] = {}
    building_all = set()
    for job, _ in found:
        hints.setdefault(job.name, {}).update(dict.fromkeys(job.hints[:MOST_HINTS]))
        if job.builds_all:
            building_all.add(job.name)
    for job, _ in found:
        job.builds_all = job.builds_all or not building_all.isdisjoint(job.needs)
        for name in job.needs:
            job.needed_hints += hints.get(name, ())
            if len(job.needed_hints) >= MOST_HINTS:
                break
