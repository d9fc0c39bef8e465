"""Whether the tag of a release names the versions that are in it.

No index asks for it. But a tag for another version is how a release comes from the wrong commit,
or is built before its version was raised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from packaging.version import Version

from attested_publish.findings import Finding, Severity
from attested_publish.net.untrusted import shown
from attested_publish.rules.tag_reading import TAG_LIMIT, Reading, readings
from attested_publish.rules.versions import parsed_version
from attested_publish.rules.wording import first
from attested_publish.rules.wording import shown as quoted
from attested_publish.settings import TagPattern, VersionTag

RULE = "tag-version"

_FIRST_YEAR, _LAST_YEAR = 1990, 2100
_SHORT_YEARS = 15
_ENOUGH_AFTER_LANGUAGE = 3
_MANY = 10
"""A single number that is smaller is a major version."""

_LENGTHS_OF_DATES = (4, 6, 8, 12, 14)
"""Digits of a year, with the month, with the day, with the time."""


class Release(NamedTuple):
    """A version of a project; `project` is normalized (PEP 503)."""

    project: str
    version: Version


class TagFault(NamedTuple):
    """A release that a tag does not name: `message` is one sentence, with both versions.

    `severity` is a warning, an error where the tag is required to name it, and a notice where the
    tag is about another project, but has the right version.
    """

    release: Release
    severity: Severity
    message: str


def faults_of_tag(
    tag: str, releases: Iterable[Release], wish: VersionTag | TagPattern
) -> list[TagFault]:
    """Return which releases a tag does not name; none of them is there twice.

    `tag` is what follows `refs/tags/`, from anybody. `releases` are all that belong to the tag
    together: whether it speaks of one project only depends on the others. `wish` is the setting
    `version-tag`: with `auto`, only what plainly names another version is a fault, a warning; with
    `true`, whatever does not name the version after a usual prefix or the project's name is an
    error; with a pattern, whatever is not exactly that; with `false`, nothing. Versions are equal
    as PEP 440 has it for `==`: a local version counts if both have one.
    """
    ordered = sorted(set(releases))
    if wish is VersionTag.NEVER:
        return []
    if isinstance(wish, TagPattern):
        return [
            _against_pattern(tag, release, wish)
            for release in ordered
            if not _follows(tag[: TAG_LIMIT + 1], release, wish)
        ]
    projects = sorted({release.project for release in ordered})
    found = readings(tag, projects)
    named = _named(found, projects)
    faults = []
    for release in ordered:
        if wish is VersionTag.REQUIRED:
            fault = _required(tag, release, found, named, projects)
        else:
            fault = _plain(tag, release, found, named, projects)
        if fault is not None:
            faults.append(fault)
    return faults


def findings_of_tag(
    tag: str, releases: Iterable[Release], wish: VersionTag | TagPattern
) -> dict[Release, Finding]:
    """Return the faults of the tag of a release that is to be published, as findings."""
    remedy = (
        "If the version is wrong, set it and build again from the tagged commit; if the tag is, "
        "delete it and create the right one. "
    )
    if wish is VersionTag.AUTO:
        remedy += "If your tags are named differently, describe them with version-tag."
    else:
        remedy += "If neither is, change version-tag: auto only warns."
    return {
        fault.release: Finding(RULE, fault.severity, fault.message, remedy)
        for fault in faults_of_tag(tag, releases, wish)
    }


def _named(found: Iterable[Reading], projects: Collection[str]) -> list[str]:
    """Return which projects the tag is about, by name; none if it names none of them."""
    return next((named for each in found if (named := each.projects(projects))), [])


def _plain(
    tag: str,
    release: Release,
    found: Collection[Reading],
    named: Collection[str],
    projects: Collection[str],
) -> TagFault | None:
    """Return the fault that is beyond doubt, whatever else tags are used for."""
    is_equal = any(_is_equal(each, release.version) for each in found)
    if named and release.project not in named:
        severity = Severity.NOTICE if is_equal else Severity.WARNING
        return TagFault(release, severity, _about_others(tag, release, named, projects))
    if is_equal:
        return None
    for each in found:
        if _is_plain(each, release) and not _is_excused(each, release.version):
            return TagFault(release, Severity.WARNING, _other_version(tag, release, each))
    return None


def _required(
    tag: str,
    release: Release,
    found: Collection[Reading],
    named: Collection[str],
    projects: Collection[str],
) -> TagFault | None:
    meant = [each for each in found if each.is_usual or each.projects([release.project])]
    if named and release.project not in named:
        message = _about_others(tag, release, named, projects)
    elif any(_is_equal(each, release.version) for each in meant):
        return None
    elif meant:
        message = _other_version(tag, release, meant[0])
    else:
        message = (
            f"The tag {quoted(tag)} does not name the version of {shown(release.project)}, "
            f"which is {shown(release.version)}."
        )
    return TagFault(release, Severity.ERROR, message)


def _is_plain(reading: Reading, release: Release) -> bool:
    """Whether a reading is surely a version, and of this project."""
    if not reading.projects([release.project]) and (not reading.is_usual or reading.is_attached):
        return False
    parts = reading.version.release
    if reading.is_of_language and not reading.has_v and len(parts) < _ENOUGH_AFTER_LANGUAGE:
        return False
    if len(parts) == 1 and len(release.version.release) > 1:
        # It may count anything: builds, sprints, or the last part of the version as in 4.9.0.80.
        is_major = parts[0] < _MANY or release.version.release[0] >= _MANY
        return reading.has_v and is_major
    return True


def _is_excused(reading: Reading, version: Version) -> bool:
    """Whether another version in a tag has a usual reason."""
    return (
        _is_moving(reading.version, version)
        or _is_end(reading.version, version)
        or _is_date(reading, version)
        or _is_without_epoch(reading.version, version)
        or _is_rebuilt(reading, version)
    )


def _is_moving(tagged: Version, version: Version) -> bool:
    """Whether a tag is one that moves with the releases, as `v1` and `v1.4` do to 1.4.2."""
    parts = len(tagged.release)
    is_final = not (tagged.is_prerelease or tagged.is_postrelease)
    return (
        is_final
        and version.release[:parts] == tagged.release
        and (parts == 1 or (not version.is_prerelease and parts < len(version.release)))
    )


def _is_end(tagged: Version, version: Version) -> bool:
    """Whether the project counts its releases after a number of its own: protobuf 4.25.2, v25.2."""
    parts = len(tagged.release)
    return (
        1 < parts < len(version.release)
        and version.release[-parts:] == tagged.release
        and (tagged.pre, tagged.dev) == (version.pre, version.dev)
    )


def _is_date(reading: Reading, version: Version) -> bool:
    """Whether a tag has a date, and the version is none or is the same one."""
    parts = reading.version.release
    if _begins_with_year(parts):
        is_same = _day(parts) == _day(version.release)
        return is_same or not _begins_with_year(version.release)
    if len(parts) == len(("day", "month", "year")) and _is_year(parts[-1]):
        return version.release[-1] != parts[-1]
    # With a year of two digits it looks like any version, save for the zeros.
    has_zero = any(len(part) > 1 and part[0] == "0" for part in reading.text.split("."))
    return has_zero and parts[0] >= _SHORT_YEARS and version.release[0] < _SHORT_YEARS


def _begins_with_year(parts: Sequence[int]) -> bool:
    """Whether it is a date such as 2024.1.15, or one in a single number, perhaps with the time."""
    first = str(parts[0])
    return len(first) in _LENGTHS_OF_DATES and _is_year(int(first[:4]))


def _day(parts: Sequence[int]) -> str:
    return "".join(f"{part:02}" for part in parts)[: len("20240115")]


def _is_year(number: int) -> bool:
    return _FIRST_YEAR <= number < _LAST_YEAR


def _is_without_epoch(tagged: Version, version: Version) -> bool:
    return tagged.epoch == 0 and version.epoch > 0 and str(version).endswith(f"!{tagged}")


def _is_rebuilt(reading: Reading, version: Version) -> bool:
    """Whether a tag counts builds of this version: `1.2-1` is also 1.2.post1."""
    base, dash, number = reading.text.rpartition("-")
    return bool(dash) and number.isdecimal() and parsed_version(base) == version


def _is_equal(reading: Reading, version: Version) -> bool:
    return _is_same(reading.version, version)


def _is_same(tagged: Version, version: Version) -> bool:
    """Whether a tagged version is this one: of two local versions, only both together differ."""
    if tagged.local is None or version.local is None:
        return _public(tagged) == _public(version)
    return tagged == version


def _public(version: Version) -> Version:
    return version if version.local is None else Version(version.public)


def _follows(tag: str, release: Release, pattern: TagPattern) -> bool:
    return any(
        (project is None or _is_name_of(project, release.project))
        and version[:1].isdecimal()
        and (tagged := parsed_version(version)) is not None
        and _is_same(tagged, release.version)
        for version, project in pattern.matches(tag)
    )


def _is_name_of(text: str, project: str) -> bool:
    return "-".join(_name_parts(text)) == project


def _name_parts(text: str) -> Iterator[str]:
    return (part for part in text.lower().replace("_", "-").replace(".", "-").split("-") if part)


def _against_pattern(tag: str, release: Release, pattern: TagPattern) -> TagFault:
    expected = pattern.filled(release.project, str(release.version))
    return TagFault(
        release,
        Severity.ERROR,
        f"The tag {quoted(tag)} does not name {shown(release.project)} {shown(release.version)} as "
        f"version-tag {quoted(pattern.text)} demands: {quoted(expected)}.",
    )


def _other_version(tag: str, release: Release, reading: Reading) -> str:
    return (
        f"The tag {quoted(tag)} names the version {shown(reading.version)}, but this is "
        f"{shown(release.project)} {shown(release.version)}."
    )


def _about_others(
    tag: str, release: Release, named: Collection[str], projects: Collection[str]
) -> str:
    unnamed = [project for project in projects if project not in named]
    return (
        f"The tag {quoted(tag)} is about {first(sorted(named))}, not about {first(unnamed)}, and "
        f"this is {shown(release.project)} {shown(release.version)}."
    )
