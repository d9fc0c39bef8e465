"""Find the jobs in a GitLab pipeline that upload, in its child pipelines, too."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from attested_publish.setup.addresses import SECRET_TEXT, UNKNOWN_TEXT
from attested_publish.setup.commands import Delegated, Shell, Texts, read
from attested_publish.setup.documents import List, Table, Text, Value, texts_in
from attested_publish.setup.gitlab_files import REFERENCE, Files, Merged
from attested_publish.setup.jobs import Job, Kind, Provider, Spot, Uploading
from attested_publish.setup.tasks import Answer, Tasks

if TYPE_CHECKING:
    from attested_publish.setup.projects import Projects
    from attested_publish.setup.sources import Sources

CONFIGURATION = ".gitlab-ci.yml"

_MOST_JOBS = 1000
_MOST_COMBINATIONS = 200
"""GitLab's limit for a matrix."""

_MOST_NAMED = 5
_LONGEST = 10_000
_LONGEST_VALUE = 1000
_DEEPEST = 10
_MOST_GENERATIONS = 2
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_WHICH = re.compile(
    r"CI_COMMIT_(?:TAG|BRANCH|REF)|CI_PIPELINE_SOURCE|CI_DEFAULT_BRANCH|CI_MERGE_REQUEST"
)
_ANY_REFS = frozenset({"branches", "pushes"})
_DEPLOYING = re.compile(r"publish|release|deploy|pypi|upload", re.IGNORECASE)
_TO_PYPI = re.compile(r"publish|pypi", re.IGNORECASE)


