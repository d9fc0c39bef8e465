"""What is expected of the publishers of a lock's packages: `publishers.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from attested_publish.consumer.locks.entries import normalized
from attested_publish.consumer.locks.model import LockError
from attested_publish.consumer.locks.reading import decoded_utf8, within_bounds
from attested_publish.consumer.locks.toml import Broken, Table, headers, parsed
from attested_publish.net.untrusted import shown
from attested_publish.rules.versions import parsed_version

if TYPE_CHECKING:
    from packaging.version import Version

MOST_BYTES: Final = 4 << 20
"""Of a policy, which is enough for 10,000 projects."""

_LONGEST_VERSION = 1000

KINDS: Final = {"GitHub", "GitLab", "Google", "CircleCI"}
"""The providers of publishers, as provenance names them."""

FIELDS: Final = (
    "kind",
    "repository",
    "workflow",
    "workflow_filepath",
    "environment",
    "email",
    "project_id",
    "pipeline_definition_id",
    "vcs_origin",
    "vcs_ref",
)
"""The fields of all providers' publisher objects."""

EXCUSABLE: Final = (
    "provenance-lost",
    "publisher-changed",
    "publisher-unexpected",
    "yanked",
    "not-checkable",
    "unattested",
)
NEVER_EXCUSED: Final = (
    "hash-not-served",
    "version-not-served",
    "provenance-invalid",
    "index-unexpected",
)


@dataclass(frozen=True, slots=True)
class Exempted:
    """An exception of a project: `rule` is not held against it until the end of the day `until`.

    It counts only with a reason and a date: `why_not` says what it lacks, and is empty otherwise.
    """

    rule: str
    reason: str
    until: date | None
    line: int
    why_not: str = ""

    def counts(self, today: date) -> bool:
        """Whether the exception is complete and has not ended."""
        return not self.why_not and self.until is not None and today <= self.until


@dataclass(frozen=True, slots=True)
class Expectation:
    """Who should publish a project, from the version `since` on.

    `identity` has the fields that are given: `kind`, `repository`, `workflow` (GitLab:
    `workflow_filepath`), `environment`, `email`, … as in PEP 740's publisher objects; a field
    that is not given may have any value. It may be empty, where there are only exceptions.
    """

    project: str
    identity: Mapping[str, str]
    since: Version | None
    line: int
    exceptions: tuple[Exempted, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The file's expectations, by normalized project name."""

    path: str
    projects: Mapping[str, Expectation] = field(default_factory=dict)


def parse_policy(content: bytes, name: str) -> Policy:
    """Read a policy from its bytes, in this process; `name` is its path. Raises `LockError`."""
    path = shown(name, 200)
    try:
        within_bounds(content, MOST_BYTES)
        return Policy(path, _projects(decoded_utf8(content)))
    except Broken as error:
        raise LockError(path, error.why, line=error.line) from error


def _projects(text: str) -> Mapping[str, Expectation]:
    table = Table(parsed(text))
    _known(table, ("project",))
    projects = table.table("project")
    lines = _lines(text, "")
    exceptions = _lines(text, ".exceptions")
    found: dict[str, Expectation] = {}
    for name in projects.values:
        line = lines.get(name, [1])[0]
        try:
            project = normalized(name)
            if project in found:
                raise projects.wrong(name, f"is the same project as {found[project].project}")
            found[project] = _expectation(
                project, projects.table(name), line, exceptions.get(name, [])
            )
        except Broken as error:
            raise Broken(error.why, error.line or line) from error
    return found


def _expectation(project: str, table: Table, line: int, lines: list[int]) -> Expectation:
    _known(table, (*FIELDS, "since", "exceptions"))
    identity = {key: value for key in FIELDS if (value := table.text(key)) is not None}
    for key, value in identity.items():
        if not value and key != "environment":
            raise table.wrong(key, "is empty")
    if "kind" in identity and identity["kind"] not in KINDS:
        raise table.wrong("kind", f"is none of {', '.join(sorted(KINDS))}")
    exceptions = tuple(
        _exception(each, lines[number] if number < len(lines) else line)
        for number, each in enumerate(table.tables("exceptions"))
    )
    return Expectation(project, identity, _version(table), line, exceptions)


def _version(table: Table) -> Version | None:
    since = table.text("since")
    if since is None:
        return None
    version = parsed_version(since) if len(since) <= _LONGEST_VERSION else None
    if version is None:
        raise table.wrong("since", "is not a version")
    return version


def _exception(table: Table, line: int) -> Exempted:
    _known(table, ("rule", "reason", "until"))
    rule = table.required_text("rule")
    if rule not in EXCUSABLE + NEVER_EXCUSED:
        raise table.wrong("rule", f"is none of {', '.join(EXCUSABLE)}")
    reason = (table.text("reason") or "").strip()
    until = _date(table)
    missing = [
        *([] if reason else ["a reason"]),
        *([] if until else ["a date (until)"]),
    ]
    why_not = f"It lacks {' and '.join(missing)}." if missing else ""
    if rule in NEVER_EXCUSED:
        why_not = f"There is no exception from {rule}."
    return Exempted(rule, reason, until, line, why_not)


def _date(table: Table) -> date | None:
    """Return the last day of an exception: a date of TOML, or a text such as "2026-12-31"."""
    value = table.values.get("until")
    if value is None or value == "":
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError as error:
        raise table.wrong("until", "is not a date such as 2026-12-31") from error


def _known(table: Table, keys: tuple[str, ...]) -> None:
    for key in table.values:
        if key not in keys:
            raise table.wrong(key, f"is not known; there may be {', '.join(keys)}")


def _lines(text: str, below: str) -> Mapping[str, list[int]]:
    """Return the lines of `project.NAME` and what is below it, in order, by name."""
    found: dict[str, list[int]] = {}
    for number, header in headers(text):
        if header.startswith("project.") and header.endswith(below):
            found.setdefault(header[len("project.") :].removesuffix(below), []).append(number)
    return found
