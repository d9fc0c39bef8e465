"""The trusted publishers that a repository needs: the fields of the form, and a link to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from attested_publish.identity.github import GitHubTrustedPublisher
from attested_publish.identity.gitlab import GitLabTrustedPublisher
from attested_publish.index.index import Index
from attested_publish.index.pages import Pages
from attested_publish.index.site import pending_publishers_url, publishers_url
from attested_publish.net.addresses import PYPI_UPLOAD_URL, TESTPYPI_UPLOAD_URL
from attested_publish.problems import IndexProblem
from attested_publish.setup.addresses import Place
from attested_publish.setup.jobs import Job, Provider
from attested_publish.setup.reading import Deadline

if TYPE_CHECKING:
    import requests

    from attested_publish.identity.publishers import FilePublisher
    from attested_publish.setup.projects import Projects
    from attested_publish.setup.remote import Remote

_UPLOAD_URLS = {Place.PYPI: PYPI_UPLOAD_URL, Place.TESTPYPI: TESTPYPI_UPLOAD_URL}
_MOST_ASKED = 50
_SECONDS = 10.0


@dataclass(frozen=True)
class Publisher:
    """A publisher to register, with the names of the report. What is not known is `None`.

    `index` is `pypi` or `testpypi`; `workflow` is a file's name, or GitLab's path of the pipeline.
    `environment` is `None` also where there is none; `has_unknown_environment` says which.
    """

    index: str | None
    project: str | None
    pending: bool | None
    provider: str
    owner: str | None
    repository: str | None
    workflow: str
    environment: str | None
    url: str | None = None
    has_unknown_environment: bool = False

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What PyPI compares with a job's identity."""
        environment = None if self.has_unknown_environment else self.environment or ""
        return self.provider, self.owner, self.repository, self.workflow, environment

    @property
    def is_complete(self) -> bool:
        """Whether all that the form requires is known."""
        is_known = None not in {self.index, self.project, self.owner, self.repository}
        return is_known and not self.has_unknown_environment

    def as_json(self) -> dict[str, Any]:
        """Return its part of the report."""
        found = asdict(self)
        del found["has_unknown_environment"]
        return found

    def fields(self) -> dict[str, str]:
        """Return what to enter, by the labels of the form."""
        return self._registered().fields

    def page(self) -> str | None:
        """Return the page of its form, with nothing filled in; `None` if its index is unknown."""
        return None if self.index is None else _page(self, {})

    def url_if_new(self) -> str | None:
        """Return the link for a project that does not exist, where that was not found out."""
        if self.pending is not None or self.url is None or self.project is None:
            return None
        return _link(replace(self, pending=True))

    def query(self) -> dict[str, str]:
        """Return what fills in the form, as far as it is known."""
        return {name: value for name, value in self._registered().query.items() if value}

    def _registered(self) -> FilePublisher:
        owner, repository = self.owner or "", self.repository or ""
        if self.provider == Provider.GITLAB:
            return GitLabTrustedPublisher(owner, repository, self.workflow, self.environment)
        return GitHubTrustedPublisher(owner, "", repository, self.workflow, self.environment)


def wanted(jobs: Iterable[Job], projects: Projects, remote: Remote | None) -> list[Publisher]:
    """Return the publishers that jobs need, each once, in the order of the jobs."""
    found: dict[Publisher, None] = {}
    deadline = Deadline(_SECONDS)
    for job in jobs:
        owner, repository = (None, None) if remote is None else (remote.owner, remote.name)
        is_github = job.provider is Provider.GITHUB
        workflow = PurePosixPath(job.file).name if is_github else job.file
        # With thousands of jobs and projects, which job publishes which is not worked out.
        names = (
            []
            if deadline.is_over
            else [
                each.name for each in projects.of_job(job.hints, job.needed_hints, job.builds_all)
            ]
        )
        for place in dict.fromkeys(place for each in job.uploads for place in each.places):
            if place is Place.OTHER:
                continue
            for name in names or [None]:
                found[
                    Publisher(
                        index=place.value if place.is_public else None,
                        project=name,
                        pending=None,
                        provider=job.provider.value,
                        owner=owner,
                        repository=repository,
                        workflow=workflow,
                        environment=job.environment or None,
                        has_unknown_environment=job.environment is None,
                    )
                ] = None
    return list(found)


def in_order(publishers: Iterable[Publisher]) -> list[Publisher]:
    """Sort publishers so that they can be registered one after the other, each with its link.

    Those of existing projects come first: an identity can have only one pending publisher, and
    what is published with it creates its project. Where the environment is not known there is no
    link: the form would accept what the link leaves out, which means any environment.
    """
    ordered = sorted(publishers, key=lambda each: (each.index == "testpypi", bool(each.pending)))
    return [replace(each, url=_link(each)) for each in ordered]


def _link(publisher: Publisher) -> str | None:
    if publisher.index is None or publisher.has_unknown_environment:
        return None
    fields = publisher.query()
    if publisher.project is not None and publisher.pending:
        fields["project_name"] = publisher.project
    return _page(publisher, fields)


def _page(publisher: Publisher, fields: Mapping[str, str]) -> str:
    index = Index.at(_UPLOAD_URLS[Place(publisher.index or "")])
    if publisher.project is None or publisher.pending:
        return pending_publishers_url(index, fields)
    return publishers_url(index, publisher.project, fields)


def asked(
    publishers: Iterable[Publisher], session: requests.Session
) -> Iterator[tuple[Publisher, IndexProblem | None]]:
    """Ask each index which projects exist. An index that could not be asked is not asked again."""
    known: dict[tuple[str, str], bool] = {}
    failed: dict[str, IndexProblem] = {}
    pages: Mapping[str, Pages] = {
        place.value: Pages(Index.at(url), session) for place, url in _UPLOAD_URLS.items()
    }
    for publisher in publishers:
        index, project = publisher.index, publisher.project
        if index is None or project is None or index in failed:
            yield publisher, None
            continue
        problem = None
        if (index, project) not in known and len(known) < _MOST_ASKED:
            try:
                known[index, project] = pages[index].page(canonicalize_name(project)) is None
            except IndexProblem as error:
                problem = failed[index] = error
        yield replace(publisher, pending=known.get((index, project))), problem
