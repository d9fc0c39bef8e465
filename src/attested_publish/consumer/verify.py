"""Verify what an index serves: each file's bytes, its provenance, and its publisher."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from attested_publish.attestations.convert import NotConvertible, read_provenance
from attested_publish.attestations.verify import (
    AttestationRefused,
    extension_text,
    log_index,
    policy_of,
    publisher_fields,
    verify_attestation,
)
from attested_publish.consumer.download import Limits, NotFetched, address, sha256_of
from attested_publish.distributions import Changed, kind_of, opened, release_of
from attested_publish.index.pages import IndexFile, Page, Pages, ProjectStatus
from attested_publish.index.provenance import provenance_at
from attested_publish.index.site import project_url
from attested_publish.net.parallel import in_parallel
from attested_publish.net.retry import Tell, persistently
from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, IndexProblem, IndexRefuses, Topic

if TYPE_CHECKING:
    import requests
    from packaging.version import Version
    from pypi_attestations import Attestation, Provenance, Publisher
    from sigstore.verify import Verifier

    from attested_publish.index.index import Index
    from attested_publish.net.patience import Patience

_AT_A_TIME = 4
_ENVIRONMENT = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.23")
"""Fulcio's extension for the deployment environment of the job."""


@dataclass(frozen=True)
class Expected:
    """Who should have published; `None` allows any value.

    `kind` is the provider of a repository as provenance has it (GitHub or GitLab), `workflow` the
    path of a file, `email` the address of a service account.
    """

    kind: str | None = None
    repository: str | None = None
    workflow: str | None = None
    environment: str | None = None
    email: str | None = None

    def __bool__(self) -> bool:
        return any((self.kind, self.repository, self.workflow, self.environment, self.email))


@dataclass(frozen=True)
class Wanted:
    """A file of a release that is to be verified: the user's own (`local`), or the index's."""

    project: str
    version: Version
    filename: str
    served: IndexFile | None
    local: Path | None = None


@dataclass(frozen=True)
class Release:
    """The files of one release to verify, and all files of its project on the index."""

    project: str
    version: Version
    wanted: tuple[Wanted, ...]
    of_project: Mapping[str, IndexFile]


@dataclass(frozen=True)
class Verdict:
    """The result for a file; `why_not` is empty if everything is valid.

    `publishers` are those of the attestations that were checked, `log_indexes` the indexes of
    the attestations in the log. Both are unverified claims of the index unless everything is
    valid.
    """

    wanted: Wanted
    sha256: str = ""
    publishers: tuple[Publisher, ...] = ()
    predicate_types: tuple[str, ...] = ()
    log_indexes: tuple[int, ...] = ()
    why_not: str = ""

    @property
    def is_good(self) -> bool:
        """Whether the bytes and every attestation are valid, for the expected publisher."""
        return not self.why_not


@dataclass(frozen=True)
class Comparison:
    """The publishers of a release and of the one before it (`before`: its version).

    Only valid attestations count; if the release before has none, `then` is empty.
    """

    before: Version | None = None
    then: tuple[Publisher, ...] = ()
    now: tuple[Publisher, ...] = ()

    @property
    def has_changed(self) -> bool:
        """Whether the publishers of the releases differ."""
        then, now = dict(_by_key(self.then)), dict(_by_key(self.now))
        return bool(then) and bool(now) and then.keys() != now.keys()


