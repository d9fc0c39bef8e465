"""What an index's page says of a release's provenance, and how it compares with the one before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attested_publish.attestations.verify import publisher_fields
from attested_publish.net.untrusted import shown
from attested_publish.rules.provenance_states import (
    ABSENT,
    UNKNOWN,
    Attested,
    File,
    Publisher,
    State,
    forecast_of,
)

if TYPE_CHECKING:
    from packaging.version import Version
    from pypi_attestations import Publisher as ProvenPublisher

    from attested_publish.consumer.verdict import Release, Verdict
    from attested_publish.report import Forecast


@dataclass(frozen=True)
class Comparison:
    """A release beside the one before it.

    `standing` is what the index's page says of it, as before the upload of a release (`Forecast`),
    but of verified attestations only. `now` and `then` are the publishers of this release and of
    the one before, by all that provenance names: none where no attestation is valid.
    """

    standing: Forecast
    now: tuple[ProvenPublisher, ...] = ()
    then: tuple[ProvenPublisher, ...] = ()

    @property
    def has_changed(self) -> bool:
        """Whether the publishers of the releases differ, be it only in the environment."""
        now, then = _keys(self.now), _keys(self.then)
        return bool(now) and bool(then) and now != then

    @property
    def has_lost(self) -> bool:
        """Whether the release before has provenance, and this one has none."""
        return State.LOST in self.standing.states


def compare(
    release: Release,
    verdicts: Sequence[Verdict],
    before: Version | None,
    earlier: Sequence[Verdict],
) -> Comparison:
    """Compare the files that are served of a release with those of the release `before`."""
    standing = forecast_of(
        (release.project, release.version), _files(verdicts), before, _files(earlier)
    )
    unknown = next((each for each in (*verdicts, *earlier) if _file(each) is UNKNOWN), None)
    if unknown is not None:
        standing = replace(standing, why_unknown=_why(unknown, release))
    return Comparison(standing, _distinct(verdicts), _distinct(earlier))


def _why(unknown: Verdict, release: Release) -> str:
    """Return why nothing is known of a file; what is wrong with a wanted one is said elsewhere."""
    filename = shown(unknown.wanted.filename)
    if unknown.wanted in release.wanted:
        return f"{filename} is invalid"
    return f"{filename}: {unknown.why_not.rstrip('.')}"


def _files(verdicts: Collection[Verdict]) -> list[File]:
    return [_file(verdict) for verdict in verdicts]


def _file(verdict: Verdict) -> File:
    if verdict.is_unattested:
        return ABSENT
    if not verdict.is_proven:
        return UNKNOWN
    try:
        publishers = [Publisher.of(publisher_fields(each)) for each in verdict.publishers]
    except ValueError:
        return UNKNOWN
    return Attested(frozenset(publishers))


def _distinct(verdicts: Iterable[Verdict]) -> tuple[ProvenPublisher, ...]:
    found = {
        publisher.model_dump_json(): publisher
        for verdict in verdicts
        if verdict.is_proven
        for publisher in verdict.publishers
    }
    return tuple(found.values())


def _keys(publishers: Iterable[ProvenPublisher]) -> set[str]:
    return {publisher.model_dump_json() for publisher in publishers}
