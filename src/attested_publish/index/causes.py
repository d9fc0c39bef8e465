"""The causes of refusals, and what to do about each: one table for PyPI and all other indexes.

The sentences are those of PyPI's server (warehouse, `forklift/` and `packaging/services.py`) and
those that the users of other indexes report. `refusals` finds the cause of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from http import HTTPStatus

from attested_publish.problems import Topic


@dataclass(frozen=True)
class Cause:
    """A cause of refusals: how it is recognized, and what a user is told.

    It is the cause of an answer with one of `statuses` (none: with any) whose message contains
    `words` (none: whatever it says); see `refusals.cause_of` for what counts as the message.
    `remedy` is a template, which `refusals` fills in; `given` replaces it if the credentials are
    the user's own, and not an API token that was minted for the job. `is_name_taken`: the index
    has a file of that name.
    """

    name: str
    topic: Topic
    remedy: str
    words: str | None = None
    statuses: Container[int] | None = None
    given: str = ""
    is_name_taken: bool = False

    def explains(self, status: int, message: str) -> bool:
        """Whether it is the cause of an answer with this status and `plain` message."""
        return (self.statuses is None or status in self.statuses) and (
            self.words is None or re.search(self.words, message) is not None
        )


def _words(*alternatives: str) -> str:
    """Return a pattern for lower-case messages in which quotations are `'…'`.

    It is compiled when a refusal has to be explained: most runs need none of all these.
    Each alternative has several words, so that no name of a project or file contains it; those
    that could occur in a sentence about something else start with `^`.
    """
    return "|".join(alternatives)


REDIRECTS = range(300, 400)
_REFUSALS = range(400, 500)
_PASSING = (HTTPStatus.TOO_MANY_REQUESTS, *range(500, 600))

_RERUN = "run again: a re-run uploads only what is missing."

BUSY = Cause(
    "busy",
    Topic.UPLOAD_FAILED,
    "The index has an outage or is overloaded: see its status page{status_page}, and run again "
    "later; a re-run uploads only what is missing.",
    statuses=_PASSING,
)

_NEW_PROJECTS_PAUSED = Cause(
    "new-projects-paused",
    Topic.UPLOADS_PAUSED,
    "{index} creates no new projects at the moment, whoever asks. Wait until its status "
    "page{status_page} says that it does, and " + _RERUN,
    words=_words("^new project registration (?:is )?temporarily disabled"),
    statuses=_REFUSALS,
)

_REDIRECTED = (
    Cause(
        "slash-missing",
        Topic.UPLOAD_ELSEWHERE,
        "Set repository-url to the address with a slash at its end.",
        words=_words("expected upload url is", "with a trailing slash"),
        statuses=REDIRECTS,
    ),
    Cause(
        "login",
        Topic.UPLOAD_ELSEWHERE,
        "That is a login page: the index, or something in front of it, did not accept the "
        "credentials of the upload. Check user and password, and ask its operators which address "
        "accepts uploads from CI jobs.",
        # The location follows the message, see `_messages`.
        words=_words(
            r"redirects to \S*/(?:log-?in|sign-?in|users/sign_in|sso|saml2?|oauth2?|openid|"
            r"authorize|adfs)(?:[/?#.]|$)"
        ),
        statuses=REDIRECTS,
    ),
    Cause(
        "redirect",
        Topic.UPLOAD_ELSEWHERE,
        "If that address is right, set repository-url to it.",
        statuses=REDIRECTS,
    ),
)

_CLOSED = (
    Cause(
        "too-many-projects",
        Topic.TOO_MANY_PROJECTS,
        "A user may create only a few new projects a day, and trying again today may make the "
        "wait longer. Run again tomorrow: a re-run uploads only what is missing.",
        words=_words("too many new projects"),
    ),
    BUSY,
    Cause(
        "paused",
        Topic.UPLOADS_PAUSED,
        "Neither the files nor the credentials are the problem: {index} takes no uploads at the "
        "moment. Wait until its status page{status_page} says that it does, and " + _RERUN,
        words=_words(
            "^read-only mode", "^new uploads are temporarily disabled", "is in read-only mode"
        ),
        statuses=_REFUSALS,
    ),
    _NEW_PROJECTS_PAUSED,
    Cause(
        "attestations-paused",
        Topic.ATTESTATION_REFUSED,
        "{index} takes no attestations at the moment. Wait until its status page{status_page} says "
        "that it does: attestations cannot be added after the upload. If the release cannot wait, "
        "`attestations: false` publishes without.",
        words=_words("^attestations (?:are )?temporarily disabled"),
        statuses=_REFUSALS,
    ),
)

_CREDENTIALS = (
    Cause(
        "password-login",
        Topic.CREDENTIALS_REFUSED,
        "Leave user and password empty to publish as a trusted publisher, or give an API token as "
        "the password, with the user `__token__`.",
        words=_words(
            "^username/password authentication is no longer supported",
            "^user names and passwords are not accepted",
        ),
        statuses=_REFUSALS,
    ),
    Cause(
        "unknown-token",
        Topic.CREDENTIALS_REFUSED,
        "The API token was minted for this job, but has been revoked or was changed on the way. "
        "Check whether a proxy removes the Authorization header, and " + _RERUN,
        words=_words("^invalid or non-existent authentication information"),
        statuses=_REFUSALS,
        given="Check the credentials. An API token begins with `pypi-`, goes with the user "
        "`__token__`, and is valid for one index only: TestPyPI has its own. It may have been "
        "revoked, or copied incompletely.",
    ),
    Cause(
        "token-expired",
        Topic.CREDENTIALS_REFUSED,
        "Run again: a re-run gets a new token and uploads only what is missing.",
        words=_words("token is expired"),
        statuses=_REFUSALS,
        given="The API token in `password` has expired: create a new one, replace the secret, and "
        + _RERUN,
    ),
    Cause(
        "token-of-another-project",
        Topic.WRONG_PROJECT,
        "{file} belongs to the project {project}. Add this job's trusted publisher to that project "
        "as well{publishers} (one token is valid for every project that has it), or check the "
        "project name in the file.",
        words=_words("token is not valid for project"),
        statuses=_REFUSALS,
        given="{file} belongs to the project {project}, and the API token in `password` is for "
        "another one. Use a token for that project, or publish as its trusted publisher"
        "{publishers}; or check the project name in the file.",
    ),
    Cause(
        "token-broken",
        Topic.CREDENTIALS_REFUSED,
        "The API token was not accepted as it arrived. Run again: a re-run gets a new token and "
        "uploads only what is missing.",
        words=_words("^invalid api token"),
        statuses=_REFUSALS,
        given="Create a new API token and replace the secret: the one in `password` is not valid "
        "there, or was copied incompletely.",
    ),
    Cause(
        "not-allowed-on-project",
        Topic.WRONG_PROJECT,
        "{index} has just minted the API token for this job, so the job's identity is right. It "
        "gives this answer for three causes:\n"
        "    This job's trusted publisher is missing on the project {project}: add it"
        "{publishers}.\n"
        "    The project is archived: an owner can unarchive it{settings}.\n"
        "    The project is quarantined: the index's administrators have written to its owners"
        "{quarantine}.",
        words=_words("(?:isn't|is not) allowed to upload"),
        statuses=_REFUSALS,
        given="It gives this answer for three causes:\n"
        "    The owner of these credentials is no owner or maintainer of the project {project}, "
        "or the name belongs to somebody else: check it in the file.\n"
        "    The project is archived: an owner can unarchive it{settings}.\n"
        "    The project is quarantined: the index's administrators have written to its owners"
        "{quarantine}.",
    ),
    Cause(
        "no-new-project",
        Topic.WRONG_PROJECT,
        "The project {project} does not exist, and a trusted publisher creates a project only as a "
        "pending publisher. Register a pending publisher for this job{pending}, or check that the "
        "project name is the same in the publisher and in the file.",
        words=_words("cannot create new projects"),
        statuses=_REFUSALS,
    ),
    Cause(
        "email-unverified",
        Topic.ACCOUNT_UNFIT,
        "The user whose token this is has to verify a primary e-mail address{account}. Then "
        + _RERUN,
        words=_words(r"^user .*\bverified (?:primary )?e-?mail"),
        statuses=_REFUSALS,
    ),
    Cause(
        "no-second-factor",
        Topic.ACCOUNT_UNFIT,
        "The user whose token this is has to set up two-factor authentication{account}. Then "
        + _RERUN,
        words=_words("^user .*two-factor authentication"),
        statuses=_REFUSALS,
    ),
    Cause(
        "organization-inactive",
        Topic.ACCOUNT_UNFIT,
        "An owner of the organization has to make it active again: see its billing, or write to "
        "the index's support. Then " + _RERUN,
        words=_words(r"^organization account .*\binactive", r"^the organization .*\binactive"),
        statuses=_REFUSALS,
    ),
    Cause(
        "no-ssl",
        Topic.NOT_AN_UPLOAD_ADDRESS,
        "Set repository-url to the address that begins with https.",
        words=_words("^ssl is required"),
        statuses=_REFUSALS,
    ),
)

_ANOTHER_NAME = "Choose another name in the project's metadata, build again, and run again"

NAMES = (
    Cause(
        "name-invalid",
        Topic.PROJECT_NAME_REFUSED,
        "A name consists of ASCII letters, digits, hyphens, underscores and dots, and begins and "
        "ends with a letter or digit. " + _ANOTHER_NAME + ".",
        words=_words("^the name '…' is invalid"),
        statuses=_REFUSALS,
    ),
    Cause(
        "name-of-stdlib",
        Topic.PROJECT_NAME_REFUSED,
        "The name is that of a module of Python's standard library. " + _ANOTHER_NAME + ".",
        words=_words(
            r"^the name '…' (?:isn't|is not) allowed(?: \(conflict with|: the standard library)"
        ),
        statuses=_REFUSALS,
    ),
    Cause(
        "name-prohibited",
        Topic.PROJECT_NAME_REFUSED,
        "The index's administrators allow no project of that name{names}. " + _ANOTHER_NAME + ".",
        words=_words("^the name '…' (?:isn't|is not) allowed"),
        statuses=_REFUSALS,
    ),
    Cause(
        "name-too-similar",
        Topic.PROJECT_NAME_REFUSED,
        "Names that differ only in separators, or in characters that look alike, count as the "
        "same{names}. " + _ANOTHER_NAME + "; if the other project is yours, use its name.",
        words=_words("^the name '…' is too similar to (?:an|the) existing project"),
        statuses=_REFUSALS,
    ),
    Cause(
        "name-of-another-project",
        Topic.PROJECT_NAME_REFUSED,
        "Somebody has created a project of that name in the meantime{names}. "
        + _ANOTHER_NAME
        + "; if that project is yours, register this job's trusted publisher on it.",
        words=_words("^the name '…' conflicts with an existing project"),
        statuses=_REFUSALS,
    ),
)
"""Causes that prevent a new project: at an upload, or when a pending publisher is used."""

_NO_PUBLISHER = r"\b(?:no corresponding|fits no) publisher \("

EXCHANGES = (
    *NAMES,
    _NEW_PROJECTS_PAUSED,
    Cause(
        "exchange-not-a-token",
        Topic.IDENTITY_REFUSED,
        "What arrived is no identity token: run the job again. If it happens again, something "
        "between this job and the index changes requests.",
        words=_words(r"\bmalformed jwt"),
    ),
    Cause(
        "exchange-unknown-issuer",
        Topic.IDENTITY_UNUSABLE,
        "{index} does not know the issuer of this job's identity token: it takes those of the "
        "providers' own services, and not of a GitHub Enterprise Server, a GitHub enterprise with "
        "an issuer of its own, or a self-managed GitLab. Publish with an API token.",
        words=_words("^unknown trusted publishing issuer"),
    ),
    Cause(
        "exchange-claim-missing",
        Topic.IDENTITY_UNUSABLE,
        "The job's identity token lacks the claim that {index} names, so no publisher can match. "
        "Publish from another kind of job on {provider}, or with an API token.",
        words=_words(f"{_NO_PUBLISHER}missing claim"),
    ),
    Cause(
        "exchange-claim-empty",
        Topic.IDENTITY_UNUSABLE,
        "The job's identity token does not say which workflow, branch or tag it runs for. Publish "
        "from a job that a push, a tag or a release starts.",
        words=_words(
            f"{_NO_PUBLISHER}the job_workflow_ref claim is empty",
            f"{_NO_PUBLISHER}the ref and sha claims are empty",
        ),
    ),
    Cause(
        "exchange-workflow-name",
        Topic.IDENTITY_UNUSABLE,
        "Give the workflow's file a name that ends in .yml or .yaml, in lower case, and register "
        "that name.",
        words=_words(f"{_NO_PUBLISHER}could not (?:job )?extract workflow filename"),
    ),
    Cause(
        "exchange-environment",
        Topic.UNKNOWN_PUBLISHER,
        "A publisher with this repository and workflow is registered, but for another environment. "
        "Correct `environment:` of the job, or the environment name of the publisher:",
        words=_words(f"{_NO_PUBLISHER}check failed for optional claim"),
    ),
    Cause(
        "exchange-claim-differs",
        Topic.UNKNOWN_PUBLISHER,
        "A publisher with this repository and workflow is registered, but the claim that {index} "
        "names differs from it. If it is `repository_owner_id`, the account was deleted and "
        "created again, or the name has passed to another account: remove the publisher, and "
        "register it again:",
        words=_words(f"{_NO_PUBLISHER}check failed for required claim"),
    ),
    Cause(
        "exchange-other-workflow",
        Topic.OTHER_REPOSITORY,
        "The job is defined in a reusable workflow of another repository or at another ref, which "
        "{index} does not support: publish from a job that is defined in this repository.",
        words=_words(f"{_NO_PUBLISHER}the job_workflow_ref claim does not match"),
    ),
    Cause(
        "exchange-pull-request-target",
        Topic.PULL_REQUEST_TARGET,
        "Publish on a tag or a release.",
        words=_words(f"{_NO_PUBLISHER}publishing from a workflow invoked via '…'"),
    ),
    Cause(
        "exchange-other-issuer",
        Topic.UNKNOWN_PUBLISHER,
        "A publisher is registered, but for another issuer than the one of this job's identity "
        "token. Register one for the service that this job runs on:",
        words=_words(f"{_NO_PUBLISHER}jwt issuer .*does not match expected issuer"),
    ),
)
"""Causes of a refused exchange that PyPI describes, where its code does not name them.

