"""Every sentence with which an index refuses a file or an identity, and what is made of it.

The sentences are PyPI's (warehouse, `forklift/`) and those of other indexes' users' reports, with
`«…»` around what somebody named something. Each row says which cause of the table it has.
"""

from __future__ import annotations

import html
import itertools
import json
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from attested_publish.distributions import copy_privately
from attested_publish.identity.tokens import understand
from attested_publish.index.api_token import mint
from attested_publish.index.causes import CAUSES, EXCHANGES
from attested_publish.index.contents import New
from attested_publish.index.credentials import GivenCredentials
from attested_publish.index.index import Dialect, Index
from attested_publish.index.refusals import (
    cause_of,
    exchange_cause,
    is_name_taken,
    refusal,
)
from attested_publish.index.upload import Delivery, Outcome, upload
from attested_publish.net.http import Answer, new_session
from attested_publish.problems import TokenRefused, Topic, UploadRefused
from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.jobs.issuer import Issuer
from attested_publish.sandbox.pool import shared_sandbox
from support.hostile_peers import Answering, response
from support.makers import make_wheel
from support.releases import deadlines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attested_publish.distributions import Distribution
    from attested_publish.problems import UploadProblem

PYPI = Index.at("https://upload.pypi.org/legacy/")
OTHER = Index.at("https://packages.example.org/legacy/")
SEE = "See https://pypi.org/help/#x for more information."
INVALID = "Invalid attestations supplied during upload: "
SUFFIX = " See https://packaging.python.org/specifications/core-metadata for more information."

