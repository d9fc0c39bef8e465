"""The stages of a release, each told to the reporter as it goes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich import filesize

from attested_publish.distributions import Distribution, is_sidecar, stage
from attested_publish.findings import OTHER_BYTES, Finding, Severity
from attested_publish.identity.audiences import SIGSTORE_AUDIENCE
from attested_publish.identity.tokens import AmbientIdentity, understand
from attested_publish.index.contents import Contents, New, read_contents
from attested_publish.index.package import unreadable
from attested_publish.journey.attest import Attesting
from attested_publish.journey.forecast import (
    AttestationPlan,
    advice,
    attestation_plan,
    refuse_hopeless,
    refuse_to_sign,
    signers_advice,
)
from attested_publish.journey.memory import Memory
from attested_publish.journey.telling import (
    begin_story,
    held_up_by,
    new_project,
    other_bytes,
    record_publisher,
    record_served,
    record_served_attestations,
    tell_files,
    tell_held,
    tell_unattested,
)
from attested_publish.net.addresses import is_loopback
from attested_publish.net.parallel import meanwhile
from attested_publish.net.retry import persistently
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.net.untrusted import shown
from attested_publish.problems import (
    ConfirmationProblem,
    IdentityProblem,
    IndexProblem,
    IndexUnusable,
    NoIdentity,
    RulesProblem,
    Stage,
    TokenRefused,
    Topic,
    counted,
)
from attested_publish.report import FileReport, Status
from attested_publish.rules.on_index import findings_on_index
from attested_publish.settings import Attestations, Settings, VerifyMetadata

if TYPE_CHECKING:
    import requests
    from pypi_attestations import Attestation

    from attested_publish.attestations.verify import Trust
    from attested_publish.console.reporter import Reporter
    from attested_publish.identity.publishers import Identity
    from attested_publish.index.api_token import TrustedCredentials
    from attested_publish.index.index import IndexFile
    from attested_publish.index.upload import Credentials, Outcome
    from attested_publish.journey.confirm import Provenanced
    from attested_publish.journey.targets import Services
    from attested_publish.rules.verdicts import Verdicts

_MOVE_TO_TRUSTED_PUBLISHING = (
    "Uploading with a password: no attestations are made, and a long-lived secret has to be "
    "kept. With a trusted publisher registered on the index, and `permissions: id-token: write` "
    "(GitHub) or `id_tokens` (GitLab) in the job, leave the password out and have both solved. "
    "Attestations cannot be added after the upload."
)


_SHOWN_ASIDE = 20


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
    judging: Verdicts
    memory: Memory = field(default_factory=Memory)

    @property
    def attesting(self) -> Attesting:
        """The stages that are about attestations."""
        return Attesting(
            self.settings,
            self.services,
            self.reporter,
            self.ambient,
            self.memory,
            self.judging.sandbox,
        )

    @contextlib.contextmanager
    def at(self, services: Services) -> Iterator[Journey]:
        """Go on to another index, with what the run remembers; what is begun there ends there."""
        with ended_when_stopped() as after:
            there = replace(self, services=services, afterwards=after)
            begin_story(self.reporter.report, services)
            yield there

    @contextlib.contextmanager
    def staged(self) -> Iterator[tuple[Distribution, ...]]:
        """Hold a private copy of the distributions, hashed once, sorted by filename."""
        with ended_when_stopped() as until_done:
            begin_story(self.reporter.report, self.services)
            if self.settings.verify_metadata is not VerifyMetadata.NOTHING:
                self.judging.prepare()
            folders = ", ".join(shown(path) for path in self.settings.packages_dir)
            with self.reporter.stage(Stage.FILES, f"a private copy of what is in {folders}"):
                staged = until_done.enter_context(
                    stage(self.settings.packages_dir, self._is_beyond_cap, self._begin_judging)
                )
                self.reporter.report.add_files(staged.distributions)
                tell_files(
                    self.reporter,
                    staged.distributions,
                    with_digests=self.settings.print_hash,
                )
                ready_made = self.attesting.beside(staged.distributions)
                aside = [path for path in staged.ignored if path not in ready_made]
                for path in aside[:_SHOWN_ASIDE]:
                    kind = "no distribution itself" if is_sidecar(path) else "no distribution"
                    self.reporter.notice(f"{shown(path.name)} is {kind}, and is left aside.")
                if more := len(aside) - len(aside[:_SHOWN_ASIDE]):
                    self.reporter.notice(f"{counted(more, 'more file')} left aside.")
            yield staged.distributions

    def follow_rules(self, distributions: Sequence[Distribution]) -> None:
        """Find what the index would refuse in the files themselves."""
        if self.settings.verify_metadata is VerifyMetadata.NOTHING:
            return
        if self.memory.findings is not None:
            # Told where they were found; they stand against the files everywhere.
            for filename, known in self.memory.findings.items():
                self.reporter.report.files[filename].findings.extend(known)
            return
        from attested_publish.rules.release import check_release

        all_found = {}
        with self.reporter.stage(Stage.RULES, "what the index would refuse"):
            of_release = check_release(distributions)
            for each in distributions:
                found = (*self.judging.of(each), *of_release.get(each.filename, ()))
                all_found[each.filename] = found
                self.reporter.findings(each, found)
            if not self.reporter.report.findings(*Severity):
                self.reporter.item(f"{counted(len(distributions), 'file')} in order")
        self.memory.findings = all_found

    def asked(self, distributions: Sequence[Distribution]) -> Callable[[], Contents]:
        """Ask the index meanwhile what it holds."""
        return meanwhile(
            lambda: persistently(
                lambda: read_contents(distributions, self.services.index, self.session),
                self.services.deadlines.index,
                self.reporter.waiting,
            )
        )

    def holdings(
        self, distributions: Sequence[Distribution], asked: Callable[[], Contents]
    ) -> Contents:
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
                held = Contents(unreadable=problem.cause)
            if held.unreadable:
                self.reporter.notice(
                    f"{index.name} does not say what it holds ({held.unreadable}): "
                    "a re-run cannot tell what is there, and nothing will be confirmed."
                )
            for project, exists in held.projects.items():
                if not exists:
                    self.reporter.notice(new_project(project, index))
            self._find_in_the_way(distributions, held)
            there = tell_held(
                self.reporter,
                index,
                distributions,
                held,
                others_are_skipped=self.settings.skip_existing,
            )
            if self.settings.attestations is not Attestations.NEVER:
                tell_unattested(self.reporter, index, there)
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
            topic=Topic.FILES_WOULD_BE_REFUSED,
            detail="\n".join(
                (
                    *(f"{shown(file.filename)}: {each.message}" for file, each in found),
                    *held_up_by(self.reporter.report, refused),
                )
            ),
            remedy=found[0][1].remedy
            if len(rules) == 1
            else "Change what is named, build again, and run again.",
            file=next(iter(refused)) if len(refused) == 1 else None,
        )

    def stop_if_unreadable(self, distributions: Sequence[Distribution]) -> None:
        """Stop where twine could not send a file, and no rule would have said so.

        Where `verify-metadata` is false, or there was too much to be judged, whatever the index
        takes goes up; but what cannot be sent must not be signed.
        """
        refused = unreadable(
            self.judging.sandbox, [each for each in distributions if not self._is_judged(each)]
        )
        if not refused:
            return
        for filename in refused:
            self.reporter.report.files[filename].status = Status.REFUSED
        raise RulesProblem(
            f"{len(refused)} of {counted(len(distributions), 'file')} cannot be sent",
            topic=Topic.FILES_WOULD_BE_REFUSED,
            detail="\n".join(
                f"{shown(filename)}: twine cannot read its metadata: {why}."
                for filename, why in refused.items()
            ),
            remedy="Build again with a current build backend, and run again.",
            file=next(iter(refused)) if len(refused) == 1 else None,
        )

    def _is_judged(self, distribution: Distribution) -> bool:
        """Whether the rules have seen all of a file."""
        if self.settings.verify_metadata is VerifyMetadata.NOTHING:
            return False
        found = self.judging.of(distribution)
        return not any(finding.rule == "archive-not-judged" for finding in found)

    def mark_checked(self, distributions: Sequence[Distribution]) -> None:
        """Record that nothing stands against these files; what is there already stays so."""
        for each in distributions:
            if self.reporter.report.files[each.filename].status is Status.NOT_ATTEMPTED:
                self._set_status(each, Status.CHECKED)

    def prove_publisher(self, distributions: Sequence[Distribution], held: Contents) -> None:
        """Mint an API token and revoke it at once: the proof that the index knows this job.

        Ready-made attestations of `distributions` are judged before, as they are in a release.

        A pending publisher would create its project by this, so a project that does
        not exist yet is left alone; where the job has no identity, that is said.
        """
        if self.settings.password:
            self.reporter.remark("A password is given: whether it is accepted shows on upload.")
            return
        audience = self.audience()
        try:
            identity, plan = self.identify(audience)
        except NoIdentity as problem:
            self.reporter.remark(f"The trusted publisher was not checked: {problem.title}.")
            return
        self.attesting.judge(distributions, identity, self.attesting.load_trust, plan=plan)
        new = [project for project, exists in held.projects.items() if not exists]
        if new:
            self.reporter.remark(
                "The trusted publisher was not checked: asking for a token would create "
                f"{shown(', '.join(new))}, which does not exist yet."
            )
            return
        with self.trusted(identity, audience, held):
            self.reporter.remark(
                f"{self.services.index.name} knows this job as a trusted publisher."
            )

    def identify(self, audience: Callable[[], str]) -> tuple[Identity, AttestationPlan]:
        """Learn who the job is, and whether the index will take attestations of it.

        `audience` gives the index's. Without attestations the job needs no token for Sigstore.
        """
        index = self.services.index
        unsigned = self.settings.attestations is Attestations.NEVER
        with self.reporter.stage(Stage.IDENTITY, "who this job is"):
            identity = self._identity(audience() if unsigned else SIGSTORE_AUDIENCE)
            refuse_hopeless(identity, index)
            for sentence in advice(identity):
                self.reporter.improvement(sentence)
            plan = attestation_plan(
                self.settings.attestations,
                identity,
                index,
                is_public_log=self.services.is_public_log,
            )
            if plan.why_not:
                self.reporter.improvement(plan.why_not)
        return identity, plan

    def identify_signer(self) -> Identity:
        """Learn who the job is, for signing alone."""
        with self.reporter.stage(Stage.IDENTITY, "who this job is"):
            identity = self._signer()
            # What nobody could verify afterwards is not signed.
            from attested_publish.attestations.verify import policy_for

            _ = policy_for(identity.publisher)
            for sentence in signers_advice(identity, self.services.index):
                self.reporter.notice(sentence)
        return identity

    def refuse_to_sign(self, identity: Identity) -> None:
        """Stop where a signature would be in vain, or tell the world of what is hidden."""
        refuse_to_sign(
            self.settings.attestations,
            identity,
            self.services.index,
            is_public_log=self.services.is_public_log,
        )

    def audience(self) -> Callable[[], str]:
        """Ask the index meanwhile which audience it wants in identity tokens."""
        from attested_publish.index.api_token import audience_of

        return meanwhile(
            lambda: persistently(
                lambda: audience_of(
                    self.services.index,
                    self.session,
                    # Only an index on loopback can gain from it.
                    is_provider_local=is_loopback(self.services.index.host)
                    and self.ambient.is_local,
                ),
                self.services.deadlines.audience,
                self.reporter.waiting,
            )
        )

    @contextlib.contextmanager
    def trusted(
        self, identity: Identity, audience: Callable[[], str], held: Contents
    ) -> Iterator[Credentials]:
        """Hold API tokens for the job's identity; they are revoked on every way out.

        That happens meanwhile, and is waited for at the end of the journey.
        """
        from attested_publish.index.api_token import Exchange, TrustedCredentials

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
                try:
                    _ = credentials.password
                except TokenRefused as problem:
                    if problem.topic is Topic.UNKNOWN_PUBLISHER:
                        self._tell_what_differs(problem, identity, held)
                    raise
                self.reporter.item("minted", "short-lived, for this release only")
            yield credentials

    def given_credentials(self) -> Credentials:
        """Return the given user and password; they cannot go with attestations."""
        from attested_publish.index.upload import GivenCredentials

        if self.settings.attestations is Attestations.REQUIRED:
            raise IdentityProblem(
                "Attestations are required, but a password is given",
                topic=Topic.ATTESTATIONS_AND_PASSWORD,
                detail="Indexes take attestations only from trusted publishers, whose identity "
                "they can hold the signatures against.",
                remedy="Leave the password out and publish with a trusted publisher, or set "
                "attestations to auto.",
            )
        self.reporter.mask(self.settings.password, self.settings.user)
        self.reporter.improvement(_MOVE_TO_TRUSTED_PUBLISHING)
        return GivenCredentials(self.settings.user, self.settings.password)

    def upload(
        self,
        distributions: Sequence[Distribution],
        attestations: Mapping[str, Sequence[Attestation]],
        held: Contents,
        credentials: Credentials,
    ) -> list[Distribution]:
        """Upload distributions, each with its attestations where there are some.

        Returns those that should be there now: all but the ones that were skipped.
        """
        from attested_publish.attestations import files as attestation_files
        from attested_publish.index.upload import Delivery, Outcome, upload

        def begun(distribution: Distribution) -> None:
            # Until more is known: a run that is stopped cannot say whether the file arrived.
            self._set_status(distribution, Status.FAILED)
            progress.begun(distribution.filename)

        def done(distribution: Distribution, outcome: Outcome) -> None:
            name = shown(distribution.filename)
            note: str | None = None
            match outcome:
                case Outcome.UPLOADED:
                    self._set_status(distribution, Status.UPLOADED)
                    note = filesize.decimal(distribution.size)
                case Outcome.THERE:
                    self._set_status(distribution, Status.ALREADY_THERE)
                    note = "another run uploaded it"
                case Outcome.NAME_TAKEN:
                    skipped.add(distribution.filename)
                    self._set_status(distribution, Status.ALREADY_THERE)
                    found = other_bytes(self._served(distribution), self.services.index)
                    self.reporter.findings(distribution, [found])
                case Outcome.DOUBTFUL:
                    self.reporter.warning(
                        f"{name}: the answer was a success, but not in the index's own words."
                    )
            progress.done(distribution.filename, distribution.size, note)

        skipped: set[str] = set()
        delivery = Delivery(
            index=self.services.index,
            credentials=credentials,
            parallel=self.settings.parallel_uploads,
            skip_existing=self.settings.skip_existing,
            deadlines=self.services.deadlines,
            is_there=self._is_there,
            tell=self.reporter.waiting,
            sandbox=self.judging.sandbox,
        )
        folder = self.settings.attestations_dir
        if folder is not None and attestations:
            for each in distributions:
                attestation_files.keep(attestations.get(each.filename, ()), each.filename, folder)
            self.reporter.report.attestations_dir = folder
        with (
            attestation_files.written(attestations) as files,
            self.reporter.stage(Stage.UPLOAD, f"to {self.services.index.name}"),
            self.reporter.progress(distributions) as progress,
        ):
            upload(
                distributions,
                files,
                delivery,
                new=self._new(distributions, held),
                begun=begun,
                done=done,
            )
        return [each for each in distributions if each.filename not in skipped]

    def confirm(
        self,
        sent: Sequence[Distribution],
        attestations: Mapping[str, Sequence[Attestation]],
        trust: Callable[[], Trust] | None,
        identity: Identity | None,
    ) -> None:
        """Wait until the index serves what was uploaded, and hold it against what was sent.

        Attestations have to be those of `identity`, which need not have signed them in this run.
        """
        from attested_publish.attestations.verify import policy_for
        from attested_publish.journey.confirm import confirm

        index = self.services.index
        files = self.reporter.report.files

        def seen(
            distribution: Distribution, file: IndexFile, provenance: Provenanced | None
        ) -> None:
            record = files[distribution.filename]
            record_served(self.reporter, self.services.index, distribution, file)
            note = f"served, {'digest' if provenance is None else 'digest and provenance'} right"
            if provenance is not None and not provenance.is_own:
                record_served_attestations(
                    self.reporter.report, distribution, provenance.attestations
                )
                record.status = Status.ALREADY_THERE
                note += "; another run uploaded it"
            elif record.status is not Status.ALREADY_THERE:
                record.status = Status.UPLOADED
            progress.done(distribution.filename, distribution.size, note)

        with (
            self.reporter.stage(Stage.CONFIRMATION, f"until {index.name} serves every file"),
            self.reporter.progress(sent) as progress,
        ):
            outcome = confirm(
                sent,
                attestations,
                index,
                self.session,
                trust=trust() if trust is not None and any(attestations.values()) else None,
                policy=policy_for(identity.publisher) if identity and attestations else None,
                patience=self.services.deadlines.confirmation,
                seen=seen,
                tell=self.reporter.waiting,
            )
            record_publisher(self.reporter.report, outcome.publisher)
            for filename, reason in outcome.late.items():
                if files[filename].status in {Status.UPLOADED, Status.ALREADY_THERE}:
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
                topic=Topic.ARRIVAL_DOUBTFUL,
                detail=f"{self.services.index.name} answered 200, but not in its own words, and "
                f"does not serve: {shown(', '.join(doubtful))}.",
                remedy="Something between this runner and the index may have answered in its "
                "place (a proxy, a portal). Run again: what has arrived is not sent twice.",
                file=doubtful[0],
            )

    def _revoke_meanwhile(self, credentials: TrustedCredentials) -> None:
        from attested_publish.index.api_token import Revocation

        revocation = credentials.revoke()

        def tell() -> None:
            outcome = revocation()
            if outcome is Revocation.REVOKED:
                self.reporter.item("API token revoked")
            elif outcome is not None:
                self.reporter.notice(f"The API token is {outcome}.")

        self.afterwards.callback(tell)

    def _tell_what_differs(self, problem: TokenRefused, identity: Identity, held: Contents) -> None:
        """Add to a refusal in what this job differs from the one that published before."""
        from attested_publish.journey.publisher_differences import differences

        if self.services.index.works_as_pypi:
            told = differences(identity.publisher, held, self.services.index, self.session)
            problem.detail = "\n".join((problem.detail, *told))

    def _stopping_findings(self) -> list[tuple[FileReport, Finding]]:
        stopping = {Severity.ERROR}
        if self.settings.verify_metadata is VerifyMetadata.STRICT:
            stopping.add(Severity.WARNING)
        found = self.reporter.report.findings(*stopping)
        return [(file, each) for file, each in found if each.rule != OTHER_BYTES]

    def _find_in_the_way(self, distributions: Sequence[Distribution], held: Contents) -> None:
        """Hold the files against PyPI's rules for what it holds; elsewhere they are unknown."""
        found: dict[str, list[Finding]] = {}
        for each, finding in findings_on_index(distributions, held.by_project, datetime.now(UTC)):
            is_skipped = finding.rule == "filename-taken" and self.settings.skip_existing
            is_known = finding.rule == "filename-taken" or self.services.index.works_as_pypi
            if is_known and not is_skipped:
                found.setdefault(each.filename, []).append(finding)
        for each in distributions:
            self.reporter.findings(each, found.get(each.filename, ()))

    def _new(self, distributions: Sequence[Distribution], held: Contents) -> New:
        """Find what the index does not have; of several projects, one may have been created by now.

        Those with a pending publisher exist since the API token was minted.
        """
        new = held.new_to_the_index(distributions)
        missing = [each for each in distributions if each.project in new.projects]
        if len(held.projects) > 1 and missing:
            with contextlib.suppress(IndexProblem):
                now = read_contents(missing, self.services.index, self.session)
                return replace(new, projects=now.new_to_the_index(missing).projects)
        return new

    def _is_there(self, distribution: Distribution) -> bool:
        """Ask the index whether it holds a file with the same bytes; unsure is no."""
        file = self._served(distribution)
        return file is not None and file.sha256 == distribution.sha256

    def _served(self, distribution: Distribution) -> IndexFile | None:
        """Ask the index what it serves under this name; `None`: nothing, or it does not say."""
        try:
            contents = read_contents([distribution], self.services.index, self.session)
            return contents.file(distribution)
        except IndexProblem:
            return None

    def _identity(self, audience: str) -> Identity:
        try:
            identity = understand(self.ambient.token(audience))
        except NoIdentity as problem:
            if self.settings.user != Settings.user:
                raise _no_password(self.settings.user) from problem
            raise
        self.reporter.report.identity = identity.as_json()
        self.reporter.item(shown(identity.publisher), shown(identity.origin))
        return identity

    def _signer(self) -> Identity:
        try:
            return self._identity(SIGSTORE_AUDIENCE)
        except NoIdentity as problem:
            if problem.topic is Topic.NO_IDENTITY:
                problem.remedy = (
                    "Sign in a job on GitHub with `permissions: id-token: write`, or in one on "
                    "GitLab with `id_tokens:`, or at a terminal, where you are asked to sign in."
                )
            raise

    def _begin_judging(self, distribution: Distribution) -> None:
        """Have a file judged while the next one is copied."""
        if self.settings.verify_metadata is not VerifyMetadata.NOTHING:
            self.judging.begin(distribution)

    def _is_beyond_cap(self, size: int) -> bool:
        """Say whether a file is refused for its size, so that it need not be read."""
        if self.settings.verify_metadata is VerifyMetadata.NOTHING:
            return False
        from attested_publish.rules.bounds import DISTRIBUTION_CAP

        return size > DISTRIBUTION_CAP

    def _set_status(self, distribution: Distribution, status: Status) -> None:
        self.reporter.report.files[distribution.filename].status = status


def _no_password(user: str) -> NoIdentity:
    return NoIdentity(
        "A user is given, but no password",
        topic=Topic.NO_IDENTITY,
        detail=f"The user is {shown(user)}, and the password is empty. A secret that does not "
        "exist, or that this event may not see (a pull request from a fork, an environment that "
        "is not named), comes as empty text. Nor is there an identity to publish with.",
        remedy="Check the name of the secret, and that the job has the environment it is kept in. "
        "With a trusted publisher neither user nor password is needed: leave both out, and add "
        "this to the job:\n\n    permissions:\n      id-token: write",
    )