The remedies that end in a colon are followed by the fields and the form of the publisher.
"""

_FILES = (
    Cause(
        "form",
        Topic.UPLOAD_REFUSED,
        "The upload itself was refused, not the file: something between this job and the index may "
        "have changed it, or the address is that of another service. Check repository-url and the "
        "proxies, and run again; if it happens again, please report it.",
        words=_words(
            "^invalid form data",
            r"^\w+: should not be a tuple",
            "^unknown protocol version",
            "^upload payload does not have a file",
            r"^(?:.{0,40}\berror: )?(?:use a known file type|include at least one message digest)",
        ),
        statuses=_REFUSALS,
    ),
    Cause(
        "description",
        Topic.UPLOAD_REFUSED,
        "Correct the description (README) or its content type, build again, and run again; "
        "`attested-publish check --offline` shows what is wrong with it.",
        words=_words("^the description failed to render"),
        statuses=_REFUSALS,
    ),
    Cause(
        "classifier",
        Topic.UPLOAD_REFUSED,
        "Remove or correct the classifier, build again, and run again. The list: "
        "https://pypi.org/classifiers/",
        words=_words("^'…' is not a valid classifier", "^the classifier '…' (?:has been|is) dep"),
        statuses=_REFUSALS,
    ),
    Cause(
        "local-version",
        Topic.UPLOAD_REFUSED,
        "Remove the `+…` from the version, build again, and run again: local versions are for "
        "private indexes.",
        words=_words("^the use of local versions in"),
        statuses=_REFUSALS,
    ),
    Cause(
        "direct-dependency",
        Topic.UPLOAD_REFUSED,
        "Depend on a release that the index has, instead of an address (`name @ https://…`), build "
        "again, and run again.",
        words=_words("^can't have direct dependency"),
        statuses=_REFUSALS,
    ),
    Cause(
        "licence-file",
        Topic.UPLOAD_REFUSED,
        "The metadata names a licence file that the archive lacks: correct `license-files` in "
        "pyproject.toml, build again with a current build backend, and run again.",
        words=_words("^license-file .*does not exist in distribution file"),
        statuses=_REFUSALS,
    ),
    Cause(
        "platform",
        Topic.UPLOAD_REFUSED,
        "Repair the wheel with auditwheel (Linux) or delocate (macOS), which give it a platform "
        "tag that the index takes, and run again.",
        words=_words("^binary wheel '…' has an unsupported platform tag"),
        statuses=_REFUSALS,
    ),
    Cause(
        "filename",
        Topic.UPLOAD_REFUSED,
        "Build the file again with a current build backend, and do not rename it: its name has to "
        "follow from the project's name and version.",
        words=_words(
            "^invalid file extension",
            "^invalid (?:source distribution|wheel) filename",
            "^start filename for",
            "^filename '…' (?:is invalid|should contain)",
            "^version in filename",
            "^cannot upload a file with",
            "^filename is too long",
        ),
        statuses=_REFUSALS,
    ),
    Cause(
        "archive",
        Topic.UPLOAD_REFUSED,
        "The file is damaged, or its archive has something that the index does not take: build it "
        "again with a current build backend.",
        words=_words(
            "^invalid distribution file", "^wheel '…' (?:does not contain the required|has invalid)"
        ),
        statuses=_REFUSALS,
    ),
    Cause(
        "file-too-large",
        Topic.TOO_LARGE,
        "Make the file smaller, or ask the index for a higher limit{limits}; it needs to be "
        "granted before you run again.",
        words=_words("^file too large"),
        statuses=_REFUSALS,
    ),
    Cause(
        "project-too-large",
        Topic.TOO_LARGE,
        "Ask the index for a higher limit of all files of the project together{limits}, or delete "
        "old releases that nobody needs. Then " + _RERUN,
        words=_words("^project size too large"),
        statuses=_REFUSALS,
    ),
    Cause(
        "damaged",
        Topic.UPLOAD_REFUSED,
        "The file was damaged on the way: run again. If it happens again, something between this "
        "job and the index changes uploads, such as a proxy.",
        words=_words("^the digest supplied does not match"),
        statuses=_REFUSALS,
    ),
    Cause(
        "name-used-before",
        Topic.NAME_TAKEN,
        "A filename can never be used again, even after the file was deleted: publish these "
        "changes under a new version.",
        words=_words("^this filename was previously used", "was previously used by a file"),
        statuses=_REFUSALS,
    ),
    Cause(
        "release-closed",
        Topic.UPLOAD_REFUSED,
        "A release is closed two weeks after its first file: publish this file under a new "
        "version.",
        words=_words(r"\bolder than \d+ days"),
        statuses=_REFUSALS,
    ),
    Cause(
        "second-sdist",
        Topic.UPLOAD_REFUSED,
        "The release already has an sdist under another name: leave {file} out, or publish it "
        "under a new version.",
        words=_words("^only one sdist may be uploaded"),
        statuses=_REFUSALS,
    ),
    Cause(
        "metadata",
        Topic.UPLOAD_REFUSED,
        "Correct this field of the metadata (pyproject.toml), build again, and run again.",
        words=_words(
            "packaging.python.org/specifications/core-metadata",
            "^'…' (?:is invalid for|is an invalid value for|has invalid data|is not a valid)",
            "^invalid value for ",
            "^license is deprecated when license-expression",
        ),
        statuses=_REFUSALS,
    ),
)

_INVALID = "^invalid attestations supplied during upload: "

_ATTESTATIONS = (
    Cause(
        "attestations-with-token",
        Topic.ATTESTATION_REFUSED,
        "Leave user and password empty to publish as a trusted publisher, or set "
        "`attestations: false`.",
        words=_words(f"{_INVALID}attestations are only supported when using trusted publishing"),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations-of-provider",
        Topic.ATTESTATION_REFUSED,
        "{index} does not take attestations from this CI provider: set `attestations: false`.",
        words=_words(f"{_INVALID}attestations are not currently supported with"),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations-empty",
        Topic.ATTESTATION_REFUSED,
        "The file was sent with an empty list of attestations: remove the empty attestation file "
        "beside it, and run again.",
        words=_words(f"{_INVALID}malformed attestations: an empty"),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations-malformed",
        Topic.ATTESTATION_REFUSED,
        "The index does not read these attestations as PEP 740 objects. If another tool made "
        "them, remove its files and let this job attest; otherwise use a newer version of "
        "attested-publish, or `attestations: false`.",
        words=_words(f"{_INVALID}malformed attestations"),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations-too-many",
        Topic.ATTESTATION_REFUSED,
        "Leave at most one publish attestation and one provenance attestation beside {file}.",
        words=_words(rf"{_INVALID}a maximum of \d+ attestations"),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations-of-unknown-type",
        Topic.ATTESTATION_REFUSED,
        "The index takes publish attestations and SLSA provenance only: remove the attestation of "
        "another type that lies beside {file}.",
        words=_words(
            f"{_INVALID}attestations? with unsupported predicate type",
            f"{_INVALID}could not verify .*: verification failed: unknown attestation type",
        ),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations-not-verified",
        Topic.ATTESTATION_REFUSED,
        "The attestation is for other bytes or another name, or was made by another repository or "
        "workflow than the project's trusted publisher names{publishers}. Compare both. If another "
        "job or tool made it, remove its files and let this job attest. Without attestations "
        "(`attestations: false`) the release can go out, but none can be added later.",
        words=_words(f"{_INVALID}could not verify"),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations-of-another-log",
        Topic.ATTESTATION_REFUSED,
        "The attestation lacks the promise of a Rekor v1 log, which the index needs: let this job "
        "attest, instead of a tool that uses Rekor v2.",
        words=_words(f"{_INVALID}unknown error .*inclusion promise"),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations-not-understood",
        Topic.ATTESTATION_REFUSED,
        "The index failed while verifying the attestation, perhaps because its connection to "
        "Sigstore did: run again. If it fails again, see the status pages of the index"
        "{status_page} and of Sigstore, or publish without (`attestations: false`).",
        words=_words(f"{_INVALID}unknown error"),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations-twice",
        Topic.ATTESTATION_REFUSED,
        "Two attestations of the same type lie beside {file}: remove one of them, or let this job "
        "attest.",
        words=_words(f"{_INVALID}multiple attestations for the same file"),
        statuses=_REFUSALS,
    ),
    Cause(
        "attestations",
        Topic.ATTESTATION_REFUSED,
        "Read what the index says about the attestation. If another tool made it, remove its files "
        "and let this job attest; otherwise `attestations: false` publishes without.",
        words=_words(_INVALID),
        statuses=_REFUSALS,
    ),
)

_TAKEN = (
    "The index has a file of that name, and does not replace it: publish these changes under a "
    "new version. With `skip-existing: true` the file that is there is left as it is."
)

_OTHER_INDEXES = (
    Cause(
        "overwriting",
        Topic.NAME_TAKEN,
        _TAKEN,
        words=_words("not enough permissions to delete/overwrite"),  # Artifactory
        statuses={HTTPStatus.FORBIDDEN},
        is_name_taken=True,
    ),
    Cause(
        "no-updates",
        Topic.NAME_TAKEN,
        _TAKEN,
        words=_words(
            "does not allow updating assets",  # Nexus
            r"\bcannot be updated",  # Nexus, older
            "name has already been taken",  # GitLab
        ),
        statuses={HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY},
        is_name_taken=True,
    ),
    Cause(
        "exists",
        Topic.NAME_TAKEN,
        _TAKEN,
        words=_words(
            r"\balready exists?\b",  # PyPI, Artifact Registry, devpi, CodeArtifact, pulp
            r"\balready contains? (?:the )?file\b",  # Azure Artifacts
        ),
        statuses={HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY},
        is_name_taken=True,
    ),
    Cause(
        "conflict",
        Topic.NAME_TAKEN,
        _TAKEN,
        statuses={HTTPStatus.CONFLICT},  # pypiserver, Gitea
        is_name_taken=True,
    ),
    Cause(
        "no-permission-to-submit",
        Topic.CREDENTIALS_REFUSED,
        "An owner of the devpi index has to allow this user to upload: add the user to its "
        "`acl_upload`.",
        words=_words("no permission to submit"),
        statuses=_REFUSALS,
    ),
    Cause(
        "gitlab-project",
        Topic.CREDENTIALS_REFUSED,
        "GitLab answers so to a token without rights. Check the project's number in "
        "repository-url; for a job token (user `gitlab-ci-token`), add this project to the job "
        "token allowlist of the project with the index, or use a deploy token with "
        "`write_package_registry`.",
        words=_words("^(?:404 )?project not found"),
        statuses={HTTPStatus.NOT_FOUND},
    ),
)

BY_STATUS = (
    Cause(
        "no-upload-address",
        Topic.NOT_AN_UPLOAD_ADDRESS,
        "Check repository-url: it is not the address of uploads. It is often another one than pip "
        "uses; the documentation of the index names it.",
        statuses={
            HTTPStatus.NOT_FOUND,
            HTTPStatus.METHOD_NOT_ALLOWED,
            HTTPStatus.GONE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.NOT_IMPLEMENTED,
        },
    ),
    Cause(
        "too-large-in-front",
        Topic.IN_FRONT_OF_INDEX,
        "Something in front of the index limits the size of a request, such as nginx "
        "(`client_max_body_size`) or a firewall: ask its operators to raise the limit above the "
        "size of {file}.",
        statuses={HTTPStatus.REQUEST_ENTITY_TOO_LARGE},
    ),
    Cause(
        "proxy-login",
        Topic.IN_FRONT_OF_INDEX,
        "The proxy asks for credentials: give them in the address of the proxy.",
        statuses={HTTPStatus.PROXY_AUTHENTICATION_REQUIRED},
    ),
    Cause(
        "unauthorized",
        Topic.CREDENTIALS_REFUSED,
        "{index} did not accept the API token. Check that repository-url is the index that issued "
        "it, and whether a proxy removes the Authorization header; then " + _RERUN,
        statuses={HTTPStatus.UNAUTHORIZED},
        given="Check the credentials, user and password: a token may have been revoked or have "
        "expired (some live for hours), or be meant for another index.",
    ),
    Cause(
        "forbidden",
        Topic.CREDENTIALS_REFUSED,
        "{index} does not let this job upload {file}. Check the project's trusted publisher"
        "{publishers}, and that repository-url is the right index.",
        statuses={HTTPStatus.FORBIDDEN},
        given="Check the credentials and their rights: they may not be allowed to upload to "
        "{project}, be revoked, or be meant for another index.",
    ),
    Cause(
        "timeout",
        Topic.UPLOAD_FAILED,
        "The index did not receive the file in time: run again; a re-run uploads only what is "
        "missing. If it happens again, lower `parallel-uploads`.",
        statuses={HTTPStatus.REQUEST_TIMEOUT},
    ),
    Cause(
        "other",
        Topic.UPLOAD_REFUSED,
        "Fix what the index names, build again, and run again.",
    ),
)

FIREWALL = Cause(
    "firewall",
    Topic.IN_FRONT_OF_INDEX,
    "The answer is a web page that says nothing about the file, as firewalls and proxies in front "
    "of an index give it: ask their operators whether they let this job upload. If it comes from "
    "the index itself, check the credentials and their rights.",
    statuses={HTTPStatus.FORBIDDEN, HTTPStatus.NOT_ACCEPTABLE},
)
"""Only of an answer that is a web page without any words of its own."""

BY_WORDS = (
    *_REDIRECTED,
    *_CLOSED,
    # Before whatever could occur in the texts that these quote.
    *_ATTESTATIONS,
    *_CREDENTIALS,
    *NAMES,
    *_FILES,
    *_OTHER_INDEXES,
)
"""Causes that are recognized by what the index says; the redirects by the status alone, too."""

CAUSES = (*BY_WORDS, FIREWALL, *BY_STATUS)
"""All causes: what has words before what has only a status, the specific before the general."""
