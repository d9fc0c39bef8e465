"""Whom and what a user expects of a release, held against what certificates say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from attested_publish.attestations.verify import extension_text, publisher_fields
from attested_publish.identity.refs import tag_in
from attested_publish.net.untrusted import shown
from attested_publish.rules.version_tag import Release, faults_of_tag
from attested_publish.settings import VersionTag

if TYPE_CHECKING:
    from packaging.version import Version
    from pypi_attestations import Attestation, Publisher

_COMMIT = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.13")
_REF = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.14")
_ENVIRONMENT = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.23")
"""Fulcio's extensions for the commit and the ref that the job ran on, and for its environment."""


@dataclass(frozen=True)
class Expected:
    """Who should have published, and what; `None` allows any value.

    `kind` is the provider of a repository as provenance has it (GitHub or GitLab), `workflow` the
    path of a file, `email` the address of a service account. `commit` may be abbreviated; `ref` is
    exactly that if it begins with `refs/`, else the name of a tag or branch. With `tag_version`,
    the ref has to be a tag that names the version of the release.
    """

    kind: str | None = None
    repository: str | None = None
    workflow: str | None = None
    environment: str | None = None
    email: str | None = None
    commit: str | None = None
    ref: str | None = None
    tag_version: bool = False

    def __bool__(self) -> bool:
        return self != Expected()


@dataclass(frozen=True)
class Origin:
    """The git ref and the commit that a job ran on, and its environment, as its certificate says.

    It need not say: what is missing or empty is `None`.
    """

    ref: str | None = None
    commit: str | None = None
    environment: str | None = None

    @classmethod
    def of(cls, attestation: Attestation) -> Origin:
        """Read the certificate of an attestation; raises `ValueError`."""
        texts = (extension_text(attestation, each) for each in (_REF, _COMMIT, _ENVIRONMENT))
        return cls(*(text or None for text in texts))


def publisher_text(publisher: Publisher) -> str:
    """Return a publisher in a few words: its kind, then what identifies it."""
    values = publisher_fields(publisher)
    environment = values.pop("environment", None)
    where = f", environment {environment}" if environment else ""
    return shown(f"{' '.join(values.values())}{where}", 200)


def unexpected(
    publisher: Publisher,
    origin: Origin,
    expected: Expected,
    release: tuple[str, Version],
) -> str:
    """Return how a valid attestation of a release differs from what is expected, as a sentence.

    The certificate proves repository and workflow, the ref and the commit if it names them, and so
    the environment. Otherwise the environment is the one that the index has registered. Empty: it
    does not differ.
    """
    return _other_publisher(publisher, origin, expected) or _other_origin(origin, expected, release)


def _other_publisher(publisher: Publisher, origin: Origin, expected: Expected) -> str:
    fields = publisher_fields(publisher)
    workflow, wanted_workflow = fields.get("workflow_filepath"), expected.workflow
    if "workflow" in fields and wanted_workflow is not None:
        # GitHub's workflows are all in one folder: PyPI uses only their names.
        workflow, wanted_workflow = fields["workflow"], wanted_workflow.rpartition("/")[2]
    environment = origin.environment or fields.get("environment")
    comparisons = (
        ("provider", expected.kind, fields.get("kind"), False),
        ("repository", expected.repository, fields.get("repository"), True),
        ("workflow", wanted_workflow, workflow, False),
        ("environment", expected.environment, environment, True),
        ("email", expected.email, fields.get("email"), False),
    )
    for name, wanted, found, ignores_case in comparisons:
        if wanted is None:
            continue
        is_same = found is not None and (
            found.lower() == wanted.lower() if ignores_case else found == wanted
        )
        if not is_same:
            return (
                f"Its publisher is {publisher_text(publisher)}: {name} "
                f"{shown(found or 'none', 200)}, not {shown(wanted, 200)}."
            )
    return ""


def _other_origin(origin: Origin, expected: Expected, release: tuple[str, Version]) -> str:
    if expected.commit is not None:
        if origin.commit is None:
            return "Its certificate names no commit."
        if not origin.commit.lower().startswith(expected.commit.lower()):
            return (
                f"It is from commit {shown(origin.commit, 80)}, not {shown(expected.commit, 80)}."
            )
    if expected.ref is None and not expected.tag_version:
        return ""
    if origin.ref is None:
        return "Its certificate names no ref."
    if expected.ref is not None and not _is_ref(origin.ref, expected.ref):
        return f"It is from {shown(origin.ref, 200)}, not {shown(expected.ref, 200)}."
    return _other_tag(origin.ref, release) if expected.tag_version else ""


def _is_ref(ref: str, wanted: str) -> bool:
    """Whether a ref is the wanted one, which may leave out that it is a tag or a branch.

    A whole ref is only itself: a branch may be called `refs/tags/v1.0`.
    """
    if wanted.startswith("refs/"):
        return ref == wanted
    return ref in {wanted, f"refs/tags/{wanted}", f"refs/heads/{wanted}"}


def _other_tag(ref: str, release: tuple[str, Version]) -> str:
    tag = tag_in(ref)
    if tag is None:
        return f"It is from {shown(ref, 200)}, which is no tag."
    faults = faults_of_tag(tag, [Release(*release)], VersionTag.REQUIRED)
    return faults[0].message if faults else ""
