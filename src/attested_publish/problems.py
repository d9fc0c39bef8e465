"""What a user is told when something stops the release."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum

from attested_publish import DOCUMENTATION

_TROUBLESHOOTING = f"{DOCUMENTATION}docs/troubleshooting.md"


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub gives a heading with this text."""
    kept = (char for char in heading.lower() if char.isalnum() or char in " -_")
    return "".join(kept).replace(" ", "-")


class Stage(StrEnum):
    """The stages of the journey, in order; the names appear in reports and logs."""

    FILES = "files"
    RULES = "rules"
    INDEX = "index"
    IDENTITY = "identity"
    TOKEN = "token"  # noqa: S105 - a stage's name
    SIGNATURES = "signatures"
    VERIFICATION = "verification"
    UPLOAD = "upload"
    CONFIRMATION = "confirmation"


class Topic(StrEnum):
    """The kinds of problems: each is the title of a section of docs/troubleshooting.md.

    The title of a problem says the same with the names and numbers of the run. A section's
    anchor is derived from its heading, as on GitHub.
    """

    FILES_UNFIT = "Files cannot be published"
    LOCK_UNUSABLE = "A lock or policy cannot be used"
    FOLDER_UNREADABLE = "A folder or file cannot be read"
    NO_SANDBOX = "The files could not be inspected"
    FOLDER_MISSING = "The folder does not exist"
    NOTHING_TO_PUBLISH = "There is nothing to publish"
    ATTESTATIONS_DIR_UNWRITABLE = "The attestation files could not be written"
    FILES_WOULD_BE_REFUSED = "Files would be refused"
    NO_TAG = "There is no tag that could name the version"
    OTHER_TAG = "The tag does not name the version"
    INDEX_ADDRESS = "The index address is not valid"
    INDEX_UNREACHABLE = "The index could not be reached"
    INDEX_UNEXPECTED = "The index gave an unexpected answer"
    PROJECT_CLOSED = "The project accepts no uploads"
    PROVENANCE_DIFFERS = "The provenance would not be what it was"
    NO_PERMISSION = "The job is not allowed to request an identity token"
    NO_IDENTITY = "There is no identity to publish with"
    IDENTITY_SERVICE = "The job's identity token could not be obtained"
    IDENTITY_UNUSABLE = "The job's identity cannot be used"
    PULL_REQUEST_TARGET = "No releases from pull_request_target"
    OTHER_REPOSITORY = "No releases from a workflow of another repository"
    REUSABLE_WORKFLOW = "No attestations from a reusable workflow"
    ATTESTATIONS_AND_PASSWORD = "Attestations are required, but a password is given"  # noqa: S105
    NO_TRUSTED_PUBLISHING = "The index does not support trusted publishing"
    AUDIENCE_UNKNOWN = "The index does not report its audience"
    FOREIGN_AUDIENCE = "The index asks for an identity token meant for another service"
    UNKNOWN_PUBLISHER = "The index has no trusted publisher for this job"
    IDENTITY_REUSED = "The identity token has already been used"
    IDENTITY_REFUSED = "The index does not accept the job's identity token"
    PENDING_PUBLISHER_LATE = "The pending publisher's project name is taken"
    TRUSTED_PUBLISHING_OFF = "The index has disabled trusted publishing"
    EXCHANGE_REFUSED = "The index refused to exchange the identity token"
    EXCHANGE_FAILED = "The index could not exchange the identity token"
    SIGSTORE_ROOT = "Sigstore's root of trust could not be loaded"
    TRUST_CONFIG = "The Sigstore trust configuration cannot be used"
    NOT_SIGNED = "A file could not be signed"
    ATTESTATION_INVALID = "An attestation is not valid"
    UPLOAD_REFUSED = "The index refused a file"
    CREDENTIALS_REFUSED = "The index refused the credentials"
    ACCOUNT_UNFIT = "The account or organization may not upload"
    PROJECT_NAME_REFUSED = "The project name is not allowed"
    TOO_LARGE = "A file or project is too large"
    NAME_TAKEN = "The filename is taken"
    ATTESTATION_REFUSED = "The index refused an attestation"
    NOT_AN_UPLOAD_ADDRESS = "The address does not accept uploads"
    IN_FRONT_OF_INDEX = "Something in front of the index refused a file"
    UPLOADS_PAUSED = "The index accepts no uploads at the moment"
    WRONG_PROJECT = "The API token is not valid for a project"
    TOO_MANY_PROJECTS = "The index accepts no more new projects today"
    UPLOAD_FAILED = "A file could not be uploaded"
    UPLOAD_ELSEWHERE = "The index redirects uploads"
    ARRIVAL_DOUBTFUL = "Files may not have been stored"
    OTHER_BYTES_SERVED = "The index serves different bytes"
    NOT_ATTESTED = "The files are public without attestations"
    WRONG_PROVENANCE = "The index serves an invalid provenance"
    NOT_INSTALLABLE = "pip could not install the rehearsed release"
    STOPPED = "The run was stopped before it finished"
    MACHINE = "The machine lacks the resources to continue"
    UNEXPECTED = "An unexpected error occurred"

    @property
    def anchor(self) -> str:
        """The anchor that GitHub gives a heading with this text."""
        return anchor_of(self.value)

    @property
    def link(self) -> str:
        """The address of the section in the troubleshooting guide."""
        return f"{_TROUBLESHOOTING}#{self.anchor}"


