"""Why an index refuses a file or an identity, as a problem with a remedy; see `causes`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests

from attested_publish.index.causes import (
    BUSY,
    BY_STATUS,
    BY_WORDS,
    EXCHANGES,
    FIREWALL,
    REDIRECTS,
    Cause,
)
from attested_publish.index.failures import unreachable
from attested_publish.index.site import pending_publishers_url, publishers_url, settings_url
from attested_publish.net.unreachable import never_sent
from attested_publish.net.untrusted import LINE_LIMIT, shown, without_markup
from attested_publish.problems import Problem, Topic, UploadProblem, UploadRefused

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.identity.publishers import TrustedPublisher
    from attested_publish.index.index import Index
    from attested_publish.net.http import Answer

_EXCHANGE_STATUS = HTTPStatus.UNPROCESSABLE_ENTITY


def refusal(
    index: Index,
    distribution: Distribution,
    answer: Answer,
    password: str,
    *,
    is_minted: bool,
) -> UploadProblem:
    """Return the problem that an index answered an upload with anything but success.

    It may pass as the answer may; `password` is the one that was sent, and `is_minted` whether it
    is an API token that was minted for this job.
    """
    name = shown(distribution.filename)
    detail = f"{index.name} answered {answer.status} to {name}: {answer.told([password])}."
    cause = cause_of(answer)
    title = f"{index.name} refused {name}"
    kind: type[UploadProblem] = UploadRefused
    may_pass = answer.may_pass and cause is BUSY
    if answer.status in REDIRECTS:
        kind, title = UploadProblem, f"{index.name} redirects uploads"
        detail += f" It redirects to {shown(answer.location or 'no address', 200)}."
    elif may_pass:
        kind, title = UploadProblem, f"{index.name} could not accept {name}"
    remedy = cause.remedy if is_minted else cause.given or cause.remedy
    return kind(
        title,
        topic=cause.topic,
        detail=detail,
        remedy=remedy.format_map(_values(index, distribution)),
        file=distribution.filename,
        may_pass=may_pass,
        retry_after=answer.retry_after if may_pass else None,
    )


def cause_of(answer: Answer) -> Cause:
    """Return why an index refused a file: the first cause of the table that explains the answer.

    What the index says is looked at first, then its reason phrase, then a page as a whole:
    some indexes say it in one, some in the other. What is quoted does not count, because it is
    what somebody named something.
    """
    for message in _messages(answer):
        for cause in BY_WORDS:
            if cause.words is not None and cause.explains(answer.status, message):
                return cause
    if FIREWALL.explains(answer.status, "") and _is_bare_page(answer):
        return FIREWALL
    return next(
        cause
        for cause in (*BY_WORDS, *BY_STATUS)
        if cause.words is None and cause.explains(answer.status, "")
    )


def is_name_taken(answer: Answer) -> bool:
    """Whether an index refuses a file because it already has one with that name.

    The same check is in twine, but its own option for this works only with PyPI.
    """
    return not answer.is_success and cause_of(answer).is_name_taken


def is_name_used(answer: Answer) -> bool:
    """Whether an index refuses a filename because it had a file of that name once."""
    return not answer.is_success and cause_of(answer).name == "name-used-before"


def exchange_cause(description: str) -> Cause | None:
    """Return the cause of a refused exchange that PyPI describes so; `None` for others."""
    message = plain(shown(description))
    return next((each for each in EXCHANGES if each.explains(_EXCHANGE_STATUS, message)), None)


def remedy_for_job(cause: Cause, index: Index, publisher: TrustedPublisher) -> str:
    """Return the remedy for a refused exchange."""
    values = {**_links(index), "index": index.name, "provider": shown(publisher.provider)}
    return cause.remedy.format_map(values)


def not_sent(
    index: Index, distribution: Distribution, error: requests.RequestException
) -> UploadProblem:
    """Return the problem that a file could not be sent, or that no answer came."""
    why: Problem = unreachable(index, index.upload_url, error)
    # TLS may also break after the file was sent.
    is_unsent = never_sent(error) and not isinstance(error, requests.exceptions.SSLError)
    received = "" if is_unsent else "The file may or may not have been received. "
    problem = UploadProblem(
        f"{shown(distribution.filename)} could not be uploaded to {index.name}",
        topic=Topic.UPLOAD_FAILED,
        detail=why.detail,
        remedy=f"{received}Run again: a re-run asks the index what it has, and uploads only what "
        "is missing.",
        file=distribution.filename,
        may_pass=why.may_pass,
    )
    problem.may_have_arrived = not is_unsent
    return problem


def plain(message: str) -> str:
    """Return a message in lower case, without what it quotes, and without its preamble.

    The preamble is a status, or what Pyramid (PyPI's server) says of the status in JSON.
    """
    unquoted = _QUOTED.sub("'…'", " ".join(message.split()))
    return _PREAMBLE.sub("", unquoted.lower())


_QUOTED = re.compile(
    # An apostrophe within a word neither opens nor closes; repr() escapes quotation marks. What
    # was cut off need not close.
    r"""(?<![\w\\])'(?:[^'\\]|\\.|(?<=\w)'(?=\w))*+(?:'|(?<=…)$)"""
    r"""|(?<!\\)"(?:[^"\\]|\\.)*+(?:"|(?<=…)$)"""
)
_PREAMBLE = re.compile(
    r"^(?:\d{3}:? )?(?:client error: )?(?:the server could not comply with the request since it "
    r"is either malformed or otherwise incorrect\.|access was denied to this resource\.|there was "
    r"a conflict when trying to complete your request\.|the resource (?:could not be found|has "
    r"been moved to)[.;]?|the action could not be performed because there were too many requests "
    r"by the client\.)? ?"
)


def _messages(answer: Answer) -> Iterator[str]:
    told = answer.told()
    field, _, sentence = told.partition(": ")
    told = plain(sentence if field in (answer.json_object() or {}) else told)
    # A login page is recognized by where it is.
    yield f"{told} redirects to {answer.location.lower()}" if answer.location else told
    # Not shown to anybody, so nothing needs to be masked in it.
    yield plain(answer.reason[:LINE_LIMIT])
    if answer.json_object() is None:
        yield plain(without_markup(answer.body.decode("utf-8", errors="replace")))


def _is_bare_page(answer: Answer) -> bool:
    """Whether an answer is a web page whose status line says no more than its status."""
    is_page = "html" in answer.content_type.lower() or answer.body.lstrip()[:1] == b"<"
    reason = answer.reason.removeprefix(str(answer.status)).strip()
    return is_page and reason.lower() in {"", HTTPStatus(answer.status).phrase.lower()}


def _values(index: Index, distribution: Distribution) -> Mapping[str, str]:
    """Return what remedies are filled in with."""
    project = shown(distribution.project)
    return {
        "index": index.name,
        "file": shown(distribution.filename),
        "project": project,
        **_links(index, project),
    }


def _links(index: Index, project: str = "") -> Mapping[str, str]:
    """Return the links in remedies, in brackets; empty for an index without PyPI's pages."""
    links = {
        "publishers": publishers_url(index, project),
        "pending": pending_publishers_url(index),
        "settings": settings_url(index, project),
        "account": f"{index.root}/manage/account/",
        "names": f"{index.root}/help/#project-name",
        "limits": "https://docs.pypi.org/project-management/storage-limits/",
        "quarantine": "https://blog.pypi.org/posts/2024-12-30-quarantine/",
    }
    return {
        "status_page": " (https://status.python.org)" if index.is_pypi else "",
        **{name: f" ({url})" if index.works_as_pypi else "" for name, url in links.items()},
    }