PYPI_SAYS: list[tuple[int, str, str]] = [
    # A. before the view
    (400, "Invalid Form Data.", "form"),
    (403, "SSL is required", "no-ssl"),
    (
        308,
        (
            "An upload was attempted to /legacy but the expected upload URL is /legacy/ (with a "
            "trailing slash)"
        ),
        "slash-missing",
    ),
    (400, "attestations: Should not be a tuple.", "form"),
    (
        403,
        (
            "Username/Password authentication is no longer supported. Migrate to API Tokens or "
            "Trusted Publishers instead. See https://pypi.org/help/#apitoken and "
            "https://pypi.org/help/#trusted-publishers"
        ),
        "password-login",
    ),
    (403, "Read-only mode: Uploads are temporarily disabled.", "paused"),
    (403, f"New uploads are temporarily disabled. {SEE}", "paused"),
    (403, f"Invalid or non-existent authentication information. {SEE}", "unknown-token"),
    # B. form and metadata
    (400, "Unknown protocol version.", "form"),
    (
        400,
        f"«x y» is an invalid value for Name. Error: Start and end with a letter.{SUFFIX}",
        "metadata",
    ),
    (400, "Invalid value for filetype. Error: Use a known file type.", "form"),
    (400, "Error: Include at least one message digest.", "form"),
    (400, f"«9.9» is not a valid metadata version.{SUFFIX}", "metadata"),
    (400, f"The use of local versions in «1.0+x» is not allowed.{SUFFIX}", "local-version"),
    (400, f"«Topic :: Not Known» is not a valid classifier.{SUFFIX}", "classifier"),
    (
        400,
        (
            f"The classifier «Natural Language :: Ukranian» has been deprecated, use one of "
            f"['Natural Language :: Ukrainian'] instead.{SUFFIX}"
        ),
        "classifier",
    ),
    (
        400,
        f"Can't have direct dependency: «x @ https://e.example/x.whl».{SUFFIX}",
        "direct-dependency",
    ),
    (
        400,
        (
            f"License is deprecated when License-Expression is present. Only License-Expression "
            f"should be present.{SUFFIX}"
        ),
        "metadata",
    ),
    (400, f"«MIT OR» is invalid for 'license-expression'.{SUFFIX}", "metadata"),
    (400, "«name» has invalid data", "metadata"),
    (400, "Upload payload does not have a file.", "form"),
    # C. project and permission
    (
        400,
        (
            "Non-user identities cannot create new projects. This was probably caused by "
            "successfully using a pending publisher but specifying the project name incorrectly "
            "(either in the publisher or in your project's metadata). Please ensure that both "
            "match. See: https://docs.pypi.org/trusted-publishers/troubleshooting/"
        ),
        "no-new-project",
    ),
    (
        403,
        (
            "The given token isn't allowed to upload to project «sample». See "
            "https://pypi.org/help/#project-name for more information."
        ),
        "not-allowed-on-project",
    ),
    (
        403,
        f"The user «me» isn't allowed to upload to project «sample». {SEE}",
        "not-allowed-on-project",
    ),
    (403, "Invalid API Token: token is expired, token is expired", "token-expired"),
    (
        403,
        (
            "Invalid API Token: project-scoped token is not valid for project: «sample», "
            "project-scoped token is not valid for project: «sample»"
        ),
        "token-of-another-project",
    ),
    (
        403,
        (
            "Invalid API Token: OIDC scoped token is not valid for project «sample», OIDC scoped "
            "token is not valid for project «sample»"
        ),
        "token-of-another-project",
    ),
    (403, "Invalid API Token: signatures do not match", "token-broken"),
    (
        403,
        (
            f"User «me» does not have a verified primary email address. Please add a verified "
            f"primary email before attempting to upload to PyPI. {SEE}"
        ),
        "email-unverified",
    ),
    (
        403,
        (
            f"User «me» does not have two-factor authentication enabled. Please enable two-factor "
            f"authentication before attempting to upload to PyPI. {SEE}"
        ),
        "no-second-factor",
    ),
    (
        400,
        (
            "Organization account owning this project is inactive. This may be due to inactive "
            "billing for Company Organizations, or administrator intervention for Community "
            "Organizations. Please contact support+orgs@pypi.org."
        ),
        "organization-inactive",
    ),
    (403, f"New project registration temporarily disabled. {SEE}", "new-projects-paused"),
    (400, "The name «_x» is invalid.", "name-invalid"),
    (
        409,
        f"The name «sample» conflicts with an existing project. {SEE}",
        "name-of-another-project",
    ),
    (400, f"The name «requirements.txt» isn't allowed. {SEE}", "name-prohibited"),
    (400, f"The name «sampIe» is too similar to an existing project. {SEE}", "name-too-similar"),
    (
        400,
        f"The name «json» isn't allowed (conflict with Python Standard Library module name). {SEE}",
        "name-of-stdlib",
    ),
    (429, "Too many new projects created", "too-many-projects"),
    (
        400,
        f"The description failed to render for «text/x-rst». {SEE}",
        "description",
    ),
    # D. file
    (400, "Cannot upload a file with '/' or '\\' in the name.", "filename"),
    (
        400,
        (
            "Invalid file extension: Extension .whl is invalid for filetype sdist. See "
            "https://www.python.org/dev/peps/pep-0527 for more information."
        ),
        "filename",
    ),
    (400, "Invalid file extension: Use .tar.gz, .whl or .zip extension.", "filename"),
    (400, "Invalid distribution file.", "archive"),
    (400, f"File too large. Limit for project «sample» is 100 MB. {SEE}", "file-too-large"),
    (
        400,
        f"Project size too large. Limit for project «sample» total size is 10 GB. {SEE}",
        "project-too-large",
    ),
    (
        400,
        "The digest supplied does not match a digest calculated from the uploaded file.",
        "damaged",
    ),
    (
        400,
        f"File already exists («sample-1.0.tar.gz», with blake2_256 hash '0a1b'). {SEE}",
        "exists",
    ),
    (
        400,
        (
            f"This filename was previously used by a file that has since been deleted. Use a "
            f"different version. {SEE}"
        ),
        "name-used-before",
    ),
    (400, "Uploading new files to releases older than 14 days is not allowed.", "release-closed"),
    (400, "Only one sdist may be uploaded per release.", "second-sdist"),
    *[
        (400, f"Invalid distribution file. {why}", "archive")
        for why in (
            "File is not a zipfile",
            "File is both a zip and a tar file",
            "File exceeds compression ratio of 50",
            "File does not use a supported compression type",
            "PKG-INFO not found at sample-1.0/PKG-INFO",
            "WHEEL not found at sample-1.0.dist-info/WHEEL",
            "Incorrect number of top-level directories in sdist",
            "ZIP archive not accepted: Duplicate filename. See https://docs.pypi.org/archives",
            "tar archive not accepted: Sparse members are not allowed.",
            "PyArmor-encrypted content is not allowed.",
            "None",
        )
    ],
    (400, "Invalid source distribution filename: sample.tar.gz", "filename"),
    (400, "Start filename for «sample-x» with 'sample_x'.", "filename"),
    (400, "Filename «sample-01.0.tar.gz» is invalid, should be 'sample-1.0.tar.gz'.", "filename"),
    (
        400,
        (
            "License-File LICENSE does not exist in distribution file sample-1.0.tar.gz at "
            "sample-1.0/LICENSE"
        ),
        "licence-file",
    ),
    (400, "Invalid wheel filename (wrong number of parts): «sample-1.0.whl»", "filename"),
    (
        400,
        (
            f"Binary wheel «sample-1.0-cp312-cp312-linux_x86_64.whl» has an unsupported platform "
            f"tag 'linux_x86_64'. {SEE}"
        ),
        "platform",
    ),
    (
        400,
        "Filename «Sample.whl» should contain the normalized project name 'sample', not 'S'.",
        "filename",
    ),
    (400, "Version in filename should be '1.0' not «1.1».", "filename"),
    (400, "Wheel «sample.whl» does not contain the required RECORD file: x/RECORD", "archive"),
    (400, "Wheel «sample.whl» does not contain the required METADATA file: x/METADATA", "archive"),
    (
        400,
        "Wheel «sample.whl» has invalid entry points defined in the entry_points.txt file",
        "archive",
    ),
    # E. attestations
    (
        400,
        f"{INVALID}Attestations are only supported when using Trusted Publishing",
        "attestations-with-token",
    ),
    (
        400,
        f"{INVALID}Attestations are not currently supported with ActiveState publishers",
        "attestations-of-provider",
    ),
    (
        400,
        (
            f"{INVALID}Malformed attestations: 1 validation error for list[Attestation]\n  Invalid "
            "JSON: expected value at line 1 column 1"
        ),
        "attestations-malformed",
    ),
    (
        400,
        f"{INVALID}Malformed attestations: an empty attestation set is not permitted",
        "attestations-empty",
    ),
    (400, f"{INVALID}A maximum of 2 attestations per file are supported", "attestations-too-many"),
    (
        400,
        (
            f"{INVALID}Could not verify the uploaded artifact using the included attestation: "
            "Verification failed: Certificate's Build Config URI (x) does not match expected"
        ),
        "attestations-not-verified",
    ),
    (
        400,
        (
            f"{INVALID}Could not verify the uploaded artifact using the included attestation: "
            "Verification failed: unknown attestation type: https://e.example/v1"
        ),
        "attestations-of-unknown-type",
    ),
    (
        400,
        (
            f"{INVALID}Unknown error while trying to verify included attestations: bundle must "
            "contain an inclusion promise or signed timestamp(s)"
        ),
        "attestations-of-another-log",
    ),
    (
        400,
        f"{INVALID}Unknown error while trying to verify included attestations: failed to refresh",
        "attestations-not-understood",
    ),
    (
        400,
        f"{INVALID}Attestation with unsupported predicate type: https://e.example/v1",
        "attestations-of-unknown-type",
    ),
    (
        400,
        (
            f"{INVALID}Multiple attestations for the same file with the same predicate type (x) "
            "are not supported"
        ),
        "attestations-twice",
    ),
    (400, f"{INVALID}something new", "attestations"),
    (403, "Attestations temporarily disabled", "attestations-paused"),
]

