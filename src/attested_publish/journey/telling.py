"""What the stages of a release tell of its files, and record of them in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import filesize

from attested_publish.console.progress import FEW
from attested_publish.findings import OTHER_BYTES, Finding, Severity
from attested_publish.net.secrecy import blotted
from attested_publish.net.untrusted import shown
from attested_publish.problems import counted
from attested_publish.report import AttestationReport, Status
from attested_publish.rules.on_index import Presence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pypi_attestations import Attestation, Publisher

    from attested_publish.console.reporter import Reporter
    from attested_publish.distributions import Distribution
    from attested_publish.index.contents import Contents
    from attested_publish.index.index import Index, IndexFile
    from attested_publish.journey.targets import Services
    from attested_publish.report import Report


def begin_story(report: Report, services: Services) -> None:
    """Record with which services the release is made."""
    report.story.index_name = services.index.name
    report.story.is_log_public = services.is_public_log


def tell_files(
    reporter: Reporter, distributions: Sequence[Distribution], *, with_digests: bool
) -> None:
    """Tell which files there are: many of them in one line, unless their digests are wanted."""
    if len(distributions) > FEW:
        size = filesize.decimal(sum(each.size for each in distributions))
        reporter.item(f"{len(distributions)} files", size)
    for each in distributions:
        if len(distributions) <= FEW:
            reporter.item(shown(each.filename), filesize.decimal(each.size))
        if not with_digests or not each.sha256:
            continue
        if len(distributions) <= FEW:
            reporter.detail(f"sha256       {each.sha256}")
            reporter.detail(f"blake2b-256  {each.blake2b_256}")
            reporter.detail(f"md5          {each.md5}")
        else:
            # As sha256sum prints them: a line a file is what was asked for.
            reporter.detail(f"{each.sha256}  {shown(each.filename)}")


def tell_held(
    reporter: Reporter,
    index: Index,
    distributions: Sequence[Distribution],
    held: Contents,
    *,
    others_are_skipped: bool,
) -> list[Distribution]:
    """Tell which files the index holds; return those that it holds with the same bytes.

    One with other bytes has been found against the release, unless such are skipped.
    """
    same = []
    for each in distributions:
        file = held.file(each)
        presence = held.presence(each)
        if file is None or presence is Presence.MISSING:
            continue
        reporter.report.files[each.filename].status = Status.ALREADY_THERE
        if presence is Presence.SAME:
            same.append(each)
            record_served(reporter, index, each, file)
        elif others_are_skipped:
            reporter.findings(each, [other_bytes(file, index)])
    with reporter.progress(same) as progress:
        for each in same:
            progress.done(each.filename, each.size, "there already, with the same bytes")
    return same


def other_bytes(file: IndexFile | None, index: Index) -> Finding:
    """Say that a file is skipped which is not the one that is there, as far as that is known."""
    if file is None:
        there = "refuses this file, as its name or its content is taken"
    else:
        told = f", with sha256 {shown(file.sha256, 80)}" if file.sha256 else ""
        there = f"has a file of this name with other bytes{told}"
    return Finding(
        OTHER_BYTES,
        Severity.WARNING,
        f"{index.name} {there}: this one is skipped.",
        "Publish these changes under a new version.",
    )


def tell_unattested(reporter: Reporter, index: Index, there: Sequence[Distribution]) -> None:
    """Say which files have no attestation on the index, as none can be added any more."""
    files = reporter.report.files
    without = [each for each in there if files[each.filename].provenance_url is None]
    if without and index.works_as_pypi:
        more = f" and {len(without) - 1} more" if len(without) > 1 else ""
        reporter.improvement(
            f"Without an attestation on {index.name}: {shown(without[0].filename)}{more}. None "
            "can be added after the upload, so that only a new version will have them."
        )


def tell_projects(reporter: Reporter) -> None:
    """Tell of each release what became of it, where there are several."""
    releases = reporter.report.projects()
    if len(releases) > 1:
        for release in releases:
            name = f"{shown(release['project'])} {shown(release['version'])}"
            files = counted(len(release["files"]), "file")
            reporter.item(name, f"{files}, {release['status']}")


def held_up_by(report: Report, refused: Collection[str]) -> Iterator[str]:
    """Yield which other releases nothing was found against: one run, all or nothing."""
    for release in report.projects():
        missing = [
            report.files[filename]
            for filename in release["files"]
            if report.files[filename].status is Status.NOT_ATTEMPTED
        ]
        if missing and not any(filename in refused for filename in release["files"]):
            for record in missing:
                record.status = Status.CHECKED
            yield (
                f"Nothing is against {shown(release['project'])} {shown(release['version'])} "
                f"({counted(len(missing), 'file')}): it could be published on its own."
            )


def new_project(project: str, index: Index) -> str:
    """Say what becomes of a project that the index does not have yet."""
    if not index.works_as_pypi:
        return f"{index.name} has no project {shown(project)} yet."
    return (
        f"{index.name} has no project {shown(project)} yet: a pending trusted publisher creates "
        f"it as soon as the API token is minted ({index.pending_publishers_url})."
    )


def record_served(
    reporter: Reporter, index: Index, distribution: Distribution, file: IndexFile
) -> None:
    """Record where a file is served, and since when in this run."""
    record = reporter.report.files[distribution.filename]
    record.url = blotted(file.url, pieces=True) or None
    record.provenance_url = file.provenance_url and blotted(file.provenance_url, pieces=True)
    record.served_after = reporter.elapsed
    if index.works_as_pypi and record.project and record.version:
        page = index.project_url(record.project, record.version)
        reporter.report.story.pages[record.project] = page


def record_served_attestations(
    report: Report, distribution: Distribution, attestations: Mapping[str, Attestation]
) -> None:
    """Record the attestations that are served of a file, in place of those that were made."""
    report.files[distribution.filename].attestation = None
    for predicate_type, attestation in attestations.items():
        record_attestation(report, distribution, attestation, predicate_type)


def record_attestation(
    report: Report, distribution: Distribution, attestation: Attestation, predicate_type: str
) -> None:
    """Record an attestation of a file; the publish attestation stands for all of them."""
    from attested_publish.attestations import verify as attestations

    record = report.files[distribution.filename]
    if record.attestation is None or predicate_type == attestations.PUBLISH_PREDICATE:
        record.attestation = AttestationReport(
            predicate_type=predicate_type,
            log_index=attestations.log_index(attestation),
            identity=attestations.certificate_identity(attestation),
        )


def record_publisher(report: Report, publisher: Publisher | None) -> None:
    """Keep for the summary whom consumers can pin, where it is known."""
    from attested_publish.attestations.verify import publisher_fields

    if publisher is not None:
        report.story.consumers_see = publisher_fields(publisher)
