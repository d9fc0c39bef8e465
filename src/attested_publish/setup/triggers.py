"""What starts a workflow: its events, and for which branches and tags."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from attested_publish.setup.documents import EMPTY, Document, List, Table, Text, texts_in
from attested_publish.setup.expressions import UNKNOWN, Possible
from attested_publish.setup.jobs import Spot
from attested_publish.setup.scopes import ANY_BRANCH, ANY_TAG

CALL = "workflow_call"
UNTRUSTED = ("pull_request_target", "workflow_run", "issue_comment")
"""Events that strangers can cause, and that run with the repository's own rights."""

_EVERYTHING = frozenset({"*", "**", "**/*", "*/**", "**/**"})


@dataclass(frozen=True)
class Event:
    """An event that starts a workflow, with its filters."""

    name: str
    spot: Spot
    filters: Table = EMPTY

    @property
    def is_any_branch(self) -> bool:
        """Whether it is a push to a branch of any name."""
        if self.name != "push":
            return False
        branches = [text.text for text in self.filters.texts("branches")]
        if branches:
            # The last pattern that fits decides; what leaves out a few branches allows any other.
            wide = [name for name in branches if name.removeprefix("!") in _EVERYTHING]
            return bool(wide) and not wide[-1].startswith("!")
        has_tags = self.filters.get("tags") or self.filters.get("tags-ignore")
        return not has_tags or self.filters.get("branches-ignore") is not None

    @property
    def is_tag_only(self) -> bool:
        """Whether the ref can only be a tag."""
        has_branches = self.filters.get("branches") or self.filters.get("branches-ignore")
        has_tags = self.filters.get("tags") or self.filters.get("tags-ignore")
        return self.name == "release" or (
            self.name == "push" and has_tags is not None and has_branches is None
        )


@dataclass(frozen=True)
class When:
    """What is supposed to have started a workflow: one of several events, for one of some refs."""

    events: Possible
    refs: Possible = (UNKNOWN,)

    @classmethod
    def of(cls, events: list[Event]) -> When:
        """Return what is known of a workflow that any of its events may start."""
        is_tag_only = bool(events) and all(event.is_tag_only for event in events)
        names = tuple(event.name for event in events) or (UNKNOWN,)
        return cls(names, (ANY_TAG,) if is_tag_only else (UNKNOWN,))

    @classmethod
    def on(cls, event: Event) -> When:
        """Return what is known when this event has started it, for a push: to any branch."""
        return cls((event.name,), (ANY_BRANCH,))


def events_of(document: Document) -> list[Event]:
    """Return the events that start a workflow, each once."""
    return list({event.name: event for event in _events(document)}.values())


def _events(document: Document) -> Iterator[Event]:
    match document.root.get("on"):
        case Table() as table:
            for key, value in table.pairs:
                filters = value if isinstance(value, Table) else EMPTY
                yield Event(key.text, Spot(document.name, key.line), filters)
        case Text() | List() as value:
            for text in texts_in(value):
                yield Event(text.text, Spot(document.name, text.line))
        case None:
            pass


_WHOSE = re.compile(
    r"head\.repo|head_repo|author_association|github\.actor|github\.triggering_actor|sender"
    r"|\.user\.|\.fork\b|workflow_run\.event|\.actor\b"
)
_WHICH = re.compile(r"github\.(?:ref|event|base_ref|head_ref)|GITHUB_(?:REF|EVENT)", re.IGNORECASE)


def asks_whose(condition: str) -> bool:
    """Whether a condition asks who caused an event."""
    return bool(_WHOSE.search(condition))


def asks_which(condition: str) -> bool:
    """Whether a condition asks for ref, tag or event."""
    return bool(_WHICH.search(condition))
