"""Read a history file: JSON, as docs/rehearsal.md describes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from attested_publish.net.untrusted import shown
from attested_publish.rehearsal.history.model import Fault, File, History, Kind, Release
from attested_publish.rehearsal.history.publishers import Publisher, read_publisher
from attested_publish.rehearsal.json_file import (
    JsonFileError,
    check_keys,
    is_line,
    matching,
    objects_in,
    optional_text,
    parse_object,
    quoted,
    read_text,
)
from attested_publish.rehearsal.pypi.registry import PROJECT
from attested_publish.rehearsal.pypi.store import Status
from attested_publish.rehearsal.sigstore.fulcio import FIRST_DAY

if TYPE_CHECKING:
    from pathlib import Path

_OF_FILES = ("publisher", "attestations", "fault", "uploaded", "yanked")
"""The keys that a release can have for all of its files, and each file for itself."""

_STATUSES = ("active", "archived", "quarantined", "deprecated")
_MOST_FILES = 20_000
_LONGEST = 200
"""Characters of a filename, of a project and of a version."""

_MOST_TAGS = 100
_FOR_ATTESTED = (Fault.OTHER_BYTES, Fault.OTHER_PUBLISHER)
"""The faults of something that was signed."""


def read_history(path: Path) -> History:
    """Read the history file at `path`; raises `JsonFileError`, with the path to what is wrong."""
    content = read_text(path, "history file")
    try:
        return parse_history(content)
    except JsonFileError as error:
        raise JsonFileError(f"In the history file {path}: {error}") from error


def parse_history(content: str | bytes) -> History:
    """Read a history from JSON text; raises `JsonFileError`."""
    document = parse_object(content, "'releases'")
    check_keys(document, "the history", required=("releases",), optional=("publishers", "projects"))
    named = {
        name: read_publisher(entry, f"publishers.{shown(name, 80)}")
        for name, entry in _object(document, "publishers").items()
    }
    now = datetime.now(UTC)
    releases = []
    seen: set[str] = set()
    for where, entry in objects_in(document, "releases"):
        release = _Reader(named, now, where).release(entry)
        for file in release.files:
            if file.filename in seen:
                raise JsonFileError(f"{where} has the file {quoted(file.filename)} again.")
            seen.add(file.filename)
        if len(seen) > _MOST_FILES:
            raise JsonFileError(f"{where} is one too many: there can be {_MOST_FILES} files.")
        releases.append(release)
    statuses = {
        matching(PROJECT, name, "a key of 'projects'", "a project's name"): _status(
            entry, f"projects.{name}"
        )
        for name, entry in _object(document, "projects").items()
    }
    return History(tuple(releases), statuses)


class _Reader:
    """Reads one release, whose place in the file is `where`."""

    def __init__(self, named: Mapping[str, Publisher], now: datetime, where: str) -> None:
        self._named = named
        self._now = now
        self._where = where

    def release(self, entry: Mapping[str, Any]) -> Release:
        """Read the release."""
        where = self._where
        check_keys(entry, where, required=("project", "version"), optional=("files", *_OF_FILES))
        project = matching(PROJECT, entry["project"], f"'project' of {where}", "a project's name")
        version = _version(entry["version"], where)
        if max(len(project), len(str(version))) > _LONGEST:
            raise JsonFileError(f"{where} has a name or version of over {_LONGEST} characters.")
        listed = entry.get("files")
        if listed is None:
            stem = f"{canonicalize_name(project).replace('-', '_')}-{version}"
            listed = [f"{stem}-py3-none-any.whl", f"{stem}.tar.gz"]
        if not isinstance(listed, list) or not listed:
            raise JsonFileError(f"'files' of {where} is not a list of at least one file.")
        files = tuple(
            self._file(entry, each, f"files[{number}] of {where}", (project, version))
            for number, each in enumerate(listed)
        )
        return Release(project, version, files)

    def _file(
        self,
        release: Mapping[str, Any],
        given: object,
        where: str,
        name: tuple[str, Version],
    ) -> File:
        own: Mapping[str, Any] = given if isinstance(given, dict) else {"name": given}
        check_keys(own, where, required=("name",), optional=_OF_FILES)
        # Messages name the place where a value is written.
        places = {key: where if key in own else self._where for key in _OF_FILES}
        entry = {**release, **own}
        publisher = self._publisher(entry.get("publisher"), f"'publisher' of {places['publisher']}")
        attestations = _attestations(entry, places["attestations"], publisher)
        fault = _fault(entry.get("fault"), f"'fault' of {places['fault']}")
        if fault in _FOR_ATTESTED and not attestations:
            raise JsonFileError(
                f"'fault' of {places['fault']} is {fault.value!r}, but {where} has no attestations."
            )
        return File(
            filename=_filename(own["name"], f"'name' of {where}", *name),
            uploaded_at=self._time(entry.get("uploaded"), f"'uploaded' of {places['uploaded']}"),
            publisher=publisher,
            attestations=attestations,
            fault=fault,
            yanked=_yanked(entry.get("yanked"), f"'yanked' of {places['yanked']}"),
        )

    def _publisher(self, given: object, where: str) -> Publisher | None:
        if given is None:
            return None
        if isinstance(given, str):
            if given not in self._named:
                raise JsonFileError(
                    f"{where} is {quoted(given)}, which 'publishers' does not have."
                )
            return self._named[given]
        return read_publisher(given, where)

    def _time(self, given: object, where: str) -> datetime:
        if given is None:
            return self._now
        try:
            time = datetime.fromisoformat(given) if isinstance(given, str) else None
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            raise JsonFileError(
                f"{where} is {quoted(given)}; it must be a time with its zone, such as "
                "2026-01-31T12:00:00Z."
            )
        if not FIRST_DAY <= time <= self._now:
            raise JsonFileError(
                f"{where} is {quoted(given)}; it must be between {FIRST_DAY:%Y-%m-%d} and now."
            )
        return time.astimezone(UTC)


def _object(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    entry = document.get(key, {})
    if not isinstance(entry, dict):
        raise JsonFileError(f"{key!r} is not an object.")
    return entry


def _version(given: object, where: str) -> Version:
    try:
        # Parsing takes time that grows with the length.
        return Version(given if isinstance(given, str) and len(given) <= _LONGEST else "?")
    except InvalidVersion:
        raise JsonFileError(
            f"'version' of {where} is {quoted(given)}; it must be a version."
        ) from None


def _filename(given: object, where: str, project: str, version: Version) -> str:
    """Check the name of a wheel or an sdist of this release."""
    if not isinstance(given, str) or len(given) > _LONGEST or "/" in given:
        raise JsonFileError(f"{where} is {quoted(given)}; it must be a filename.")
    try:
        if given.endswith(".whl"):
            name, of_version, _, tags = parse_wheel_filename(given)
            if len(tags) > _MOST_TAGS:
                raise JsonFileError(f"{where} has over {_MOST_TAGS} tags.")
        else:
            name, of_version = parse_sdist_filename(given if given.endswith(".tar.gz") else "?")
    except (InvalidWheelFilename, InvalidSdistFilename):
        raise JsonFileError(
            f"{where} is {quoted(given)}; it must be the name of a wheel or of an sdist (.tar.gz)."
        ) from None
    if name != canonicalize_name(project) or of_version != version:
        raise JsonFileError(f"{where} is {quoted(given)}, which is not of {project} {version}.")
    return given


def _attestations(
    entry: Mapping[str, Any], where: str, publisher: Publisher | None
) -> tuple[Kind, ...]:
    if "attestations" not in entry:
        return (Kind.PUBLISH,) if publisher is not None else ()
    listed = entry["attestations"]
    names = [each.value for each in Kind]
    if not isinstance(listed, list) or any(each not in names for each in listed):
        raise JsonFileError(
            f"'attestations' of {where} is {quoted(listed)}; it must be a list of "
            f"{' and '.join(names)}."
        )
    kinds = tuple(Kind(each) for each in listed)
    if len(set(kinds)) != len(kinds):
        raise JsonFileError(f"'attestations' of {where} names a kind twice.")
    if publisher is None:
        # Where a file of an attested release has no publisher.
        return ()
    if Kind.SLSA in kinds and publisher.is_account:
        raise JsonFileError(
            f"'attestations' of {where} has slsa, but an account says nothing about a build."
        )
    return kinds


def _fault(given: object, where: str) -> Fault | None:
    if given is None:
        return None
    names = [each.value for each in Fault]
    if given not in names:
        raise JsonFileError(f"{where} is {quoted(given)}; it must be one of {', '.join(names)}.")
    return Fault(given)


def _yanked(given: object, where: str) -> str | None:
    if given is None or given is False:
        return None
    if given is True:
        return ""
    if not isinstance(given, str) or not is_line(given):
        raise JsonFileError(
            f"{where} is {quoted(given)}; it must be true, false or the reason, a line of text."
        )
    return given


def _status(entry: object, where: str) -> Status:
    if not isinstance(entry, dict):
        raise JsonFileError(f"{where} is not an object.")
    check_keys(entry, where, required=("status",), optional=("reason",))
    name = entry["status"]
    if name not in _STATUSES:
        raise JsonFileError(
            f"'status' of {where} is {quoted(name)}; it must be one of {', '.join(_STATUSES)}."
        )
    return Status(name, optional_text(entry, "reason", where) or None)
