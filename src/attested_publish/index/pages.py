"""Read what an index serves of a project: its page in the simple repository API.

PyPI has the JSON form (PEP 691). Other indexes may have HTML only (PEP 503), at another place,
and for those alone who have credentials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

import requests

from attested_publish.distributions import Kind, kind_of, release_of
from attested_publish.index.credentials import authorization
from attested_publish.index.failures import quoted, unreachable, unusable
from attested_publish.index.html_page import TooManyLinks, tags
from attested_publish.index.project_page import PAGE_LIMIT, NotAPage, entries
from attested_publish.net.figures import count, moment
from attested_publish.net.http import Answer, LedAstray, TooLarge, ask
from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    from packaging.version import Version

    from attested_publish.distributions import Distribution
    from attested_publish.index.credentials import GivenCredentials
    from attested_publish.index.index import Index
    from attested_publish.problems import IndexUnusable

_JSON = "application/vnd.pypi.simple.v1+json"
_HTML = "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_DIGEST = re.compile(r"sha256[=-](?P<digest>[0-9a-fA-F]{64})")
_NOTHING_THERE = {HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
_PROVENANCE_SINCE = (1, 3)
"""The version of the simple API that has `provenance` (PEP 740)."""


class ProjectStatus(StrEnum):
    """A project's status marker (PEP 792)."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
    DEPRECATED = "deprecated"

    @property
    def takes_uploads(self) -> bool:
        """Whether an index may take files for such a project."""
        return self not in {ProjectStatus.ARCHIVED, ProjectStatus.QUARANTINED}


@dataclass(frozen=True, slots=True)
class IndexFile:
    """What an index serves for one file (PEP 503, 691, 700, 740); `size` in bytes, if given.

    `yanked` (PEP 592) is why the file was withdrawn, perhaps empty; `None`: it was not.
    """

    filename: str
    sha256: str | None
    url: str
    provenance_url: str | None
    size: int = 0
    uploaded_at: datetime | None = None
    yanked: str | None = None

    @property
    def kind(self) -> Kind | None:
        """What it is by its name; `None`: no distribution."""
        return kind_of(self.filename)

    @property
    def release(self) -> tuple[str | None, Version | None]:
        """Project and version in the filename, as `release_of` reads them."""
        return release_of(self.filename)


@dataclass(frozen=True)
class Page:
    """The page of one project.

    `is_of_pypi`: it has what only PyPI's server puts there together (a serial number and a status),
    and provenance nowhere else. `has_provenance`:
    the index serves provenance (PEP 740), of these files or of others.
    """

    files: Mapping[str, IndexFile]
    status: ProjectStatus = ProjectStatus.ACTIVE
    status_reason: str = ""
    is_of_pypi: bool = False
    has_provenance: bool = False

    def file(self, distribution: Distribution) -> IndexFile | None:
        """Return what is listed as a distribution.

        An index other than PyPI may spell the name in another way: then it is the file of the
        release that has the same bytes.
        """
        named = self.files.get(distribution.filename)
        if named is not None or self.is_of_pypi:
            return named
        alike = (each for each in self.files.values() if each.sha256 == distribution.sha256)
        of_it = distribution.kind, distribution.release
        return next((each for each in alike if (each.kind, each.release) == of_it), None)