OTHERS_SAY: list[tuple[int, str, str]] = [
    # Artifactory
    (
        403,
        (
            "Not enough permissions to delete/overwrite artifact «pypi:sample/1.0/x.whl» (user: "
            "«me» needs DELETE permission)"
        ),
        "overwriting",
    ),
    (
        403,
        (
            "Artifact deletion error: Not enough permissions to delete/overwrite all artifacts "
            "under «pypi/sample/1.0» (user: «me» needs DELETE permission)."
        ),
        "overwriting",
    ),
    (403, "Forbidden: user me has no deploy rights there", "forbidden"),
    # Nexus
    (400, "Repository does not allow updating assets: pypi-hosted", "no-updates"),
    (400, "/packages/sample/1.0/sample-1.0.tar.gz cannot be updated", "no-updates"),
    # GitLab
    (400, "Validation failed: File name has already been taken", "no-updates"),
    (404, "404 Project Not Found", "gitlab-project"),
    # Gitea, Forgejo
    (409, "package file already exists", "exists"),
    # pypiserver
    (409, "Conflict", "conflict"),
    # devpi
    (409, "sample-1.0.tar.gz already exists in non-volatile index", "exists"),
    (403, "no permission to submit", "no-permission-to-submit"),
    # Azure Artifacts
    (
        409,
        "The feed «mine» already contains file «sample-1.0.tar.gz» in package «sample 1.0».",
        "exists",
    ),
    # AWS CodeArtifact
    (409, "PackageVersion already exists for asset sample-1.0.tar.gz", "exists"),
    # Google Artifact Registry
    (400, "The file already exists", "exists"),
    # pulp
    (400, "A package with this filename already exists.", "exists"),
]

