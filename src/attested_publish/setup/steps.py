"""The steps of a job, with those of the repository's own composite actions in their places."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attested_publish.setup.addresses import UNKNOWN_TEXT
from attested_publish.setup.documents import List, Table, Text
from attested_publish.setup.expressions import UNKNOWN, Possible, pieces
from attested_publish.setup.jobs import Spot
from attested_publish.setup.scopes import Scope, any_of

if TYPE_CHECKING:
    from attested_publish.setup.commands import Texts
    from attested_publish.setup.sources import Sources

_MOST_STEPS = 1000
_DEEPEST = 8
_OUR_NAME = "attested-publish"
_BRANCHES = re.compile(r"\b(?:if|case|while|for)\b|&&|\|\|")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Step:
    """A step that does something itself: it runs a script, or uses an action of others.

    `conditions` are its own and those of the composite actions around it. `folder` is its working
    directory. `is_ours` says that the repository is that of our action, and that it uses it.
    """

    file: str
    table: Table
    scope: Scope
    conditions: tuple[tuple[str, Scope], ...] = ()
    folder: str = ""
    shell: str = ""
    is_ours: bool = False
    is_dead: bool = False
    """Whether its condition, or that of an action around it, is never true."""

    @property
    def uses(self) -> str:
        """The action that it uses, without the version; empty if it runs a script."""
        text = self.table.text("uses")
        return text.text.strip().partition("@")[0].strip() if text else ""

    @property
    def version(self) -> str:
        """The version of the action."""
        text = self.table.text("uses")
        return text.text.strip().partition("@")[2].strip() if text else ""

    @property
    def is_pinned(self) -> bool:
        """Whether what it uses is pinned by a full commit or a digest, or is the repository's."""
        if self.uses.startswith(("./", "$/")) or self.uses == ".":
            return True
        if self.uses.startswith("docker://"):
            return self.version.startswith("sha256:")
        return bool(_COMMIT.fullmatch(self.version))

    def spot(self, name: str) -> Spot:
        """Where a key of the step is, or the step itself."""
        key = self.table.key(name)
        return Spot(self.file, key.line if key else self.table.line)

    def given(self, *names: str) -> Text | None:
        """Return an input of the action, by any of its names."""
        table = self.table.table("with")
        for key, value in table.items():
            if key.lower() in names and isinstance(value, Text) and not value.is_null:
                return value
        return None


class Steps:
    """Reads the steps of one job. `sources` has the repository's actions."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._left = _MOST_STEPS
        self._exported: dict[str, tuple[str, Scope]] = {}

    def export(self, step: Step, variables: Iterable[tuple[str, Texts]]) -> None:
        """Note the variables that a step sets for those after it, or may set."""
        found: dict[str, tuple[str, ...]] = {}
        for name, values in variables:
            found[name] = tuple(dict.fromkeys((*found.get(name, ()), *values)))
        is_certain = all(scope.truth(text) == {True} for text, scope in step.conditions)
        script = step.table.text("run")
        has_branches = script is not None and _BRANCHES.search(script.text) is not None
        for name, values in found.items():
            # Two values in a script with branches are taken to be one for each.
            earlier: Possible = ()
            if not is_certain or (has_branches and len(values) == 1):
                text, scope = self._exported.get(name) or step.scope.env.get(name, ("", Scope()))
                earlier = scope.values(text)
            known = (UNKNOWN_TEXT if each is UNKNOWN else str(each) for each in earlier)
            self._exported[name] = any_of(tuple(dict.fromkeys((*values, *known))))

    def of_job(self, file: str, job: Table, scope: Scope, defaults: Table) -> Iterator[Step]:
        """Yield the steps of a job, in order."""
        run = {}
        for table in (defaults.table("run"), job.table("defaults").table("run")):
            for name in ("working-directory", "shell"):
                if text := table.text(name):
                    run[name] = text.text
        folder = scope.value(run.get("working-directory", ""))
        yield from self._steps(
            file,
            job.get("steps"),
            scope,
            conditions=(),
            folder=UNKNOWN_TEXT if folder is None else folder,
            shell=run.get("shell", ""),
            depth=0,
        )

    def _steps(
        self,
        file: str,
        steps: object,
        scope: Scope,
        *,
        conditions: tuple[tuple[str, Scope], ...],
        folder: str,
        shell: str,
        depth: int,
        is_dead: bool = False,
    ) -> Iterator[Step]:
        for table in steps.values if isinstance(steps, List) else ():
            if not isinstance(table, Table):
                continue
            self._left -= 1
            if self._left < 0:
                return
            around = scope
            if self._exported:
                around = replace(scope, env={**scope.env, **self._exported}, _known={})
            inner = around.within(env=table.table("env"))
            own = conditions
            never = is_dead
            if text := table.text("if"):
                own = (*conditions, (text.text, inner))
                never = never or around.truth(text.text) == {False}
            given = table.text("working-directory")
            place = folder if given is None else _folder(given.text, around)
            shell_of_it = table.text("shell")
            named_shell = shell_of_it.text if shell_of_it else shell
            step = Step(file, table, inner, own, place, named_shell, is_dead=never)
            action = self._sources.action(step.uses) if depth < _DEEPEST else None
            if action is None:
                yield step
            elif _is_ours(action[1]):
                yield replace(step, is_ours=True)
            else:
                yield from self._inside(step, action, depth)

    def _inside(self, step: Step, action: tuple[str, Table], depth: int) -> Iterator[Step]:
        """Yield the steps of a composite action; the step itself for one of another kind."""
        file, table = action
        runs = table.table("runs")
        using = runs.text("using")
        if using is None or using.text != "composite":
            return
        inputs: dict[str, tuple[str, Scope]] = {}
        for name, declared in table.table("inputs").items():
            default = declared.text("default") if isinstance(declared, Table) else None
            inputs[name] = (default.text if default else "", Scope())
        inputs |= {
            name: (value.text, step.scope)
            for name, value in step.table.table("with").items()
            if isinstance(value, Text)
        }
        yield from self._steps(
            file,
            runs.get("steps"),
            step.scope.within(inputs=inputs),
            conditions=step.conditions,
            folder="",
            shell="",
            depth=depth + 1,
            is_dead=step.is_dead,
        )


def _folder(text: str, scope: Scope) -> str:
    """Return a working directory; what only a run will know of it is marked."""
    parts = (
        scope.value(f"${{{{{part}}}}}") if is_expression else part
        for is_expression, part in pieces(text)
    )
    return "".join(UNKNOWN_TEXT if part is None else part for part in parts) or UNKNOWN_TEXT


def _is_ours(action: Table) -> bool:
    """Whether a repository's own action is ours, by its name: forks have the same."""
    name = action.text("name")
    return name is not None and name.text == _OUR_NAME
