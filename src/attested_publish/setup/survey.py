"""Look at a repository: who it is, what it has of projects, what publishes, what is wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.setup import projects as projects_of
from attested_publish.setup.documents import require_yaml
from attested_publish.setup.gitlab import CONFIGURATION, Pipeline
from attested_publish.setup.publishers import Publisher, wanted
from attested_publish.setup.reading import Tree
from attested_publish.setup.remote import GITHUB, GITLAB, Remote, remote_of
from attested_publish.setup.rules import Finding, findings
from attested_publish.setup.sources import WORKFLOWS, Sources
from attested_publish.setup.workflows import Workflows

if TYPE_CHECKING:
    from attested_publish.setup.jobs import Job
    from attested_publish.setup.projects import Projects


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


def survey(root: Path, tree: Tree | None = None) -> Survey:
    """Read the repository at `root`, or as `tree` has it.

    Raises `SetupProblem` if YAML cannot be read.
    """
    require_yaml()
    tree = tree or Tree(root)
    remote = remote_of(root)
    projects = projects_of.find(tree)
    found = Survey(tree, remote, projects)
    found.notices += (f"{name} was not read: {why}." for name, why in projects.not_read)
    _read_github(found)
    _read_gitlab(found)
    if remote is None and found.jobs:
        found.notices.append(
            "git knows no remote on github.com or gitlab.com, so the owner and the "
            "name of the repository are not known."
        )
    return found


def _read_github(found: Survey) -> None:
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
    sources = Sources(found.tree, own.path if own else "")
    workflows = Workflows(sources, found.projects, facts)
    jobs = workflows.uploading()
    found.sources = sources
    found.jobs += jobs
    found.publishers += wanted(jobs, found.projects, own)
    found.findings += findings(jobs, workflows.elsewhere.values())
    _note(found, sources)


def _read_gitlab(found: Survey) -> None:
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
    sources = Sources(found.tree, "")
    jobs = Pipeline(sources, found.projects, own.host if own else "").uploading()
    found.jobs += jobs
    found.publishers += wanted(jobs, found.projects, own)
    found.findings += findings(jobs, ())
    _note(found, sources)


def _note(found: Survey, sources: Sources) -> None:
    found.notices += (f"{name} was not read: {why}." for name, why in sources.problems.items())
    found.notices += (
        f"{name}: {what}; GitHub refuses such a file." for name, what in sources.notes.items()
    )
