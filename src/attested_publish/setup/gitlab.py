"""Find the jobs in a GitLab pipeline that upload."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from attested_publish.setup.addresses import SECRET_TEXT, UNKNOWN_TEXT
from attested_publish.setup.commands import Shell, Texts, read
from attested_publish.setup.documents import EMPTY, List, Table, Text, Value, texts_in
from attested_publish.setup.jobs import Job, Kind, Provider, Spot, Uploading

if TYPE_CHECKING:
    from attested_publish.setup.documents import Document
    from attested_publish.setup.projects import Projects
    from attested_publish.setup.sources import Sources

CONFIGURATION = ".gitlab-ci.yml"

_NO_JOBS = frozenset(
    {
        *("default", "include", "stages", "variables", "workflow", "image", "services", "cache"),
        *("before_script", "after_script", "pages", "spec"),
    }
)
_MOST_FILES = 50
_MOST_JOBS = 1000
_DEEPEST = 10
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))")
_WHICH = re.compile(
    r"CI_COMMIT_(?:TAG|BRANCH|REF)|CI_PIPELINE_SOURCE|CI_DEFAULT_BRANCH|CI_MERGE_REQUEST"
)
_ANY_REFS = frozenset({"branches", "pushes"})


class Pipeline:
    """Reads the pipeline of a repository: its own files, and what they include of it."""

    def __init__(self, sources: Sources, projects: Projects, host: str) -> None:
        self._sources = sources
        self._projects = projects
        self._host = host
        self._jobs: dict[str, tuple[str, Table, int]] = {}
        self._globals: dict[str, Value] = {}
        self._left = _MOST_FILES

    def uploading(self) -> list[Job]:
        """Return the jobs that upload."""
        document = self._sources.document(CONFIGURATION)
        if document is None:
            return []
        self._add(document, 0)
        found = []
        for name in list(self._jobs)[:_MOST_JOBS]:
            if not name.startswith("."):
                job = self._job(name)
                if job.uploads:
                    found.append(job)
        return found

    def _add(self, document: Document, depth: int) -> None:
        """Add the jobs of a file; what it includes first, as its own replace those."""
        for path in _included(document.root.get("include")):
            self._left -= 1
            inner = self._sources.document(path) if self._left >= 0 and depth < _DEEPEST else None
            if inner is not None:
                self._add(inner, depth + 1)
        for key, value in document.root.pairs:
            if isinstance(value, Table) and key.text not in _NO_JOBS:
                before = self._jobs.get(key.text)
                table = value if before is None else _merged(before[1], value)
                self._jobs[key.text] = (document.name, table, key.line)
            elif key.text == "variables" and isinstance(value, Table):
                earlier = self._globals.get("variables")
                table = value if not isinstance(earlier, Table) else _merged(earlier, value)
                self._globals["variables"] = table
            elif key.text in _NO_JOBS:
                self._globals[key.text] = value

    def _job(self, name: str) -> Job:
        file, _, line = self._jobs[name]
        table = self._extended(name, ())
        default = self._globals.get("default")
        defaults = default if isinstance(default, Table) else EMPTY
        spot = Spot(file, line)
        job = Job(
            provider=Provider.GITLAB,
            file=CONFIGURATION,
            started=CONFIGURATION,
            name=name,
            spot=spot,
            environment=self._environment(table),
            has_identity=bool(table.table("id_tokens").pairs or defaults.table("id_tokens").pairs),
        )
        shell = Shell(self._projects, self._variables(table), self._undefined)
        for section in ("before_script", "script", "after_script"):
            value = table.get(section) or defaults.get(section) or self._globals.get(section)
            self._note_script(job, file, self._lines(value, 0), shell)
        cache = table.get("cache") or defaults.get("cache") or self._globals.get("cache")
        if cache is not None and _restores(cache):
            key = table.key("cache")
            job.caches.append(Spot(file, key.line) if key else spot)
        if self._is_any_branch(table):
            job.any_branch = spot
        return job

    def _note_script(self, job: Job, file: str, texts: list[Text], shell: Shell) -> None:
        """Add to a job what its script does. Each line sees the variables of those before it."""
        for text in texts:
            found = read(text.text, shell)
            job.builds += (Spot(file, text.first_line + line) for line in found.builds)
            job.hints += found.hints
            job.builds_all = job.builds_all or found.builds_all
            job.uploads += (
                Uploading(
                    Spot(file, text.first_line + each.line),
                    Kind.COMMAND,
                    each.tool,
                    each.places,
                    each.has_secret,
                    (file, text.start),
                    each.paths,
                )
                for each in found.uploads
            )

    def _extended(self, name: str, seen: tuple[str, ...]) -> Table:
        """Return a job with what it extends."""
        if name not in self._jobs or name in seen or len(seen) > _DEEPEST:
            return EMPTY
        table = self._jobs[name][1]
        whole = EMPTY
        for text in table.texts("extends"):
            whole = _merged(whole, self._extended(text.text, (*seen, name)))
        return _merged(whole, table)

    def _lines(self, value: Value | None, depth: int) -> list[Text]:
        """Return the lines of a script, with what `!reference` names."""
        match value:
            case List(tag="!reference", values=[Text() as job, Text() as section]):
                if depth > _DEEPEST:
                    return []
                return self._lines(self._extended(job.text, ()).get(section.text), depth + 1)
            case List():
                return [text for each in value.values for text in self._lines(each, depth + 1)]
            case _:
                return texts_in(value)

    def _variables(self, table: Table) -> dict[str, Texts]:
        """Return a job's variables, with those of the pipeline; they may name each other."""
        whole = self._globals.get("variables")
        values = dict(_assigned(whole)) | dict(_assigned(table.table("variables")))
        values |= self._predefined()
        return {name: (self._expanded(value, values, 0),) for name, value in values.items()}

    def _expanded(self, text: str, values: Mapping[str, str], depth: int) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name not in values or depth >= _DEEPEST:
                return self._undefined(name)
            return self._expanded(values[name], values, depth + 1)[:1000]

        return _VARIABLE.sub(value, text[:10_000])

    def _predefined(self) -> dict[str, str]:
        host = self._host or "gitlab.com"
        return {
            "CI_API_V4_URL": f"https://{host}/api/v4",
            "CI_SERVER_URL": f"https://{host}",
            "CI_SERVER_HOST": host,
        }

    @staticmethod
    def _undefined(name: str) -> str:
        """Return what a variable is that the file does not set: GitLab's, or one with a secret."""
        return UNKNOWN_TEXT if name.startswith(("CI_", "GITLAB_")) else SECRET_TEXT

    def _environment(self, table: Table) -> str | None:
        value = table.get("environment")
        if isinstance(value, Table):
            value = value.get("name")
        if not isinstance(value, Text) or value.is_null:
            return ""
        values = {name: each[0] for name, each in self._variables(table).items()}
        text = self._expanded(value.text, values, 0)
        return None if UNKNOWN_TEXT in text or SECRET_TEXT in text else text

    def _is_any_branch(self, table: Table) -> bool:
        """Whether nothing asks for which branch or tag a job runs."""
        workflow = self._globals.get("workflow")
        rules = [*_rules(table), *(_rules(workflow) if isinstance(workflow, Table) else ())]
        if any(_WHICH.search(rule) for rule in rules):
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


