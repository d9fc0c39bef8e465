"""Find what may publish from services other than GitHub's and GitLab's: only that it may.

PyPI's form for a publisher is filled in for neither of these, so their files are read line by line
and not evaluated. It is enough to know that a second workflow could publish what they publish.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.setup.commands import Found, Shell, read
from attested_publish.setup.jobs import Spot
from attested_publish.setup.reading import NotRead, is_utf8
from attested_publish.setup.tasks import Answer, Tasks, uploading_lines

if TYPE_CHECKING:
    from attested_publish.setup.projects import Projects
    from attested_publish.setup.reading import Deadline, Tree

_MOST_FILES = 100
_MOST_LINES = 10_000
_MOST_OF_A_FILE = 3
_LONGEST_LINE = 2000


@dataclass(frozen=True)
class _Service:
    """A service: its name, its files at the top (a pattern), and the folders of its files."""

    name: str
    files: str = ""
    folders: tuple[str, ...] = ()
    comment: str = "#"

    def has(self, name: str) -> bool:
        """Whether a file at the top of a repository is the service's."""
        return bool(self.files) and re.fullmatch(self.files, name, re.IGNORECASE) is not None


_SERVICES = (
    _Service("CircleCI", r"circle\.yml", (".circleci",)),
    _Service(
        "Azure Pipelines",
        r"\.?azure-pipelines?[\w.-]*\.ya?ml",
        (
            *(".azure-pipelines", ".azure-pipelines/templates", ".azuredevops"),
            *("azure-pipelines", "azure-pipelines/templates"),
        ),
    ),
    _Service("Travis CI", r"\.travis\.ya?ml"),
    _Service("AppVeyor", r"\.?appveyor[\w.-]*\.ya?ml", (".appveyor",)),
    _Service("Jenkins", r"Jenkinsfile[\w.-]*|[\w.-]+\.jenkinsfile", (".jenkins", "jenkins"), "//"),
    _Service("Buildkite", r"buildkite[\w.-]*\.ya?ml", (".buildkite",)),
    _Service("Bitbucket Pipelines", r"bitbucket-pipelines\.ya?ml"),
    _Service("Cirrus CI", r"\.cirrus\.(?:ya?ml|star)"),
    _Service("Drone", r"\.drone\.(?:ya?ml|jsonnet|star)"),
    _Service("Woodpecker CI", r"\.woodpecker\.ya?ml", (".woodpecker",)),
    _Service("Semaphore", "", (".semaphore",)),
    _Service("Forgejo Actions", "", (".forgejo/workflows", ".gitea/workflows")),
    _Service("builds.sr.ht", r"\.build\.ya?ml", (".builds",)),
    _Service("Craft", r"\.craft\.ya?ml"),
    _Service("AWS CodeBuild", r"buildspec[\w.-]*\.ya?ml"),
    _Service("Google Cloud Build", r"cloudbuild[\w.-]*\.(?:ya?ml|json)"),
)

_READ = re.compile(
    r".*(?:\.ya?ml|\.sh|\.json|\.groovy|\.jsonnet|\.star|jenkinsfile[\w.-]*)", re.IGNORECASE
)
_PROVIDER = re.compile(r"-?\s*(?:provider|deploy)\s*:\s*['\"]?pypi\b", re.IGNORECASE)
"""Travis CI's own way to upload."""

_TARGET = re.compile(r"-?\s*name\s*:\s*['\"]?pypi\b")
"""A target of Craft's, which another repository publishes to."""

_LEADING = re.compile(
    r"(?:-\s+|&[\w-]+\s+|['\"]?[\w.-]+['\"]?\s*:\s+|[|>][+-]?\s+|[\[{]\s*|(?:sh|bat)\b\s*\(?\s*)*"
)
"""What is before a command in a line of YAML, or of a Jenkinsfile."""

