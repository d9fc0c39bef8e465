"""The stages of a release, each told to the reporter as it goes."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.distributions import Distribution, is_sidecar, stage
from attested_publish.findings import Finding, Severity
from attested_publish.foreign import shown
from attested_publish.holdings import Held, Holdings, findings_against, holdings
from attested_publish.identity import SIGSTORE_AUDIENCE, AmbientIdentity, Identity, understand
from attested_publish.identity_rules import (
    AttestationPlan,
    advice,
    attestation_plan,
    refuse_hopeless,
)
from attested_publish.parallel import meanwhile
from attested_publish.problems import (
    ConfirmationProblem,
    FilesProblem,
    IdentityProblem,
    IndexProblem,
    IndexUnusable,
    NoIdentity,
    RulesProblem,
    Stage,
)
from attested_publish.report import AttestationReport, FileReport, Status
from attested_publish.reporter import Reporter, size_text
from attested_publish.retry import persistently
from attested_publish.settings import Attestations, Settings, VerifyMetadata
from attested_publish.stopping import ended_when_stopped

if TYPE_CHECKING:
    import requests
    from pypi_attestations import Attestation

    from attested_publish.attestations import Trust
    from attested_publish.index import Index, IndexFile
    from attested_publish.services import Services
    from attested_publish.signing import Signing
    from attested_publish.trusted_publishing import TrustedCredentials
    from attested_publish.upload import Credentials, Outcome

_MOVE_TO_TRUSTED_PUBLISHING = (
    "Uploading with a password: no attestations are made, and a long-lived secret has to be "
    "kept. With a trusted publisher registered on the index and `permissions: id-token: write` "
    "in the job, leave the password out and have both solved."
)


@dataclass(frozen=True)
class Journey:
    """One release on its way: what was asked for, the services, and who is told.

    Its methods are the stages. Each raises a `Problem` of its own where the release
    has to stop, and leaves what it learned in the reporter's report. What is begun in
    the background and has to be finished is called in `afterwards`.
    """

    settings: Settings
    services: Services
    reporter: Reporter
    session: requests.Session
    ambient: AmbientIdentity
    afterwards: contextlib.ExitStack

    @contextlib.contextmanager
    def staged(self) -> Iterator[tuple[Distribution, ...]]:
        """Hold a private copy of the distributions, hashed once, sorted by filename."""
        with ended_when_stopped() as until_done:
            folders = ", ".join(shown(path) for path in self.settings.packages_dir)
            with self.reporter.stage(Stage.FILES, f"a private copy of what is in {folders}"):
                staged = until_done.enter_context(stage(self.settings.packages_dir))
                self.reporter.report.add_files(staged.distributions)
                for each in staged.distributions:
                    self._tell_file(each)
                for path in staged.ignored:
                    kind = "goes with a distribution" if is_sidecar(path) else "is none"
                    self.reporter.notice(f"{shown(path.name)} {kind} and is left aside.")
            yield staged.distributions

    def follow_rules(self, distributions: Sequence[Distribution]) -> None:
        """Find what the index would refuse in the files themselves."""
        if self.settings.verify_metadata is VerifyMetadata.NOTHING:
            return
        from attested_publish.rules import check_distribution, check_release

        with self.reporter.stage(Stage.RULES, "what the index would refuse"):
            of_release = check_release(distributions)
            for each in distributions:
                found = (*check_distribution(each), *of_release.get(each.filename, ()))
                self.reporter.findings(each, found)
            if not self.reporter.report.findings(*Severity):
                self.reporter.item(f"{counted(len(distributions), 'file')} in order")

    def asked(self, distributions: Sequence[Distribution]) -> Callable[[], Holdings]:
        """Ask the index meanwhile what it holds."""
        return meanwhile(
            lambda: persistently(
                lambda: holdings(distributions, self.services.index, self.session),
                self.services.deadlines.index,
                self.reporter.waiting,
            )
        )

    def holdings(
        self, distributions: Sequence[Distribution], asked: Callable[[], Holdings]
    ) -> Holdings:
        """Hear from the index what it holds, and find what is in the way there."""
        index = self.services.index
        with self.reporter.stage(Stage.INDEX, f"what {index.name} holds already"):
            try:
                held = asked()
            except IndexProblem as problem:
                is_needed = index.is_pypi or not isinstance(problem, IndexUnusable)
                # Where files are refused anyway, that is what the user has to know first.
                if is_needed and not self._stopping_findings():
                    raise
                held = Holdings(unreadable=problem.cause)
            if held.unreadable:
                self.reporter.notice(
                    f"{index.name} does not say what it holds ({held.unreadable}): "
                    "a re-run cannot tell what is there, and nothing will be confirmed."
                )
            for project, exists in held.projects.items():
                if not exists:
                    self.reporter.notice(_new_project(project, index))
            self._find_in_the_way(distributions, held)
            for each in distributions:
                self._tell_held(each, held)
            missing = held.missing_of(distributions)
            self.reporter.item(f"{counted(len(missing), 'file')} of {len(distributions)} to upload")
        return held

    def stop_if_refused(self, distributions: Sequence[Distribution]) -> None:
        """Stop where something was found that the index surely refuses, all of it at once."""
        found = self._stopping_findings()
        if not found:
            return
        refused = {file.filename: file for file, _ in found}
        for file in refused.values():
            file.status = Status.REFUSED
        rules = {each.rule for _, each in found}
        raise RulesProblem(
            f"{len(refused)} of {counted(len(distributions), 'file')} would be refused",
            detail="\n".join(_shortly(file, each) for file, each in found),
            remedy=found[0][1].remedy
            if len(rules) == 1
            else "Change what is named, build again, and run again. Nothing was uploaded.",
            file=next(iter(refused)) if len(refused) == 1 else None,
        )

    def mark_checked(self, distributions: Sequence[Distribution]) -> None:
        """Record that nothing stands against these files; what is there already stays so."""
        for each in distributions:
            if self.reporter.report.files[each.filename].status is Status.NOT_ATTEMPTED:
                self._set_status(each, Status.CHECKED)

    def prove_publisher(self, held: Holdings) -> None:
        """Mint an API token and revoke it at once: the proof that the index knows this job.

        A pending publisher would create its project by this, so a project that does
        not exist yet is left alone; where the job has no identity, that is said.
        """
        if self.settings.password:
            self.reporter.notice("A password is given: whether it is accepted shows on upload.")
            return
        audience = self.audience()
        try:
            identity, _ = self.identify()
        except NoIdentity as problem:
            self.reporter.notice(f"The trusted publisher was not checked: {problem.title}.")
            return
        new = [project for project, exists in held.projects.items() if not exists]
        if new:
            self.reporter.notice(
                "The trusted publisher was not checked: asking for a token would create "
                f"{shown(', '.join(new))}, which does not exist yet."
            )
            return
        with self.trusted(identity, audience, held):
            self.reporter.item("the index knows this job as a trusted publisher")

    def identify(self) -> tuple[Identity, AttestationPlan]:
        """Learn who the job is, and whether the index will take attestations of it."""
        index = self.services.index
        with self.reporter.stage(Stage.IDENTITY, "who this job is"):
            identity = self._identity()
            refuse_hopeless(identity, index)
            for sentence in advice(identity):
                self.reporter.notice(sentence)
            plan = attestation_plan(
                self.settings.attestations,
                identity,
                index,
                is_public_log=self.services.is_public_log,
            )
            if plan.why_not:
                self.reporter.notice(plan.why_not)
        return identity, plan

    def identify_signer(self) -> Identity:
        """Learn who the job is, for signing alone."""
        with self.reporter.stage(Stage.IDENTITY, "who this job is"):
            return self._identity()

    def trust(self) -> Callable[[], Trust] | None:
        """Prepare the Sigstore instance meanwhile, where attestations are not ruled out."""
        if self.settings.password or self.settings.attestations is Attestations.NEVER:
            return None
        return meanwhile(self._trust)

    def trust_for_signing(self) -> Callable[[], Trust]:
        """Prepare the Sigstore instance meanwhile."""
        return meanwhile(self._trust)

    def audience(self) -> Callable[[], str]:
        """Ask the index meanwhile which audience it wants in identity tokens."""
        from attested_publish.trusted_publishing import audience_of

        return meanwhile(
            lambda: persistently(
                lambda: audience_of(self.services.index, self.session),
                self.services.deadlines.audience,
                self.reporter.waiting,
            )
        )

    def signing(self, trust: Callable[[], Trust]) -> Signing:
        """Set up signing; the certificate is asked for meanwhile."""
        from attested_publish.signing import Signing

        return Signing(trust(), self.ambient, self.services.deadlines, self.reporter.waiting)

    @contextlib.contextmanager
    def trusted(
        self, identity: Identity, audience: Callable[[], str], held: Holdings
    ) -> Iterator[Credentials]:
        """Hold API tokens for the job's identity; they are revoked on every way out.

        That happens meanwhile, and is waited for at the end of the journey.
        """
        from attested_publish.trusted_publishing import Exchange, TrustedCredentials

        exchange = Exchange(
            index=self.services.index,
            ambient=self.ambient,
            identity=identity,
            projects=held.projects,
            session=self.session,
            deadlines=self.services.deadlines,
            mask=self.reporter.mask,
            tell=self.reporter.waiting,
        )
        doing = f"an API token of {self.services.index.name} for this identity"
        with ended_when_stopped() as until_done:
            with self.reporter.stage(Stage.TOKEN, doing):
                credentials = TrustedCredentials(exchange, audience())
                until_done.callback(self._revoke_meanwhile, credentials)
                _ = credentials.password
                self.reporter.item("minted", "short-lived, for this release only")
            yield credentials

    def given_credentials(self) -> Credentials:
        """Return the given user and password; they cannot go with attestations."""
        from attested_publish.upload import GivenCredentials

        if self.settings.attestations is Attestations.REQUIRED:
            raise IdentityProblem(
                "Attestations are required, but a password is given",
                detail="Indexes take attestations only from trusted publishers, whose identity "
                "they can hold the signatures against.",
                remedy="Leave the password out and publish with a trusted publisher, or set "
                "attestations to auto.",
            )
        self.reporter.mask(self.settings.password)
        self.reporter.notice(_MOVE_TO_TRUSTED_PUBLISHING)
        return GivenCredentials(self.settings.user, self.settings.password)

    def attest(
        self, distributions: Sequence[Distribution], identity: Identity, signing: Signing
    ) -> Mapping[str, Attestation]:
        """Sign every distribution, then verify each attestation as the index will."""
        from attested_publish import attestations

        reporter = self.reporter

        def signed(distribution: Distribution, attestation: Attestation) -> None:
            entry = attestations.log_index(attestation)
            reporter.report.files[distribution.filename].attestation = AttestationReport(
                predicate_type=attestations.PUBLISH_PREDICATE,
                log_index=entry,
                identity=attestations.certificate_identity(attestation),
            )
            reporter.item(shown(distribution.filename), f"log entry {entry}")

        with reporter.stage(Stage.SIGNATURES, "one certificate, a logged signature for each file"):
            made = signing.sign_all(distributions, signed)
        with reporter.stage(Stage.VERIFICATION, "each attestation, as the index will verify it"):
            attestations.verify(distributions, made, identity.publisher, signing.trust)
            reporter.item(f"{counted(len(made), 'attestation')} in order")
        return made

    def upload(
        self,
        distributions: Sequence[Distribution],
        attestations: Mapping[str, Attestation],
        held: Holdings,
        credentials: Credentials,
    ) -> None:
        """Upload distributions, each with its attestation where there is one."""
        from attested_publish.upload import Delivery, Outcome, upload

        def begun(distribution: Distribution) -> None:
            # Until more is known: a run that is stopped cannot say whether the file arrived.
            self._set_status(distribution, Status.FAILED)

        def done(distribution: Distribution, outcome: Outcome) -> None:
            name = shown(distribution.filename)
            if outcome is Outcome.NAME_TAKEN:
                self._set_status(distribution, Status.ALREADY_THERE)
                self.reporter.warning(f"{name}: its name is taken on the index already; skipped.")
            elif outcome is Outcome.DOUBTFUL:
                self.reporter.warning(
                    f"{name}: the answer was a success, but not in the index's own words."
                )
            else:
                self._set_status(distribution, Status.UPLOADED)
                self.reporter.item(name, size_text(distribution.size))

        delivery = Delivery(
            index=self.services.index,
            credentials=credentials,
            parallel=self.settings.parallel_uploads,
            skip_existing=self.settings.skip_existing,
            deadlines=self.services.deadlines,
            is_there=self._is_there,
            tell=self.reporter.waiting,
        )
        with _attestation_files(attestations) as files:
            if self.settings.attestations_dir is not None:
                self._keep(files, distributions)
            with self.reporter.stage(Stage.UPLOAD, f"to {self.services.index.name}"):
                new_releases = held.new_releases(distributions)
                upload(
                    distributions,
                    files,
                    delivery,
                    new_releases=new_releases,
                    begun=begun,
                    done=done,
                )

    def confirm(
        self,
        distributions: Sequence[Distribution],
        attestations: Mapping[str, Attestation],
        signing: Signing | None,
    ) -> None:
        """Wait until the index serves what was uploaded, and hold it against what was sent."""
        from attested_publish.confirm import confirm

        index = self.services.index
        files = self.reporter.report.files
        sent = [
            each
            for each in distributions
            if files[each.filename].status is not Status.ALREADY_THERE
        ]

        def seen(distribution: Distribution, file: IndexFile) -> None:
            self._set_status(distribution, Status.UPLOADED)
            self._tell_served(distribution, file)
            what = "digest and provenance" if distribution.filename in attestations else "digest"
            self.reporter.item(shown(distribution.filename), f"served, {what} right")

        with self.reporter.stage(Stage.CONFIRMATION, f"until {index.name} serves every file"):
            outcome = confirm(
                sent,
                attestations,
                index,
                self.session,
                trust=None if signing is None else signing.trust,
                patience=self.services.deadlines.confirmation,
                seen=seen,
                tell=self.reporter.waiting,
            )
            for filename, reason in outcome.late.items():
                if files[filename].status is Status.UPLOADED:
                    self.reporter.warning(
                        f"{shown(filename)} is uploaded, but not confirmed in time: {reason}."
                    )

    def stop_if_doubtful(self, distributions: Sequence[Distribution]) -> None:
        """Stop where an upload was answered with success, but the file was never seen."""
        doubtful = [
            each.filename
            for each in distributions
            if self.reporter.report.files[each.filename].status is Status.FAILED
        ]
        if doubtful:
            raise ConfirmationProblem(
                f"{counted(len(doubtful), 'file')} may not have arrived",
                detail=f"{self.services.index.name} answered 200, but not in its own words, and "
                f"does not serve: {shown(', '.join(doubtful))}.",
                remedy="Something between this runner and the index may have answered in its "
                "place (a proxy, a portal). Run again: what has arrived is not sent twice.",
                file=doubtful[0],
            )

    def keep_attestations(
        self, distributions: Sequence[Distribution], attestations: Mapping[str, Attestation]
    ) -> None:
        """Leave attestation files in `attestations-dir`, or next to each distribution."""
        for each in distributions:
            self._set_status(each, Status.ATTESTED)
        with _attestation_files(attestations) as files:
            self._keep(files, distributions)

    def _revoke_meanwhile(self, credentials: TrustedCredentials) -> None:
        from attested_publish.trusted_publishing import Revocation

        revocation = meanwhile(credentials.revoke)

        def tell() -> None:
            outcome = revocation()
            if outcome is Revocation.REVOKED:
                self.reporter.item("API token revoked")
            elif outcome is not None:
                self.reporter.notice(f"The API token is {outcome}.")

        self.afterwards.callback(tell)

    def _stopping_findings(self) -> list[tuple[FileReport, Finding]]:
        stopping = {Severity.ERROR}
        if self.settings.verify_metadata is VerifyMetadata.STRICT:
            stopping.add(Severity.WARNING)
        return self.reporter.report.findings(*stopping)

    def _find_in_the_way(self, distributions: Sequence[Distribution], held: Holdings) -> None:
        """Hold the files against PyPI's rules for what it holds; elsewhere they are unknown."""
        found: dict[str, list[Finding]] = {}
        for each, finding in findings_against(held, distributions, datetime.now(UTC)):
            is_skipped = finding.rule == "filename-taken" and self.settings.skip_existing
            is_known = finding.rule == "filename-taken" or self.services.index.works_as_pypi
            if is_known and not is_skipped:
                found.setdefault(each.filename, []).append(finding)
        for each in distributions:
            self.reporter.findings(each, found.get(each.filename, ()))

    def _trust(self) -> Trust:
        from attested_publish import confirm, signing, upload
        from attested_publish.attestations import load_trust

        trust = load_trust(self.services.trust_config)
        # Imported here to be there when they are needed: importing them takes its time.
        _ = (signing, upload, confirm)
        return trust

    def _is_there(self, distribution: Distribution) -> bool:
        """Ask the index whether it holds a file with the same bytes; unsure is no."""
        try:
            held = holdings([distribution], self.services.index, self.session)
        except IndexProblem:
            return False
        return held.held(distribution) is Held.SAME

    def _identity(self) -> Identity:
        identity = understand(self.ambient.token(SIGSTORE_AUDIENCE))
        self.reporter.report.identity = identity.as_json()
        publisher = identity.publisher
        environment = f", environment {publisher.environment}" if publisher.environment else ""
        self.reporter.item(
            shown(f"{publisher.slug}, {publisher.workflow}{environment}"), shown(identity.ref)
        )
        return identity

    def _tell_file(self, distribution: Distribution) -> None:
        self.reporter.item(shown(distribution.filename), size_text(distribution.size))
        if self.settings.print_hash:
            self.reporter.detail(f"sha256       {distribution.sha256}")
            self.reporter.detail(f"blake2b-256  {distribution.blake2b_256}")
            self.reporter.detail(f"md5          {distribution.md5}")

    def _tell_held(self, distribution: Distribution, held: Holdings) -> None:
        file = held.file(distribution)
        state = held.held(distribution)
        if file is None or state is Held.NOT_YET:
            return
        name = shown(distribution.filename)
        if state is Held.SAME:
            self.reporter.item(name, "there already, with the same bytes")
        elif self.settings.skip_existing:
            self.reporter.warning(f"{name} is there already, with other bytes, and is skipped.")
        self._set_status(distribution, Status.ALREADY_THERE)
        self._tell_served(distribution, file)

    def _tell_served(self, distribution: Distribution, file: IndexFile) -> None:
        record = self.reporter.report.files[distribution.filename]
        record.url = file.url or None
        record.provenance_url = file.provenance_url
        record.served_after = self.reporter.elapsed

    def _set_status(self, distribution: Distribution, status: Status) -> None:
        self.reporter.report.files[distribution.filename].status = status

    def _keep(self, files: Mapping[str, Path], distributions: Sequence[Distribution]) -> None:
        try:
            for each in distributions:
                if each.filename in files:
                    folder = self.settings.attestations_dir or each.source.parent
                    folder.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(files[each.filename], folder / files[each.filename].name)
                    self.reporter.report.attestations_dir = folder
        except OSError as error:
            raise FilesProblem(
                "The attestation files cannot be written",
                detail=f"{shown(error.filename)}: {error.strerror}.",
                remedy="Set attestations-dir to a folder that the job may write to.",
            ) from error


def _shortly(file: FileReport, finding: Finding) -> str:
    return f"{shown(file.filename)}: {finding.message}"


def _new_project(project: str, index: Index) -> str:
    if not index.works_as_pypi:
        return f"{index.name} has no project {shown(project)} yet."
    return (
        f"{index.name} has no project {shown(project)} yet: a pending trusted publisher creates "
        f"it as soon as the API token is minted ({index.pending_publishers_url})."
    )


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in `1 file` and `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextlib.contextmanager
def _attestation_files(attestations: Mapping[str, Attestation]) -> Iterator[dict[str, Path]]:
    """Write attestations where twine can read them, in a folder that is gone afterwards."""
    with ended_when_stopped() as until_done:
        folder = until_done.enter_context(tempfile.TemporaryDirectory(prefix="attested-publish-"))
        files = {}
        for filename, attestation in attestations.items():
            files[filename] = Path(folder, f"{filename}.publish.attestation")
            files[filename].write_text(attestation.model_dump_json(), encoding="utf-8")
        yield files
