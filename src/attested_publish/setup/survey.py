"""Look at a repository: who it is, what it has of projects, what publishes, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.setup import projects as projects_of
from attested_publish.setup.documents import require_yaml
from attested_publish.setup.gitlab import CONFIGURATION, Pipeline
from attested_publish.setup.jobs import Spot
from attested_publish.setup.other_services import OtherServices
from attested_publish.setup.publishers import Publisher, wanted
from attested_publish.setup.reading import Deadline, Tree
from attested_publish.setup.remote import GITHUB, GITLAB, Remote, remote_of
from attested_publish.setup.rules import Finding, findings
from attested_publish.setup.sources import WORKFLOWS, Sources
from attested_publish.setup.workflows import Workflows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attested_publish.setup.jobs import Job
    from attested_publish.setup.projects import Projects

_FOR_PROJECTS = 1 / 3
"""The share of the time that reading the projects may take."""

_MOST_NAMED = 5


@dataclass
class Survey:
    """What was found. `notices` are sentences about what was left out, or could not be read."""

    tree: Tree
    remote: Remote | None
    projects: Projects
    jobs: list[Job] = field(default_factory=list)
    publishers: list[Publisher] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    sources: Sources | None = None
    may_publish: dict[Spot, str] = field(default_factory=dict)
    """Where something may publish that was not looked into, and what else there is to say of it."""


def top_of(path: Path) -> Path:
    """Return the folder of the repository that a folder is in; itself if it is in none."""
    folder = path.resolve()
    marks = (".git", ".github", CONFIGURATION)
    return next(
        (
            each
            for each in (folder, *folder.parents)
            if any((each / mark).exists() for mark in marks)
        ),
        folder,
    )


def survey(root: Path, tree: Tree | None = None, deadline: Deadline | None = None) -> Survey:
    """Read the repository at `root`, or as `tree` has it; what the deadline leaves out is noted.

    Raises `SetupProblem` if YAML cannot be read.
    """
    require_yaml()
    tree = tree or Tree(root)
    deadline = deadline or Deadline()
    remote, which = remote_of(root)
    projects = projects_of.find(tree, deadline.part(_FOR_PROJECTS))
    found = Survey(tree, remote, projects)
    found.notices += [which] if which else []
    found.notices += _not_read(dict(projects.not_read))
    _read_github(found, deadline)
    _read_gitlab(found, deadline)
    _read_others(found, deadline)
    if remote is None and found.jobs:
        found.notices.append(
            "No git remote is on github.com or gitlab.com, so the owner and the name of the "
            "repository are not known."
        )
    return found


def _read_github(found: Survey, deadline: Deadline) -> None:
    remote = found.remote
    if remote and remote.may_run_workflows:
        if (found.tree.root / WORKFLOWS).is_dir():
            found.notices.append(
                f"The repository is on {remote.host}, not on github.com: PyPI accepts no identity "
                "tokens from there, so its workflows have no trusted publishers."
            )
        return
    own = remote if remote and remote.host == GITHUB else None
    facts = {"repository": own.path, "repository_owner": own.owner} if own else {}
    sources = Sources(found.tree, own.path if own else "", deadline)
    workflows = Workflows(sources, found.projects, facts)
    jobs = workflows.uploading()
    found.sources = sources
    found.jobs += jobs
    found.publishers += wanted(jobs, found.projects, own)
    found.findings += findings(jobs, workflows.elsewhere.values())
    _note(found, sources, workflows.may_publish)


def _read_gitlab(found: Survey, deadline: Deadline) -> None:
    remote = found.remote
    if not found.tree.has(CONFIGURATION):
        return
    if remote and remote.host not in {GITLAB, GITHUB}:
        found.notices.append(
            f"The repository is on {remote.host}, not on gitlab.com: its pipeline has no trusted "
            "publishers on PyPI."
        )
        return
    own = remote if remote and remote.host == GITLAB else None
    sources = Sources(found.tree, "", deadline, reads_all=True)
    pipeline = Pipeline(sources, found.projects, own.host if own else "")
    jobs = pipeline.uploading()
    found.jobs += jobs
    found.publishers += wanted(jobs, found.projects, own)
    found.findings += findings(jobs, ())
    found.notices += pipeline.notices
    _note(found, sources, pipeline.may_publish)


def _read_others(found: Survey, deadline: Deadline) -> None:
    services = OtherServices(found.tree, found.projects, deadline)
    found.may_publish |= dict(sorted(services.may_publish()))
    found.notices += _not_read(services.problems)


def _note(found: Survey, sources: Sources, may_publish: Mapping[Spot, str]) -> None:
    unread = {Spot(name, 1): "" for name in sources.likely}
    found.may_publish |= dict(sorted({**unread, **may_publish}.items()))
    found.notices += _not_read(sources.problems)
    found.notices += (
        f"{name}: {what}{'; GitHub refuses such a file' if name.startswith(WORKFLOWS) else ''}."
        for name, what in sources.notes.items()
    )


def _not_read(problems: Mapping[str, str]) -> list[str]:
    """Return sentences on which files were not read, one for each reason."""
    names: dict[str, list[str]] = {}
    for name, why in problems.items():
        names.setdefault(why, []).append(name)
    return [
        f"{first_few(each)} "
        + (f"was not read: {why}." if len(each) == 1 else f"were not read; of each: {why}.")
        for why, each in names.items()
    ]


def first_few(names: Sequence[str]) -> str:
    """Return a few names, and how many more there are."""
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