class Pipeline:
    """Reads the pipeline of a repository: its own files, and what they include of it.

    `notices` are sentences about what was not followed; `may_publish` is where something that was
    not looked into may publish.
    """

    def __init__(self, sources: Sources, projects: Projects, host: str) -> None:
        self._sources = sources
        self._projects = projects
        self._host = host
        self._merged = Merged()
        self._given: Mapping[str, str] = {}
        self._is_asked = False
        self._generation = 0
        self._outside: dict[str, Spot] = {}
        self._tasks = Tasks(sources.tree, projects)
        self._of_job: dict[Spot, str] = {}
        self._suspected: dict[Spot, str] = {}
        self.may_publish: dict[Spot, str] = {}

    @property
    def notices(self) -> list[str]:
        """What is included, but is not of the repository, or is only known when it is run."""
        if not self._outside:
            return []
        names = list(self._outside)
        more = len(names) - _MOST_NAMED
        listed = ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        return [f"{CONFIGURATION} includes what cannot be read here, so it was not: {listed}."]

    def uploading(self) -> list[Job]:
        """Return the jobs that upload, each combination of a matrix on its own."""
        document = self._sources.document(CONFIGURATION)
        return [] if document is None else self._of(Files(self._sources).of_document(document))

    def _of(self, merged: Merged) -> list[Job]:
        self._merged = merged
        self._outside |= merged.outside
        for what, spot in merged.outside.items():
            if _TO_PYPI.search(what):
                self.may_publish[spot] = ""
        found: list[Job] = []
        for name in list(merged.jobs)[:_MOST_JOBS]:
            if name.startswith("."):
                continue
            table, is_whole = merged.job(name)
            if trigger := table.get("trigger"):
                found += self._of_child(table, trigger, merged.jobs[name][0])
            for row in _combinations(table):
                if self._sources.is_late(CONFIGURATION):
                    return found
                job = self._job(name, table, row, is_whole=is_whole)
                if job.uploads:
                    found.append(job)
        if not any(job.is_public for job in found):
            # A job that only by its name deploys something may well deploy something else.
            self.may_publish |= self._suspected
        return found

    def _of_child(self, table: Table, trigger: Value, file: str) -> list[Job]:
        """Return the jobs that upload in the pipeline that a job starts.

        Their identity is that of the pipeline that was started first.
        """
        include = trigger.get("include") if isinstance(trigger, Table) else None
        if include is None or self._generation >= _MOST_GENERATIONS:
            return []
        child = Pipeline(self._sources, self._projects, self._host)
        child._given = self._values(table, {})
        child._is_asked = self._is_asked or not self._is_any_branch(table, is_whole=True)
        child._generation = self._generation + 1
        found = child._of(Files(self._sources).of_included(include, file))
        self._outside |= child._outside
        self.may_publish |= child.may_publish
        return found

    def _job(self, name: str, table: Table, row: Mapping[str, str], *, is_whole: bool) -> Job:
        file, _, line = self._merged.jobs[name]
        defaults = self._merged.table("default")
        spot = Spot(file, line)
        variables = _Variables(self._values(table, row))
        job = Job(
            provider=Provider.GITLAB,
            file=CONFIGURATION,
            started=CONFIGURATION,
            name=name,
            spot=spot,
            environment=_environment(table, variables, is_whole=is_whole),
            has_identity=bool(table.table("id_tokens").pairs or defaults.table("id_tokens").pairs),
        )
        shell = Shell(self._projects, variables.all(), _undefined)
        stage = table.text("stage")
        is_for_uploads = bool(_DEPLOYING.search(f"{name} {stage.text if stage else ''}"))
        self._of_job = {}
        for section in ("before_script", "script", "after_script"):
            value = table.get(section) or defaults.get(section) or self._merged.shared.get(section)
            texts = texts_in(_without_references(value))
            self._note_script(job, file, texts, shell, is_for_uploads)
            is_hidden = section == "script" and not texts and not table.get("trigger")
            if is_hidden and is_for_uploads and not is_whole:
                self._suspected[spot] = "what it extends cannot be read here"
        if not job.uploads:
            self.may_publish |= self._of_job
        cache = table.get("cache") or defaults.get("cache") or self._merged.shared.get("cache")
        if cache is not None and _restores(cache):
            key = table.key("cache")
            job.caches.append(Spot(file, key.line) if key else spot)
        if not self._is_asked and self._is_any_branch(table, is_whole=is_whole):
            job.any_branch = spot
        return job

    def _note_script(
        self, job: Job, file: str, texts: list[Text], shell: Shell, is_for_uploads: bool
    ) -> None:
        """Add to a job what its script does. Each line sees the variables of those before it."""
        for text in texts:
            found = read(text.text, shell)
            job.builds += (Spot(file, text.first_line + line) for line in found.builds)
            job.hints += found.hints
            job.builds_all = job.builds_all or found.builds_all
            for line, each in found.delegates:
                self._note_delegate(job, each, Spot(file, text.first_line + line), is_for_uploads)
            for line in found.by_setup_py:
                self._of_job[Spot(file, text.first_line + line)] = ""
            job.uploads += (
                Uploading(
                    Spot(file, text.first_line + each.line),
                    Kind.COMMAND,
                    each.tool,
                    each.places,
                    each.has_secret,
                    (file, text.start),
                    each.paths,
                    attests=each.attests,
                )
                for each in found.uploads
            )

    def _note_delegate(self, job: Job, run: Delegated, spot: Spot, is_for_uploads: bool) -> None:
        """Note what runs a task or script, where that uploads, or may.

        Any job may have the secrets of the project, which are not in the file. So a name that says
        so is enough: the script's, the job's or its stage's.
        """
        match self._tasks.answer(run):
            case Answer.YES:
                self._of_job[spot] = ""
            case Answer.UNKNOWN if run.may_publish or job.may_be_for_publishing:
                self._of_job[spot] = ""
            case Answer.UNKNOWN if is_for_uploads:
                self._suspected[spot] = ""
            case _:
                pass

    def _values(self, table: Table, row: Mapping[str, str]) -> dict[str, str]:
        """Return a job's variables, with those of the pipeline, as they are written."""
        values = dict(_assigned(self._merged.shared.get("variables")))
        values |= dict(_assigned(table.get("variables"))) | dict(self._given) | dict(row)
        for each in (table, self._merged.table("workflow")):
            for rule in _rules(each):
                for name, text in _assigned(rule.get("variables")):
                    # Which rule applies is only known when it is run.
                    values[name] = text if values.get(name) == text else UNKNOWN_TEXT
        return values | self._predefined()

    def _predefined(self) -> dict[str, str]:
        host = self._host or "gitlab.com"
        return {
            "CI_API_V4_URL": f"https://{host}/api/v4",
            "CI_SERVER_URL": f"https://{host}",
            "CI_SERVER_HOST": host,
        }

    def _is_any_branch(self, table: Table, *, is_whole: bool) -> bool:
        """Whether it is known that nothing asks for which branch or tag a job runs."""
        workflow = self._merged.table("workflow")
        is_known = is_whole and not (self._merged.outside and not workflow.pairs)
        if not is_known or any(map(_has_unknown_rules, (table, workflow))):
            return False
        rules = [*_rules(table), *_rules(workflow)]
        if any(_WHICH.search(text.text) for rule in rules if (text := rule.text("if"))):
            return False
        only = table.get("only")
        listed = [text.text for text in texts_in(only)]
        if isinstance(only, Table):
            listed = [text.text for text in only.texts("refs")]
            if any(_WHICH.search(text.text) for text in only.texts("variables")):
                return False
        excepted = [text.text for text in table.texts("except")]
        if "branches" in excepted:
            return False
        return not listed or bool(_ANY_REFS & set(listed))


