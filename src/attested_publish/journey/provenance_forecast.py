"""Before the upload: what the index's page will say of each release's provenance.

What the index has is read in the background, while files are judged and the job is identified.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from attested_publish.console.forecast import in_words, publishers_in_words
from attested_publish.findings import Finding, Severity
from attested_publish.journey.served_provenance import ServedProvenance
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexRefuses, Stage, Topic
from attested_publish.rules.provenance_states import (
    ABSENT,
    UNKNOWN,
    Attested,
    File,
    Publisher,
    State,
    forecast_of,
)
from attested_publish.settings import VerifyMetadata

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.identity.publishers import TrustedPublisher
    from attested_publish.index.contents import Contents
    from attested_publish.journey.run import Run
    from attested_publish.journey.served_provenance import ReleaseThere
    from attested_publish.report import Forecast

PROVENANCE_CHANGED = "provenance-changed"
PROVENANCE_LOST = "provenance-lost"

_NO_NAME = "it depends on the job that signs the files"
_INTRUSION = "An intrusion looks like that, and so does a moved repository."


def provenance_meanwhile(
    run: Run, distributions: Sequence[Distribution], answer: Callable[[], Contents]
) -> ServedProvenance:
    """Begin to read the provenance of these releases, and of those before, as `answer` lists it."""
    return ServedProvenance(run, distributions, answer, may_stop=_is_strict(run))


def planned(
    distributions: Sequence[Distribution],
    publisher: TrustedPublisher | None = None,
    *,
    every: bool = False,
    attested: Collection[str] = (),
) -> dict[str, File]:
    """Return what files that are about to be uploaded will be, by filename.

    With `every`, all of them get attestations of this job's `publisher`; else those that are named
    in `attested`, as they have some. Without a publisher it is not known whose they will be.
    """
    fields = None if publisher is None else publisher.provenance
    by_this_job = UNKNOWN if fields is None else Attested(frozenset({Publisher.of(fields)}))
    return {
        each.filename: by_this_job if every or each.filename in attested else ABSENT
        for each in distributions
    }


def forecast(
    run: Run, served: ServedProvenance, contents: Contents, own: Mapping[str, File]
) -> None:
    """Note and print what the index's page will say of each release with files to upload.

    `own` is what these files will be, by filename. A source that changes, and provenance that is
    lost, are warnings. Raises `IndexRefuses` for them with `verify-metadata: strict`. Where an
    index has no provenance, or cannot be read, nothing is said.
    """
    if not own or contents.unreadable or not run.targets.index.takes_attestations:
        return
    warned = []
    with run.recorder.stage(Stage.INDEX, "what its page will say about the provenance"):
        releases = [
            (release, mine, [own[each.filename] for each in mine] + served.files(release, contents))
            for release in served.releases()
            if (mine := _of(run, release, own))
        ]
        served.read_on((release, now) for release, _, now in releases)
        for release, mine, now in releases:
            found = forecast_of(
                (release.project, release.version),
                now,
                release.before,
                served.before(release, now),
            )
            if State.UNKNOWN in found.states:
                is_own = any(own[each.filename] is UNKNOWN for each in mine)
                found = replace(
                    found, why_unknown=_NO_NAME if is_own else served.why_unknown(release)
                )
            run.forecast.append(found)
            warnings = list(_warnings(found))
            say = run.printer.notice if warnings or found.why_unknown else run.printer.item
            say(in_words(found))
            run.add_findings(mine[0], warnings)
            warned += warnings
        if warned and _is_strict(run):
            raise _stopped(warned)


def _of(run: Run, release: ReleaseThere, own: Mapping[str, File]) -> list[Distribution]:
    """Return the files of a release that are about to be uploaded."""
    return [
        file.distribution
        for name, file in run.files.items()
        if name in own and file.distribution.release == (release.project, release.version)
    ]


def _warnings(forecast: Forecast) -> Iterator[Finding]:
    project, version = shown(forecast.project), shown(forecast.version)
    earlier, before = shown(forecast.compared_with), publishers_in_words(forecast.before)
    doubt = f" Not everything is known: {forecast.why_unknown}." if forecast.why_unknown else ""
    if State.CHANGED in forecast.states:
        yield Finding(
            PROVENANCE_CHANGED,
            Severity.WARNING,
            f"{project} has another source than before: {earlier} is from {before}; {version} will "
            f"be from {publishers_in_words(forecast.after)}.{doubt}",
            f"{_INTRUSION} Find out who started this job. If the repository has moved, say so in "
            "the release notes: whoever compares releases will ask.",
        )
    if State.LOST in forecast.states:
        yield Finding(
            PROVENANCE_LOST,
            Severity.WARNING,
            f"{project} has lost its provenance: {earlier} has some"
            f"{f', from {before}' if forecast.before else ''}; {version} will have none.{doubt}",
            f"{_INTRUSION} Publish with the trusted publisher and with attestations, as {earlier} "
            "was: they cannot be added after the upload.",
        )


def _stopped(warnings: Sequence[Finding]) -> IndexRefuses:
    return IndexRefuses(
        "The provenance would not be what it was",
        topic=Topic.PROVENANCE_DIFFERS,
        detail="\n".join(each.message for each in warnings),
        remedy="\n".join(
            (
                *dict.fromkeys(each.remedy for each in warnings),
                "If it is meant, set `verify-metadata: true` for this release: then it only warns.",
            )
        ),
    )


def _is_strict(run: Run) -> bool:
    return run.settings.verify_metadata is VerifyMetadata.STRICT
