"""What one run knows: what was asked for, where the release goes, and how far each file is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from attested_publish.console.printer import cleaned
from attested_publish.findings import by_severity
from attested_publish.report import AttestationReport, Result
from attested_publish.settings import Mode

if TYPE_CHECKING:
    import requests
    from pypi_attestations import Attestation

    from attested_publish.attestations.verify import Trust
    from attested_publish.console.mask import Mask
    from attested_publish.console.printer import Printer
    from attested_publish.console.recorder import Recorder
    from attested_publish.distributions import Distribution
    from attested_publish.findings import Finding, Severity
    from attested_publish.identity.publishers import Identity
    from attested_publish.identity.tokens import AmbientIdentity
    from attested_publish.index.api_token import Audience
    from attested_publish.index.pages import IndexFile, Pages
    from attested_publish.journey.targets import Targets
    from attested_publish.report import Forecast
    from attested_publish.rules.verdicts import Verdicts
    from attested_publish.sandbox.pool import Sandbox
    from attested_publish.settings import Settings


Work: TypeAlias = "Callable[[Run, Sequence[Distribution]], None]"
"""What is done with the files of a run."""


class State(StrEnum):
    """How far a file is in a run.

    `sent`: an upload was begun, and its answer is not there yet. `doubtful`: the index may have
    received it, but did not say so. `arrived`: this run uploaded it. `there`: the index had it,
    or another run uploaded it. `failed`: a stage before the upload failed for it, or the index
    did not take it, but may do so later.
    """

    PENDING = "pending"
    CHECKED = "checked"
    ATTESTED = "attested"
    SENT = "sent"
    DOUBTFUL = "doubtful"
    ARRIVED = "arrived"
    THERE = "there"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass
class File:
    """A distribution in a run: its state, what the checks found, and what the index serves.

    `attestations` are by predicate type. `served_after` are the seconds from the start of the run
    until the index was seen to serve it.
    """

    distribution: Distribution
    state: State = State.PENDING
    findings: list[Finding] = field(default_factory=list)
    attestations: dict[str, AttestationReport] = field(default_factory=dict)
    served: IndexFile | None = None
    served_after: float | None = None


@dataclass
class Release:
    """What is known and made of the files, whichever index they go to.

    `findings` are those of the rules, by filename; `None` before they were asked. `trust` gives
    the Sigstore instance. `signed` are the attestations that are in the log, by filename and
    predicate type.
    """

    findings: Mapping[str, Sequence[Finding]] | None = None
    trust: Callable[[], Trust] | None = None
    signed: dict[str, dict[str, Attestation]] = field(default_factory=dict)


@dataclass(frozen=True)
class Means:
    """What the stages at an index work with: a bounded session, and the job's identity.

    What is begun in the background and has to be finished is called in `afterwards`.
    """

    session: requests.Session
    ambient: AmbientIdentity
    afterwards: ExitStack


@dataclass
class Run:
    """One run of a mode, or its part at one of several indexes (then one of `parts`).

    The stages are functions over it. The report, the outputs and the summary are derived from it
    (see `outcome`). `targets`, `verdicts`, `means` and `pages` are there from when the run goes
    on to them. `part` is the one that is at work. `audience` gives what the index wants in
    identity tokens, once somebody asks. `consumers_see` is the publisher in the provenance, as
    PEP 751 writes it. `forecast` is what the index's page will say of each release.
    """

    mode: str
    settings: Settings
    recorder: Recorder
    mask: Mask
    targets: Targets = field(init=False)
    verdicts: Verdicts = field(init=False)
    means: Means = field(init=False)
    pages: Pages = field(init=False)
    release: Release = field(default_factory=Release)
    files: dict[str, File] = field(default_factory=dict)
    result: Result = Result.FAILED
    audience: Callable[[], Audience] | None = None
    identity: Identity | None = None
    consumers_see: Mapping[str, str] = field(default_factory=dict)
    forecast: list[Forecast] = field(default_factory=list)
    attestations_dir: Path | None = None
    parts: list[Run] = field(default_factory=list)
    part: Run | None = None
    name: str = ""
    """What the index is called, in a part; its problems name it."""

    @property
    def printer(self) -> Printer:
        """Where the run prints."""
        return self.recorder.printer

    @property
    def sandbox(self) -> Sandbox:
        """The child processes that read untrusted files."""
        return self.verdicts.sandbox

    @property
    def uploads(self) -> bool:
        """Whether the run is to make anything public."""
        return self.mode in {Mode.PUBLISH, Mode.REHEARSE}

    def add_files(self, distributions: Sequence[Distribution]) -> None:
        """Begin with these files."""
        self.files = {each.filename: File(each) for each in distributions}

    def add_findings(self, distribution: Distribution, found: Sequence[Finding]) -> None:
        """Add what was found in a file, worst first, and print it."""
        harmless = [cleaned(finding) for finding in found]
        self.files[distribution.filename].findings.extend(by_severity(harmless))
        self.printer.findings(distribution, harmless)

    def found(self, *severities: Severity) -> list[tuple[File, Finding]]:
        """Return the findings of these severities, with the files they are about."""
        return [
            (file, finding)
            for file in self.files.values()
            for finding in file.findings
            if finding.severity in severities
        ]

    def in_state(self, *states: State) -> list[File]:
        """Return the files in one of these states, of every part."""
        return [
            file
            for part in self.parts or [self]
            for file in part.files.values()
            if file.state in states
        ]

    def set_state(self, distribution: Distribution, state: State) -> None:
        """Set how far a file is."""
        self.files[distribution.filename].state = state
