"""Upload distributions with twine: the only module that uses it.

The calls are those of `twine upload --attestations` (twine 7.0.0): a package is created from the
file, its attestations are added, and a repository object sends it.
"""

from __future__ import annotations

import codecs
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import requests
import rich
from twine.settings import Settings as TwineSettings

from attested_publish.index.credentials import GivenCredentials, authorization
from attested_publish.index.in_flight import Flights, Limits, Order
from attested_publish.index.package import read_package
from attested_publish.index.refusals import is_name_taken, is_name_used, not_sent, refusal
from attested_publish.index.twine_package import package_file
from attested_publish.net.http import Answer, Bounds, answer_of, bound
from attested_publish.net.parallel import in_parallel
from attested_publish.net.retry import Tell, persistently
from attested_publish.net.sending import telling_what_is_sent
from attested_publish.net.stopping import Stopped
from attested_publish.net.untrusted import shown
from attested_publish.problems import Problem, Topic, UploadRefused

if TYPE_CHECKING:
    from twine.package import PackageFile
    from twine.repository import Repository

    from attested_publish.distributions import Distribution
    from attested_publish.index.contents import New
    from attested_publish.index.credentials import Credentials
    from attested_publish.index.index import Index
    from attested_publish.net.patience import Deadlines
    from attested_publish.sandbox.pool import Sandbox

_ANSWER_LIMIT = 1 << 16
"""Bytes of an answer to an upload that are looked at; an index says what it has to in a few."""

_PLAIN_SUCCESSES = {HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}
"""What only something that takes uploads answers; 200 is also what any web page has."""

_GATEWAY_GAVE_UP = ("timeout", "timed out", "read error")
"""How a cache in front of an index words a 503 for an upload that it did pass on (Fastly)."""


class Outcome(Enum):
    """The outcome for a file that was sent."""

    UPLOADED = "uploaded"
    THERE = "refused, because the index has the same bytes"
    DOUBTFUL = "answered with success, but with a web page or garbage"
    NAME_TAKEN = "name taken"


@dataclass(frozen=True)
class Delivery:
    """How to upload a release: where to, how many files at a time, how patiently.

    `parallel` is the setting `parallel-uploads`, `None` its `auto` (see `Limits`). With
    `skip_existing` a file whose name is taken is left as it is on the index. `is_there` asks the
    index whether it holds a file with the same bytes: after a lost answer the file may have
    arrived. `tell` is called with every wait, and when a release goes on one file at a time, `sent`
    with the bytes that were sent of a file, while it is on its way, from 0 again with every try. It
    is called in the thread that sends. The files are read for twine in the `sandbox`; with
    `index_judges`, twine does not refuse any that it can read.
    """

    index: Index
    credentials: Credentials
    parallel: int | None
    skip_existing: bool
    deadlines: Deadlines
    is_there: Callable[[Distribution], bool]
    tell: Tell
    sandbox: Sandbox
    index_judges: bool = False
    sent: Callable[[Distribution, int], None] = lambda *_: None


def upload(
    distributions: Sequence[Distribution],
    attestation_files: Mapping[str, Sequence[Path]],
    delivery: Delivery,
    *,
    new: New,
    begun: Callable[[Distribution], None],
    done: Callable[[Distribution, Outcome], None],
    failed: Callable[[Distribution, Problem], None] = lambda *_: None,
) -> None:
    """Upload distributions, each with its attestation files, if it has any.

    The first file of a project that the index does not have is uploaded alone: if the index
    refuses to create the project, nothing has been uploaded to the existing projects. The first
    file of any other new release goes before the rest of that release, and sdists are started
    last (`Order`); how many go at a time depends on the index (`Limits`).

    `begun` is called before a file is first sent, `done` when the index has received it, `failed`
    when it finally failed: if a run is stopped in between, the outcome is unknown. `begun` and
    `failed` are called in the thread that sends.

    Raises `UploadProblem` (`UploadRefused`) for the first file that finally fails; uploads in
    progress are finished, and no further one is started.
    """
    flights = Flights(
        distributions,
        Order.of(distributions, new),
        Limits.asked_for(delivery.parallel, works_as_pypi=delivery.index.works_as_pypi),
        delivery.tell,
    )
    courier = _Courier(delivery, attestation_files, flights, begun, failed)
    try:
        for distribution, outcome in in_parallel(courier.deliver, flights, threads=flights.threads):
            done(distribution, outcome)
    finally:
        # Also if `done` fails: what waits for its turn is not started.
        flights.given_up.now()
        courier.close()


