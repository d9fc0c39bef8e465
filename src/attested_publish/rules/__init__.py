"""What PyPI refuses in a file: the one place that knows.

The preflight asks `check_distribution` and `check_release` for everything at once, worst first.
The rehearsal's PyPI asks for the first refusal, in the server's order: `refuse_form`, then
`refuse_description`, `refuse_filename` and `refuse_file`. The yardstick is PyPI's server, not a
tidy validator.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.findings import Finding, Severity
from attested_publish.rules import filename as names
from attested_publish.rules import sdist as sdists
from attested_publish.rules import wheel as wheels
from attested_publish.rules.description import description_findings
from attested_publish.rules.form import Form, form_of, raw_of, read_metadata
from attested_publish.rules.limits import Limits
from attested_publish.rules.metadata import index_findings, specification_findings
from attested_publish.rules.release import check_release
from attested_publish.rules.size import FILE_CAP, FILE_LIMIT, size_findings
from attested_publish.rules.upload_form import form_findings

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata

    from attested_publish.distributions import Distribution

__all__ = [
    "FILE_CAP",
    "FILE_LIMIT",
    "Form",
    "Limits",
    "check_distribution",
    "check_file",
    "check_release",
    "refuse_description",
    "refuse_file",
    "refuse_filename",
    "refuse_form",
]

_DEFAULT = Limits()
_WORST_FIRST = (Severity.ERROR, Severity.WARNING, Severity.NOTICE)


def check_distribution(distribution: Distribution) -> list[Finding]:
    """Give everything to be said of one file, worst first, nothing twice."""
    return check_file(distribution.path, distribution.filename, distribution.size)


def check_file(path: Path, filename: str, size: int, limits: Limits = _DEFAULT) -> list[Finding]:
    """Give everything to be said of the file at `path`, `size` bytes, sent as `filename`.

    Reads nothing of a file over FILE_CAP, and at most what `limits` allows of any other.
    """
    wheel = filename.lower().endswith(".whl")
    found = [
        *names.filename_findings(filename, "bdist_wheel" if wheel else "sdist"),
        *size_findings(size),
    ]
    if size <= FILE_CAP:
        look = _wheel_findings if wheel else _sdist_findings
        found.extend(look(path, filename, size, limits))
    unique = dict.fromkeys(found)
    return sorted(unique, key=lambda finding: _WORST_FIRST.index(finding.severity))


def _wheel_findings(path: Path, filename: str, size: int, limits: Limits) -> Iterator[Finding]:
    with wheels.open_wheel(path, filename, size, limits) as wheel:
        yield from wheels.shape_findings(wheel)
        raw = None
        license_files: list[str] = []
        if wheel.archive is not None:
            metadata, findings = wheels.metadata_of(wheel)
            yield from findings
            raw, findings = _judged(metadata, filename)
            yield from findings
            license_files = raw.get("license_files", []) if raw else []
        yield from names.wheel_name_findings(filename, raw)
        yield from wheels.dist_info_findings(wheel, license_files)
        yield from names.wheel_name_length(filename)


def _sdist_findings(path: Path, filename: str, size: int, limits: Limits) -> Iterator[Finding]:
    sdist = sdists.open_sdist(path, filename, size, limits)
    yield from sdist.findings
    metadata, findings = sdists.metadata_of(sdist)
    yield from findings
    raw, findings = _judged(metadata, filename)
    yield from findings
    yield from names.sdist_name_findings(filename, raw)
    if raw is not None:
        yield from sdists.license_findings(sdist, raw.get("license_files", []))


def _judged(metadata: bytes | None, filename: str) -> tuple[RawMetadata | None, list[Finding]]:
    """Judge a file's metadata as twine and then PyPI do.

    Gives the metadata as PyPI reads it from the form; None where twine cannot send any.
    """
    if metadata is None:
        return None, []
    parsed, findings = read_metadata(metadata)
    if parsed is None:
        return None, findings
    raw, unread = raw_of(form_of(parsed, filename))
    # twine judges by the specification too, before it sends anything.
    judged = itertools.chain(
        specification_findings(parsed), unread, _metadata_findings(raw), description_findings(raw)
    )
    return raw, [*findings, *judged]


def _metadata_findings(raw: RawMetadata) -> Iterator[Finding]:
    yield from specification_findings(raw)
    yield from index_findings(raw)


def refuse_form(form: Form) -> Finding | None:
    """Give PyPI's first refusal of a form's fields, if it refuses them.

    That is the form itself and the metadata in it; what PyPI is not known to take yet counts
    as refused. `form` has every value of every field but the file.
    """
    raw, unread = raw_of(form)
    return _first_refusal(
        itertools.chain(form_findings(form), unread, _metadata_findings(raw)), doubts_count=True
    )


def refuse_description(form: Form) -> Finding | None:
    """Give PyPI's refusal of the description in an accepted form, if it cannot be rendered."""
    raw, _ = raw_of(form)
    return _first_refusal(description_findings(raw))


def refuse_filename(form: Form, filename: str) -> Finding | None:
    """Give PyPI's first refusal of a file name by itself, before it looks at the file."""
    return _first_refusal(names.filename_findings(filename, form["filetype"][0]))


def refuse_file(form: Form, filename: str, path: Path, size: int) -> Finding | None:
    """Give PyPI's first refusal of a file, sent as `filename` with an accepted form.

    In the server's order: the archive, then what an sdist or a wheel has to be named and to
    hold. Sizes and what the index already holds are not judged here.
    """
    raw, _ = raw_of(form)
    return _first_refusal(_file_findings(raw, filename, path, size))


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