SAID = [*PYPI_SAYS, *OTHERS_SAY]
NAME_TAKEN = {"exists", "overwriting", "no-updates", "conflict"}

EXCHANGED: list[tuple[str, str, str]] = [
    ("invalid-payload", "malformed JWT", "exchange-not-a-token"),
    ("invalid-payload", "unknown trusted publishing issuer", "exchange-unknown-issuer"),
    *[
        ("invalid-payload", said, cause)
        for _, said, cause in PYPI_SAYS
        if cause.startswith("name-") and cause != "name-used-before"
    ],
    (
        "invalid-payload",
        f"New project registration temporarily disabled. {SEE}",
        "new-projects-paused",
    ),
    *[
        ("invalid-publisher", f"valid token, but no corresponding publisher ({reason})", cause)
        for reason, cause in (
            ("Missing claim 'job_workflow_ref'", "exchange-claim-missing"),
            ("Publisher with matching claims was not found", ""),
            (
                "Could not job extract workflow filename from OIDC claims",
                "exchange-workflow-name",
            ),
            (
                "Check failed for required claim 'repository_owner_id'",
                "exchange-claim-differs",
            ),
            ("Check failed for optional claim 'environment'", "exchange-environment"),
            ("The job_workflow_ref claim is empty", "exchange-claim-empty"),
            ("The ref and sha claims are empty", "exchange-claim-empty"),
            (
                (
                    "The job_workflow_ref claim does not match, expecting one of "
                    "['o/r/.github/workflows/a.yml@x'], got 'o/s/.github/workflows/a.yml@x'"
                ),
                "exchange-other-workflow",
            ),
            (
                "Publishing from a workflow invoked via 'pull_request_target' is not supported.",
                "exchange-pull-request-target",
            ),
            (
                "JWT issuer https://a.example does not match expected issuer https://b.example",
                "exchange-other-issuer",
            ),
        )
    ],
]


def filled(sentence: str, name: str | None = None) -> str:
    """Put what somebody named something into a sentence, quoted as Python's repr() does."""
    return re.sub("«(.*?)»", lambda found: repr(found[1] if name is None else name), sentence)


def answered(
    status: int, *, reason: str | None = None, body: str = "", kind: str = "text/plain"
) -> Answer:
    return Answer(
        url=PYPI.upload_url,
        status=status,
        reason=HTTPStatus(status).phrase if reason is None else reason,
        content_type=kind,
        body=body.encode(),
    )


EXPLAINED = {
    400: "The server could not comply with the request since it is either malformed or otherwise "
    "incorrect.",
    403: "Access was denied to this resource.",
    404: "The resource could not be found.",
    409: "There was a conflict when trying to complete your request.",
    429: "The action could not be performed because there were too many requests by the client.",
}
"""How Pyramid explains a status, in front of the sentence (pyramid/httpexceptions.py)."""


def in_reason(status: int, said: str) -> Answer:
    """The first line of it, as a client reads a status line."""
    return answered(status, reason=said.split("\n", maxsplit=1)[0])


def in_page(status: int, said: str) -> Answer:
    """A page of PyPI's, without the reason phrase, which HTTP/2 has not."""
    text = html.escape(said)
    page = (
        f"<html>\n <head>\n  <title>{status} {text}</title>\n </head>\n <body>\n  <h1>{status} "
        f"{text}</h1>\n  {EXPLAINED.get(status, '')}<br/><br/>\n{text}\n\n\n </body>\n</html>"
    )
    return answered(status, reason="", body=page, kind="text/html; charset=UTF-8")


