"""All rules about one file, or about the form and the file that are uploaded.

`judge_file` finds everything at once; `refuse_form`, `refuse_description`, `refuse_filename` and
`refuse_file` find the first refusal, in the order of PyPI's server. Importing this takes a third of
a second and some memory, so that it is done in a child process (see `questions`).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.findings import Finding, Severity, worst_first
from attested_publish.rules import filename as names
from attested_publish.rules import sdist as sdists
from attested_publish.rules import wheel as wheels
from attested_publish.rules.bounds import DISTRIBUTION_CAP, ArchiveBounds, is_beyond, size_findings
from attested_publish.rules.description import (
    Description,
    describe,
    description_findings,
    description_of,
)
from attested_publish.rules.form import Form, form_of, raw_of, read_metadata
from attested_publish.rules.metadata import index_findings, specification_findings
from attested_publish.rules.nested import nested_findings
from attested_publish.rules.upload_form import form_findings
from attested_publish.rules.zips import FOLLOWS_FROM_DUPLICATES

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata

_DEFAULT = ArchiveBounds()
_MAY_BE_NEWER = frozenset({"wheel-filename-newer", "wheel-platform-newer"})


@dataclass(frozen=True)
class FileFindings:
    """Everything about one file except whether its description can be rendered.

    `description` is what is to be rendered, if anything is; what that finds comes between the
    findings `before` and `after`.
    """

    before: list[Finding]
    after: list[Finding]
    description: Description | None


def judge_file(
    path: Path, filename: str, size: int, bounds: ArchiveBounds = _DEFAULT
) -> FileFindings:
    """Check the file at `path`, of `size` bytes, that will be uploaded as `filename`.

    Reads nothing of a file over DISTRIBUTION_CAP, and at most what `bounds` allows of any other.
    """
    wheel = filename.lower().endswith(".whl")
    before = [*names.filename_findings(filename, "bdist_wheel" if wheel else "sdist")]
    before.extend(size_findings(size))
    after: list[Finding] = []
    description = None
    if not is_beyond(size, DISTRIBUTION_CAP):
        found = before
        find = _wheel_findings if wheel else _sdist_findings
        for finding in find(path, filename, size, bounds):
            if isinstance(finding, Description):
                found, description = after, finding
            else:
                found.append(finding)
    return FileFindings(before, after, description)


def check_file(
    path: Path, filename: str, size: int, bounds: ArchiveBounds = _DEFAULT
) -> list[Finding]:
    """Find everything to be said of a file, worst first, as `judge_file` reads it."""
    found = judge_file(path, filename, size, bounds)
    rendered = describe(found.description) if found.description is not None else ()
    return worst_first([*found.before, *rendered, *found.after])


def _wheel_findings(
    path: Path, filename: str, size: int, bounds: ArchiveBounds
) -> Iterator[Finding | Description]:
    with wheels.open_wheel(path, filename, size, bounds) as wheel:
        if nested := list(nested_findings(filename, wheel.names())):
            yield from nested
            return
        yield from _with_cause_first(wheels.duplicate_findings(wheel), wheels.shape_findings(wheel))
        raw = None
        license_files: list[str] = []
        if wheel.archive is not None:
            metadata, findings = wheels.metadata_of(wheel)
            yield from findings
            raw, judged = _judged(metadata)
            yield from judged
            license_files = raw.get("license_files", []) if raw else []
        yield from names.wheel_name_findings(filename, raw)
        yield from wheels.dist_info_findings(wheel, license_files)
        yield from names.wheel_name_length(filename)


def _sdist_findings(
    path: Path, filename: str, size: int, bounds: ArchiveBounds
) -> Iterator[Finding | Description]:
    sdist = sdists.open_sdist(path, filename, size, bounds)
    if nested := list(nested_findings(filename, sdist.names)):
        yield from nested
        return
    yield from sdist.findings
    metadata, findings = sdists.metadata_of(sdist)
    yield from findings
    raw, judged = _judged(metadata)
    yield from judged
    yield from names.sdist_name_findings(filename, raw)
    if raw is not None:
        yield from sdists.license_findings(sdist, raw.get("license_files", []))


def _with_cause_first(duplicates: Iterable[Finding], shape: Iterable[Finding]) -> Iterator[Finding]:
    """Put duplicate members before, and in place of, what the server finds because of them."""
    causes = list(duplicates)
    yield from causes
    for finding in shape:
        if not causes or finding.rule not in FOLLOWS_FROM_DUPLICATES:
            yield finding


# All files of a release have the same metadata, or almost; it may be large, so little is kept.
@functools.lru_cache(maxsize=2)
def _judged(metadata: bytes | None) -> tuple[RawMetadata | None, Sequence[Finding | Description]]:
    """Check a file's metadata as twine and then PyPI do.

    Returns the metadata as PyPI reads it from the form, None if twine cannot send any; and the
    findings, with the description if it has to be rendered.
    """
    if metadata is None:
        return None, ()
    parsed, findings = read_metadata(metadata)
    if parsed is None:
        return None, findings
    raw, unread = raw_of(form_of(parsed))
    # twine also checks against the specification, before it sends anything.
    judged = itertools.chain(
        specification_findings(parsed), unread, _metadata_findings(raw), description_findings(raw)
    )
    description = description_of(raw)
    return raw, (*findings, *judged, *(() if description is None else (description,)))


def _metadata_findings(raw: RawMetadata) -> Iterator[Finding]:
    yield from specification_findings(raw)
    yield from index_findings(raw)


def refuse_form(form: Form) -> Finding | None:
    """Return PyPI's first refusal of a form's fields, if it refuses them.

    This includes the form itself and the metadata in it; anything that PyPI is not known to accept
    yet counts as refused. `form` has every value of every field except the file.
    """
    raw, unread = raw_of(form)
    return _first_refusal(
        itertools.chain(form_findings(form), unread, _metadata_findings(raw)), doubts_count=True
    )


def refuse_description(form: Form) -> Finding | None:
    """Return PyPI's refusal of the description in an accepted form, if it cannot be rendered."""
    raw, _ = raw_of(form)
    description = description_of(raw)
    return None if description is None else _first_refusal(describe(description))


