"""How the files of a release come by their attestations: found, judged, made, and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attested_publish.attestations import sidecars
from attested_publish.attestations.sidecars import Judgement, Ready, without_suffix
from attested_publish.journey.telling import record_attestation, record_publisher
from attested_publish.net.parallel import meanwhile
from attested_publish.net.untrusted import shown
from attested_publish.problems import AttestationNotAccepted, Stage, Topic, counted
from attested_publish.report import Status
from attested_publish.settings import Attestations

if TYPE_CHECKING:
    from pathlib import Path

    from pypi_attestations import Attestation

    from attested_publish.attestations.sidecars import Fault
    from attested_publish.attestations.sign import Signing
    from attested_publish.attestations.verify import Trust
    from attested_publish.console.reporter import Reporter
    from attested_publish.distributions import Distribution
    from attested_publish.identity.publishers import Identity
    from attested_publish.identity.tokens import AmbientIdentity
    from attested_publish.journey.forecast import AttestationPlan
    from attested_publish.journey.memory import Memory
    from attested_publish.journey.targets import Services
    from attested_publish.sandbox.pool import Sandbox
    from attested_publish.settings import Settings

_TOLD = 20
"""Of how many files it is said why they are left aside."""


@dataclass(frozen=True)
class Attesting:
    """The attestations of one release, at one index.

    Its methods are stages of a journey: each raises a `Problem` where the release has to stop,
    and leaves what it learned in the reporter's report. `memory` is the run's. What
    lies beside the files is read in the `sandbox`.
    """

    settings: Settings
    services: Services
    reporter: Reporter
    ambient: AmbientIdentity
    memory: Memory
    sandbox: Sandbox

    @property
    def may_attest(self) -> bool:
        """Say whether attestations are not ruled out from the start."""
        return not self.settings.password and self.settings.attestations is not Attestations.NEVER

    def prove_folders(self, distributions: Sequence[Distribution]) -> None:
        """Prove that attestation files can be left where they are to be, before any is made."""
        from attested_publish.attestations.files import prove_writable

        chosen = self.settings.attestations_dir
        prove_writable({each.filename: chosen or each.source.parent for each in distributions})

    def trust(self) -> Callable[[], Trust] | None:
        """Prepare the Sigstore instance meanwhile, where attestations are not ruled out."""
        if not self.may_attest:
            return None
        return self.trust_for_signing()

    def trust_for_signing(self) -> Callable[[], Trust]:
        """Prepare the Sigstore instance meanwhile."""
        if self.memory.trust is None:
            self.memory.trust = meanwhile(self.load_trust)
        return self.memory.trust

    def prove_trust_config(self) -> None:
        """Load the Sigstore that was given, before anything is spent; the public one can wait.

        Raises `SigningProblem`.
        """
        if self.may_attest and self.services.trust_config is not None:
            self.trust_for_signing()()

    def load_trust(self) -> Trust:
        """Load the Sigstore instance, now."""
        from attested_publish.attestations import sign as signing
        from attested_publish.attestations.verify import load_trust
        from attested_publish.index import upload
        from attested_publish.journey import confirm

        trust = load_trust(self.services.trust_config)
        # Imported here to be there when they are needed: importing them takes its time.
        _ = (signing, upload, confirm)
        return trust

    def beside(self, distributions: Sequence[Distribution]) -> list[Path]:
        """Find what may hold attestations, where attestations are not ruled out."""
        if not self.may_attest:
            return []
        return sidecars.beside(distributions)

    def judge(
        self,
        distributions: Sequence[Distribution],
        identity: Identity,
        trust: Callable[[], Trust] | None,
        *,
        plan: AttestationPlan | None = None,
    ) -> Judgement:
        """Find which attestations that lie beside the distributions the index will take.

        They are in the log already, so that they go up also where the `plan` is not to
        sign. Raises `AttestationNotAccepted` where attestations are required and one does
        not hold; otherwise what does not hold is told, and left aside.
        """
        paths = self.beside(distributions)
        may_send = plan is None or plan.sends
        if trust is None or not paths or not may_send:
            return Judgement()
        from attested_publish.attestations import existing as ready_made
        from attested_publish.attestations.verify import policy_for

        policy = policy_for(identity.publisher)
        with self.reporter.stage(Stage.VERIFICATION, "the attestations beside the files"):
            judgement = ready_made.judge(
                paths, distributions, policy, trust().verifier, self.sandbox
            )
            for each in distributions:
                for ready in judgement.usable.get(each.filename, ()):
                    record_attestation(
                        self.reporter.report, each, ready.attestation, ready.predicate_type
                    )
                    self.reporter.item(shown(ready.path.name), f"holds for {shown(each.filename)}")
            self._notices(
                f"{shown(spare.path.name)} is left aside: it holds, but another file has an "
                f"attestation of the same kind ({spare.predicate_type}), and one is taken."
                for spare in judgement.spare
            )
            refused = [fault for fault in judgement.faults if fault.was_made_for_upload]
            if refused and self.settings.attestations is Attestations.REQUIRED:
                raise _not_accepted(refused)
            self._notices(_aside(fault) for fault in judgement.faults)
            replaced = {without_suffix(fault.path) for fault in refused}
            anew = [each for each in judgement.unsigned(distributions) if each.filename in replaced]
            if anew and (plan is None or plan.attest):
                self.reporter.notice(f"{counted(len(anew), 'attestation')} will be made anew.")
        return judgement

    def _notices(self, texts: Iterable[str]) -> None:
        """Tell the first of many things, and how many more there are."""
        every = list(texts)
        for text in every[:_TOLD]:
            self.reporter.notice(text)
        if len(every) > _TOLD:
            more = counted(len(every) - _TOLD, "more file")
            self.reporter.notice(f"The same applies to {more} beside the distributions.")

    def reuse(
        self,
        ready: Judgement,
        distributions: Sequence[Distribution],
        identity: Identity,
        trust: Callable[[], Trust] | None,
        plan: AttestationPlan,
    ) -> None:
        """Add to what is `ready` what this run has signed already, for another index.

        It is in the log, so that it goes up also where the `plan` is not to sign. Held
        against this index's publisher anew; what does not hold has to be signed anew.
        """
        signed = self.memory.signed
        before = [each for each in ready.unsigned(distributions) if each.filename in signed]
        if trust is None or not before or not plan.sends:
            return
        from attested_publish.attestations.verify import (
            PUBLISH_PREDICATE,
            AttestationRefused,
            policy_for,
            verify_attestation,
        )

        policy = policy_for(identity.publisher)
        with self.reporter.stage(Stage.VERIFICATION, "what was signed for the index before"):
            for each in before:
                attestation = signed[each.filename]
                try:
                    verify_attestation(
                        attestation,
                        filename=each.filename,
                        sha256=each.sha256,
                        policy=policy,
                        verifier=trust().verifier,
                    )
                except AttestationRefused as error:
                    self.reporter.notice(f"{shown(each.filename)} is signed anew: {error}")
                    continue
                made = Ready(each.source, PUBLISH_PREDICATE, attestation)
                ready.usable.setdefault(each.filename, []).insert(0, made)
                record_attestation(self.reporter.report, each, attestation, PUBLISH_PREDICATE)
            unsigned = ready.unsigned(before)
            self.reporter.item(
                f"{counted(len(before) - len(unsigned), 'attestation')} in order",
                "not signed again",
            )
        record_publisher(self.reporter.report, identity.publisher.provenance)

    def signing(self, trust: Callable[[], Trust]) -> Signing:
        """Set up signing; the certificate is asked for meanwhile."""
        from attested_publish.attestations.sign import Signing

        return Signing(trust(), self.ambient, self.services.deadlines, self.reporter.waiting)

    def sign(
        self, distributions: Sequence[Distribution], identity: Identity, signing: Signing
    ) -> Mapping[str, Attestation]:
        """Sign every distribution, then verify each attestation as the index will."""
        from attested_publish.attestations import verify as attestations

        reporter = self.reporter

        def signed(distribution: Distribution, attestation: Attestation) -> None:
            self.memory.signed[distribution.filename] = attestation
            record_attestation(
                self.reporter.report, distribution, attestation, attestations.PUBLISH_PREDICATE
            )
            entry = attestations.log_index(attestation)
            progress.done(distribution.filename, distribution.size, f"log entry {entry}")

        with (
            reporter.stage(Stage.SIGNATURES, "one certificate, a logged signature for each file"),
            reporter.progress(distributions) as progress,
        ):
            made = signing.sign_all(
                distributions, signed, begun=lambda each: progress.begun(each.filename)
            )
        record_publisher(self.reporter.report, identity.publisher.provenance)
        with reporter.stage(Stage.VERIFICATION, "each attestation, as the index will verify it"):
            attestations.verify(
                distributions, made, attestations.policy_for(identity.publisher), signing.trust
            )
            reporter.item(f"{counted(len(made), 'attestation')} in order")
        return made

    def keep(
        self,
        distributions: Sequence[Distribution],
        ready: Judgement,
        made: Mapping[str, Attestation],
    ) -> None:
        """Leave attestation files in `attestations-dir`, or next to each distribution."""
        from attested_publish.attestations.files import keep, others, staying

        for each in distributions:
            folder = self.settings.attestations_dir or each.source.parent
            usable = ready.usable.get(each.filename, [])
            signed = [made[each.filename]] if each.filename in made else []
            every = [*signed, *(one.attestation for one in usable)]
            there = staying(usable, each.filename, folder, every)
            lying = [one.attestation for one in there]
            kept = keep([one for one in every if one not in lying], each.filename, folder)
            self.reporter.report.files[each.filename].status = Status.ATTESTED
            self.reporter.report.attestations_dir = folder
            for path in others(each.filename, folder, kept | {one.path.name for one in there}):
                self.reporter.warning(
                    f"{shown(path.name)} stays where it is, and an uploader would send it along. "
                    "It is none of those that hold: the index may refuse the file. Remove it."
                )


def _aside(fault: Fault) -> str:
    aside = "is left aside" if fault.was_made_for_upload else "is not converted"
    return f"{shown(fault.path.name)} {aside}: {fault.why}"


def _not_accepted(faults: Sequence[Fault]) -> AttestationNotAccepted:
    told = [f"{shown(fault.path.name)}: {fault.why}" for fault in faults[:_TOLD]]
    if len(faults) > _TOLD:
        told.append(f"And {len(faults) - _TOLD} more.")
    return AttestationNotAccepted(
        f"{counted(len(faults), 'ready-made attestation')} would not be accepted",
        topic=Topic.ATTESTATION_INVALID,
        detail="\n".join(told),
        remedy="Leave these files out to have new attestations made, or set attestations to auto, "
        "which does so by itself.",
    )
