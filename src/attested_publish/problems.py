"""What a user is told when something stops the release."""

from __future__ import annotations

from enum import StrEnum


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


class Problem(Exception):
    """A failure in the words of the one who reads it: what, why, and what to do.

    `title` is one line, `detail` says what happened with the offending values and
    the refuser's own words, `remedy` is the next thing to do. `file` is the
    distribution it concerns. No secret may stand in any of them.

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
        file: str | None = None,
        may_pass: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(title)
        self.title = title
        self.detail = detail
        self.remedy = remedy
        self.file = file
        self.may_pass = may_pass
        self.retry_after = retry_after

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


class UploadProblem(Problem):
    """The index refused a file, or it could not be sent."""

    stage = Stage.UPLOAD


class UploadRefused(UploadProblem):
    """The index looked at a file and said no."""

    result = "refused"


class ConfirmationProblem(Problem):
    """The index serves something else than what was uploaded."""

    stage = Stage.CONFIRMATION
