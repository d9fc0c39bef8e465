"""Fill an embedded index with a history, file by file, as if each had once been uploaded."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from pypi_attestations import AttestationType

from attested_publish.attestations.slsa import provenance_predicate
from attested_publish.identity.github import GitHubIdentity
from attested_publish.identity.gitlab import GitLabIdentity
from attested_publish.rehearsal.history.contents import (
    REQUIRES_PYTHON,
    SUMMARY,
    content_of,
    metadata_of,
)
from attested_publish.rehearsal.history.model import Fault, Kind
from attested_publish.rehearsal.history.signing import Sigstore
from attested_publish.rehearsal.jobs import github
from attested_publish.rehearsal.pypi.publishers import KINDS
from attested_publish.rehearsal.pypi.store import StoredFile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from attested_publish.rehearsal.history.model import File, History, Release
    from attested_publish.rehearsal.history.publishers import Publisher
    from attested_publish.rehearsal.history.signing import Job
    from attested_publish.rehearsal.pypi.app import Index
    from attested_publish.rehearsal.sigstore.fulcio import CertificateAuthority
    from attested_publish.rehearsal.sigstore.rekor import TransparencyLog


class Filling:
    """Puts the releases of histories on an index, with attestations of an embedded Sigstore."""

    def __init__(self, index: Index, authority: CertificateAuthority, log: TransparencyLog) -> None:
        self._index = index
        self._sigstore = Sigstore(authority, log)

    def __call__(self, history: History) -> list[StoredFile]:
        """Add a history, the oldest releases first; return the files."""
        stored = []
        releases = sorted(
            history.releases, key=lambda each: min(file.uploaded_at for file in each.files)
        )
        for release in releases:
            run = _Publication(release, self._sigstore)
            for file in release.files:
                made = run.stored(file, self._index.folder)
                self._index.add_file(made, name=release.project, metadata=_form(release))
                stored.append(made)
        for project, status in history.statuses.items():
            self._index.set_status(project, status.name, status.reason)
        return stored


class _Publication:
    """The publication of one release, perhaps by jobs of several publishers."""

    def __init__(self, release: Release, sigstore: Sigstore) -> None:
        self._project = release.project
        self._version = str(release.version)
        self._sigstore = sigstore
        self._jobs: dict[tuple[Publisher, datetime], Job] = {}

    def stored(self, file: File, folder: Path) -> StoredFile:
        """Make a file in `folder`, and its provenance."""
        content = content_of(file.filename, self._project, self._version)
        sha256 = hashlib.sha256(content).hexdigest()
        path = folder / secrets.token_hex(16)
        path.write_bytes(content)
        is_wheel = file.filename.endswith(".whl")
        return StoredFile(
            filename=file.filename,
            project=canonicalize_name(self._project),
            version=self._version,
            kind="bdist_wheel" if is_wheel else "sdist",
            size=len(content),
            sha256=sha256,
            # PyPI lists it, too.
            md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
            blake2b_256=hashlib.blake2b(content, digest_size=32).hexdigest(),
            python_version="py3" if is_wheel else "source",
            comment="",
            requires_python=REQUIRES_PYTHON,
            path=path,
            metadata=metadata_of(self._project, self._version) if is_wheel else None,
            provenance=self._provenance(file, sha256),
            uploaded_at=file.uploaded_at,
            yanked=file.yanked,
            names_provenance=file.fault is not None,
        )

    def _provenance(self, file: File, sha256: str) -> bytes | None:
        """Return what the index serves as the provenance of a file."""
        if file.fault is Fault.MISSING:
            return None
        if file.fault is Fault.EMPTY:
            return _provenance([])
        if file.publisher is None or not file.attestations:
            return b'{"version": 1, "attesta' if file.fault is Fault.GARBAGE else None
        if file.fault is Fault.OTHER_BYTES:
            sha256 = hashlib.sha256(sha256.encode()).hexdigest()
        claims = file.publisher.claims(self._version)
        job = self._job(file.publisher, file.uploaded_at, claims)
        attestations = [
            job.attestation(file.filename, sha256, *_predicate(kind, claims))
            for kind in file.attestations
        ]
        if file.fault is Fault.OTHER_PUBLISHER:
            owner, _, name = file.publisher.name.rpartition("/")
            other = f"{owner}/not-{name}" if owner else f"not-{name}"
            claims = replace(file.publisher, name=other).claims(self._version)
        identity = KINDS[claims["iss"]].of(claims).attestation_identity
        assert identity is not None, "every kind in a history has one"
        bundle = {"publisher": identity.model_dump(), "attestations": attestations}
        whole = _provenance([bundle])
        return whole[: len(whole) // 2] if file.fault is Fault.GARBAGE else whole

    def _job(self, publisher: Publisher, at: datetime, claims: Mapping[str, Any]) -> Job:
        """Return the job in which a publisher uploaded something at this time."""
        key = publisher, at
        if key not in self._jobs:
            self._jobs[key] = self._sigstore.job(claims, at)
        return self._jobs[key]


def _predicate(kind: Kind, claims: Mapping[str, Any]) -> tuple[str, object]:
    """Return the type and the predicate of an attestation."""
    if kind is Kind.PUBLISH:
        return AttestationType.PYPI_PUBLISH_V1.value, None
    of = GitHubIdentity.of if claims["iss"] == github.ISSUER else GitLabIdentity.of
    return AttestationType.SLSA_PROVENANCE_V1.value, provenance_predicate(of(claims))


def _provenance(bundles: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps({"version": 1, "attestation_bundles": bundles}).encode()


def _form(release: Release) -> dict[str, list[str]]:
    """Return the fields of the form that would have come with the release's first file."""
    return {
        "name": [release.project],
        "version": [str(release.version)],
        "summary": [SUMMARY],
        "requires_python": [REQUIRES_PYTHON],
    }