@dataclass
class Pages:
    """The project pages of an index. Where they are, and who may read them, is found out once.

    `credentials` are used if nobody gets a page without them, and only at the index's own host.
    Threads may share it.
    """

    index: Index
    session: requests.Session
    credentials: GivenCredentials | None = None
    limit: int = PAGE_LIMIT
    """Bytes of a page that are read."""

    _place: int | None = field(default=None, init=False)
    _is_closed: bool = field(default=False, init=False)

    def page(self, project: str) -> Page | None:
        """Return the page of a project, bypassing caches; `None` if the index has no such project.

        Raises `IndexProblem` if the index cannot be reached, `IndexUnusable` if it answers with
        something else.
        """
        urls = self.index.simple_urls(project)
        odd: Answer | None = None
        for place in range(len(urls)) if self._place is None else [self._place]:
            found = self._look(urls[place])
            if isinstance(found, Page):
                self._place = place
                return found
            odd = found or odd
        if odd is not None:
            raise _no_page(self.index, odd)
        return None

    def _look(self, url: str) -> Page | Answer | None:
        """Return the page at one of the places, or what is no page; `None`: nothing is there."""
        # Another thread may find out in the meantime that the pages are closed.
        had_credentials = self._is_closed
        answer = self._ask(url, with_credentials=had_credentials)
        page = self._page_in(answer)
        if page is None and not had_credentials and self._may_be_closed(answer):
            known = self._ask(url, with_credentials=True)
            page = self._page_in(known)
            asks = HTTPStatus.UNAUTHORIZED
            if page is not None or (answer.status == asks and known.status != asks):
                self._is_closed = True
            if answer.status not in _NOTHING_THERE:
                answer = known
        return page or self._without_page(answer, url)

    def _may_be_closed(self, answer: Answer) -> bool:
        """Whether somebody with credentials may get a page where nobody else does.

        Some indexes say so (401), others that it is forbidden or not there, or show a login page.
        """
        is_refused = answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        is_hidden = answer.is_success or answer.status in _NOTHING_THERE
        return self.credentials is not None and not self.index.is_pypi and (is_refused or is_hidden)

    def _page_in(self, answer: Answer) -> Page | None:
        if answer.status != HTTPStatus.OK or not self.index.answers_at(answer.url):
            return None
        return _page(answer, self.index)

    def _without_page(self, answer: Answer, url: str) -> Answer | None:
        if answer.status in _NOTHING_THERE:
            return None
        is_elsewhere = not self.index.answers_at(answer.url)
        if is_elsewhere and answer.status == HTTPStatus.OK and not self.index.works_as_pypi:
            # pypiserver and GitLab send those who ask for what they do not have to PyPI.
            return None
        if is_elsewhere or answer.status != HTTPStatus.OK:
            raise unusable(
                self.index, f"{shown(url)} answered {quoted(self.index, answer)}", answer
            )
        return answer

    def _ask(self, url: str, *, with_credentials: bool) -> Answer:
        accepted = _JSON if self.index.works_as_pypi else f"{_JSON}, {_HTML}"
        headers = {"Accept": accepted, "Cache-Control": "no-cache"}
        given = self.credentials if with_credentials else None
        auth = authorization(given.user, given.password) if given else None
        try:
            return ask(self.session, "GET", url, headers=headers, limit=self.limit, auth=auth)
        except (LedAstray, TooLarge, requests.TooManyRedirects) as error:
            problem = unreachable(self.index, url, error)
            if self.index.is_pypi:
                raise problem from error
            # It did answer, and may take uploads nevertheless.
            raise unusable(self.index, problem.cause) from error
        except requests.RequestException as error:
            raise unreachable(self.index, url, error) from error


def _page(answer: Answer, index: Index) -> Page | None:
    """Read a page in either form; `None`: HTML without a single link to a distribution."""
    if "html" in answer.content_type.lower() and not index.works_as_pypi:
        try:
            return _html_page(answer)
        except TooManyLinks as error:
            raise _no_page(index, answer, str(error)) from error
    try:
        return _json_page(answer, index)
    except NotAPage as error:
        raise _no_page(index, answer, str(error)) from error


def _json_page(answer: Answer, index: Index) -> Page:
    files: dict[str, IndexFile] = {}
    members: dict[str, Any] = {}
    names_provenance = has_list = False
    for name, entry in entries(answer.body):
        if name != "files":
            members[name] = entry
        elif entry is None and not has_list:
            has_list = True
        else:
            file = _file(entry, answer.url)
            if file is None:
                raise unusable(index, f"{shown(answer.url)} lists a file without a name")
            names_provenance = names_provenance or "provenance" in entry
            files[file.filename] = file
    if not has_list:
        raise unusable(index, f"{shown(answer.url)} has no list of files")
    meta = _object(members.get("meta"))
    status = _object(members.get("project-status"))
    return Page(
        files=_own(files, answer.url),
        status=_status(status.get("status")),
        status_reason=str(status.get("reason") or ""),
        # pulp has a serial number, too, and proxies pass on PyPI's, with the addresses there.
        is_of_pypi="_last-serial" in meta
        and "project-status" in members
        and all(
            map(index.answers_at, filter(None, (each.provenance_url for each in files.values())))
        ),
        has_provenance=names_provenance or _version(meta.get("api-version")) >= _PROVENANCE_SINCE,
    )


