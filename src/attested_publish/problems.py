"""What a user is told when something stops the release."""

from __future__ import annotations

from enum import StrEnum

_TROUBLESHOOTING = (
    "https://github.com/attested-publish/attested-publish/blob/main/docs/troubleshooting.md"
)


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
    """What docs/troubleshooting.md has a section on: the title of each kind of problem.

    A problem's own title says the same with names and numbers of the run in it. The
    anchor of a section is made from its heading, as GitHub does it.
    """

    FILES_UNFIT = "Files cannot be published"
    FOLDER_UNREADABLE = "A folder or file cannot be read"
    NO_SANDBOX = "The files cannot be looked into"
    FOLDER_MISSING = "The folder does not exist"
    NOTHING_TO_PUBLISH = "There is nothing to publish"
    ATTESTATIONS_DIR_UNWRITABLE = "The attestation files cannot be written"
    FILES_WOULD_BE_REFUSED = "Files would be refused"
    INDEX_ADDRESS = "The address cannot be an index"
    INDEX_UNREACHABLE = "The index cannot be reached"
    INDEX_UNEXPECTED = "The index answered something unexpected"
    NO_PERMISSION = "The job may not ask for an identity token"
    NO_IDENTITY = "There is no identity to publish with"
    IDENTITY_SERVICE = "The job's identity token could not be had"
    IDENTITY_UNUSABLE = "The job's identity cannot be used"
    PULL_REQUEST_TARGET = "No releases from pull_request_target"
    OTHER_REPOSITORY = "No releases from a workflow of another repository"
    CALLED_WORKFLOW = "Attestations cannot be had in a called workflow"
    ATTESTATIONS_AND_PASSWORD = "Attestations are required, but a password is given"  # noqa: S105
    NO_TRUSTED_PUBLISHING = "The index does no trusted publishing"
    AUDIENCE_UNKNOWN = "The index does not say which identity tokens it takes"
    FOREIGN_AUDIENCE = "The index asks for an identity token that is valid elsewhere"
    UNKNOWN_PUBLISHER = "The index knows no trusted publisher for this job"
    IDENTITY_REUSED = "The index has seen this identity token before"
    IDENTITY_REFUSED = "The index does not accept the job's identity token"
    PENDING_PUBLISHER_LATE = "The pending publisher came too late"
    TRUSTED_PUBLISHING_OFF = "The index has switched off trusted publishing"
    EXCHANGE_REFUSED = "The index refused to exchange the identity token"
    EXCHANGE_FAILED = "The index could not exchange the identity token"
    SIGSTORE_ROOT = "Sigstore's root of trust could not be fetched"
    TRUST_CONFIG = "The Sigstore trust configuration cannot be used"
    NOT_SIGNED = "A file could not be signed"
    ATTESTATION_INVALID = "An attestation does not hold"
    UPLOAD_REFUSED = "The index refused a file"
    WRONG_PROJECT = "The API token is not valid for a project"
    TOO_MANY_PROJECTS = "The index takes no more new projects today"
    UPLOAD_FAILED = "A file could not be sent to the index"
    UPLOAD_ELSEWHERE = "The index sends uploads elsewhere"
    ARRIVAL_DOUBTFUL = "Files may not have arrived"
    OTHER_BYTES_SERVED = "The index serves other bytes"
    WRONG_PROVENANCE = "The index serves a wrong provenance"
    NOT_INSTALLABLE = "pip cannot install what was rehearsed"
    STOPPED = "The run was stopped before it was done"
    MACHINE = "The machine does not let the run go on"
    UNEXPECTED = "Something unexpected happened"

    @property
    def anchor(self) -> str:
        """The anchor that GitHub gives a heading with this text."""
        kept = (char for char in self.value.lower() if char.isalnum() or char in " -_")
        return "".join(kept).replace(" ", "-")

    @property
    def link(self) -> str:
        """Where to read on."""
        return f"{_TROUBLESHOOTING}#{self.anchor}"


class Problem(Exception):
    """A failure in the words of the one who reads it: what, why, and what to do.

    `title` is one line, `detail` says what happened with the offending values and
    the refuser's own words, `remedy` is the next thing to do, `topic` where to read on.
    `file` is the distribution it concerns. No secret may stand in any of them.

    `may_pass` says that the same request may succeed later, `retry_after` how many
    seconds the other side asked to wait.
    """

    stage: Stage
    result = "failed"

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
        """The address of more about this kind of problem."""
        return _TROUBLESHOOTING if self.topic is None else self.topic.link

    @property
    def cause(self) -> str:
        """What happened, in one line without its full stop."""
        return (self.detail.splitlines() or [self.title])[0].rstrip(".")


class FilesProblem(Problem):
    """The given folders do not hold what could be published."""

    stage = Stage.FILES


class RulesProblem(Problem):
    """The index would refuse a file for what it is."""

    stage = Stage.RULES
    result = "refused"


class IndexProblem(Problem):
    """The index cannot be asked, or what it holds stands in the way."""

    stage = Stage.INDEX


class IndexUnusable(IndexProblem):
    """The index answers, but with something that cannot be used."""


class IndexRefuses(IndexProblem):
    """What the index holds already makes this release impossible."""

    result = "refused"


class IdentityProblem(Problem):
    """The job cannot prove who it is, or proves something no index accepts."""

    stage = Stage.IDENTITY


class NoIdentity(IdentityProblem):
    """This is no job, or one that may not ask for an identity token."""


class TokenProblem(Problem):
    """The index does not give an API token for the job's identity."""

    stage = Stage.TOKEN


class TokenRefused(TokenProblem):
    """The index looked at the identity and said no."""

    result = "refused"


class SigningProblem(Problem):
    """A certificate or a log entry could not be had."""

    stage = Stage.SIGNATURES


class VerificationProblem(Problem):
    """An attestation is not what the index will accept."""

    stage = Stage.VERIFICATION


class AttestationNotAccepted(VerificationProblem):
    """A ready-made attestation is required, and is not what the index will accept."""

    result = "refused"


class UploadProblem(Problem):
    """The index refused a file, or it could not be sent."""

    stage = Stage.UPLOAD


class UploadRefused(UploadProblem):
    """The index looked at a file and said no."""

    result = "refused"


class ConfirmationProblem(Problem):
    """The index serves something else than what was uploaded."""

    stage = Stage.CONFIRMATION


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in `1 file` and `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
