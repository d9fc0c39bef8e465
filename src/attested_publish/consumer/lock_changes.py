"""What has changed since another lock in who publishes the packages: for people who review it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from attested_publish.consumer.lock_findings import Change, PackageChange

if TYPE_CHECKING:
    from attested_publish.consumer.identities import Identity
    from attested_publish.consumer.lock_verification import Held, LockVerification, Outcome
    from attested_publish.consumer.locks.model import LockedPackage

_MOST_REMOVED = 200
"""Removed packages whose publishers are looked up."""


def changes(held: Held, verification: LockVerification, outcome: Outcome) -> list[PackageChange]:
    """Return the packages that are not the same as in the lock that is compared with, by name."""
    if held.before is None:
        return []
    now: dict[str, list[LockedPackage]] = {}
    for package in held.lock.packages:
        now.setdefault(package.name, []).append(package)
    found = [
        *_added_or_changed(now, held.before.by_project, outcome),
        *_removed(held.before.by_project, now, verification, outcome),
    ]
    return sorted(found, key=lambda each: (list(Change).index(each.change), each.name))


def _added_or_changed(
    now: Mapping[str, Sequence[LockedPackage]],
    before: Mapping[str, Sequence[LockedPackage]],
    outcome: Outcome,
) -> Iterator[PackageChange]:
    for name, packages in now.items():
        old = before.get(name, ())
        if _what_counts(old) == _what_counts(packages):
            continue
        facts = [each for package in packages if (each := outcome.facts_of(package))]
        new_identities = _distinct(identity for each in facts for identity in each.identities)
        old_identities = _distinct(
            identity for each in facts if each.earlier for identity in each.earlier.identities
        )
        if not facts:
            left = [outcome.left[id(each)] for each in packages if id(each) in outcome.left]
            old_identities = _distinct(identity for each in left for identity in each.identities)
        if not old:
            change, old_identities = Change.ADDED, ()
        elif name in outcome.problems:
            change = Change.UNKNOWN
        elif {each.version for each in old} == {each.version for each in packages} and facts:
            # Other files of the same release.
            change = _change(old_identities or new_identities, new_identities)
        else:
            change = _change(old_identities, new_identities)
        yield PackageChange(
            name, change, _versions(old), _versions(packages), old_identities, new_identities
        )


def _removed(
    before: Mapping[str, Sequence[LockedPackage]],
    now: Mapping[str, Sequence[LockedPackage]],
    verification: LockVerification,
    outcome: Outcome,
) -> Iterator[PackageChange]:
    gone = [name for name in before if name not in now]
    looked_up = [package for name in gone[:_MOST_REMOVED] for package in before[name]]
    identities = verification.identities_of(looked_up, outcome)
    for name in gone:
        publishers = _distinct(
            identity for each in before[name] for identity in identities.get(id(each), ())
        )
        yield PackageChange(name, Change.REMOVED, _versions(before[name]), None, publishers)


def _change(old: Sequence[Identity], new: Sequence[Identity]) -> Change:
    if not old:
        return Change.ATTESTED_NOW if new else Change.UNATTESTED
    if not new:
        return Change.ATTESTATION_LOST
    return Change.SAME_PUBLISHER if set(new) <= set(old) else Change.PUBLISHER_CHANGED


def _what_counts(packages: Iterable[LockedPackage]) -> set[object]:
    return {
        (each.version, each.source, each.origin, frozenset(file.sha256 for file in each.files))
        for each in packages
    }


def _versions(packages: Iterable[LockedPackage]) -> str | None:
    found = dict.fromkeys(each.version or each.source.value for each in packages)
    return ", ".join(found) or None


def _distinct(identities: Iterable[Identity]) -> tuple[Identity, ...]:
    return tuple(dict.fromkeys(identities))
