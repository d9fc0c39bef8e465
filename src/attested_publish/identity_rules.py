"""What an identity's claims foretell, before a token is spent on finding out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.foreign import shown
from attested_publish.problems import IdentityProblem
from attested_publish.settings import Attestations

if TYPE_CHECKING:
    from attested_publish.identity import Identity
    from attested_publish.index import Index


@dataclass(frozen=True)
class AttestationPlan:
    """Whether to attest, and if not, why (a sentence for the user; empty: asked for)."""

    attest: bool
    why_not: str = ""


def refuse_hopeless(identity: Identity, index: Index) -> None:
    """Raise `IdentityProblem` for an identity whose exchange PyPI surely refuses.

    PyPI compares `job_workflow_ref` with the repository that the job runs for, and
    refuses `pull_request_target`. Another index may do as it likes: it is asked.
    """
    if not index.works_as_pypi:
        return
    if identity.event == "pull_request_target":
        raise IdentityProblem(
            f"{index.name} takes no releases from pull_request_target",
            detail="Such a job runs with the repository's rights on code that anybody may "
            "have proposed.",
            remedy="Publish from a workflow that runs on a release or on a tag.",
        )
    if identity.called_repository.lower() != identity.repository.lower():
        raise IdentityProblem(
            f"{index.name} takes no releases from a workflow of another repository",
            detail=f"The job stands in {shown(identity.job_workflow_ref, 200)}, but runs for "
            f"{shown(identity.repository)}. {index.name}'s token exchange looks at the called "
            "workflow, which no publisher of this repository can name.",
            remedy="Let the called workflow build and hand over the files as an artifact, and "
            "publish in a job that is written out in the calling workflow.",
        )


def advice(identity: Identity) -> list[str]:
    """Return what is legal in this identity, but unwise: a sentence each."""
    told = []
    if identity.environment is None:
        told.append(
            "The job runs in no environment: whoever can push a workflow file can publish. Give "
            "the job an `environment:` with required reviewers, and name it in the publisher."
        )
    if not identity.ref.startswith("refs/tags/") and identity.event != "release":
        told.append(
            f"The release comes from {shown(identity.ref, 200)}, not from a tag: what was "
            "released cannot be found again by its version. Publish on a tag or a release."
        )
    return told


def attestation_plan(
    wish: Attestations, identity: Identity, index: Index, *, is_public_log: bool
) -> AttestationPlan:
    """Decide whether the files of this release get attestations.

    Raises `IdentityProblem` when they are required and the index would refuse them.
    """
    if wish is Attestations.NEVER:
        return AttestationPlan(attest=False)
    if identity.is_reusable_workflow:
        why = (
            f"the job stands in a called workflow: {index.name} takes the publisher from "
            f"{shown(identity.job_workflow_ref, 200)}, but the attestation's policy from "
            f"{shown(identity.workflow_ref, 200)}, and no publisher satisfies both."
        )
        if wish is Attestations.REQUIRED:
            raise IdentityProblem(
                "Attestations are required, but cannot be had in a called workflow",
                detail=f"Here {why}",
                remedy="Publish in a job that is written out in the calling workflow, or set "
                "attestations to auto to publish without.",
            )
        return AttestationPlan(
            attest=False,
            why_not=f"No attestations: {why} Publish from a job in the calling workflow itself "
            "to have them.",
        )
    if wish is Attestations.REQUIRED:
        return AttestationPlan(attest=True)
    if is_public_log and identity.visibility != "public":
        return AttestationPlan(
            attest=False,
            why_not="No attestations: the repository is not public, and signing would write its "
            "name and commit into Sigstore's public log for good. `attestations: true` allows it.",
        )
    if is_public_log and not index.works_as_pypi:
        return AttestationPlan(
            attest=False,
            why_not=f"No attestations: {index.name} is not known to take them. "
            "`attestations: true` sends them all the same.",
        )
    return AttestationPlan(attest=True)