def _included(value: Value | None) -> Iterator[str]:
    """Yield the files of the same repository that a pipeline includes."""
    for each in value.values if isinstance(value, List) else [value]:
        match each:
            case Text(text=text) if not text.startswith(("http:", "https:")):
                yield text.lstrip("/")
            case Table() if local := each.text("local"):
                yield local.text.lstrip("/")


def _merged(below: Table, above: Table) -> Table:
    """Return two tables as one, as GitLab merges them: tables in them too, lists not."""
    pairs = {key.text: (key, value) for key, value in below.pairs}
    for key, value in above.pairs:
        earlier = pairs.get(key.text)
        if earlier and isinstance(value, Table) and isinstance(earlier[1], Table):
            pairs[key.text] = (key, _merged(earlier[1], value))
        else:
            pairs[key.text] = (key, value)
    return Table(tuple(pairs.values()), above.line, above.start, above.end)


def _assigned(value: Value | None) -> Iterator[tuple[str, str]]:
    """Yield variables, in both forms that GitLab has for them."""
    for name, each in value.items() if isinstance(value, Table) else ():
        text = each.text("value") if isinstance(each, Table) else each
        if isinstance(text, Text):
            yield name, text.text


def _rules(table: Table) -> Iterator[str]:
    rules = table.get("rules")
    for rule in rules.values if isinstance(rules, List) else ():
        if isinstance(rule, Table) and (text := rule.text("if")):
            yield text.text


def _restores(cache: Value) -> bool:
    caches = cache.values if isinstance(cache, List) else (cache,)
    return any(
        isinstance(each, Table)
        and each.pairs
        and ((policy := each.text("policy")) is None or policy.text != "push")
        for each in caches
    )
