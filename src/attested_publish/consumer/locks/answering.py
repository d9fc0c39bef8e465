"""What the child answers that parses a large lock or policy: see `bounded`."""

from __future__ import annotations

from attested_publish.consumer.locks.exchange import packed_lock, packed_policy
from attested_publish.consumer.locks.expectations import parse_policy
from attested_publish.consumer.locks.model import LockError
from attested_publish.consumer.locks.reading import parse_lock
from attested_publish.sandbox.questions import Answer, Question, path_in


def lock(question: Question) -> Answer:
    """Parse a lock. `needs` in the answer: the files that it includes, to be given next time.

    `included` are those that are there already: their paths, or `None`, by their names.
    """
    included = question["included"]
    needs: dict[str, None] = {}

    def beside(name: str) -> bytes | None:
        if name not in included:
            needs[name] = None
            return b""
        given = included[name]
        return None if given is None else path_in({"path": given}).read_bytes()

    try:
        found = parse_lock(path_in(question).read_bytes(), question["filename"], beside=beside)
    except LockError as error:
        return {"needs": [*needs]} if needs else refusal(error)
    return {"needs": [*needs]} if needs else {"read": packed_lock(found)}


def policy(question: Question) -> Answer:
    """Parse a policy."""
    try:
        content = path_in(question).read_bytes()
        return {"read": packed_policy(parse_policy(content, question["filename"]))}
    except LockError as error:
        return refusal(error)


def refusal(error: LockError) -> Answer:
    """Return the answer that a file cannot be used."""
    return {"refused": error.detail, "line": error.line, "remedy": error.remedy}