class Problem(Exception):
    """A failure as the user sees it: what happened, why, and what to do.

    `title` is one line, `detail` describes what happened, with the offending values and a
    quotation of the refusal, `remedy` is the next thing to do, `topic` the section to read.
    `file` is the distribution it concerns. None of them may contain a secret.

    `may_pass` is true when the same request may succeed later; `retry_after` is how many
    seconds the server asked to wait. `may_have_arrived`: the index may have `file` all the same.
    `listed` is how many of the first lines of `detail` say what the findings about files say.
    """

    stage: Stage
    result = "failed"
    may_have_arrived = False
    listed = 0

    def __init__(
        self,
        title: str,
        *,
        detail: str = "",
        remedy: str = "",
        topic: Topic | None = None,
        file: str | None = None,
        may_pass: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(title)
        self.title = title
        self.detail = detail
        self.remedy = remedy
        self.topic = topic
        self.file = file
        self.may_pass = may_pass
        self.retry_after = retry_after

    @property
    def read_on(self) -> str:
        """The address of the documentation of this kind of problem."""
        return _TROUBLESHOOTING if self.topic is None else self.topic.link

    @property
    def cause(self) -> str:
        """What happened, in one line without the final full stop."""
        return (self.detail.splitlines() or [self.title])[0].rstrip(".")


class FilesProblem(Problem):
    """The given folders contain nothing that can be published."""

    stage = Stage.FILES


class RulesProblem(Problem):
    """The index would refuse a file because of what is in it."""

    stage = Stage.RULES
    result = "refused"


class TagProblem(Problem):
    """The release is to be named by its tag, and there is none."""

    stage = Stage.RULES


class IndexProblem(Problem):
    """The index cannot be queried, or what it already has prevents the release."""

    stage = Stage.INDEX


class IndexUnusable(IndexProblem):
    """The index answered, but with something that cannot be used."""


class IndexRefuses(IndexProblem):
    """What the index already has makes this release impossible."""

    result = "refused"


class IdentityProblem(Problem):
    """The job cannot prove its identity, or has one that no index accepts."""

    stage = Stage.IDENTITY


class NoIdentity(IdentityProblem):
    """This is not a job, or one that is not allowed to request an identity token."""


class TokenProblem(Problem):
    """The index issues no API token for the job's identity."""

    stage = Stage.TOKEN


class TokenRefused(TokenProblem):
    """The index refused the job's identity."""

    result = "refused"


class SigningProblem(Problem):
    """A certificate or a log entry could not be obtained."""

    stage = Stage.SIGNATURES


class VerificationProblem(Problem):
    """The index would not accept an attestation."""

    stage = Stage.VERIFICATION


class AttestationNotAccepted(VerificationProblem):
    """An existing attestation is required, and the index would not accept it."""

    result = "refused"


class UploadProblem(Problem):
    """The index refused a file, or the file could not be sent."""

    stage = Stage.UPLOAD
    may_have_arrived = True


class UploadRefused(UploadProblem):
    """The index refused a file."""

    result = "refused"
    may_have_arrived = False


class ConfirmationProblem(Problem):
    """The index does not serve what was uploaded."""

    stage = Stage.CONFIRMATION


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in `1 file`, `2 files` and `2 hashes`."""
    ending = "" if number == 1 else "es" if noun.endswith("sh") else "s"
    return f"{number} {noun}{ending}"


def missing_extra(library: str, extra: str) -> str:
    """Return how to install a library that only an extra of the package has."""
    return (
        f"Install the command with its extra `{extra}`, see {DOCUMENTATION}docs/installing.md; or "
        f"add {library} to the environment that it runs in, {sys.prefix}."
    )


def alternatives(values: Iterable[str]) -> str:
    """Return values to choose from, as in `auto, true or false`."""
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last
