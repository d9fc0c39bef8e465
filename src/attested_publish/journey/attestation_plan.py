"""What an identity's claims predict, before a token is spent on finding out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attested_publish.attestations.sidecars import PUBLISH, SLSA
from attested_publish.attestations.slsa import provenance_predicate
from attested_publish.identity.circleci import CircleCIIdentity
from attested_publish.identity.github import ISSUER, GitHubIdentity, other_issuer
from attested_publish.identity.gitlab import GitLabIdentity
from attested_publish.identity.google import GoogleIdentity
from attested_publish.identity.other import OtherIdentity
from attested_publish.net.untrusted import shown
from attested_publish.problems import IdentityProblem, Topic
from attested_publish.settings import Attestations, Settings

if TYPE_CHECKING:
    from attested_publish.attestations.slsa import Predicate
    from attested_publish.identity.publishers import Identity
    from attested_publish.index.index import Index


_NEVER_LATER = "They cannot be added after the upload."
_TWO_JOBS = """\
    jobs:
      build:
        uses: OWNER/REPOSITORY/.github/workflows/build.yml@REF
      publish:
        needs: build
        runs-on: ubuntu-latest
        environment: pypi
        permissions:
          id-token: write
        steps:
          - uses: actions/download-artifact@COMMIT
            with:
              path: dist
          - uses: attested-publish/attested-publish@COMMIT"""


@dataclass(frozen=True)
class AttestationPlan:
    """Whether to sign, and if not, why not (a sentence for the user; empty: as asked for).

    With `takes_made`, existing attestations may be uploaded nevertheless: they are in the log,
    and the index accepts attestations of this publisher. `provenance` is the predicate of the SLSA
    provenance that is signed, too; without one, `why_no_provenance` says why not.
    """

    attest: bool
    why_not: str = ""
    takes_made: bool = False
    provenance: Predicate | None = None
    why_no_provenance: str = ""

    @property
    def predicates(self) -> dict[str, Predicate | None]:
        """What is signed about each file, by predicate type; a publish attestation's is `None`."""
        if not self.attest:
            return {}
        return {PUBLISH: None} | ({} if self.provenance is None else {SLSA: self.provenance})

    @property
    def sends(self) -> bool:
        """Whether any attestation may be uploaded."""
        return self.attest or self.takes_made


def refuse_hopeless(identity: Identity, index: Index) -> None:
    """Raise `IdentityProblem` for an identity whose exchange PyPI surely refuses.

    Other indexes have rules of their own, so they are asked.
    """
    if not index.works_as_pypi:
        return
    match identity:
        case GitHubIdentity():
            _refuse_hopeless_on_github(identity, index)
        case GitLabIdentity():
            _refuse_hopeless_on_gitlab(identity, index)
        case CircleCIIdentity(is_open_to_ssh=True):
            raise IdentityProblem(
                f"{index.name} accepts no releases from a job that was rerun with SSH",
                topic=Topic.IDENTITY_UNUSABLE,
                detail="Anybody logged in to the job could change what is published.",
                remedy="Rerun the job without SSH.",
            )
        case OtherIdentity():
            _refuse_other_github(identity, index)
        case _:
            pass


def _refuse_other_github(identity: OtherIdentity, index: Index) -> None:
    """PyPI accepts GitHub's identities from github.com's issuer only, as it is by default."""
    issuer = other_issuer(identity.issuer)
    if issuer is not None:
        raise IdentityProblem(
            f"{index.name} accepts no identities from this issuer",
            topic=Topic.IDENTITY_UNUSABLE,
            detail=f"The job's identity token is from {shown(identity.issuer, 200)}: "
            f"{issuer.what}. {index.name} accepts tokens of GitHub Actions from {ISSUER} only.",
            remedy=issuer.remedy,
        )


