"""Whether everything a project has released since a version is from the expected publisher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.consumer.attested_files import Unanswered
from attested_publish.consumer.prover import Invalid
from attested_publish.consumer.quarantine import refuse_quarantined
from attested_publish.consumer.served_releases import releases_on
from attested_publish.net.parallel import in_parallel
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexRefuses, Topic

if TYPE_CHECKING:
    from packaging.version import Version

    from attested_publish.consumer.attested_files import AttestedFiles, Publication
    from attested_publish.consumer.identities import Identity
    from attested_publish.index.pages import IndexFile, Pages

_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class Watched:
    """A file of a watched release: who published it, and why that is wrong, if it is."""

    version: Version
    filename: str
    identities: tuple[Identity, ...] = ()
    why_not: str = ""


def watch(
    project: str, since: Version, expected: Mapping[str, str], pages: Pages, files: AttestedFiles
) -> list[Watched]:
    """Return every file of the versions from `since` on, by version.

    Without anything `expected`, all must be from a publisher of the first version. Raises
    `IndexProblem`; `IndexRefuses` if there is no such release.
    """
    page = files.persistence(lambda: pages.page(project))
    if page is not None:
        refuse_quarantined(files.index, project, page)
    releases = {} if page is None else releases_on(page.files.values(), project)
    watched = [
        (version, file)
        for version in sorted(releases)
        if version >= since
        for file in sorted(releases[version], key=lambda each: each.filename)
    ]
    if not watched:
        raise IndexRefuses(
            f"{files.index.name} has no such release",
            topic=Topic.NOTHING_TO_PUBLISH,
            detail=f"It serves nothing of {shown(project)} since {since}.",
            remedy="Check the spelling of project and version.",
        )
    found = dict(
        in_parallel(
            lambda item: files.publication(project, item[1], item[1].sha256 or ""),
            watched,
            threads=_AT_A_TIME,
        )
    )
    allowed = [expected] if expected else _of_first(watched, found)
    return [_judged(version, file, found[version, file], allowed) for version, file in watched]


def _of_first(
    watched: list[tuple[Version, IndexFile]],
    found: Mapping[tuple[Version, IndexFile], Publication],
) -> list[Mapping[str, str]]:
    first = watched[0][0]
    identities: dict[Identity, None] = {}
    for version, file in watched:
        publication = found[version, file]
        if version == first and not isinstance(publication, Invalid | Unanswered | None):
            identities.update(dict.fromkeys(publication.identities))
    return [each.as_dict() for each in identities]


def _judged(
    version: Version,
    file: IndexFile,
    publication: Publication,
    allowed: list[Mapping[str, str]],
) -> Watched:
    if isinstance(publication, Unanswered):
        raise publication.problem
    if isinstance(publication, Invalid):
        return Watched(version, file.filename, why_not=publication.why)
    if publication is None:
        return Watched(version, file.filename, why_not="It has no attestations.")
    for identity in publication.identities:
        differences = [identity.difference(each) for each in allowed]
        if not allowed or all(differences):
            why = differences[0] if differences else "nobody is known to compare with"
            return Watched(
                version, file.filename, publication.identities, f"Published by {identity}: {why}."
            )
    return Watched(version, file.filename, publication.identities)