def refuse_filename(form: Form, filename: str) -> Finding | None:
    """Return PyPI's first refusal of a file name by itself, before it looks at the file."""
    return _first_refusal(names.filename_findings(filename, form["filetype"][0]))


def refuse_file(form: Form, filename: str, path: Path, size: int) -> Finding | None:
    """Return PyPI's first refusal of a file, sent as `filename` with an accepted form.

    In the server's order: the archive, then the name and the contents of an sdist or a wheel.
    Sizes, and what the index already has, are not checked here.
    """
    raw, _ = raw_of(form)
    found = _file_findings(raw, filename, path, size)
    # The embedded PyPI is exactly as old as these rules.
    return _first_refusal(
        replace(one, severity=Severity.ERROR) if one.rule in _MAY_BE_NEWER else one for one in found
    )


def _file_findings(raw: RawMetadata, filename: str, path: Path, size: int) -> Iterator[Finding]:
    license_files = raw.get("license_files", [])
    if filename.endswith(".whl"):
        with wheels.open_wheel(path, filename, size, _DEFAULT) as wheel:
            yield from wheels.shape_findings(wheel)
            yield from names.wheel_name_findings(filename, raw)
            yield from wheels.dist_info_findings(wheel, license_files)
            yield from names.wheel_name_length(filename)
    else:
        sdist = sdists.open_sdist(path, filename, size, _DEFAULT)
        yield from sdist.findings
        yield from names.sdist_name_findings(filename, raw)
        yield from sdists.license_findings(sdist, license_files)


def _first_refusal(findings: Iterable[Finding], *, doubts_count: bool = False) -> Finding | None:
    counted = {Severity.ERROR, Severity.WARNING} if doubts_count else {Severity.ERROR}
    for finding in findings:
        if finding.severity in counted:
            return replace(finding, severity=Severity.ERROR)
    return None