def in_plain_page(status: int, said: str) -> Answer:
    """A page of another server, with a menu and the sentence deep inside."""
    page = (
        f"<style>x</style><p>Packages<p>Help<p>{'Menu ' * 200}<h2>Error</h2><p>{html.escape(said)}"
    )
    return answered(status, body=page, kind="text/html")


def in_pyramid_json(status: int, said: str) -> Answer:
    message = f"{EXPLAINED.get(status, '')}\n\n\n{said}\n\n\n"
    body = json.dumps({"message": message, "code": f"{status} {said}", "title": "Bad Request"})
    return answered(status, reason="", body=body, kind="application/json")


def in_json(status: int, said: str) -> Answer:
    return answered(status, body=json.dumps({"message": said}), kind="application/json")


def in_errors(status: int, said: str) -> Answer:
    """Artifactory."""
    body = json.dumps({"errors": [{"status": status, "message": said}]}, indent=2)
    return answered(status, body=body, kind="application/json")


def in_field(status: int, said: str) -> Answer:
    """What pulp answers: the field, with a list of sentences."""
    body = json.dumps({"content": [said]})
    return answered(status, body=body, kind="application/json")


def in_object(status: int, said: str) -> Answer:
    """Google."""
    body = json.dumps({"error": {"code": status, "message": said, "status": "INVALID"}})
    return answered(status, body=body, kind="application/json")


def in_text(status: int, said: str) -> Answer:
    return answered(status, body=said)


def in_pyramid_text(status: int, said: str) -> Answer:
    return answered(
        status, reason="", body=f"{status} {said}\n\n{EXPLAINED.get(status, '')}\n\n\n{said}\n"
    )


ENCODINGS: list[Callable[[int, str], Answer]] = [
    in_reason,
    in_page,
    in_pyramid_json,
    in_json,
    in_errors,
    in_field,
    in_object,
    in_text,
    in_pyramid_text,
]


@pytest.mark.parametrize(("status", "said", "name"), SAID)
def test_every_sentence_has_its_cause_however_it_is_sent(status: int, said: str, name: str) -> None:
    for encoding in ENCODINGS:
        answer = encoding(status, filled(said))
        is_bare_page = name == "forbidden" and encoding is in_page
        assert cause_of(answer).name == ("firewall" if is_bare_page else name), encoding
        assert is_name_taken(answer) == (name in NAME_TAKEN), encoding


@pytest.mark.parametrize(
    ("status", "said", "name"), [row for row in OTHERS_SAY if row[2] in NAME_TAKEN]
)
def test_a_name_that_is_taken_is_found_anywhere_on_a_page(
    status: int, said: str, name: str
) -> None:
    assert cause_of(in_plain_page(status, filled(said))).name == name


NAMES = [
    *(filled(said, "x").rstrip(".") for _, said, _ in SAID),
    "already-exists",
    "read-only",
    "too-many-new-projects",
    "token-is-expired",
    "isn't allowed to upload",
    'it\'s "already exists" here',
]
"""What could be the name of something, if names could have spaces."""


@pytest.mark.sample(12)
@pytest.mark.parametrize(("status", "said", "name"), [row for row in SAID if "«" in row[1]])
def test_what_is_quoted_decides_nothing(status: int, said: str, name: str) -> None:
    for quoted in NAMES:
        # Long ones would push the sentence out of what is looked at.
        for encoding in (in_reason, in_page, in_json, in_text):
            answer = encoding(status, filled(said, quoted[:60]))
            assert cause_of(answer).name == name, quoted


@pytest.mark.parametrize(
    "named", ["already-exists", "read-only-mode", "cannot-be-updated", "project-not-found"]
)
def test_names_outside_quotation_marks_decide_nothing(named: str) -> None:
    for status, said, name in (
        (
            400,
            f"License-File {named} does not exist in distribution file {named}.whl",
            "licence-file",
        ),
        (400, f"Invalid source distribution filename: {named}.tar.gz", "filename"),
        (400, f"Invalid distribution file. PKG-INFO not found at {named}/PKG-INFO", "archive"),
        (400, f"Repository does not allow updating assets: {named}", "no-updates"),
        (409, f"{named}-1.0.tar.gz already exists in non-volatile index", "exists"),
        (400, f"{named}", "other"),
        (403, f"{named} is for members", "forbidden"),
    ):
        assert cause_of(in_text(status, said)).name == name