_IN_QUOTES = re.compile(r"(['\"]{1,3})(.*?)\1(?:\)|,.*)?")
_NO_COMMANDS = re.compile(r"(?:echo|printf|name|description|displayName)\b", re.IGNORECASE)
_FOR_PACKAGES = re.compile(r"publish|release|pypi|twine", re.IGNORECASE)
"""What is in the name of a task that may publish, where any job may have a secret."""


class OtherServices:
    """Reads the files of other services."""

    def __init__(self, tree: Tree, projects: Projects, deadline: Deadline) -> None:
        self._tree = tree
        self._projects = projects
        self._deadline = deadline
        self._tasks = Tasks(tree, projects)
        self.problems: dict[str, str] = {}

    def may_publish(self) -> Iterator[tuple[Spot, str]]:
        """Yield where something may publish, and of which service it is."""
        left = _MOST_FILES
        for name, service in self._files():
            left -= 1
            if left < 0:
                return
            if self._deadline.is_over:
                self.problems[name] = "the time was up"
                yield Spot(name, 1), service.name
                continue
            try:
                text = self._tree.text(name)
            except NotRead as why:
                self.problems[name] = str(why)
                yield Spot(name, 1), service.name
                continue
            found = sorted(set(self._lines(text or "", service)))[:_MOST_OF_A_FILE]
            yield from ((Spot(name, line), service.name) for line in found)

    def _files(self) -> Iterator[tuple[str, _Service]]:
        top = [name for name in self._tree.files("") if is_utf8(name)]
        for service in _SERVICES:
            names = [name for name in top if service.has(name)]
            for folder in service.folders:
                names += filter(is_utf8, self._tree.files(folder))
            for name in names:
                if _READ.fullmatch(name) and not (self._tree.root / name).is_dir():
                    yield name, service

    def _lines(self, text: str, service: _Service) -> Iterator[int]:
        """Yield the lines of a file, from 1, that may publish."""
        uploading = set(uploading_lines(text, (service.comment, "*")))
        for number, line in enumerate(text.splitlines()[:_MOST_LINES], 1):
            short = line.strip()[:_LONGEST_LINE]
            if self._deadline.is_over:
                return
            if not short or short.startswith(service.comment):
                continue
            if _PROVIDER.match(short) or (service.name == "Craft" and _TARGET.match(short)):
                yield number
                continue
            if any(self._does(each, number in uploading) for each in _commands(short)):
                yield number

    def _does(self, command: str, is_uploading: bool) -> bool:
        """Whether a command uploads, or runs what may."""
        if _NO_COMMANDS.match(command):
            return False
        found = read(command, Shell(self._projects))
        if found.uploads:
            return found.may_be_public
        return is_uploading or self._runs_one(found)

    def _is_script(self, name: str) -> bool:
        """Whether a name is a script's: an orb or a step of the service has a slash, too."""
        path = name.removeprefix("./")
        return name.endswith((".sh", ".py")) or path != name or self._tree.has(path)

    def _runs_one(self, found: Found) -> bool:
        """Whether a task or script that is run uploads, or may by its name."""
        for _, each in found.delegates:
            match self._tasks.answer(each):
                case Answer.YES:
                    return True
                case Answer.UNKNOWN:
                    named = (each.program, *each.names)
                    is_task = bool(each.program) or any(map(self._is_script, each.names))
                    if is_task and any(map(_FOR_PACKAGES.search, named)):
                        return True
                case Answer.NO:
                    pass
        return bool(found.by_setup_py)


def _commands(line: str) -> Iterator[str]:
    """Yield what may be commands in a line: without what is around them, and those of a list."""
    if _NO_COMMANDS.match(line.lstrip("- ")):
        return
    match = _LEADING.match(line)
    command = line[match.end() :] if match else line
    listed = command.rstrip(" ]})").split(", ") if line.endswith("]") or "[" in line else [command]
    for each in listed:
        quoted = _IN_QUOTES.fullmatch(each)
        yield quoted[2] if quoted else each