class _Variables:
    """The variables of a job, which may name each other; each is worked out once."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._known: dict[str, str] = {}

    def all(self) -> dict[str, Texts]:
        """Return every variable with its value."""
        return {name: (self._value(name, 0),) for name in self._values}

    def expanded(self, text: str, depth: int = 0) -> str:
        """Return a text with the values of the variables in it."""
        return _VARIABLE.sub(
            lambda match: self._value(match[1] or match[2], depth), text[:_LONGEST]
        )

    def _value(self, name: str, depth: int) -> str:
        if name not in self._known:
            if name not in self._values or depth >= _DEEPEST:
                return _undefined(name)
            # What names itself is not known.
            self._known[name] = _undefined(name)
            self._known[name] = self.expanded(self._values[name], depth + 1)[:_LONGEST_VALUE]
        return self._known[name]


def _undefined(name: str) -> str:
    """Return what a variable is that the file does not set: GitLab's, or one with a secret."""
    return UNKNOWN_TEXT if name.startswith(("CI_", "GITLAB_")) else SECRET_TEXT


def _environment(table: Table, variables: _Variables, *, is_whole: bool) -> str | None:
    """Return a job's environment; empty for none, `None` if it is not known."""
    value = table.get("environment")
    if isinstance(value, Table):
        value = value.get("name")
    if isinstance(value, List):
        return None
    if not isinstance(value, Text) or value.is_null:
        return "" if is_whole else None
    text = variables.expanded(value.text)
    return None if UNKNOWN_TEXT in text or SECRET_TEXT in text else text


def _combinations(table: Table) -> list[dict[str, str]]:
    """Return the variables of each combination of a job's matrix; nothing set without one."""
    matrix = table.table("parallel").get("matrix")
    rows: list[dict[str, str]] = []
    for each in matrix.values if isinstance(matrix, List) else ():
        if not isinstance(each, Table):
            continue
        axes = {name: [text.text for text in texts_in(value)] for name, value in each.items()}
        if len(rows) + math.prod(map(len, axes.values())) > _MOST_COMBINATIONS:
            return [dict.fromkeys(axes, UNKNOWN_TEXT)]
        product = itertools.product(*axes.values())
        rows += (dict(zip(axes, values, strict=True)) for values in product)
    return rows or [{}]


def _assigned(value: Value | None) -> Iterator[tuple[str, str]]:
    """Yield variables, in both forms that GitLab has for them."""
    for name, each in value.items() if isinstance(value, Table) else ():
        text = each.text("value") if isinstance(each, Table) else each
        if isinstance(text, Text):
            yield name, text.text
        elif isinstance(text, List):
            yield name, UNKNOWN_TEXT


def _rules(table: Table) -> list[Table]:
    """Return the rules of a job, those of nested lists, too."""
    return [each for each in _flat(table.get("rules")) if isinstance(each, Table)]


def _has_unknown_rules(table: Table) -> bool:
    """Whether rules are used that are not known: a reference that names nothing here."""
    return any(isinstance(each, List) for each in _flat(table.get("rules")))


def _flat(value: Value | None) -> Iterator[Value]:
    """Yield what is in nested lists; a reference that names nothing is one of them."""
    if isinstance(value, List) and value.tag != REFERENCE:
        for each in value.values:
            yield from _flat(each)
    elif value is not None:
        yield value


def _without_references(value: Value | None) -> Value | None:
    """Return a script without references that name nothing, whose words are no commands."""
    if not isinstance(value, List):
        return value
    kept = tuple(each for each in _flat(value) if not isinstance(each, List))
    return List(kept, value.line, value.start, value.end)


def _restores(cache: Value) -> bool:
    caches = cache.values if isinstance(cache, List) else (cache,)
    return any(
        isinstance(each, Table)
        and each.pairs
        and ((policy := each.text("policy")) is None or policy.text != "push")
        for each in caches
    )