@dataclass(frozen=True)
class Verification:
    """Verifies releases with an index, a Sigstore instance, deadlines and limits."""

    index: Index
    session: requests.Session
    verifier: Verifier
    patience: Patience
    tell: Tell
    limits: Limits = Limits()  # noqa: RUF009 - frozen

    @cached_property
    def _pages(self) -> Pages:
        return Pages(self.index, self.session)

    def of_project(self, project: str, version: Version | None) -> Release:
        """Find the files of a release on the index; without a version, of the latest one.

        Raises `IndexProblem`, `IndexRefuses` if the index has no such release.
        """
        files = self._files_of(project)
        versions = {each for name in files if (each := _version_in(name, project)) is not None}
        if version is None:
            version = max(
                (each for each in versions if not each.is_prerelease),
                default=max(versions, default=None),
            )
        if version is None or version not in versions:
            raise IndexRefuses(
                f"{self.index.name} has no such release",
                topic=Topic.NOTHING_TO_PUBLISH,
                detail=f"{shown(self.index.simple_url(project))} lists no file of "
                f"{shown(project)} {version or 'in any version'}.",
                remedy="Check the spelling of project and version.",
            )
        names = [name for name in files if _version_in(name, project) == version]
        wanted = tuple(Wanted(project, version, name, files[name]) for name in sorted(names))
        return Release(project, version, wanted, files)

    def of_files(self, paths: Sequence[Path]) -> list[Release]:
        """Find what the index serves under the names of local files, release by release.

        Raises `FilesProblem` for a file that is not a distribution, `IndexProblem`.
        """
        found: dict[tuple[str, Version], list[Path]] = {}
        for path in paths:
            project, version = release_of(path.name)
            if kind_of(path.name) is None or project is None or version is None:
                raise FilesProblem(
                    f"{shown(path.name)} is not the name of a distribution",
                    topic=Topic.FILES_UNFIT,
                    detail="A wheel is called NAME-VERSION-TAGS.whl, an sdist NAME-VERSION.tar.gz.",
                    remedy="Name wheels and sdists by the names they were published under, or "
                    "PROJECT==VERSION.",
                )
            found.setdefault((project, version), []).append(path)
        releases = []
        for (project, version), of_release in found.items():
            files = self._files_of(project)
            wanted = tuple(
                Wanted(project, version, path.name, files.get(path.name), path)
                for path in of_release
            )
            releases.append(Release(project, version, wanted, files))
        return releases

    def verdicts(self, release: Release, expected: Expected) -> list[Verdict]:
        """Verify every wanted file of a release."""
        found = in_parallel(
            lambda wanted: self._verdict(wanted, expected), release.wanted, threads=_AT_A_TIME
        )
        return sorted(
            (verdict for _, verdict in found), key=lambda verdict: verdict.wanted.filename
        )

    def comparison(self, release: Release, verdicts: Sequence[Verdict]) -> Comparison:
        """Compare the publishers of a release with those of the release before it.

        For the earlier one, the digests listed on the index are used: nothing is downloaded.
        """
        now = _distinct(verdict.publishers for verdict in verdicts if verdict.is_good)
        versions = {_version_in(name, release.project) for name in release.of_project}
        before = max((each for each in versions if each and each < release.version), default=None)
        if before is None:
            return Comparison(now=now)
        earlier = [
            Wanted(release.project, before, name, file)
            for name, file in release.of_project.items()
            if _version_in(name, release.project) == before
        ]
        found = in_parallel(self._listed_publishers, earlier, threads=_AT_A_TIME)
        return Comparison(before, _distinct(publishers for _, publishers in found), now)

    def _verdict(self, wanted: Wanted, expected: Expected) -> Verdict:
        file = wanted.served
        if file is None:
            return Verdict(wanted, why_not=f"{self.index.name} serves no file of this name.")
        try:
            sha256 = self._sha256_of(wanted, file)
        except OSError as error:
            return Verdict(wanted, why_not=f"It cannot be read: {error.strerror}.")
        except Changed as error:
            return Verdict(wanted, why_not=f"It cannot be read: {error}.")
        except NotFetched as error:
            return Verdict(wanted, why_not=str(error))
        if file.sha256 is not None and file.sha256 != sha256:
            whose = "the local file has" if wanted.local else "the file it serves has"
            return Verdict(
                wanted,
                sha256,
                why_not=f"{self.index.name} lists sha256 {shown(file.sha256, 80)}, "
                f"{whose} {sha256}.",
            )
        try:
            provenance = self._provenance_of(wanted)
        except (IndexProblem, NotConvertible, NotFetched) as error:
            why = error.cause if isinstance(error, IndexProblem) else str(error).rstrip(".")
            return Verdict(wanted, sha256, why_not=f"Its provenance cannot be used: {why}.")
        if provenance is None and file.provenance_url is not None:
            return Verdict(
                wanted,
                sha256,
                why_not=f"{self.index.name} lists a provenance, but does not serve it.",
            )
        if provenance is None or not any(
            bundle.attestations for bundle in provenance.attestation_bundles
        ):
            return Verdict(
                wanted, sha256, why_not="It has no attestations: its publisher is unknown."
            )
        return self._held_against(provenance, wanted, sha256, expected)

    def _held_against(
        self, provenance: Provenance, wanted: Wanted, sha256: str, expected: Expected
    ) -> Verdict:
        """Verify every attestation for its publisher, and compare it with the expected one."""
        predicate_types: list[str] = []
        indexes: list[int] = []
        why_not = ""
        for bundle in provenance.attestation_bundles:
            for attestation in bundle.attestations:
                try:
                    predicate_types.append(
                        verify_attestation(
                            attestation,
                            filename=wanted.filename,
                            sha256=sha256,
                            policy=policy_of(bundle.publisher),
                            verifier=self.verifier,
                        )
                    )
                    indexes.append(log_index(attestation))
                except AttestationRefused as error:
                    why_not = why_not or f"An attestation is not valid: {error}"
                else:
                    why_not = why_not or _unexpected(bundle.publisher, attestation, expected)
        return Verdict(
            wanted,
            sha256,
            tuple(bundle.publisher for bundle in provenance.attestation_bundles),
            tuple(dict.fromkeys(predicate_types)),
            tuple(indexes),
            why_not,
        )

    def _listed_publishers(self, wanted: Wanted) -> tuple[Publisher, ...]:
        """Return who published a file, using the digest that the index lists."""
        try:
            provenance = self._provenance_of(wanted)
        except (IndexProblem, NotConvertible, NotFetched):
            return ()
        if provenance is None or wanted.served is None or wanted.served.sha256 is None:
            return ()
        verdict = self._held_against(provenance, wanted, wanted.served.sha256, Expected())
        return verdict.publishers if verdict.is_good else ()

    def _files_of(self, project: str) -> Mapping[str, IndexFile]:
        page = persistently(lambda: self._pages.page(project), self.patience, self.tell)
        if page is None:
            return {}
        if page.status is ProjectStatus.QUARANTINED and not page.files:
            raise _quarantined(self.index, project, page)
        return page.files

    def _sha256_of(self, wanted: Wanted, file: IndexFile) -> str:
        if wanted.local is not None:
            return _sha256_of_file(wanted.local)
        page = self.index.simple_url(wanted.project)
        try:
            return persistently(
                lambda: _fetched(file, page, self.session, self.limits), self.patience, self.tell
            )
        except IndexProblem as problem:
            raise NotFetched(f"{problem.cause}.") from problem

    def _provenance_of(self, wanted: Wanted) -> Provenance | None:
        listed = None if wanted.served is None else wanted.served.provenance_url
        if listed is None:
            return None
        url = address(listed, self.index.simple_url(wanted.project))
        served = persistently(
            lambda: provenance_at(url, self.index, self.session), self.patience, self.tell
        )
        return None if served is None else read_provenance(served)


