"""Read the provenance of a file (PEP 740), as PyPI's integrity API serves it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import requests

from attested_publish.index.failures import quoted, unreachable, unusable
from attested_publish.net.addresses import BadAddress, refuse_step
from attested_publish.net.http import ask
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexUnusable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile

_INTEGRITY_JSON = "application/vnd.pypi.integrity.v1+json"


class ProvenanceRefused(IndexUnusable):
    """The index serves no provenance to anybody, such as while attestations are disabled."""


def provenance_of(
    index: Index, project: str, version: str, filename: str, session: requests.Session
) -> Mapping[str, Any] | None:
    """Return the provenance that the index serves for a file; `None` if it has none (yet).

    Raises as `provenance_at` does.
    """
    return provenance_at(index.provenance_url(project, version, filename), index, session)


def provenance_listed(
    file: IndexFile, index: Index, session: requests.Session
) -> Mapping[str, Any] | None:
    """Return the provenance that a project page lists for a file; `None` if it lists none.

    Raises as `provenance_at` does, and `IndexUnusable` for an address that may not be used.
    """
    if file.provenance_url is None:
        return None
    try:
        refuse_step(index.upload_url, file.provenance_url)
    except BadAddress as error:
        why = f"it lists the provenance at {shown(file.provenance_url, 200)}, but {error}"
        raise unusable(index, why) from error
    return provenance_at(file.provenance_url, index, session)


def provenance_at(url: str, index: Index, session: requests.Session) -> Mapping[str, Any] | None:
    """Return the provenance at the address that an index gives; `None` if there is none.

    Raises `IndexProblem` if the index cannot be reached, `IndexUnusable` for another answer;
    `ProvenanceRefused` if it refuses (PyPI: 403 "Attestations temporarily disabled").
    """
    headers = {"Accept": _INTEGRITY_JSON, "Cache-Control": "no-cache"}
    try:
        answer = ask(session, "GET", url, headers=headers)
    except requests.RequestException as error:
        raise unreachable(index, url, error) from error
    if answer.status == HTTPStatus.NOT_FOUND:
        return None
    if answer.status != HTTPStatus.OK:
        kind = ProvenanceRefused if answer.status == HTTPStatus.FORBIDDEN else IndexUnusable
        raise unusable(index, f"{shown(url)} answered {quoted(index, answer)}", answer, kind)
    provenance = answer.json_object()
    if provenance is None:
        content_type = shown(answer.content_type or "no content type", 80)
        raise unusable(index, f"{shown(url)} is not a JSON object ({content_type})", answer)
    return provenance