class _Courier:
    """Sends files with twine, using one connection to the index for each thread."""

    def __init__(
        self,
        delivery: Delivery,
        attestation_files: Mapping[str, Sequence[Path]],
        flights: Flights,
        begun: Callable[[Distribution], None],
        failed: Callable[[Distribution, Problem], None],
    ) -> None:
        self._delivery = delivery
        self._flights = flights
        self._begun = begun
        self._failed = failed
        self._index = delivery.index
        self._attestation_files = attestation_files
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
            return self._deliver(distribution)
        except BaseException as error:
            self._flights.given_up.now()
            if isinstance(error, Problem):
                self._failed(distribution, error)
            raise
        finally:
            self._flights.end(distribution)

    def _deliver(self, distribution: Distribution) -> Outcome:
        failures: list[Problem] = []
        try:
            package = self._package(distribution)
            return persistently(
                lambda: self._try(distribution, package, failures),
                self._delivery.deadlines.upload,
                self._delivery.tell,
                self._flights.given_up,
            )
        except Stopped:
            if not failures:
                raise
            problem = failures[-1]
        except Problem as final:
            problem = final
        if problem.may_pass and self._delivery.is_there(distribution):
            return Outcome.UPLOADED
        # An earlier try may have arrived, although the last one did not.
        problem.may_have_arrived = any(each.may_have_arrived for each in failures)
        raise problem

    def _try(
        self, distribution: Distribution, package: PackageFile, failures: list[Problem]
    ) -> Outcome:
        """Send a file once; unless it has arrived with one of the tries that failed."""
        if failures and self._delivery.is_there(distribution):
            return Outcome.UPLOADED
        with self._flights.sending(distribution):
            if not failures:
                self._begun(distribution)
            try:
                return self._send(distribution, package, failures)
            except Problem as problem:
                failures.append(problem)
                raise

    def close(self) -> None:
        """Close the connections of all threads."""
        for repository in self._repositories:
            repository.close()

    def _send(
        self, distribution: Distribution, package: PackageFile, failures: Sequence[Problem]
    ) -> Outcome:
        password = self._delivery.credentials.password
        answer = self._post(distribution, package, password)
        is_expired = answer.status == HTTPStatus.FORBIDDEN and "is expired" in answer.told()
        if is_expired and self._delivery.credentials.renew(password):
            password = self._delivery.credentials.password
            answer = self._post(distribution, package, password)
        if answer.is_success:
            return Outcome.DOUBTFUL if _says_nothing(answer) else Outcome.UPLOADED
        if is_name_taken(answer) or is_name_used(answer):
            # Some indexes refuse the same bytes, too: those of another run that was faster, or
            # of an earlier try whose answer was lost. PyPI does while it commits them: it has
            # seen no file of that name, and a moment later that the name is used.
            if self._delivery.is_there(distribution):
                is_own = any(each.may_have_arrived for each in failures)
                return Outcome.UPLOADED if is_own else Outcome.THERE
            if is_name_taken(answer):
                if self._delivery.skip_existing:
                    return Outcome.NAME_TAKEN
                if self._index.works_as_pypi:
                    # It accepts the same bytes again, so that others have the name.
                    for each in failures:
                        each.may_have_arrived = False
        is_minted = not isinstance(self._delivery.credentials, GivenCredentials)
        problem = refusal(self._index, distribution, answer, password, is_minted=is_minted)
        problem.may_have_arrived = _may_have_been_passed_on(answer)
        raise problem

    def _post(self, distribution: Distribution, package: PackageFile, password: str) -> Answer:
        repository = self._repository()
        repository.session.auth = authorization(self._delivery.credentials.user, password)
        try:
            with telling_what_is_sent(partial(self._sent, distribution)):
                # One try: twine's own retries send the file again without asking or waiting.
                response = repository.upload(package, max_redirects=1)
            return answer_of(response, response.content[:_ANSWER_LIMIT])
        except requests.RequestException as error:
            raise not_sent(self._index, distribution, error) from error

    def _sent(self, distribution: Distribution, count: int) -> None:
        # The body has the form, too, and the attestations.
        self._delivery.sent(distribution, min(count, distribution.size))

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


def _says_nothing(answer: Answer) -> bool:
    """Whether a success says nothing about the upload: a portal's or an index's web page, garbage.

    devpi answers an upload to its root so, and stores nothing. PyPI answers with a page, too, whose
    title is "200 OK". A few words without any markup are none, whatever their type: many
    frameworks call everything text/html.
    """
    if answer.status in _PLAIN_SUCCESSES:
        return False
    body = answer.body.strip().lower()
    if b"200 ok" in body:
        return False
    if "json" in answer.content_type.lower():
        return not _is_json(body)
    if b"\0" in body or not _is_text(body):
        return True
    is_called_html = "html" in answer.content_type.lower()
    return b"<html" in body or b"<!doctype html" in body or (is_called_html and b"<" in body)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body or b"null")
    except (ValueError, RecursionError):
        return False
    return True


def _is_text(body: bytes) -> bool:
    try:
        # What is cut off at the limit may end in the middle of a character.
        codecs.getincrementaldecoder("utf-8")().decode(body)
    except UnicodeDecodeError:
        return False
    return True


def _may_have_been_passed_on(answer: Answer) -> bool:
    """Whether an index may have stored a file although this is not a success.

    A refusal, "too many requests" and "unavailable" mean that it did not begin to; after another
    server error nobody knows how far it got.
    """
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        told = answer.told().lower()
        return any(words in told for words in _GATEWAY_GAVE_UP)
    return answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
