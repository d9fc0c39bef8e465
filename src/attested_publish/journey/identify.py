"""The fourth stage: who the job is, and whether the index will accept its attestations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from attested_publish.identity.audiences import SIGSTORE_AUDIENCE
from attested_publish.identity.tokens import understand
from attested_publish.index.api_token import audience_of
from attested_publish.journey.attestation_plan import (
    AttestationPlan,
    advice,
    attestation_plan,
    refuse_hopeless,
    signers_advice,
    with_provenance,
)
from attested_publish.net.addresses import is_loopback
from attested_publish.net.parallel import meanwhile
from attested_publish.net.retry import persistently
from attested_publish.net.untrusted import shown
from attested_publish.problems import NoIdentity, Stage, Topic
from attested_publish.settings import Attestations, Settings

if TYPE_CHECKING:
    from attested_publish.identity.publishers import Identity
    from attested_publish.index.api_token import Audience
    from attested_publish.journey.run import Run


Signer: TypeAlias = "tuple[Identity, AttestationPlan]"
"""Who the job is, and whether it will sign."""


def audience_meanwhile(run: Run) -> Callable[[], Audience]:
    """Begin to ask the index which audience it wants in identity tokens; return how to get it.

    It is asked once. What the function returns raises `TokenProblem`.
    """
    if run.audience is None:
        index, ambient = run.targets.index, run.means.ambient
        run.audience = meanwhile(
            lambda: persistently(
                lambda: audience_of(
                    index,
                    run.means.session,
                    # Only an index on loopback can gain from it.
                    is_provider_local=is_loopback(index.host) and ambient.is_local,
                ),
                run.targets.deadlines.audience,
                run.printer.waiting,
            )
        )
    return run.audience


def identify(run: Run, audience: Callable[[], Audience]) -> Signer:
    """Return who the job is, and whether the index will accept attestations of it.

    `audience` gives the index's. Without attestations the job needs no token for Sigstore.
    Raises `IdentityProblem`, also where a user is given: somebody meant to give a password, too.
    """
    unsigned = run.settings.attestations is Attestations.NEVER
    with run.recorder.stage(Stage.IDENTITY, "who this job is"):
        if run.settings.user != Settings.user:
            raise _no_password(run.settings.user)
        identity = _identity(run, audience().name if unsigned else SIGSTORE_AUDIENCE)
        refuse_hopeless(identity, run.targets.index)
        for sentence in advice(identity):
            run.recorder.improvement(sentence)
        plan = attestation_plan(
            run.settings.attestations,
            identity,
            run.targets.index,
            is_public_log=run.targets.is_public_log,
        )
        plan = with_provenance(plan, run.settings, identity)
        for sentence in filter(None, (plan.why_not, plan.why_no_provenance)):
            run.recorder.improvement(sentence)
    return identity, plan


def identify_signer(run: Run) -> Signer:
    """Return who the job or person is, for signing alone, and what. Raises `IdentityProblem`."""
    with run.recorder.stage(Stage.IDENTITY, "who this job is"):
        try:
            identity = _identity(run, SIGSTORE_AUDIENCE)
        except NoIdentity as problem:
            if problem.topic is Topic.NO_IDENTITY:
                problem.remedy = (
                    "Sign in a job on GitHub with `permissions: id-token: write`, or in one on "
                    "GitLab with `id_tokens:`, or at a terminal, where you are asked to sign in."
                )
            raise
        for sentence in signers_advice(identity, run.targets.index):
            run.printer.notice(sentence)
        plan = with_provenance(AttestationPlan(attest=True), run.settings, identity)
        if plan.why_no_provenance:
            run.printer.notice(plan.why_no_provenance)
    return identity, plan


def _identity(run: Run, audience: str) -> Identity:
    identity = understand(run.means.ambient.token(audience))
    run.identity = identity
    run.printer.item(shown(identity.publisher), shown(identity.origin))
    return identity


def _no_password(user: str) -> NoIdentity:
    return NoIdentity(
        "A user is given, but no password",
        topic=Topic.NO_IDENTITY,
        detail=f"The user is {shown(user)}, and the password is empty. A secret that does not "
        "exist, or that this event may not read (a pull request from a fork, an environment that "
        "is not named), arrives as empty text. No identity was asked for instead.",
        remedy="Check the name of the secret, and that the job has the environment it is kept in. "
        "With a trusted publisher neither user nor password is needed: leave both out, and add "
        "this to the job:\n\n    permissions:\n      id-token: write",
    )
