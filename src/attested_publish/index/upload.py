"""Upload distributions with twine: the only module that uses it.

The calls are those of `twine upload --attestations` (twine 7.0.0): a package is created from the
file, its attestations are added, and a repository object sends it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import requests
import rich
from twine.settings import Settings as TwineSettings

from attested_publish.distributions import Distribution, Kind
from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.package import read_package
from attested_publish.index.refusals import is_name_taken, not_sent, refusal
from attested_publish.index.twine_package import package_file
from attested_publish.net.http import Answer, Bounds, answer_of, bound
from attested_publish.net.parallel import in_parallel
from attested_publish.net.retry import Deadlines, GaveUp, Tell, persistently
from attested_publish.net.untrusted import shown
from attested_publish.problems import Problem, Topic, UploadRefused

if TYPE_CHECKING:
    from twine.package import PackageFile
    from twine.repository import Repository

    from attested_publish.index.contents import New
    from attested_publish.index.credentials import Credentials
    from attested_publish.index.index import Index
    from attested_publish.sandbox.pool import Sandbox

_ANSWER_LIMIT = 1 << 16
"""Bytes of an answer to an upload that are looked at; an index says what it has to in a few."""


class Outcome(Enum):
    """The outcome for a file that was sent."""

    UPLOADED = "uploaded"
    THERE = "refused, because the index has the same bytes"
    DOUBTFUL = "answered with success, but not as the index words it"
    NAME_TAKEN = "name taken"


@dataclass(frozen=True)
class Delivery:
    """How to upload a release: where to, how many files at a time, how patiently.

    With `skip_existing` a file whose name is taken is left as it is on the index.
    `is_there` asks the index whether it holds a file with the same bytes: after a lost
    answer the file may have arrived. `tell` is called with every wait. The
    files are read for twine in the `sandbox`; with `index_judges`, twine does not refuse any
    that it can read.
    """

    index: Index
    credentials: Credentials
    parallel: int
    skip_existing: bool
    deadlines: Deadlines
    is_there: Callable[[Distribution], bool]
    tell: Tell
    sandbox: Sandbox
    index_judges: bool = False


def upload(
    distributions: Sequence[Distribution],
    attestation_files: Mapping[str, Sequence[Path]],
    delivery: Delivery,
    *,
    new: New,
    begun: Callable[[Distribution], None],
    done: Callable[[Distribution, Outcome], None],
) -> None:
    """Upload distributions, each with its attestation files, if it has any.

    The first file of a project that the index does not have is uploaded alone: if the index
    refuses to create the project, nothing has been uploaded to the existing projects. Then come
    the first files of the other new releases (which create these releases), then the other
    wheels, several at a time, then the sdists, so that no installer builds from source while
    wheels are still being uploaded. `begun` is called before a file is first sent, `done` when
    the index has received it: if a run is stopped in between, the outcome is unknown.

    Raises `UploadProblem` (`UploadRefused`) for the first file that finally fails; uploads in
    progress are finished, and no further one is started.
    """
    courier = _Courier(delivery, attestation_files, begun)
    try:
        for batch in upload_order(distributions, new):
            for distribution, outcome in in_parallel(
                courier.deliver, batch, threads=delivery.parallel
            ):
                done(distribution, outcome)
    finally:
        courier.close()


def upload_order(distributions: Sequence[Distribution], new: New) -> list[list[Distribution]]:
    """Return batches to upload one after the other; a batch may be uploaded in parallel."""
    wheels = [each for each in distributions if each.kind is Kind.WHEEL]
    sdists = [each for each in distributions if each.kind is not Kind.WHEEL]
    first: list[Distribution] = []
    for release in sorted({each.release for each in distributions} & new.releases, key=str):
        of_release = [each for each in (*wheels, *sdists) if each.release == release]
        # The smallest wheel shows first whether the index accepts the release.
        first.append(min(of_release, key=lambda each: (each.kind is not Kind.WHEEL, each.size)))
    creating = [each for each in first if each.project in new.projects]
    batches = [
        *([each] for each in creating),
        [each for each in first if each not in creating],
        [each for each in wheels if each not in first],
        [each for each in sdists if each not in first],
    ]
    return [batch for batch in batches if batch]


class _Courier:
    """Sends files with twine, using one connection to the index for each thread."""

    def __init__(
        self,
        delivery: Delivery,
        attestation_files: Mapping[str, Sequence[Path]],
        begun: Callable[[Distribution], None],
    ) -> None:
        self._delivery = delivery
        self._begun = begun
        self._index = delivery.index
        self._attestation_files = attestation_files
        self._given_up = GaveUp()
        self._settings = TwineSettings(
            repository_url=delivery.index.upload_url,
            username=delivery.credentials.user,
            # Each request is authorized separately: the token may have been renewed.
            password="",
            attestations=bool(attestation_files),
            non_interactive=True,
            disable_progress_bar=True,
        )
        self._per_thread = threading.local()
        self._repositories: list[Repository] = []
        # twine prints on rich's global console; our output goes through a printer.
        rich.get_console().quiet = True

    def deliver(self, distribution: Distribution) -> Outcome:
        """Upload one file, with retries; raises `UploadProblem`."""
        try:
            package = self._package(distribution)
        except Problem:
            self._given_up.now()
            raise
        self._begun(distribution)
        tries = 0

        def try_once() -> Outcome:
            nonlocal tries
            tries += 1
            if tries > 1 and self._delivery.is_there(distribution):
                return Outcome.UPLOADED
            return self._send(distribution, package)

        try:
            return persistently(
                try_once, self._delivery.deadlines.upload, self._delivery.tell, self._given_up
            )
        except Problem as problem:
            if problem.may_pass and self._delivery.is_there(distribution):
                return Outcome.UPLOADED
            self._given_up.now()
            raise

    def close(self) -> None:
        """Close the connections of all threads."""
        for repository in self._repositories:
            repository.close()

    def _send(self, distribution: Distribution, package: PackageFile) -> Outcome:
        password = self._delivery.credentials.password
        answer = self._post(distribution, package, password)
        is_expired = answer.status == HTTPStatus.FORBIDDEN and "is expired" in answer.told()
        if is_expired and self._delivery.credentials.renew(password):
            password = self._delivery.credentials.password
            answer = self._post(distribution, package, password)
        if answer.is_success and not self._is_own_word(answer):
            # Something in between may have answered; sending identical bytes again is accepted.
            answer = self._post(distribution, package, password)
        if answer.is_success:
            return Outcome.UPLOADED if self._is_own_word(answer) else Outcome.DOUBTFUL
        if is_name_taken(answer):
            # Some indexes refuse the same bytes, too, and another run may have been faster.
            if self._delivery.is_there(distribution):
                return Outcome.THERE
            if self._delivery.skip_existing:
                return Outcome.NAME_TAKEN
        is_minted = not isinstance(self._delivery.credentials, GivenCredentials)
        raise refusal(self._index, distribution, answer, password, is_minted=is_minted)

    def _is_own_word(self, answer: Answer) -> bool:
        """Whether a success is worded as PyPI words it; other indexes use other words."""
        body = answer.body.strip()
        return not self._index.works_as_pypi or not body or b"200 OK" in body

    def _post(self, distribution: Distribution, package: PackageFile, password: str) -> Answer:
        repository = self._repository()
        repository.session.auth = (self._delivery.credentials.user, password)
        try:
            # One try: twine's own retries send the file again without asking or waiting.
            response = repository.upload(package, max_redirects=1)
            return answer_of(response, response.content[:_ANSWER_LIMIT])
        except requests.RequestException as error:
            raise not_sent(self._index, distribution, error) from error

    def _package(self, distribution: Distribution) -> PackageFile:
        try:
            read = read_package(
                self._delivery.sandbox, distribution, index_judges=self._delivery.index_judges
            )
            package = package_file(distribution.path, read)
        except Problem:
            raise
        except Exception as error:
            # For a bad file, twine lets any exception of its archive and metadata readers escape.
            raise UploadRefused(
                f"twine cannot upload {shown(distribution.filename)}",
                topic=Topic.UPLOAD_REFUSED,
                detail=f"twine cannot read the file's metadata: {shown(error)}",
                remedy="Build the file again with a current build backend.",
                file=distribution.filename,
            ) from error
        attestations = self._attestation_files.get(distribution.filename)
        if attestations:
            package.add_attestations([str(path) for path in attestations])
        return package

    def _repository(self) -> Repository:
        repository: Repository | None = getattr(self._per_thread, "repository", None)
        if repository is None:
            repository = self._settings.create_repository()
            seconds = self._delivery.deadlines.upload_answer
            bound(repository.session, Bounds(silence=seconds, total=seconds))
            self._per_thread.repository = repository
            self._repositories.append(repository)
        return repository
