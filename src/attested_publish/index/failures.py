"""The messages for an index that does not answer, or not as it should."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from attested_publish.net.unreachable import may_pass, why_unreachable
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexProblem, IndexUnusable, Topic

if TYPE_CHECKING:
    import requests

    from attested_publish.index.index import Index
    from attested_publish.net.http import Answer


def quoted(index: Index, answer: Answer, secrets: Iterable[str] = ()) -> str:
    """Return an answer's status with the index's message, or the other host that answered.

    Another host's answer is not quoted: it would look like the index's own message, and may come
    from a service that must not be visible from outside.
    """
    if index.answers_at(answer.url):
        return f"{answer.status}: {answer.told(secrets)}"
    host = urlsplit(answer.url).hostname
    return f"{answer.status} (from {shown(host, 80)}, which is not quoted)"


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


def unusable(
    index: Index,
    why: str,
    answer: Answer | None = None,
    kind: type[IndexUnusable] = IndexUnusable,
) -> IndexUnusable:
    """Return the problem that an answer of the index cannot be used; `why` has no full stop."""
    return kind(
        f"{index.name} gave an unexpected answer",
        topic=Topic.INDEX_UNEXPECTED,
        detail=f"{why}.",
        remedy="Check that repository-url is the index's upload address and that the index is "
        "available, then run again; a re-run uploads only what is missing.",
        may_pass=answer is not None and (answer.may_pass or answer.is_broken_off),
        retry_after=answer.retry_after if answer is not None else None,
    )
