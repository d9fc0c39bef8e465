"""Locks and policies as JSON, for the way from the child that parsed them.

Each text and each list of indexes is there once: a lock may have 10,000 entries that share a
long one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from attested_publish.consumer.locks.expectations import Exempted, Expectation, Policy
from attested_publish.consumer.locks.model import (
    Format,
    Gap,
    Lock,
    LockedFile,
    LockedPackage,
    Remark,
    Source,
)
from attested_publish.rules.versions import parsed_version

if TYPE_CHECKING:
    from attested_publish.sandbox.questions import Answer


class _Numbers:
    """Values that are written once; where they occur, there is a number."""

    def __init__(self) -> None:
        self.of: dict[Any, int] = {}

    def __call__(self, value: Any) -> int:  # noqa: ANN401 - texts, or tuples of their numbers
        return self.of.setdefault(value, len(self.of))


def packed_lock(lock: Lock) -> Answer:
    """Return a lock as JSON."""
    text, indexes = _Numbers(), _Numbers()
    packages = [
        [
            text(each.name),
            text(each.version),
            each.source,
            each.line,
            text(each.path),
            indexes(tuple(map(text, each.index_urls))),
            text(each.origin),
            [[(text(key), text(value)) for key, value in one.items()] for one in each.identities],
            [(text(remark.message), remark.line, remark.gap) for remark in each.remarks],
            [
                (text(file.filename), text(file.sha256), file.line, text(file.url))
                for file in each.files
            ],
        ]
        for each in lock.packages
    ]
    return {
        "path": lock.path,
        "format": lock.format,
        "packages": packages,
        "indexes": list(indexes.of),
        "texts": list(text.of),
    }


def unpacked_lock(answer: Answer) -> Lock:
    """Return the lock that was packed."""
    texts: Sequence[Any] = answer["texts"]
    indexes = [tuple(texts[each] for each in numbers) for numbers in answer["indexes"]]
    packages = tuple(
        LockedPackage(
            name=texts[name],
            version=texts[version],
            files=tuple(
                LockedFile(texts[filename], texts[sha256], at, texts[url])
                for filename, sha256, at, url in files
            ),
            source=Source(source),
            line=line,
            path=texts[path],
            index_urls=indexes[urls],
            origin=texts[origin],
            identities=tuple({texts[key]: texts[value] for key, value in one} for one in pinned),
            remarks=tuple(Remark(texts[message], at, Gap(gap)) for message, at, gap in remarks),
        )
        for name, version, source, line, path, urls, origin, pinned, remarks, files in answer[
            "packages"
        ]
    )
    return Lock(answer["path"], Format(answer["format"]), packages)


def packed_policy(policy: Policy) -> Answer:
    """Return a policy as JSON."""
    projects = [
        [
            each.project,
            dict(each.identity),
            None if each.since is None else str(each.since),
            each.line,
            [
                (one.rule, one.reason, one.until and one.until.isoformat(), one.line, one.why_not)
                for one in each.exceptions
            ],
        ]
        for each in policy.projects.values()
    ]
    return {"path": policy.path, "projects": projects}


def unpacked_policy(answer: Answer) -> Policy:
    """Return the policy that was packed."""
    projects = {
        project: Expectation(
            project,
            identity,
            None if since is None else parsed_version(since),
            line,
            tuple(
                Exempted(rule, reason, until and date.fromisoformat(until), at, why_not)
                for rule, reason, until, at, why_not in exceptions
            ),
        )
        for project, identity, since, line, exceptions in answer["projects"]
    }
    return Policy(answer["path"], projects)
