"""Upload distributions with twine: the one module that knows it.

The calls are those behind `twine upload --attestations` (twine 7.0.0): a package
is made from the file, its attestations are added, a repository sends it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import requests
import rich
from twine.commands.upload import skip_upload
from twine.package import PackageFile
from twine.settings import Settings as TwineSettings

from attested_publish.distributions import Distribution, Kind
from attested_publish.foreign import sentence, shown
from attested_publish.http import limit_time
from attested_publish.index import Index, unreachable
from attested_publish.parallel import in_parallel
from attested_publish.problems import UploadProblem, UploadRefused

if TYPE_CHECKING:
    from packaging.version import Version
    from twine.repository import Repository

_UPLOAD_SECONDS = 300.0
"""Longest silence of an index while it works on an upload."""

_SHOWN_NAMES = 10


class Outcome(Enum):
    """What became of a file that was sent."""

    UPLOADED = "uploaded"
    NAME_TAKEN = "name taken"


@dataclass(frozen=True)
class Credentials:
    """What an upload is authorized with."""

    user: str
    password: str = field(repr=False)


def upload(
    distributions: Sequence[Distribution],
    attestation_files: Mapping[str, Path],
    index: Index,
    credentials: Credentials,
    *,
    new_releases: frozenset[tuple[str | None, Version | None]],
    parallel: int,
    skip_existing: bool,
    done: Callable[[Distribution, Outcome], None],
) -> None:
    """Upload distributions, each with its attestation file where there is one.

    The first file of a release that the index does not have yet goes alone (it
    creates the release there), then the other wheels, `parallel` at a time, then
    the sdists, so that no installer builds from source while wheels are on their
    way. `done` is called as each is. With `skip_existing` a file whose name is taken
    is left as it is on the index.

    Raises `UploadProblem` (`UploadRefused`) for the first file that fails; those in
    flight are finished, no further one is started.
    """
    courier = _Courier(index, credentials, attestation_files, skip_existing=skip_existing)
    public: list[Distribution] = []
    try:
        for batch in upload_order(distributions, new_releases):
            for distribution, outcome in in_parallel(courier.send, batch, threads=parallel):
                public.append(distribution)
                done(distribution, outcome)
    except UploadProblem as problem:
        problem.detail = f"{problem.detail}\n{_what_is_public(index, public)}"
        raise
    finally:
        courier.close()


def upload_order(
    distributions: Sequence[Distribution],
    new_releases: frozenset[tuple[str | None, Version | None]],
) -> list[list[Distribution]]:
    """Return batches to upload one after the other; files of a batch may go in parallel."""
    wheels = [each for each in distributions if each.kind is Kind.WHEEL]
    sdists = [each for each in distributions if each.kind is not Kind.WHEEL]
    first: list[Distribution] = []
    for release in sorted({each.release for each in distributions} & new_releases, key=str):
        of_release = [each for each in (*wheels, *sdists) if each.release == release]
        # The smallest wheel shows soonest whether the index accepts the release.
        first.append(min(of_release, key=lambda each: (each.kind is not Kind.WHEEL, each.size)))
    batches = [
        first,
        [each for each in wheels if each not in first],
        [each for each in sdists if each not in first],
    ]
    return [batch for batch in batches if batch]


class _Courier:
    """Sends files through twine, with one connection to the index a thread."""

    def __init__(
        self,
        index: Index,
        credentials: Credentials,
        attestation_files: Mapping[str, Path],
        *,
        skip_existing: bool,
    ) -> None:
        self._index = index
        self._attestation_files = attestation_files
        self._settings = TwineSettings(
            repository_url=index.upload_url,
            username=credentials.user,
            password=credentials.password,
            attestations=bool(attestation_files),
            non_interactive=True,
            disable_progress_bar=True,
        )
        self._credentials = credentials
        self._skip_existing = skip_existing
        self._per_thread = threading.local()
        self._repositories: list[Repository] = []
        # twine tells its story on rich's global console; ours is told by a reporter.
        rich.get_console().quiet = True

    def send(self, distribution: Distribution) -> Outcome:
        """Upload one file; raises `UploadProblem`."""
        package = self._package(distribution)
        try:
            response = self._repository().upload(package)
        except requests.RequestException as error:
            raise _not_sent(self._index, distribution, error) from error
        # Left to twine, which knows how the various indexes word it; its own setting
        # of the name is refused for all of them but PyPI.
        if skip_upload(response, self._skip_existing, package):
            return Outcome.NAME_TAKEN
        if response.status_code != HTTPStatus.OK:
            raise self._refused(distribution, response)
        return Outcome.UPLOADED

    def close(self) -> None:
        """Close the connections of all threads."""
        for repository in self._repositories:
            repository.close()

    def _package(self, distribution: Distribution) -> PackageFile:
        try:
            package = PackageFile.from_filename(str(distribution.path), comment=None)
        except Exception as error:
            # On a bad file twine lets out whatever its archive and metadata readers raise.
            raise UploadRefused(
                f"twine cannot upload {shown(distribution.filename)}",
                detail=f"It cannot read the file's metadata: {shown(error)}",
                remedy="Build the file anew with a current build backend.",
                file=distribution.filename,
            ) from error
        attestation = self._attestation_files.get(distribution.filename)
        if attestation is not None:
            package.add_attestations([str(attestation)])
        return package

    def _repository(self) -> Repository:
        repository: Repository | None = getattr(self._per_thread, "repository", None)
        if repository is None:
            repository = self._settings.create_repository()
            limit_time(repository.session, read=_UPLOAD_SECONDS)
            self._per_thread.repository = repository
            self._repositories.append(repository)
        return repository

    def _refused(self, distribution: Distribution, response: requests.Response) -> UploadProblem:
        status = response.status_code
        told = sentence(
            status=status,
            reason=(response.reason or "").replace(self._credentials.password, "***"),
            body=response.content[: 1 << 16].replace(self._credentials.password.encode(), b"***"),
            content_type=response.headers.get("Content-Type", ""),
        )
        name = shown(distribution.filename)
        said = f"{self._index.name} answered {status} to {name}: {told}"
        if response.is_redirect:
            return UploadProblem(
                f"{self._index.name} sends uploads elsewhere",
                detail=f"{said}\nIt wants them at "
                f"{shown(response.headers.get('Location', 'an unknown address'), 200)}.",
                remedy="If that address is right, set repository-url to it.",
                file=distribution.filename,
            )
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            return UploadProblem(
                f"{self._index.name} could not take {name}",
                detail=said,
                remedy="The index is out of order or overloaded: see its status page, and run "
                "again later; a re-run uploads only what is missing.",
                file=distribution.filename,
            )
        return UploadRefused(
            f"{self._index.name} refused {name}",
            detail=said,
            remedy=_remedy(status, told),
            file=distribution.filename,
        )


def _remedy(status: int, told: str) -> str:
    text = told.lower()
    if "already exist" in text or "previously used" in text:
        return "A filename is taken once and for all: publish these changes under a new version."
    if "token is expired" in text:
        return "Run again: a re-run gets a fresh token and uploads only what is missing."
    if "not valid for project" in text or "isn't allowed to upload" in text:
        return (
            "Add this job's trusted publisher to that project as well (one token serves every "
            "project it is registered on), or check the name of the project in the file."
        )
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return "Check the credentials: the token may be revoked, or meant for another index."
    return "Change what the index names, build again, and run again."


def _what_is_public(index: Index, public: Sequence[Distribution]) -> str:
    if not public:
        return "This run uploaded nothing."
    names = ", ".join(shown(each.filename) for each in public[:_SHOWN_NAMES])
    more = f" and {len(public) - _SHOWN_NAMES} more" if len(public) > _SHOWN_NAMES else ""
    return f"Public on {index.name} already: {names}{more}."


def _not_sent(
    index: Index, distribution: Distribution, error: requests.RequestException
) -> UploadProblem:
    why = unreachable(index, index.upload_url, error)
    return UploadProblem(
        f"{shown(distribution.filename)} could not be sent to {index.name}",
        detail=why.detail,
        remedy="The file may or may not have arrived. Run again: a re-run asks the index what "
        "it holds, and uploads only what is missing.",
        file=distribution.filename,
    )
