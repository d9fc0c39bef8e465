"""The third stage: what the index has already, and what of it is in the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from attested_publish.console.progress import progress_of
from attested_publish.findings import OTHER_BYTES, Finding, Severity
from attested_publish.index.contents import Contents, read_contents
from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.dialect import dialect_of_pages
from attested_publish.index.discovery import usual_exchange
from attested_publish.index.index import Dialect
from attested_publish.index.pages import Pages, ProjectStatus
from attested_publish.index.site import pending_publishers_url, settings_url
from attested_publish.journey.identify import audience_meanwhile
from attested_publish.journey.judge import stopping_findings
from attested_publish.journey.run import State
from attested_publish.net.parallel import meanwhile
from attested_publish.net.retry import persistently
from attested_publish.net.untrusted import first_shown, shown
from attested_publish.problems import (
    IndexProblem,
    IndexRefuses,
    IndexUnusable,
    Stage,
    TokenProblem,
    Topic,
    counted,
)
from attested_publish.rules.on_index import Presence, findings_on_index
from attested_publish.settings import Attestations, VerifyMetadata

if TYPE_CHECKING:
    from attested_publish.distributions import Distribution
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile
    from attested_publish.journey.run import Run


def contents_meanwhile(run: Run, distributions: Sequence[Distribution]) -> Callable[[], Contents]:
    """Begin to ask the index what it has of these projects; return how to get the answer.

    An index of an unknown kind is asked for its audience at the same time, unless a password is
    given: its pages may not show what it can do, and exchanging tokens is PyPI's.
    """
    settings = run.settings
    credentials = GivenCredentials(settings.user, settings.password) if settings.password else None
    run.pages = Pages(run.targets.index, run.means.session, credentials)
    if run.targets.index.dialect is Dialect.UNKNOWN and not settings.password:
        audience_meanwhile(run)
    return meanwhile(
        lambda: persistently(
            lambda: read_contents(distributions, run.pages),
            run.targets.deadlines.index,
            run.printer.waiting,
        )
    )


def ask_index(
    run: Run, distributions: Sequence[Distribution], answer: Callable[[], Contents]
) -> Contents:
    """Return what the index has of these projects; find what is in the way of the release.

    An index that cannot be read is no obstacle where it need not be PyPI, nor seems to be a copy
    of it with an outage: then nothing is known.
    Raises `IndexProblem`.
    """
    printer = run.printer
    with run.recorder.stage(Stage.INDEX, f"what {run.targets.index.name} has already"):
        contents = _answered(run, answer)
        index = _learned(run, contents)
        if contents.unreadable:
            printer.notice(
                f"{index.name} does not say which files it has ({contents.unreadable}): "
                "a re-run cannot know what was uploaded, and nothing will be confirmed."
            )
        for project, exists in contents.projects.items():
            if not exists:
                printer.notice(_new_project(run, project))
        contents = _find_what_is_in_the_way(run, distributions, contents)
        there = _note_what_is_there(run, distributions, contents)
        if run.settings.attestations is not Attestations.NEVER:
            _note_unattested(run, there)
        missing = contents.missing_of(distributions)
        _stop_if_closed(index, contents, missing)
        printer.item(f"{counted(len(missing), 'file')} of {len(distributions)} to upload")
    return contents


def _answered(run: Run, answer: Callable[[], Contents]) -> Contents:
    try:
        return answer()
    except IndexProblem as problem:
        is_needed = (
            run.targets.index.is_pypi
            or not isinstance(problem, IndexUnusable)
            # A copy of PyPI's server has pages, and nothing is spent before they are read.
            or (problem.may_pass and _seems_as_pypi(run))
        )
        # Where files are refused anyway, that is what the user has to know first.
        if is_needed and not stopping_findings(run):
            raise
        return Contents(unreadable=problem.cause)


def _seems_as_pypi(run: Run) -> bool:
    """Whether an index works as PyPI, as far as that shows without its pages."""
    index = run.targets.index
    return index.works_as_pypi or (index.dialect is Dialect.UNKNOWN and _exchanges_as_pypi(run))


def _learned(run: Run, contents: Contents) -> Index:
    """Note in the run what kind of index this is, if that was not known; return the index."""
    index = run.targets.index
    if index.dialect is Dialect.UNKNOWN:
        dialect = dialect_of_pages(contents)
        if dialect is Dialect.UNKNOWN:
            dialect = Dialect.PYPI if _exchanges_as_pypi(run) else Dialect.OTHER
        index = replace(index, dialect=dialect)
        run.targets = replace(run.targets, index=index)
        run.pages.index = index
    return index


def _exchanges_as_pypi(run: Run) -> bool:
    """Whether the index reports an audience where PyPI does; what is wrong with it shows later."""
    if run.settings.password:
        return False
    try:
        exchange = audience_meanwhile(run)().exchange
    except TokenProblem as problem:
        return problem.topic is Topic.FOREIGN_AUDIENCE
    return exchange.audience_url == usual_exchange(run.targets.index).audience_url


def _find_what_is_in_the_way(
    run: Run, distributions: Sequence[Distribution], contents: Contents
) -> Contents:
    """Apply PyPI's rules for what an index has already; elsewhere only the name counts.

    Other indexes may allow a file to be replaced: whoever waives the checks has it sent. These
    files are in the contents that are returned.
    """
    is_as_pypi = run.targets.index.works_as_pypi
    to_replace = set()
    found: dict[str, list[Finding]] = {}
    may_replace = not is_as_pypi and run.settings.verify_metadata is VerifyMetadata.NOTHING
    for each, finding in findings_on_index(distributions, contents.by_project, datetime.now(UTC)):
        of_file = found.setdefault(each.filename, [])
        if finding.rule != "filename-taken":
            if is_as_pypi:
                of_file.append(finding)
        elif may_replace and not run.settings.skip_existing:
            to_replace.add(each.filename)
            of_file.append(replace(finding, severity=Severity.WARNING))
        elif not run.settings.skip_existing:
            of_file.append(finding)
    for each in distributions:
        run.add_findings(each, found.get(each.filename, ()))
    return replace(contents, to_replace=frozenset(to_replace))


def _stop_if_closed(index: Index, contents: Contents, missing: Sequence[Distribution]) -> None:
    """Raise `IndexRefuses` if a project that has files to upload takes none (PEP 792)."""
    for project in sorted({each.project for each in missing if each.project}):
        page = contents.pages.get(project)
        if page is None or page.status.takes_uploads:
            continue
        reason = shown(page.status_reason, 200)
        where = f" at {settings_url(index, project)}" if index.works_as_pypi else ""
        raise IndexRefuses(
            f"{shown(project)} is {page.status} on {index.name}",
            topic=Topic.PROJECT_CLOSED,
            detail=f"{index.name} accepts no uploads to a project with this status."
            + (f" Its reason: {reason}." if reason else ""),
            remedy=f"Have an owner unarchive the project{where}, then run again."
            if page.status is ProjectStatus.ARCHIVED
            else "The index's administrators suspect that the project is malicious, and only "
            "they can end the quarantine: contact them, and run again afterwards.",
        )


def _note_what_is_there(
    run: Run, distributions: Sequence[Distribution], contents: Contents
) -> list[Distribution]:
    """Note which files the index has; return those that it has with the same bytes.

    One with other bytes is a finding already, unless such are skipped.
    """
    same = []
    for each in distributions:
        served = contents.file(each)
        presence = contents.presence(each)
        if served is None or presence is Presence.MISSING or each.filename in contents.to_replace:
            continue
        run.set_state(each, State.THERE)
        if presence is Presence.SAME:
            same.append(each)
            note_served(run, each, served)
        elif run.settings.skip_existing:
            run.add_findings(each, [skipped(served, run.targets.index)])
    with progress_of(same, run.printer) as progress:
        for each in same:
            progress.done(each.filename, each.size, "there already, with the same bytes")
    return same


def note_served(run: Run, distribution: Distribution, served: IndexFile) -> None:
    """Note where a file is served, and since when in this run."""
    file = run.files[distribution.filename]
    file.served = served
    file.served_after = run.recorder.elapsed


def skipped(served: IndexFile | None, index: Index) -> Finding:
    """Return the warning that a file is skipped which is not the one on the index.

    `served` is what the index has under its name, if that is known.
    """
    if served is None:
        there = "refuses this file, as its name or its content is taken"
    elif served.sha256 is None:
        there = "has a file of this name, and does not say with which bytes"
    else:
        digest = shown(served.sha256, 80)
        there = f"has a file of this name with other bytes, with sha256 {digest}"
    return Finding(
        OTHER_BYTES,
        Severity.WARNING,
        f"{index.name} {there}: this one is skipped.",
        "Publish these changes under a new version.",
    )


def _note_unattested(run: Run, there: Sequence[Distribution]) -> None:
    """Say which files have no attestation on the index, as none can be added any more."""
    index = run.targets.index
    served = {each.filename: run.files[each.filename].served for each in there}
    without = [name for name, file in served.items() if not (file and file.provenance_url)]
    if without and index.takes_attestations:
        run.recorder.improvement(
            f"Without an attestation on {index.name}: {first_shown(without)}. An attestation "
            "cannot be added after the upload: only a new version can have one."
        )


def _new_project(run: Run, project: str) -> str:
    index = run.targets.index
    absent = f"{index.name} has no project {shown(project)} yet"
    if not index.works_as_pypi:
        return f"{absent}."
    if run.settings.password:
        return (
            f"{absent}: the first upload creates it, if the API token is valid for all of its "
            "user's projects."
        )
    return (
        f"{absent}: the first release creates it, and needs a pending trusted publisher "
        f"({pending_publishers_url(index)})."
    )
