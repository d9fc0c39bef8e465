"""The report of a run, derived from its state: nothing reads it to decide anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from attested_publish.attestations.sidecars import PUBLISH
from attested_publish.index.site import project_url
from attested_publish.journey.run import State
from attested_publish.net.secrecy import blotted, without_credentials
from attested_publish.report import FileReport, Report, Status, Story

if TYPE_CHECKING:
    from attested_publish.journey.run import File, Run
    from attested_publish.report import AttestationReport


_STATUSES = {
    State.PENDING: Status.NOT_ATTEMPTED,
    State.CHECKED: Status.CHECKED,
    State.ATTESTED: Status.ATTESTED,
    State.SENT: Status.FAILED,
    State.DOUBTFUL: Status.FAILED,
    State.FAILED: Status.FAILED,
    State.ARRIVED: Status.UPLOADED,
    State.THERE: Status.ALREADY_THERE,
    State.REFUSED: Status.REFUSED,
}


def report_of(run: Run) -> Report:
    """Return what a run did, as the JSON report, the outputs and the summary have it."""
    recorder = run.recorder
    return Report(
        mode=run.mode,
        index=_address(run),
        result=run.result,
        identity=None if run.identity is None else run.identity.as_json(),
        files={filename: _file(file) for filename, file in run.files.items()},
        problems=recorder.problems,
        seconds=recorder.seconds,
        attestations_dir=run.attestations_dir,
        story=_story(run),
        indexes=[report_of(part) for part in run.parts],
        forecast=run.forecast,
    )


def _address(run: Run) -> str:
    if run.name:
        return run.targets.index.upload_url
    return without_credentials(run.settings.repository_url)


def _file(file: File) -> FileReport:
    distribution, served = file.distribution, file.served
    version = distribution.version
    return FileReport(
        filename=distribution.filename,
        project=distribution.project,
        version=None if version is None else str(version),
        size=distribution.size,
        sha256=distribution.sha256,
        status=_STATUSES[file.state],
        findings=file.findings,
        attestations=_attestations(file),
        url=None if served is None else _harmless(served.url),
        provenance_url=None if served is None else _harmless(served.provenance_url),
        served_after=file.served_after,
        source=distribution.source.as_posix(),
    )


def _harmless(url: str | None) -> str | None:
    return blotted(url, pieces=True) if url else None


def _attestations(file: File) -> list[AttestationReport]:
    """Return the attestations of a file, the publish attestation first."""
    return sorted(file.attestations.values(), key=lambda each: each.predicate_type != PUBLISH)


def _story(run: Run) -> Story:
    story = Story(
        remarks=run.recorder.remarks,
        improvements=run.recorder.improvements,
        elapsed=run.recorder.elapsed,
        consumers_see=dict(run.consumers_see),
    )
    targets = getattr(run, "targets", None)
    if targets is None:
        return story
    story.index_name = targets.index.name
    story.is_log_public = targets.is_public_log
    if targets.index.works_as_pypi:
        story.pages = dict(_pages(run, run.files.values()))
    return story


def _pages(run: Run, files: Iterable[File]) -> Iterable[tuple[str, str]]:
    for file in files:
        project, version = file.distribution.release
        if file.served is not None and project and version:
            yield project, project_url(run.targets.index, project, str(version))