def test_no_row_of_the_table_is_without_a_sentence() -> None:
    by_status = {
        cause_of(in_text(status, "x")).name for status in range(300, 600) if phrase(status)
    }
    by_words = {name for _, _, name in SAID}
    assert {cause.name for cause in CAUSES} - by_words - by_status == {"login", "firewall"}
    assert {cause.name for cause in EXCHANGES} == {name for _, _, name in EXCHANGED if name}
    names = [cause.name for cause in CAUSES]
    assert len(names) == len(set(names))


def phrase(status: int) -> bool:
    return status in {each.value for each in HTTPStatus}


@pytest.mark.parametrize(
    ("status", "topic", "remedy"),
    [
        (302, Topic.UPLOAD_ELSEWHERE, "set repository-url"),
        (400, Topic.UPLOAD_REFUSED, "Fix what the index names"),
        (401, Topic.CREDENTIALS_REFUSED, "Check the credentials"),
        (403, Topic.CREDENTIALS_REFUSED, "their rights"),
        (404, Topic.NOT_AN_UPLOAD_ADDRESS, "Check repository-url"),
        (405, Topic.NOT_AN_UPLOAD_ADDRESS, "Check repository-url"),
        (407, Topic.IN_FRONT_OF_INDEX, "proxy"),
        (408, Topic.UPLOAD_FAILED, "run again"),
        (409, Topic.NAME_TAKEN, "new version"),
        (413, Topic.IN_FRONT_OF_INDEX, "client_max_body_size"),
        (415, Topic.NOT_AN_UPLOAD_ADDRESS, "Check repository-url"),
        (418, Topic.UPLOAD_REFUSED, "Fix what the index names"),
        (422, Topic.UPLOAD_REFUSED, "Fix what the index names"),
        (429, Topic.UPLOAD_FAILED, "overloaded"),
        (500, Topic.UPLOAD_FAILED, "outage"),
        (503, Topic.UPLOAD_FAILED, "outage"),
    ],
)
def test_what_is_unknown_has_the_remedy_of_its_status(
    wheel: Distribution, status: int, topic: Topic, remedy: str
) -> None:
    told = told_of(wheel, answered(status, reason="", body="Zonk."))
    assert told.topic is topic
    assert remedy in told.remedy
    assert "Zonk" in told.detail
    assert told.may_pass == (status == 429 or status >= 500)


def test_a_status_that_nobody_knows_is_a_refusal(wheel: Distribution) -> None:
    answer = Answer(OTHER.upload_url, 499, "", "text/html", b"<p>Zonk")
    assert isinstance(told_of(wheel, answer), UploadRefused)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    folder = tmp_path_factory.mktemp("dist")
    make_wheel(folder)
    with copy_privately([folder]) as staged:
        (distribution,) = staged.distributions
        yield distribution


def told_of(
    wheel: Distribution, answer: Answer, *, index: Index = OTHER, is_minted: bool = False
) -> UploadProblem:
    return refusal(index, wheel, answer, "of-somebody", is_minted=is_minted)


@pytest.mark.parametrize(("status", "said", "name"), SAID)
def test_every_remedy_is_a_sentence(wheel: Distribution, status: int, said: str, name: str) -> None:
    answer = in_text(status, filled(said))
    for index, is_minted in itertools.product((PYPI, OTHER), (True, False)):
        told = told_of(wheel, answer, index=index, is_minted=is_minted)
        assert told.remedy[0].isupper() or told.remedy.startswith((index.name, wheel.filename))
        assert told.remedy.endswith((".", "/classifiers/"))
        assert not re.search(r"[{}]|\(\)|\S {2}|None", told.remedy)
        if index is OTHER:
            assert "/manage/" not in told.remedy
            assert "status.python.org" not in told.remedy
        assert told.topic is not None
        assert f"answered {status}" in told.detail
        assert told.file == wheel.filename
        # A job without a password has none to replace.
        assert not is_minted or "in `password`" not in told.remedy, name


