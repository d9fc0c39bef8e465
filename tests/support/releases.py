"""Run releases in the embedded world, as the fronts do, and look at what came of them."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from pypi_attestations import GitHubPublisher
from rich.console import Console

from attested_publish.attestations.sidecars import PUBLISH
from attested_publish.attestations.sign import Signing, Statement
from attested_publish.attestations.verify import policy_of
from attested_publish.console.github import GitHubPrinter
from attested_publish.console.mask import mask
from attested_publish.console.printer import Printer
from attested_publish.console.recorder import Recorder
from attested_publish.fronts.running import carry_out
from attested_publish.identity.tokens import AmbientIdentity
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.outcome import report_of
from attested_publish.journey.run import Run
from attested_publish.journey.targets import Targets
from attested_publish.net.patience import Deadlines, Patience
from attested_publish.rehearsal.faults import parse_fault
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from attested_publish.settings import Settings, understand
from support.index_client import TRUE_ROW
from support.keys import issuer_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from sigstore.verify.policy import VerificationPolicy

    from attested_publish.attestations.verify import Trust
    from attested_publish.distributions import Distribution
    from attested_publish.report import Report


@dataclass
class Stage:
    """One embedded world, and a folder of distributions to publish to it."""

    world: World
    folder: Path
    printed: str = field(default="")
    deadlines: Deadlines = field(default_factory=lambda: SHORT)
    is_identity_local: bool | None = True

    def run(self, do: Any = publish.publish, **settings: str) -> Report:
        """Run `do` with settings by name (underscores for hyphens); return its report."""
        values = {name.replace("_", "-"): value for name, value in settings.items()}
        chosen = understand(
            {"packages-dir": str(self.folder), "repository-url": self.world.upload_url, **values}
        )
        report, self.printed = run(do, chosen, self.targets_at(chosen.repository_url))
        return report

    def targets_at(self, address: str) -> Targets:
        """Return the targets of a job of this world that publishes to an address."""
        return Targets(
            Index.at(address),
            self.world.trust_config,
            ambient=self.world.ambient,
            is_identity_local=self.is_identity_local,
            deadlines=self.deadlines,
        )

    def served(self, project: str = "sample") -> dict[str, Any]:
        """Return what a plain client sees of a project, by filename."""
        return served(self.world.index_url, project)

    def fault(self, text: str) -> None:
        """Let something go wrong from now on."""
        self.world.faults.plan(parse_fault(text))


def served(index_url: str, project: str = "sample") -> dict[str, Any]:
    """Return what a plain client sees of a project on an index, by filename."""
    response = requests.get(
        f"{index_url}{project}/",
        headers={"Accept": "application/vnd.pypi.simple.v1+json"},
        timeout=10,
    )
    if response.status_code == 404:
        return {}
    return {file["filename"]: file for file in response.json()["files"]}


def deadlines(seconds: float, answer: float = 1.0) -> Deadlines:
    """Return the same patience with everything, in seconds instead of minutes."""
    patience = Patience(seconds, first=0.05, longest=0.2)
    return Deadlines(
        **dict.fromkeys(
            ("index", "identity", "audience", "mint", "burn", "certificate", "log", "upload"),
            patience,
        ),
        confirmation=patience,
        confirmation_elsewhere=patience,
        answer=answer,
        upload_answer=answer,
    )


def publisher_policy(repository: str, workflow: str) -> VerificationPolicy:
    """Return PyPI's policy for the certificates of a GitHub publisher."""
    return policy_of(GitHubPublisher(repository=repository, workflow=workflow))


WHEEL = "sample-1.0-py3-none-any.whl"
SDIST = "sample-1.0.tar.gz"
"""What `dist` has."""

ENDPOINTS = (
    "identity",
    "audience",
    "mint",
    "certificate",
    "log",
    "upload",
    "simple",
    "integrity",
    "burn",
)
"""What a release asks, as `--fault` names it."""

SHORT = deadlines(3.0)
"""The policy of a release in tests."""


def sign(stage: Stage, distributions: Iterable[Distribution], trust: Trust) -> Any:
    """Sign distributions as a job of this world does."""
    ambient = AmbientIdentity(
        stage.world.issuer.issue, SHORT.identity, lambda _: None, lambda _: None
    )
    signing = Signing(trust, ambient, SHORT, lambda _: None)
    made = signing.sign_all(publish_statements(distributions), lambda *_: None)
    return {filename: attestations[0] for filename, attestations in made.items()}


def publish_statements(distributions: Iterable[Distribution]) -> list[Statement]:
    """Return what is signed without SLSA provenance: a publish attestation for each file."""
    return [Statement(each, PUBLISH, None) for each in distributions]


def run_to(
    targets: Targets,
    settings: Settings,
    console: Console,
    *,
    mode: str = "publish",
    kind: type[Printer] = Printer,
) -> Run:
    """Return a run that is about to begin, as a front makes it."""
    printer = kind(console, verbose=settings.verbose)
    hide = printer.mask if isinstance(printer, GitHubPrinter) else mask
    run = Run(mode, settings, Recorder(printer), hide)
    run.targets = targets
    return run


def run(do: Any, settings: Settings, targets: Targets) -> tuple[Report, str]:
    """Run `do` with these targets; return the report and what was printed."""
    printed = io.StringIO()
    release = run_to(targets, settings, Console(file=printed, width=200))
    carry_out(lambda: do(release), release)
    return report_of(release), printed.getvalue()


@contextlib.contextmanager
def staged(
    folder: Path,
    *,
    claims: Mapping[str, str] | None = None,
    registry: Registry | None = None,
    **options: Any,
) -> Iterator[Stage]:
    """Raise a world for the distributions in `folder`."""
    told = job_claims({}, claims or {})
    with World(
        claims=told,
        registry=registry or Registry.open(),
        **{"issuer_key": issuer_key(), **options},
    ) as world:
        yield Stage(world, folder)


def problem(report: Report) -> str:
    """Return the text of the one problem that ended a run."""
    assert len(report.problems) == 1, report.problems
    only = report.problems[0]
    return f"{only.title}\n{only.detail}\n{only.remedy}"


def registry_of(*projects: str, **changed: str) -> Registry:
    """Return a registry with the publisher of a job of this world, for these projects."""
    row = {**TRUE_ROW, "environment": "", "projects": list(projects), **changed}
    return Registry.parse(json.dumps({"publishers": [row], "pending_publishers": []}))