def _quarantined(index: Index, project: str, page: Page) -> IndexRefuses:
    reason = f" ({shown(page.status_reason, 200)})" if page.status_reason else ""
    return IndexRefuses(
        f"{shown(project)} is quarantined on {index.name}",
        topic=Topic.PROJECT_CLOSED,
        detail=f"The index suspects that the project is malicious, and serves none of its "
        f"files{reason}.",
        remedy="Do not use files of this project that you have already. Its page tells when the "
        f"quarantine ends: {project_url(index, project)}",
    )


def publisher_text(publisher: Publisher) -> str:
    """Return a publisher in a few words: its kind, then what identifies it."""
    values = publisher_fields(publisher)
    environment = values.pop("environment", None)
    where = f", environment {environment}" if environment else ""
    return shown(f"{' '.join(values.values())}{where}", 200)


def _unexpected(publisher: Publisher, attestation: Attestation, expected: Expected) -> str:
    """Return how a publisher differs from the expected one; empty if it does not.

    The certificate proves repository and workflow, and the environment if it names one.
    Otherwise the environment is the one that the index has registered.
    """
    fields = publisher_fields(publisher)
    workflow, wanted_workflow = fields.get("workflow_filepath"), expected.workflow
    if "workflow" in fields and wanted_workflow is not None:
        # GitHub's workflows are all in one folder: PyPI uses only their names.
        workflow, wanted_workflow = fields["workflow"], wanted_workflow.rpartition("/")[2]
    environment = extension_text(attestation, _ENVIRONMENT) or fields.get("environment")
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


def _fetched(file: IndexFile, page: str, session: requests.Session, limits: Limits) -> str:
    try:
        return sha256_of(file, page, session, limits)
    except NotFetched as error:
        raise IndexProblem(
            f"{shown(file.filename)} could not be downloaded",
            topic=Topic.INDEX_UNREACHABLE,
            detail=str(error),
            may_pass=error.may_pass,
        ) from error


def _sha256_of_file(path: Path) -> str:
    real = path.resolve()
    with opened(real, [real.parent]) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version_in(filename: str, project: str) -> Version | None:
    """Return the version of a project's file; `None` if it is not a distribution of it."""
    named, version = release_of(filename)
    return version if named == project and kind_of(filename) is not None else None


def _distinct(found: Iterable[Sequence[Publisher]]) -> tuple[Publisher, ...]:
    return tuple({key: each for several in found for key, each in _by_key(several)}.values())


def _by_key(publishers: Sequence[Publisher]) -> list[tuple[str, Publisher]]:
    return [(publisher.model_dump_json(), publisher) for publisher in publishers]