def _refuse_hopeless_on_github(identity: GitHubIdentity, index: Index) -> None:
    """PyPI requires `job_workflow_ref` in the job's repository and at its ref or commit.

    It accepts no `pull_request_target`.
    """
    if identity.event == "pull_request_target":
        raise IdentityProblem(
            f"{index.name} accepts no releases from pull_request_target",
            topic=Topic.PULL_REQUEST_TARGET,
            detail="Such a job has the repository's permissions, and runs on code that anybody "
            "may have proposed.",
            remedy="Publish from a workflow that runs on a release or on a tag:\n\n"
            "    on:\n      release:\n        types: [published]",
        )
    if identity.called_repository.lower() != identity.repository.lower():
        raise IdentityProblem(
            f"{index.name} accepts no releases from a reusable workflow in another repository",
            topic=Topic.OTHER_REPOSITORY,
            detail=f"The job is defined in {shown(identity.job_workflow_ref, 200)}, but runs for "
            f"{shown(identity.repository)}. {index.name}'s token exchange looks at the reusable "
            "workflow, which no publisher of this repository can name.",
            remedy="Let the reusable workflow build and upload the files as an artifact, and "
            f"publish in a job of the calling workflow itself:\n\n{_TWO_JOBS}",
        )
    if not identity.is_called_at_its_ref:
        raise IdentityProblem(
            f"{index.name} accepts no releases from a reusable workflow at another ref",
            topic=Topic.IDENTITY_UNUSABLE,
            detail=f"The job is defined in {shown(identity.job_workflow_ref, 200)}, but runs for "
            f"{shown(identity.ref, 200)}. {index.name}'s token exchange wants both at the same ref "
            "or commit.",
            remedy="Call it as `./.github/workflows/FILE`, without a ref; with attestations only "
            f"a job of the calling workflow itself can publish:\n\n{_TWO_JOBS}",
        )


def _refuse_hopeless_on_gitlab(identity: GitLabIdentity, index: Index) -> None:
    """PyPI requires `ci_config_ref_uri` in the job's project."""
    if identity.config_project.lower() != identity.project_path.lower():
        raise IdentityProblem(
            f"{index.name} accepts no releases from another project's pipeline",
            topic=Topic.OTHER_REPOSITORY,
            detail=f"The pipeline is defined in {shown(identity.config_ref, 200)}, but runs "
            f"for {shown(identity.project_path)}. No publisher can name both.",
            remedy="Define the pipeline in the project itself; it may include files of others.",
        )


def advice(identity: Identity) -> list[str]:
    """Return what is allowed in this identity, but unwise: a sentence each."""
    match identity:
        case GitHubIdentity():
            return _advice(
                identity,
                "whoever can push a workflow file can publish. Give the job an `environment:` "
                "with required reviewers",
                is_of_a_release=identity.event == "release",
            )
        case GitLabIdentity():
            return _advice(
                identity,
                "whoever can push a CI/CD configuration can publish. Give the job a protected "
                "`environment:`",
            )
        case CircleCIIdentity():
            return _ref_advice(identity)
        case GoogleIdentity():
            logged = "its address is in the attestations, and in Sigstore's log for good"
            return [
                f"A certificate names this service account ({shown(identity.email)}): {logged}."
            ]
        case _:
            return []


def signers_advice(identity: Identity, index: Index) -> list[str]:
    """Return what attestations by this identity are good for: a sentence each."""
    match identity:
        case OtherIdentity():
            job = "PyPI wants those of the job that is the project's trusted publisher"
            return [f"No index accepts these attestations: {job}. Others can verify them."]
        case CircleCIIdentity() if index.works_as_pypi:
            return [
                f"{index.name} accepts no attestations from CircleCI yet. Others can verify them."
            ]
        case GoogleIdentity():
            return advice(identity)
        case _:
            return []


def refuse_to_sign(
    wish: Attestations, identity: Identity, index: Index, *, is_public_log: bool
) -> None:
    """Raise `IdentityProblem` where signing would be pointless, or would publish what is hidden."""
    obstacle = _obstacle(identity, index)
    if obstacle is not None and obstacle.is_of_the_job:
        raise IdentityProblem(
            f"Attestations cannot be made {obstacle.where}",
            topic=obstacle.topic,
            detail=f"Here {obstacle.why}",
            remedy=f"{obstacle.remedy}.{obstacle.to_paste}",
        )
    if wish is Attestations.AUTO and is_public_log and identity.why_hidden:
        raise IdentityProblem(
            "Nothing is signed in public",
            topic=Topic.IDENTITY_UNUSABLE,
            detail=f"Here {identity.why_hidden}, and signing would record that in Sigstore's "
            "public log for good.",
            remedy="Set attestations to true to allow it, or use a private Sigstore.",
        )


def _advice(
    identity: GitHubIdentity | GitLabIdentity, risk: str, *, is_of_a_release: bool = False
) -> list[str]:
    sentences = []
    if identity.environment is None:
        sentences.append(f"The job has no environment: {risk}, and name it in the publisher.")
    return sentences if is_of_a_release else [*sentences, *_ref_advice(identity)]


def _ref_advice(identity: Identity) -> list[str]:
    if not identity.origin or identity.origin.startswith("refs/tags/"):
        return []
    lost = "what was released cannot be found again by its version"
    ref = shown(identity.origin, 200)
    return [f"The release comes from {ref}, not from a tag: {lost}. Publish on a tag or a release."]


