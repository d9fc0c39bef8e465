"""A run and its states: what it must not do, and what it knows of its parts."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from attested_publish.distributions import Distribution
from attested_publish.findings import Finding, Severity
from attested_publish.fronts.running import carry_out
from attested_publish.index.index import Index
from attested_publish.journey import publish
from attested_publish.journey.run import State
from attested_publish.journey.targets import Targets
from attested_publish.settings import understand
from support.environment import in_job
from support.releases import run_to, staged

if TYPE_CHECKING:
    from attested_publish.journey.run import Run
    from support.releases import Stage


def published(stage: Stage, *further: Index, **settings: str) -> Run:
    """Publish the stage's folder, and return the run as it ended."""
    chosen = understand(
        {
            "packages-dir": str(stage.folder),
            "repository-url": stage.world.upload_url,
            **{name.replace("_", "-"): value for name, value in settings.items()},
        }
    )
    targets = Targets(
        Index.at(stage.world.upload_url),
        stage.world.trust_config,
        deadlines=stage.deadlines,
        further=further,
    )
    run = run_to(targets, chosen, Console(file=io.StringIO()))
    with in_job(stage.world.environment):
        carry_out(lambda: publish.publish(run), run)
    return run


def test_without_attestations_no_sigstore_is_loaded(stage: Stage) -> None:
    run = published(stage, attestations="false")
    assert run.result == "done"
    assert len(run.in_state(State.ARRIVED)) == 2
    assert run.release.trust is None


def test_with_attestations_it_is_loaded_once(stage: Stage) -> None:
    run = published(stage)
    assert run.result == "done"
    assert run.release.trust is not None
    assert len(run.release.signed) == 2


def test_a_run_to_several_indexes_knows_what_its_parts_uploaded(dist: Path) -> None:
    with staged(dist) as stage, staged(dist) as other:
        further = Index.at(other.world.upload_url)
        run = published(stage, further)
        assert [part.result for part in run.parts][:1] == ["done"]
        assert len(run.in_state(State.ARRIVED)) == sum(
            len(part.in_state(State.ARRIVED)) for part in run.parts
        )
        assert len(run.in_state(State.ARRIVED)) >= 2


def test_findings_are_kept_worst_first(stage: Stage) -> None:
    run = published(stage, attestations="false")
    distribution = Distribution(Path("f-1.tar.gz"), Path("dist/f-1.tar.gz"), 1, "")
    run.add_files([distribution])
    found = [Finding("c", Severity.NOTICE, "c"), Finding("a", Severity.ERROR, "a")]
    run.add_findings(distribution, [*found, Finding("b", Severity.WARNING, "b")])
    assert [each.rule for each in run.files["f-1.tar.gz"].findings] == ["a", "b", "c"]


def test_attest_proves_its_folder_before_it_judges(stage: Stage, tmp_path: Path) -> None:
    (stage.folder / "broken-1.0-py3-none-any.whl").write_text("no wheel")
    file = tmp_path / "a-file"
    file.touch()
    report = stage.run(publish.attest, attestations_dir=str(file / "folder"))
    assert [problem.stage for problem in report.problems] == ["files"]
    assert {each.status for each in report.files.values()} == {"not-attempted"}
