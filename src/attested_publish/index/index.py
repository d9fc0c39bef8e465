"""An index: its addresses, and what it can do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from urllib.parse import quote, urlsplit, urlunsplit

from attested_publish.identity.audiences import PYPI_AUDIENCES, SIGSTORE_AUDIENCE, is_reserved
from attested_publish.net.addresses import (
    PYPI_UPLOAD_URL,
    TESTPYPI_UPLOAD_URL,
    BadAddress,
    is_loopback,
    origin_of,
)
from attested_publish.net.secrecy import without_credentials
from attested_publish.net.untrusted import shown
from attested_publish.net.upload_addresses import for_upload
from attested_publish.problems import IndexProblem, Topic

_UPLOAD_HOSTS = {"upload.pypi.org": "pypi.org"}
_PLACES = frozenset({"legacy", "upload", "simple", "+simple"})
_NAMES = {"pypi.org": "PyPI", "test.pypi.org": "TestPyPI"}


class Dialect(StrEnum):
    """Which rules an index has, and what it can do beyond taking uploads.

    `pypi`: PyPI's rules, pages, trusted publishing and attestations. `attesting`: rules of its
    own, and provenance (PEP 740). `other`: uploads, and perhaps project pages. `unknown`: what
    it answers will show (see `dialect`).
    """

    PYPI = "pypi"
    ATTESTING = "attesting"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Index:
    """A package index, identified by the address that distributions are uploaded to."""

    upload_url: str
    dialect: Dialect

    @classmethod
    def at(cls, upload_url: str, dialect: Dialect | None = None) -> Index:
        """Check an upload address and return its index.

        Without a `dialect`, PyPI and TestPyPI have PyPI's; that of others is not known yet.

        PyPI's server requires the trailing slash of `/legacy/`, which is added if it is missing.
        Raises `IndexProblem` for an address that `for_upload` refuses.
        """
        try:
            parts = for_upload(upload_url)
        except BadAddress as error:
            raise _bad_address(without_credentials(upload_url), str(error)) from None
        index = cls(urlunsplit(parts), dialect or Dialect.UNKNOWN)
        if dialect is None and index.is_pypi:
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

        A token for the audience of PyPI, TestPyPI, Sigstore or another well-known service could be
        replayed there, so no other index gets one. An index on loopback may (a rehearsal, a copy
        of PyPI's server) if the identity provider is on loopback, too: its tokens are not valid
        anywhere else.
        """
        if not is_reserved(audience):
            return True
        if self.is_pypi:
            return audience == PYPI_AUDIENCES[self.host]
        is_sigstores = audience.strip().lower() == SIGSTORE_AUDIENCE
        return is_provider_local and is_loopback(self.host) and not is_sigstores

    def answers_at(self, url: str) -> bool:
        """Whether an answer from `url` comes from this index itself; no invalid address does."""
        try:
            origin = origin_of(url)
        except ValueError:
            return False
        return origin[1:] in {origin_of(own)[1:] for own in (self.root, self.upload_url)}

    def simple_url(self, project: str) -> str:
        """The project's page in the simple repository API."""
        return self.simple_urls(project)[0]

    def simple_urls(self, project: str) -> tuple[str, ...]:
        """Where the project's page may be: beside the upload address, or below it (devpi)."""
        name = quote(project, safe="")
        usual = f"{self._base}/simple/{name}/"
        if self.works_as_pypi or urlsplit(self.upload_url).path.endswith("/legacy/"):
            return (usual,)
        return usual, f"{self._base}/+simple/{name}/"

    @property
    def works_as_pypi(self) -> bool:
        """Whether PyPI's rules apply, and it can do what PyPI can."""
        return self.dialect is Dialect.PYPI

    @property
    def takes_attestations(self) -> bool:
        """Whether it is known to take attestations, and to serve them."""
        return self.dialect in {Dialect.PYPI, Dialect.ATTESTING}

    def provenance_url(self, project: str, version: str, filename: str) -> str:
        """Where PyPI serves a file's provenance (PEP 740)."""
        path = "/".join(quote(part, safe="") for part in (project, version, filename))
        return f"{self.root}/integrity/{path}/provenance"

    @property
    def _base(self) -> str:
        if self.is_pypi:
            return self.root
        path = urlsplit(self.upload_url).path.rstrip("/")
        last = path.rpartition("/")[2]
        # `upload` is Azure Artifacts'; an index may also take uploads where it lists projects.
        return self.root + (path.removesuffix(f"/{last}") if last in _PLACES else path).rstrip("/")


def _bad_address(url: str, why: str) -> IndexProblem:
    return IndexProblem(
        f"{shown(without_credentials(url), 200) or 'An empty repository-url'} is not an index",
        topic=Topic.INDEX_ADDRESS,
        detail=f"This address was not used, because {why}.",
        remedy=f"Set repository-url to an upload address, such as {PYPI_UPLOAD_URL} or "
        f"{TESTPYPI_UPLOAD_URL}.",
    )