def test_a_token_that_was_minted_names_the_three_causes(wheel: Distribution) -> None:
    answer = in_reason(403, "The given token isn't allowed to upload to project 'sample'. See x.")
    told = told_of(wheel, answer, index=PYPI, is_minted=True)
    assert told.topic is Topic.WRONG_PROJECT
    for words in (
        (
            "publisher is missing on the project sample: add it "
            "(https://pypi.org/manage/project/sample/settings/publishing/)"
        ),
        "archived: an owner can unarchive it (https://pypi.org/manage/project/sample/settings/)",
        "quarantined",
    ):
        assert words in told.remedy
    given = told_of(wheel, answer, index=PYPI)
    assert "owner or maintainer of the project sample" in given.remedy
    assert "archived" in given.remedy
    assert "minted" not in given.remedy


def test_a_pause_is_no_problem_of_the_credentials(wheel: Distribution) -> None:
    for said in ("Read-only mode: Uploads are temporarily disabled.",):
        told = told_of(wheel, in_reason(403, said), index=PYPI)
        assert told.topic is Topic.UPLOADS_PAUSED
        assert "status.python.org" in told.remedy
        assert "heck the credentials" not in told.remedy


def test_too_many_new_projects_never_pass(wheel: Distribution) -> None:
    told = told_of(wheel, in_reason(429, "Too many new projects created"), index=PYPI)
    assert isinstance(told, UploadRefused)
    assert not told.may_pass
    assert told.retry_after is None


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://sso.example.org/login?next=/legacy/", "login page"),
        ("/users/sign_in", "login page"),
        ("https://packages.example.org/oauth2/authorize", "login page"),
        ("https://packages.example.org/legacy/login-helpers/", "set repository-url to it"),
        ("https://packages.example.org/pypi/", "set repository-url to it"),
    ],
)
def test_a_redirect_to_a_login_is_known_by_its_address(
    wheel: Distribution, location: str, words: str
) -> None:
    answer = Answer(OTHER.upload_url, 302, "Found", "text/html", b"<p>Moved", location=location)
    told = told_of(wheel, answer)
    assert words in told.remedy
    assert location in told.detail
    assert not isinstance(told, UploadRefused)


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (answered(403, body="<h1>Request blocked</h1>", kind="text/html"), "firewall"),
        (answered(403, reason="", body="<html>Access denied"), "firewall"),
        (answered(406, body="<p>Not Acceptable", kind="text/html"), "firewall"),
        (answered(403, body="Request blocked"), "forbidden"),
        (
            answered(403, reason="You may not upload there", body="<p>x", kind="text/html"),
            "forbidden",
        ),
        (in_page(403, "Read-only mode: Uploads are temporarily disabled."), "paused"),
        (answered(401, body="<p>Log in", kind="text/html"), "unauthorized"),
        (
            answered(413, reason="Request Entity Too Large", body="<hr>nginx", kind="text/html"),
            "too-large-in-front",
        ),
    ],
)
def test_a_web_page_instead_of_a_sentence(answer: Answer, name: str) -> None:
    assert cause_of(answer).name == name


def test_words_count_only_with_a_status_they_can_have() -> None:
    assert not is_name_taken(in_text(403, "It does already exist"))
    assert not is_name_taken(in_text(404, "It does already exist"))
    assert not is_name_taken(in_text(503, "File already exists"))
    assert not is_name_taken(in_text(200, "File already exists"))
    assert not is_name_taken(in_text(400, "Not enough permissions to delete/overwrite artifact"))
    assert cause_of(in_text(413, "File already exists")).name == "too-large-in-front"


@pytest.mark.parametrize(
    "piece",
    ["'", '"', " '", "\\'", "'a", "isn't allowed ", "user verified ", "organization account "],
)
def test_a_long_answer_takes_no_time(piece: str) -> None:
    body = (piece * (1 << 16))[: 1 << 16]
    started = time.monotonic()
    for kind in ("text/plain", "text/html"):
        cause_of(answered(400, body=body, kind=kind))
    assert time.monotonic() - started < 5, "a quadratic pattern takes minutes"