def attestation_plan(
    wish: Attestations, identity: Identity, index: Index, *, is_public_log: bool
) -> AttestationPlan:
    """Decide whether the files of this release get attestations.

    Raises `IdentityProblem` when they are required and the index would refuse them.
    """
    if wish is Attestations.NEVER:
        return AttestationPlan(attest=False)
    obstacle = _obstacle(identity, index)
    if obstacle is not None:
        if wish is Attestations.REQUIRED:
            raise IdentityProblem(
                f"Attestations are required, but cannot be made {obstacle.where}",
                topic=obstacle.topic,
                detail=f"Here {obstacle.why}",
                remedy=f"{obstacle.remedy}, or set attestations to auto to publish without."
                f"{obstacle.to_paste}",
            )
        return AttestationPlan(
            attest=False,
            why_not=f"No attestations: {obstacle.why} {obstacle.remedy} to have them. "
            f"{_NEVER_LATER}",
            takes_made=obstacle.is_of_the_job and index.takes_attestations,
        )
    if wish is Attestations.REQUIRED:
        return AttestationPlan(attest=True)
    if is_public_log and identity.why_hidden:
        return AttestationPlan(
            attest=False,
            why_not=f"No attestations: {identity.why_hidden}, and signing would record that in "
            "Sigstore's public log for good. `attestations: true` allows it. "
            f"{_NEVER_LATER}",
            takes_made=index.takes_attestations,
        )
    if is_public_log and not index.takes_attestations:
        return AttestationPlan(
            attest=False,
            why_not=f"No attestations: {index.name} is not known to accept them. "
            f"`attestations: true` sends them anyway. {_NEVER_LATER}",
        )
    return AttestationPlan(attest=True)


def with_provenance(
    plan: AttestationPlan, settings: Settings, identity: Identity
) -> AttestationPlan:
    """Have SLSA provenance signed, too, if it is wanted and the identity says enough of the build.

    Raises `IdentityProblem` where it does not and attestations are required.
    """
    if not (plan.attest and settings.provenance):
        return plan
    predicate = provenance_predicate(identity)
    if predicate is not None:
        return replace(plan, provenance=predicate)
    provider = shown(identity.publisher.provider, 200)
    why = f"an identity from {provider} does not say which run built the files"
    remedy = "Build and publish on GitHub or GitLab"
    if settings.attestations is Attestations.REQUIRED:
        raise IdentityProblem(
            "SLSA provenance is wanted, but cannot be made here",
            topic=Topic.IDENTITY_UNUSABLE,
            detail=f"`provenance` and `attestations` are true, but {why}.",
            remedy=f"{remedy}, or set provenance to false.",
        )
    return replace(plan, why_no_provenance=f"No SLSA provenance: {why}. {remedy} to have it.")


@dataclass(frozen=True)
class _Obstacle:
    """Why an index does not accept attestations of an identity.

    `where` follows "cannot be made", `why` is a sentence, `remedy` the beginning of one;
    `to_paste` may come after it. With `is_of_the_job`, other jobs of the same publisher could
    make some that the index accepts.
    """

    where: str
    why: str
    remedy: str
    topic: Topic
    to_paste: str = ""
    is_of_the_job: bool = False


def _obstacle(identity: Identity, index: Index) -> _Obstacle | None:
    match identity:
        case GitHubIdentity(is_reusable_workflow=True):
            return _Obstacle(
                where="in a reusable workflow",
                why=f"the job is in a reusable workflow: {index.name} takes the publisher from "
                f"{shown(identity.job_workflow_ref, 200)}, but the attestation's policy from "
                f"{shown(identity.workflow_ref, 200)}, and no publisher satisfies both.",
                remedy="Publish in a job of the calling workflow itself",
                topic=Topic.REUSABLE_WORKFLOW,
                to_paste=f"\n\n{_TWO_JOBS}",
                is_of_the_job=True,
            )
        case CircleCIIdentity() | OtherIdentity() if index.works_as_pypi:
            provider = shown(identity.publisher.provider, 200)
            return _Obstacle(
                where=f"from {provider}",
                why=f"{index.name} accepts no attestations from {provider} yet.",
                remedy="Publish from GitHub, GitLab or Google Cloud",
                topic=Topic.IDENTITY_UNUSABLE,
            )
        case OtherIdentity(is_person=False):
            issuer = shown(identity.issuer, 200)
            return _Obstacle(
                where=f"with an identity from {issuer}",
                why=f"what certificates say of identities from {issuer} is not known, so nobody "
                "could verify them.",
                remedy="Publish from github.com, gitlab.com, Google Cloud or CircleCI",
                topic=Topic.IDENTITY_UNUSABLE,
            )
        case _:
            return None
