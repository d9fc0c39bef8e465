"""A pull request on GitHub, as its workflow's run and its checkout see it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from support.e2e.act import OURS, act, stand_ins_for
from support.e2e.commands import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from support.e2e.machine import Machine
    from support.e2e.world import World

_IDENTITY = ("-c", "user.name=e2e", "-c", "user.email=e2e")
_ANNOTATION = re.compile(r"::(error|warning|notice)(?: ([^:\n]*))?::([^\n]*)")
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Steps on this machine have a terminal, other than on GitHub."""

_STEP = re.compile(r"^\[[^\]\n]+\] +⚙ +Summary - (.*?)(?=^\[)", re.DOTALL | re.MULTILINE)
"""How act shows a summary: in the log, up to its own next line."""

Tree = dict[str, "str | None"]
"""Files by path; `None` is a file that is deleted."""


@dataclass(frozen=True)
class Annotation:
    """What the runner shows at a line of a file; `where` has the fields of its command."""

    level: str
    where: dict[str, str]
    text: str

    @property
    def place(self) -> tuple[str, int]:
        """The file and the line."""
        return self.where.get("file", ""), int(self.where.get("line", 0))


@dataclass(frozen=True)
class Reviewed:
    """How a workflow ended, with debug logging on, and the summaries of its steps."""

    succeeded: bool
    log: str
    summary: str

    @property
    def annotations(self) -> list[Annotation]:
        """The annotations, in the order of the log."""
        return [
            Annotation(level, dict(each.split("=", 1) for each in fields.split(",") if each), text)
            for level, fields, text in _ANNOTATION.findall(self.log)
        ]

    def rows(self) -> dict[str, list[str]]:
        """Return the cells of the table of changes, by package: what, before, now."""
        return {
            name[1]: [what.removesuffix(" "), before, now]
            for line in self.summary.splitlines()
            if (cells := [each.strip() for each in line.strip("|").split(" | ")])
            and len(cells) == 3
            and (name := re.fullmatch(r"\*\*(.+)\*\*<br>(.+)", cells[0]))
            for what, before, now in [(name[2], cells[1], cells[2])]
        }


class PullRequest:
    """A repository with a pull request, on whose merge commit GitHub runs the workflow."""

    def __init__(self, folder: Path, base: Tree, changed: Tree) -> None:
        self.folder = folder / "origin"
        self._home = folder / "home"
        self._home.mkdir()
        self.folder.mkdir()
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("remote", "add", "origin", "https://github.com/octo-org/sample-project")
        self._commit(base, "Base")
        self._git("checkout", "--quiet", "-b", "feature")
        self._commit(changed, "Change")
        self._git("checkout", "--quiet", "main")
        # The base branch has moved on.
        self._commit({"meanwhile.txt": "something else\n"}, "Meanwhile")
        self._git("checkout", "--quiet", "--detach")
        self._git("merge", "--quiet", "--no-ff", "-m", "Merge", "feature")
        self._git("update-ref", "refs/pull/1/merge", "HEAD")

    def review(
        self,
        workflow: str,
        world: World,
        action: Path,
        machine: Machine | None,
        *,
        is_fork: bool = False,
        event: str = "pull_request",
        job: Mapping[str, str] | None = None,
    ) -> Reviewed:
        """Run a workflow for the pull request: no secret, and no token with any permission."""
        text = (self.folder / ".github" / "workflows" / f"{workflow}.yml").read_text()
        path = self._home / "event.json"
        path.write_text(json.dumps(self._event(is_fork) if event == "pull_request" else {}))
        shown = {
            "STAND_IN_REPOSITORY": str(self.folder),
            "STAND_IN_UV": str(Path(sys.executable).parent),
        }
        if machine is not None:
            shown["ATTESTED_PUBLISH_DOCKER_ARGS"] = machine.run_arguments
            shown["ATTESTED_PUBLISH_DOCKER_BUILD_ARGS"] = machine.build_arguments
        done = act(
            event,
            workflow,
            self.folder,
            *("--eventpath", str(path), "--no-skip-checkout"),
            actions={OURS: action, **stand_ins_for(text)},
            variables={
                "INDEX": world.upload_url,
                "SIMPLE": world.index_url,
                "TRUST": str(world.trust_config),
            },
            secrets={},
            job=shown | dict(job or {}),
            environment={} if machine is None else machine.environment,
            home=self._home,
        )
        log = _STYLE.sub("", done.stdout)
        # act shows the summary once more when the step around it has ended.
        return Reviewed(done.returncode == 0, log, "".join(dict.fromkeys(_STEP.findall(log))))

    def _event(self, is_fork: bool) -> dict[str, object]:
        owner = "somebody-else" if is_fork else "octo-org"
        return {
            "number": 1,
            "pull_request": {
                "number": 1,
                "base": {"ref": "main", "repo": {"full_name": "octo-org/sample-project"}},
                "head": {
                    "ref": "feature",
                    "repo": {"full_name": f"{owner}/sample-project", "fork": is_fork},
                },
            },
            "repository": {"full_name": "octo-org/sample-project", "default_branch": "main"},
        }

    def _commit(self, tree: Tree, message: str) -> None:
        for name, text in tree.items():
            path = self.folder / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "-m", message)

    def _git(self, *arguments: str) -> None:
        run("git", *_IDENTITY, *arguments, cwd=self.folder)
