"""Where a publishing job may be defined: what is predicted is what PyPI's server then does.

A table of callers, reusable workflows and registrations. Each row is tried by hand, without any of
the program's decisions: a token is exchanged, and each kind of attestation is signed and uploaded.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from attested_publish.attestations.sidecars import PUBLISH, SLSA
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.pypi.registry import Registry
from support.index_client import TRUE_ROW, client_of
from support.makers import make_wheel
from support.releases import SDIST, WHEEL, problem, staged
from support.sidecars import attestation

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage

_HERE = "octo-org/sample-project/.github/workflows"
_TAG = "refs/tags/v1.0"
_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Job:
    """Where the job that publishes is defined; it was started by `release.yml`."""

    defined_in: str
    predicted: str
    """`with` attestations, `without`, or `refused`."""
    because: str = ""
    """What the refusal says."""


JOBS = {
    "plain": Job(f"{_HERE}/release.yml@{_TAG}", "with"),
    "reusable": Job(f"{_HERE}/called.yml@{_TAG}", "without"),
    "reusable of another repository": Job(
        f"octo-org/shared/.github/workflows/called.yml@{_TAG}", "refused", "another repository"
    ),
    "nested reusable": Job(f"{_HERE}/inner.yml@{_TAG}", "without"),
    # An action is no workflow: the claims are the same, however deeply it is nested.
    "composite": Job(f"{_HERE}/release.yml@{_TAG}", "with"),
    "reusable, at another ref": Job(
        f"{_HERE}/called.yml@refs/heads/main", "refused", "another ref"
    ),
    "nested, at another commit": Job(f"{_HERE}/inner.yml@{'f' * 40}", "refused", "another ref"),
    "reusable, at the run's commit": Job(f"{_HERE}/called.yml@{_COMMIT}", "without"),
    "the caller itself, at another ref": Job(
        f"{_HERE}/release.yml@refs/heads/main", "refused", "another ref"
    ),
    # The exchange accepts a commit, and the file is the one that certificates name.
    "the caller itself, at the run's commit": Job(f"{_HERE}/release.yml@{_COMMIT}", "with"),
    "nested, of another owner": Job(
        f"others/shared/.github/workflows/inner.yml@{_TAG}", "refused", "another repository"
    ),
}
REGISTERED = {
    "the caller": ("release.yml",),
    "the called": ("called.yml", "inner.yml"),
    "both": ("release.yml", "called.yml", "inner.yml"),
}


def registry(files: tuple[str, ...]) -> Registry:
    rows = [
        {**TRUE_ROW, "environment": "", "workflow": file, "projects": ["sample"]} for file in files
    ]
    return Registry.parse(json.dumps({"publishers": rows, "pending_publishers": []}))


def tried(stage: Stage, claims: dict[str, Any], folder: Path) -> dict[str, bool]:
    """Return whether a token is minted, and with which attestations a file is accepted."""
    client = client_of(stage.world)
    minted = client.mint(client.identity(**claims))
    accepted = {"token": minted.status_code == 200}
    if not accepted["token"]:
        return accepted
    signed_as = {name: value for name, value in claims.items() if isinstance(value, str)}
    token = minted.json()["token"]
    for number, (name, kinds) in enumerate(
        {"none": (), PUBLISH: (PUBLISH,), SLSA: (SLSA,), "both": (PUBLISH, SLSA)}.items()
    ):
        path = make_wheel(folder, version=f"0.{number + 1}")
        made = [
            attestation(stage.world, path, predicate_type=kind, **signed_as).model_dump_json()
            for kind in kinds
        ]
        answer = client.upload(path, token, attestations=f"[{','.join(made)}]" if made else None)
        assert answer.status_code in {200, 400}, answer.text
        accepted[name] = answer.status_code == 200
    return accepted


@pytest.mark.sample(12)
@pytest.mark.parametrize("registered", REGISTERED)
@pytest.mark.parametrize("kind", JOBS)
def test_what_is_predicted_is_what_happens(
    dist: Path, tmp_path: Path, kind: str, registered: str
) -> None:
    job = JOBS[kind]
    claims = job_claims(
        {},
        {
            "ref": _TAG,
            "sha": _COMMIT,
            "workflow_ref": f"{_HERE}/release.yml@{_TAG}",
            "job_workflow_ref": job.defined_in,
        },
    )
    with staged(dist, claims=claims, registry=registry(REGISTERED[registered])) as stage:
        by_hand = tried(stage, claims, tmp_path / "tried")
        before = len(stage.world.log)
        if job.predicted == "without":
            required = stage.run(provenance="true", attestations="true")
            assert "cannot be made in a reusable workflow" in problem(required)
        report = stage.run(provenance="true")
        assert report.story.improvements or job.predicted != "without"

        if job.predicted == "refused":
            assert not by_hand["token"], "no registration helps"
            assert re.search(rf"reusable workflow (?:in|at) {job.because}", problem(report))
            assert report.problems[0].stage == "identity"
        elif not by_hand["token"]:
            assert report.problems[0].stage == "token"
        else:
            assert report.result == "done", problem(report)
            accepts = job.predicted == "with"
            assert by_hand == {
                "token": True,
                "none": True,
                **dict.fromkeys((PUBLISH, SLSA, "both"), accepts),
            }
            for name in (WHEEL, SDIST):
                served = [each.predicate_type for each in report.files[name].attestations]
                assert served == ([PUBLISH, SLSA] if accepts else [])
        if job.predicted != "with":
            assert len(stage.world.log) == before, "nothing is signed that nobody accepts"
