"""An index: its addresses, what it serves, and the messages for its failures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import requests

from attested_publish.distributions import Kind, kind_of, release_of
from attested_publish.identity.audiences import PYPI_AUDIENCES, RESERVED_AUDIENCES
from attested_publish.index.project_page import PAGE_LIMIT, NotAPage, entries
from attested_publish.net.addresses import (
    PYPI_UPLOAD_URL,
    TESTPYPI_UPLOAD_URL,
    BadAddress,
    is_loopback,
)
from attested_publish.net.figures import count, moment
from attested_publish.net.http import BODY_LIMIT, Answer, ask
from attested_publish.net.secrecy import without_credentials
from attested_publish.net.unreachable import may_pass, why_unreachable
from attested_publish.net.untrusted import shown
from attested_publish.net.upload_addresses import for_upload
from attested_publish.problems import IndexProblem, IndexUnusable, Topic

if TYPE_CHECKING:
    from packaging.version import Version

_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_INTEGRITY_JSON = "application/vnd.pypi.integrity.v1+json"
_UPLOAD_HOSTS = {"upload.pypi.org": "pypi.org"}
_NAMES = {"pypi.org": "PyPI", "test.pypi.org": "TestPyPI"}


@dataclass(frozen=True)
class IndexFile:
    """What an index serves for one file (PEP 691, 700, 740); `size` in bytes, if it is given."""

    filename: str
    sha256: str | None
    url: str
    provenance_url: str | None
    size: int = 0
    uploaded_at: datetime | None = None

    @property
    def kind(self) -> Kind | None:
        """What it is by its name; `None`: no distribution."""
        return kind_of(self.filename)

    @property
    def release(self) -> tuple[str | None, Version | None]:
        """Project and version in the filename, as `release_of` reads them."""
        return release_of(self.filename)


class Dialect(StrEnum):
    """Which rules an index has, and what it can do beyond taking uploads.

    `pypi`: PyPI's rules, trusted publishing and attestations. `other`: nothing is known but the
    upload and the simple API.
    """

    PYPI = "pypi"
    OTHER = "other"


@dataclass(frozen=True)
class Index:
    """A package index, identified by the address that distributions are uploaded to."""

    upload_url: str
    dialect: Dialect

    @classmethod
    def at(cls, upload_url: str, dialect: Dialect | None = None) -> Index:
        """Check an upload address and return its index.

        Without a `dialect`, PyPI and TestPyPI have PyPI's, and so has an index on loopback: that
        is a copy of PyPI's server.

        PyPI's server requires the trailing slash of `/legacy/`, which is added if it is missing.
        Raises `IndexProblem` for an address that `for_upload` refuses.
        """
        try:
            parts = for_upload(upload_url)
        except BadAddress as error:
            raise _bad_address(without_credentials(upload_url), str(error)) from None
        index = cls(urlunsplit(parts), dialect or Dialect.OTHER)
        if dialect is None and (index.is_pypi or is_loopback(index.host)):
            index = replace(index, dialect=Dialect.PYPI)
        return index

    @cached_property
    def host(self) -> str:
        """The host that answers everything except uploads, in lower case."""
        host = (urlsplit(self.upload_url).hostname or "").lower()
        return _UPLOAD_HOSTS.get(host, host)

    @property
    def name(self) -> str:
        """The common name: PyPI, TestPyPI, or the host."""
        return _NAMES.get(self.host, self.root.partition("://")[2])

    @cached_property
    def is_pypi(self) -> bool:
        """Whether the index is PyPI or TestPyPI, by the exact host."""
        return self.host in _NAMES and urlsplit(self.upload_url).port in {None, 443}

    @cached_property
    def root(self) -> str:
        """Scheme, host and port, without a trailing slash."""
        if self.is_pypi:
            return f"https://{self.host}"
        parts = urlsplit(self.upload_url)
        return f"{parts.scheme}://{parts.netloc}"

    def may_ask_for(self, audience: str, *, is_provider_local: bool) -> bool:
        """Whether this index may receive identity tokens for `audience`.

        A token for PyPI's, TestPyPI's or Sigstore's audience could be replayed there, so no
        other index gets one. An index on loopback may (a rehearsal, a copy of PyPI's server) if
        the identity provider is on loopback, too: its tokens are not valid anywhere else.
        """
        if audience not in RESERVED_AUDIENCES:
            return True
        if self.is_pypi:
            return audience == PYPI_AUDIENCES[self.host]
        return is_provider_local and is_loopback(self.host) and audience != "sigstore"

    def answers_at(self, url: str) -> bool:
        """Whether an answer from `url` comes from this index itself."""
        return _origin(url) in {_origin(self.root), _origin(self.upload_url)}

    def simple_url(self, project: str) -> str:
        """The project's page in the simple repository API."""
        return f"{self._base}/simple/{quote(project, safe='')}/"

    def project_url(self, project: str, version: str | None = None) -> str:
        """The page for people."""
        page = f"{self.root}/project/{quote(project, safe='')}/"
        return page if version is None else f"{page}{quote(version, safe='')}/"

    def publishers_url(self, project: str, fields: Mapping[str, str]) -> str:
        """Where an existing project's publishers are managed, with the form prefilled (PyPI)."""
        return f"{self.root}/manage/project/{quote(project, safe='')}/settings/publishing/?" + (
            urlencode(fields)
        )

    @property
    def pending_publishers_url(self) -> str:
        """Where a publisher is registered for a project that does not exist yet (PyPI)."""
        return f"{self.root}/manage/account/publishing/"

    @property
    def works_as_pypi(self) -> bool:
        """Whether PyPI's rules apply, and it can do what PyPI can."""
        return self.dialect is Dialect.PYPI

    def provenance_url(self, project: str, version: str, filename: str) -> str:
        """Where PyPI serves a file's provenance (PEP 740)."""
        path = "/".join(quote(part, safe="") for part in (project, version, filename))
        return f"{self.root}/integrity/{path}/provenance"

    @property
    def _base(self) -> str:
        if self.is_pypi:
            return self.root
        path = urlsplit(self.upload_url).path.rstrip("/")
        return self.root + path.removesuffix("/legacy").rstrip("/")


def _origin(url: str) -> tuple[str, int | None]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(
        parts.scheme
    )


def files_of(index: Index, project: str, session: requests.Session) -> dict[str, IndexFile] | None:
    """Return the files of a project on the index, by filename; `None` if it has no such project.

    Requests the JSON form of the simple API (PEP 691), bypassing caches. Raises
    `IndexProblem` if the index cannot be reached or gives another answer.
    """
    url = index.simple_url(project)
    answer = _get(url, session, accept=_SIMPLE_JSON, index=index, limit=PAGE_LIMIT)
    if answer is None:
        return None
    files: dict[str, IndexFile] = {}
    has_list = False
    try:
        for name, entry in entries(answer.body):
            if name != "files":
                continue
            if entry is None and not has_list:
                has_list = True
                continue
            file = _file(entry)
            if file is None:
                raise _unusable(index, f"{shown(url)} lists a file without a name")
            files[file.filename] = file
    except NotAPage as error:
        raise _no_json(index, url, answer, str(error)) from error
    if not has_list:
        raise _unusable(index, f"{shown(url)} has no list of files")
    return files


def _file(entry: object) -> IndexFile | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
        return None
    hashes = entry.get("hashes")
    sha256 = hashes.get("sha256") if isinstance(hashes, dict) else None
    url, provenance = entry.get("url"), entry.get("provenance")
    return IndexFile(
        filename=entry["filename"],
        sha256=sha256.lower() if isinstance(sha256, str) else None,
        url=url if isinstance(url, str) else "",
        provenance_url=provenance if isinstance(provenance, str) else None,
        size=count(entry.get("size")) or 0,
        # PEP 700: ISO 8601 in UTC, ending in Z.
        uploaded_at=moment(entry.get("upload-time")),
    )


def provenance_of(
    index: Index, project: str, version: str, filename: str, session: requests.Session
) -> Mapping[str, Any] | None:
    """Return the provenance that the index serves for a file; `None` if it has none (yet).

    Raises `IndexProblem` as `files_of` does.
    """
    return provenance_at(index.provenance_url(project, version, filename), index, session)


def provenance_at(url: str, index: Index, session: requests.Session) -> Mapping[str, Any] | None:
    """Return the provenance at the address that an index gives; `None` if there is none.

    Raises `IndexProblem` as `files_of` does.
    """
    answer = _get(url, session, accept=_INTEGRITY_JSON, index=index)
    if answer is None:
        return None
    provenance = answer.json_object()
    if provenance is None:
        raise _no_json(index, url, answer)
    return provenance


def _get(
    url: str, session: requests.Session, *, accept: str, index: Index, limit: int = BODY_LIMIT
) -> Answer | None:
    headers = {"Accept": accept, "Cache-Control": "no-cache"}
    try:
        answer = ask(session, "GET", url, headers=headers, limit=limit)
    except requests.RequestException as error:
        raise unreachable(index, url, error) from error
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    if answer.status != HTTPStatus.OK:
        raise _unusable(index, f"{shown(url)} answered {quoted(index, answer)}", answer)
    return answer


def quoted(index: Index, answer: Answer, secrets: Iterable[str] = ()) -> str:
    """Return an answer's status with the index's message, or the other host that answered.

    Another host's answer is not quoted: it would look like the index's own message, and may come
    from a service that must not be visible from outside.
    """
    if index.answers_at(answer.url):
        return f"{answer.status}: {answer.told(secrets)}"
    host = urlsplit(answer.url).hostname
    return f"{answer.status} (from {shown(host, 80)}, which is not quoted)"


def _no_json(index: Index, url: str, answer: Answer, why: str = "") -> IndexUnusable:
    kind = shown(answer.content_type or "no content type", 80)
    because = "" if why in {"", "it is not JSON"} else f", as {why}"
    return _unusable(index, f"{shown(url)} is not a JSON object ({kind}){because}", answer)


def unreachable(index: Index, url: str, error: requests.RequestException) -> IndexProblem:
    """Return the problem that the index gave no answer, with the reason."""
    return IndexProblem(
        f"{index.name} could not be reached",
        topic=Topic.INDEX_UNREACHABLE,
        detail=f"No answer from {shown(url)}: {why_unreachable(error)}.",
        remedy="Check the address of the index and the network of the runner (proxy, firewall), "
        "then run again.",
        may_pass=may_pass(error),
    )


def _bad_address(url: str, why: str) -> IndexProblem:
    return IndexProblem(
        f"{shown(without_credentials(url), 200) or 'An empty repository-url'} is not an index",
        topic=Topic.INDEX_ADDRESS,
        detail=f"This address was not used, because {why}.",
        remedy=f"Set repository-url to an upload address, such as {PYPI_UPLOAD_URL} or "
        f"{TESTPYPI_UPLOAD_URL}.",
    )


def _unusable(index: Index, why: str, answer: Answer | None = None) -> IndexUnusable:
    return IndexUnusable(
        f"{index.name} gave an unexpected answer",
        topic=Topic.INDEX_UNEXPECTED,
        detail=f"{why}.",
        remedy="Check that repository-url is the index's upload address and that the index is "
        "available, then run again; a re-run uploads only what is missing.",
        may_pass=answer is not None and (answer.may_pass or answer.is_broken_off),
        retry_after=answer.retry_after if answer is not None else None,
    )