def _file(entry: object, page: str) -> IndexFile | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
        return None
    hashes = entry.get("hashes")
    sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
    provenance = entry.get("provenance")
    return IndexFile(
        filename=entry["filename"],
        sha256=sha256.lower() if isinstance(sha256, str) else None,
        url=_full(page, entry.get("url")),
        provenance_url=_full(page, provenance) if isinstance(provenance, str) else None,
        size=count(entry.get("size")) or 0,
        # PEP 700: ISO 8601 in UTC, ending in Z.
        uploaded_at=moment(entry.get("upload-time")),
        yanked=_yanked(entry.get("yanked")),
    )


def _yanked(value: object) -> str | None:
    # PEP 691: a boolean, or the reason, whose text counts as true.
    return value if isinstance(value, str) else "" if value is True else None


def _html_page(answer: Answer) -> Page | None:
    files: dict[str, IndexFile] = {}
    meta: dict[str, str] = {}
    has_provenance = False
    base: str | None = None
    for tag in tags(answer.body):
        if tag.name == "meta":
            meta[tag.attributes.get("name", "")] = tag.attributes.get("content", "")
            continue
        if tag.name == "base":
            # The first one counts.
            base = base or _full(answer.url, tag.attributes.get("href", ""))
            continue
        url = _full(base or answer.url, tag.attributes.get("href"))
        filename, digest = _named(url)
        if kind_of(filename) is None:
            continue
        provenance = tag.attributes.get("data-provenance")
        has_provenance = has_provenance or bool(provenance)
        files[filename] = IndexFile(
            filename=filename,
            sha256=digest,
            url=url,
            provenance_url=_full(base or answer.url, provenance) if provenance else None,
            yanked=tag.attributes.get("data-yanked"),
        )
    version = meta.get("pypi:repository-version", "")
    if not files and not version:
        # Such as the front page that some servers give for every address.
        return None
    return Page(
        files=_own(files, answer.url),
        status=_status(meta.get("pypi:project-status")),
        status_reason=meta.get("pypi:project-status-reason", ""),
        has_provenance=has_provenance or _version(version) >= _PROVENANCE_SINCE,
    )


def _own(files: dict[str, IndexFile], page: str) -> dict[str, IndexFile]:
    """Leave out what a devpi index inherits from its bases: it may have other bytes itself."""
    if "/+simple/" not in page:
        return files
    root = page.partition("/+simple/")[0]
    return {name: file for name, file in files.items() if file.url.startswith(f"{root}/")}


def _named(url: str) -> tuple[str, str | None]:
    """Return the filename in a link (PEP 503: its last part), and the sha256 in its fragment."""
    path, _, fragment = url.partition("#")
    match = _DIGEST.search(fragment)
    filename = unquote(path.partition("?")[0].rpartition("/")[2])
    return filename, match["digest"].lower() if match else None


def _full(page: str, url: object) -> str:
    """Return the full address of a link on a page; what is no address is left as it is."""
    if not isinstance(url, str):
        return ""
    try:
        full = urljoin(page, url)
        urlsplit(full)
    except ValueError:
        return url
    return full


def _status(text: object) -> ProjectStatus:
    # PEP 792: a client treats a marker that it does not know as `active`.
    return next((each for each in ProjectStatus if each == text), ProjectStatus.ACTIVE)


def _version(text: object) -> tuple[int, int]:
    match = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", text) if isinstance(text, str) else None
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _no_page(index: Index, answer: Answer, why: str = "") -> IndexUnusable:
    kind = shown(answer.content_type or "no content type", 80)
    because = "" if why in {"", "it is not JSON"} else f", as {why}"
    what = "a JSON object" if "html" not in kind or index.works_as_pypi else "a project page"
    return unusable(index, f"{shown(answer.url)} is not {what} ({kind}){because}", answer)
