"""Verify what an index serves: each file's bytes, its provenance, and its publisher."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.attestations.convert import NotConvertible, read_provenance
from attested_publish.attestations.verify import (
    AttestationRefused,
    log_index,
    policy_of,
    verify_attestation,
)
from attested_publish.consumer.comparison import Comparison, compare
from attested_publish.consumer.download import Limits, NotFetched, address, sha256_of
from attested_publish.consumer.expected import Expected, Origin, unexpected
from attested_publish.consumer.quarantine import refuse_quarantined
from attested_publish.consumer.verdict import Release, Verdict, Wanted
from attested_publish.distributions import Changed, kind_of, opened, release_of
from attested_publish.index.pages import IndexFile, Pages
from attested_publish.index.provenance import provenance_at
from attested_publish.net.parallel import in_parallel
from attested_publish.net.retry import Tell, persistently
from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, IndexProblem, IndexRefuses, Topic
from attested_publish.rules.provenance_states import release_before

if TYPE_CHECKING:
    import requests
    from packaging.version import Version
    from pypi_attestations import Provenance
    from sigstore.verify import Verifier

    from attested_publish.index.index import Index
    from attested_publish.net.patience import Patience

_AT_A_TIME = 4


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
        """Compare the provenance that is served of a release with that of the release before it.

        Each release counts with all its files on the index, whichever of them are to be verified.
        For the others, the digests listed on the index are used: nothing is downloaded.
        """
        versions = {_version_in(name, release.project) for name in release.of_project}
        before = release_before(filter(None, versions), release.version)
        known = {each.wanted.filename: each for each in verdicts if _is_of_served(each)}
        wanted = [
            Wanted(release.project, version, name, file)
            for name, file in sorted(release.of_project.items())
            if (version := _version_in(name, release.project)) is not None
            and version in {release.version, before}
            and name not in known
        ]
        end = time.monotonic() + self.limits.others
        listed = in_parallel(lambda each: self._listed(each, end), wanted, threads=_AT_A_TIME)
        found = sorted(
            (*known.values(), *(verdict for _, verdict in listed)),
            key=lambda verdict: verdict.wanted.filename,
        )
        now = [each for each in found if each.wanted.version == release.version]
        return compare(release, now, before, [each for each in found if each not in now])

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
        return self._of_provenance(wanted, sha256, expected)

    def _of_provenance(self, wanted: Wanted, sha256: str, expected: Expected) -> Verdict:
        """Verify the provenance that the index serves of a file, for these bytes."""
        try:
            provenance = self._provenance_of(wanted)
        except (IndexProblem, NotConvertible, NotFetched) as error:
            why = error.cause if isinstance(error, IndexProblem) else str(error).rstrip(".")
            return Verdict(wanted, sha256, why_not=f"Its provenance cannot be used: {why}.")
        if provenance is None and wanted.served and wanted.served.provenance_url:
            return Verdict(
                wanted,
                sha256,
                why_not=f"{self.index.name} lists a provenance, but does not serve it.",
            )
        if provenance is None or not any(
            bundle.attestations for bundle in provenance.attestation_bundles
        ):
            return Verdict(
                wanted,
                sha256,
                why_not="It has no attestations: its publisher is unknown.",
                is_unattested=True,
            )
        return self._held_against(provenance, wanted, sha256, expected)

    def _held_against(
        self, provenance: Provenance, wanted: Wanted, sha256: str, expected: Expected
    ) -> Verdict:
        """Verify every attestation for its publisher, and compare it with the expected one."""
        predicate_types: list[str] = []
        indexes: list[int] = []
        origins: list[Origin] = []
        why_not = ""
        is_proven = True
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
                    origin = Origin.of(attestation)
                    origins.append(origin)
                except AttestationRefused as error:
                    is_proven = False
                    why_not = why_not or f"An attestation is not valid: {error}"
                except ValueError:
                    is_proven = False
                    why_not = why_not or (
                        "Its certificate names a ref, commit or environment that is no text."
                    )
                else:
                    release = (wanted.project, wanted.version)
                    why_not = why_not or unexpected(bundle.publisher, origin, expected, release)
        return Verdict(
            wanted,
            sha256,
            tuple(bundle.publisher for bundle in provenance.attestation_bundles),
            tuple(predicate_types),
            tuple(indexes),
            tuple(dict.fromkeys(origins)),
            why_not,
            is_proven,
        )

    def _listed(self, wanted: Wanted, end: float) -> Verdict:
        """Verify the provenance of a file for the digest that the index lists, until `end`."""
        file = wanted.served
        if file is not None and file.provenance_url is not None:
            if file.sha256 is None:
                return Verdict(wanted, why_not="The index lists no digest of it.")
            if time.monotonic() >= end:
                return Verdict(wanted, why_not="Its provenance was not read in time.")
        return self._of_provenance(wanted, (file and file.sha256) or "", Expected())

    def _files_of(self, project: str) -> Mapping[str, IndexFile]:
        page = persistently(lambda: self._pages.page(project), self.patience, self.tell)
        if page is None:
            return {}
        refuse_quarantined(self.index, project, page)
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


def _is_of_served(verdict: Verdict) -> bool:
    """Whether a verdict is also one on what the index serves, not only on the user's own file."""
    return verdict.is_proven or verdict.is_unattested or verdict.wanted.local is None


def _version_in(filename: str, project: str) -> Version | None:
    """Return the version of a project's file; `None` if it is not a distribution of it."""
    named, version = release_of(filename)
    return version if named == project and kind_of(filename) is not None else None
