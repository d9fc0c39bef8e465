"""What a run did: the record from which the console output, summary and JSON are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from attested_publish.net.secrecy import all_blotted

if TYPE_CHECKING:
    from pathlib import Path

    from attested_publish.findings import Finding, Severity

SCHEMA = 2


class Result(StrEnum):
    """How a run ended."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"

    @classmethod
    def worst(cls, *results: Result) -> Result:
        """Return the worst of several results."""
        return max(results, key=list(cls).index)


class Status(StrEnum):
    """The outcome for a file."""

    NOT_ATTEMPTED = "not-attempted"
    CHECKED = "checked"
    ATTESTED = "attested"
    UPLOADED = "uploaded"
    ALREADY_THERE = "already-there"
    REFUSED = "refused"
    FAILED = "failed"


_WORST_FIRST = (
    Status.FAILED,
    Status.REFUSED,
    Status.NOT_ATTEMPTED,
    Status.CHECKED,
    Status.ATTESTED,
    Status.UPLOADED,
    Status.ALREADY_THERE,
)


@dataclass(frozen=True)
class AttestationReport:
    """The attestation of a file: its predicate type, its index in the log, who signed it."""

    predicate_type: str
    log_index: int
    identity: str


@dataclass
class FileReport:
    """One distribution: `size` in bytes, `sha256` hexadecimal.

    `served_after` is the number of seconds from the start of the run until the index was seen
    to serve the file, `source` is the user's own file; both are displayed, but not part of the
    JSON. `attestations` are what was signed, or is served: the publish attestation comes first.
    """

    filename: str
    project: str | None
    version: str | None
    size: int
    sha256: str
    status: Status = Status.NOT_ATTEMPTED
    findings: list[Finding] = field(default_factory=list)
    attestations: list[AttestationReport] = field(default_factory=list)
    url: str | None = None
    provenance_url: str | None = None
    served_after: float | None = None
    source: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the file's part of the JSON report."""
        record: dict[str, Any] = {}
        for name, value in asdict(self).items():
            record[name] = value
            if name == "attestations":
                # As in schema 1, for one more version.
                record["attestation"] = next(iter(value), None)
        del record["served_after"], record["source"]
        return record


@dataclass(frozen=True)
class ProblemReport:
    """A problem as it was printed.

    `read_on` is an address, `source` where the user has the file, `listed` how many of the first
    lines of `detail` are findings; they are not part of the JSON.
    """

    stage: str
    title: str
    detail: str
    remedy: str
    file: str | None
    read_on: str = ""
    source: str = ""
    listed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the problem's part of the JSON report."""
        record = asdict(self)
        del record["read_on"], record["source"], record["listed"]
        return record


@dataclass(frozen=True)
class Forecast:
    """What the index's page will say of a release's provenance, by what was known before it.

    `states` are those of `rules.provenance_states`, by name. `compared_with` is the version of the
    release before, if there is one; `before` and `after` are the publishers of that one and of
    this: `kind`, `identity`, `workflow`. `why_unknown` is a sentence, where something is.
    """

    project: str
    version: str
    states: tuple[str, ...]
    compared_with: str | None = None
    before: tuple[Mapping[str, str | None], ...] = ()
    after: tuple[Mapping[str, str | None], ...] = ()
    why_unknown: str | None = None


@dataclass
class Story:
    """What the summary shows in addition to the JSON report.

    `index_name` is the common name of the index, `pages` are the addresses of its release
    pages, by project. `consumers_see` is the publisher in the provenance, as PEP 751 writes it.
    `remarks` are findings about the whole release, `improvements` are suggestions for the next
    one; each is a sentence. `elapsed` is how many seconds the run has taken so far.
    """

    index_name: str = "the index"
    pages: dict[str, str] = field(default_factory=dict)
    is_log_public: bool = False
    consumers_see: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    improvements: list[str] = field(default_factory=list)
    elapsed: float = 0.0


@dataclass
class Report:
    """One run. `seconds` are by stage; `index` is the address that is uploaded to.

    If a run uploads to several indexes, `indexes` has the report of each, and `index` is the
    first; the run's own `problems` and `seconds` have only what belongs to no single index.
    """

    mode: str
    index: str
    result: Result = Result.FAILED
    identity: dict[str, Any] | None = None
    files: dict[str, FileReport] = field(default_factory=dict)
    problems: list[ProblemReport] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    attestations_dir: Path | None = None
    story: Story = field(default_factory=Story)
    indexes: list[Report] = field(default_factory=list)
    forecast: list[Forecast] = field(default_factory=list)

    def findings(self, *severities: Severity) -> list[tuple[FileReport, Finding]]:
        """Return the findings with these severities, and the files that they are about."""
        return [
            (file, finding)
            for file in self.files.values()
            for finding in file.findings
            if finding.severity in severities
        ]

    def with_status(self, *statuses: Status) -> list[FileReport]:
        """Return the files with one of these statuses."""
        return [file for file in self.all_files() if file.status in statuses]

    def all_files(self) -> list[FileReport]:
        """Return the files, once for each index."""
        return [file for part in self.indexes or [self] for file in part.files.values()]

    def together(self) -> Report:
        """Return one report with the results of all indexes."""
        if not self.indexes:
            return self
        seconds: dict[str, float] = {}
        for part in (self, *self.indexes):
            for stage, spent in part.seconds.items():
                seconds[stage] = seconds.get(stage, 0.0) + spent
        folders = (part.attestations_dir for part in self.indexes if part.attestations_dir)
        return replace(
            self,
            identity=next((part.identity for part in self.indexes if part.identity), None),
            problems=[problem for part in (self, *self.indexes) for problem in part.problems],
            seconds=seconds,
            attestations_dir=next(folders, None),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the JSON report (schema 2)."""
        whole = self.together()
        record = {
            "schema": SCHEMA,
            "mode": self.mode,
            "result": self.result.value,
            "index": self.index,
            "identity": whole.identity,
            "files": [file.as_json() for file in whole.all_files()],
            "problems": [problem.as_json() for problem in whole.problems],
            "seconds": _rounded(whole.seconds),
            "forecast": [asdict(each) for part in self.indexes or [self] for each in part.forecast],
        }
        if self.indexes:
            record["indexes"] = [
                {
                    "index": part.index,
                    "result": part.result.value,
                    "files": [file.as_json() for file in part.files.values()],
                    "problems": [problem.as_json() for problem in part.problems],
                    "seconds": _rounded(part.seconds),
                    "forecast": [asdict(each) for each in part.forecast],
                }
                for part in self.indexes
            ]
        # Everything was masked when it was recorded; this catches what was overlooked.
        return dict(all_blotted(record))

    def projects(self) -> list[dict[str, Any]]:
        """Return the releases of the run with the files of each, for the action's output.

        `status` is the worst status of a file in the release.
        """
        releases: dict[tuple[str, str], list[FileReport]] = {}
        for file in self.all_files():
            releases.setdefault((file.project or "", file.version or ""), []).append(file)
        return [
            {
                "project": project,
                "version": version,
                "files": list(dict.fromkeys(file.filename for file in files)),
                "status": min((file.status for file in files), key=_WORST_FIRST.index).value,
            }
            for (project, version), files in releases.items()
        ]


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(spent, 3) for stage, spent in seconds.items()}