def uploaded(
    wheel: Distribution, answer: bytes, *, is_there: bool = False, skip_existing: bool = False
) -> Outcome:
    """Upload a wheel to an index that answers like this."""
    outcomes = []
    with Answering({"/legacy/": answer}) as peer:
        delivery = Delivery(
            index=Index.at(f"{peer.url}/legacy/", Dialect.OTHER),
            credentials=GivenCredentials("me", "of-somebody"),
            parallel=1,
            skip_existing=skip_existing,
            deadlines=deadlines(0.2),
            is_there=lambda _: is_there,
            tell=lambda _: None,
            sandbox=shared_sandbox(),
        )
        upload(
            [wheel],
            {},
            delivery,
            new=New(),
            begun=lambda _: None,
            done=lambda _, outcome: outcomes.append(outcome),
        )
    (only,) = outcomes
    return only


@pytest.mark.parametrize(("status", "said", "name"), OTHERS_SAY)
def test_same_bytes_are_fine_and_a_taken_name_can_be_skipped_everywhere(
    wheel: Distribution, status: int, said: str, name: str
) -> None:
    bodies = [
        response(
            json.dumps({"message": filled(said)}).encode(), status=f"{status} No", kind="text/json"
        ),
        response(b"", status=f"{status} {filled(said)}", kind="text/plain"),
    ]
    for answer in bodies:
        if name in NAME_TAKEN:
            assert uploaded(wheel, answer, is_there=True) is Outcome.THERE
            assert uploaded(wheel, answer, skip_existing=True) is Outcome.NAME_TAKEN
        for settings in ({}, {"is_there": True, "skip_existing": True})[
            : 1 + (name not in NAME_TAKEN)
        ]:
            with pytest.raises(UploadRefused) as caught:
                uploaded(wheel, answer, **settings)
            assert caught.value.topic is next(each.topic for each in CAUSES if each.name == name)
            assert filled(said).removeprefix("404 ").rstrip(".") in caught.value.detail


def minted(answer: bytes) -> None:
    token = Issuer(job_claims({}, {})).issue("pypi")
    with Answering({"/_/oidc/mint-token": answer}) as peer, new_session() as session:
        mint(
            Index.at(f"{peer.url}/legacy/"),
            f"{peer.url}/_/oidc/mint-token",
            token,
            understand(token).publisher,
            {"sample": True},
            session=session,
            mask=lambda _: None,
        )


@pytest.mark.sample(8)
@pytest.mark.parametrize(("code", "description", "name"), EXCHANGED)
def test_every_reason_of_a_refused_exchange_has_its_remedy(
    code: str, description: str, name: str
) -> None:
    said = filled(description)
    body = {"message": "Token request failed", "errors": [{"code": code, "description": said}]}
    answer = response(
        json.dumps(body).encode(), status="422 Unprocessable Entity", kind="application/json"
    )
    with pytest.raises(TokenRefused) as caught:
        minted(answer)
    cause = exchange_cause(said)
    assert ("" if cause is None else cause.name) == name
    told = caught.value
    assert said[:60] in told.detail
    assert "{" not in told.remedy
    assert told.topic is (cause.topic if cause else Topic.UNKNOWN_PUBLISHER)
    if told.topic is Topic.UNKNOWN_PUBLISHER:
        assert "/manage/project/sample/settings/publishing/?" in told.remedy
        assert "Workflow name: release.yml" in told.detail


def test_an_exchange_that_something_in_between_refuses() -> None:
    with pytest.raises(TokenRefused) as caught:
        minted(response(b"<h1>Blocked</h1>", status="403 Forbidden", kind="text/html"))
    assert caught.value.topic is Topic.EXCHANGE_REFUSED
    assert "firewall or proxy" in caught.value.remedy


def test_a_request_that_pypi_cannot_read_is_quoted() -> None:
    errors = [{"code": "invalid-payload", "description": "1 validation error\ntoken\n  missing"}]
    body = json.dumps({"message": "Token request failed", "errors": errors}).encode()
    with pytest.raises(TokenRefused) as caught:
        minted(response(body, status="422 Unprocessable Entity", kind="application/json"))
    assert caught.value.topic is Topic.EXCHANGE_REFUSED
    assert "1 validation error token missing" in caught.value.detail
