"""What PyPI refuses, or is seldom meant, in a set of files that are each valid on their own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_version

from attested_publish.rules.wording import discouraged, first, refused, shown

if TYPE_CHECKING:
    from packaging.version import Version

    from attested_publish.distributions import Distribution
    from attested_publish.findings import Finding


def check_release(distributions: Sequence[Distribution]) -> dict[str, list[Finding]]:
    """Compare the files of one upload with each other; return findings by filename.

    Files without findings are left out. If two files exclude each other, the finding is about the
    second one by name. If a project has several versions, it is about the first file of the
    oldest one, which is likely to have been left from another build.
    """
    findings: dict[str, list[Finding]] = defaultdict(list)
    ordered = sorted(distributions, key=lambda one: one.filename)
    _same_bytes(ordered, findings)
    _two_sdists(ordered, findings)
    _two_versions(ordered, findings)
    return dict(findings)


def _same_bytes(distributions: Sequence[Distribution], findings: dict[str, list[Finding]]) -> None:
    seen: dict[str, str] = {}
    for one in distributions:
        if not one.sha256:
            # Refused because of its size, and not read.
            continue
        other = seen.setdefault(one.sha256, one.filename)
        if other != one.filename:
            findings[one.filename].append(
                refused(
                    "release-same-bytes",
                    f"The file has the same bytes as {shown(other)}; PyPI accepts each content "
                    f"only once, under one name.",
                    "Remove one of the two; a wheel for several platforms has all its tags in one "
                    "name.",
                )
            )


def _two_sdists(distributions: Sequence[Distribution], findings: dict[str, list[Finding]]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for one in distributions:
        if not one.filename.endswith((".tar.gz", ".zip")):
            continue
        if one.project is None or one.version is None:
            continue
        # For PyPI, equal versions such as 1.0 and 1.0.0 are one release.
        other = seen.setdefault((one.project, canonicalize_version(one.version)), one.filename)
        if other != one.filename:
            findings[one.filename].append(
                refused(
                    "release-two-sdists",
                    f"The release already has the sdist {shown(other)}; PyPI accepts only one.",
                    "Publish only the .tar.gz.",
                )
            )


def _two_versions(
    distributions: Sequence[Distribution], findings: dict[str, list[Finding]]
) -> None:
    by_project: dict[str, dict[Version, str]] = defaultdict(dict)
    for one in distributions:
        if one.project is not None and one.version is not None:
            by_project[one.project].setdefault(one.version, one.filename)
    for project, filenames in by_project.items():
        if len(filenames) > 1:
            versions = sorted(filenames)
            findings[filenames[versions[0]]].append(
                discouraged(
                    "two-versions",
                    f"There are {len(versions)} versions of {shown(project)} in this release: "
                    f"{first([str(version) for version in versions])}.",
                    "If only one of them is meant, remove the other files, which may be left from "
                    "an earlier build.",
                )
            )
