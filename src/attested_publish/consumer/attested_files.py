"""Who published a file on an index: its provenance, verified for bytes that are known already."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from cryptography import x509

from attested_publish import __version__
from attested_publish.attestations.convert import NotConvertible, read_provenance
from attested_publish.attestations.verify import (
    AttestationRefused,
    extension_text,
    policy_of,
    verify_attestation,
)
from attested_publish.consumer.identities import Identity
from attested_publish.consumer.verified_cache import Proven, VerifiedCache, key_of
from attested_publish.index.provenance import ProvenanceRefused, provenance_listed
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexProblem, IndexUnusable

if TYPE_CHECKING:
    import requests
    from pypi_attestations import Provenance
    from sigstore.verify import Verifier

    from attested_publish.attestations.verify import Trust
    from attested_publish.consumer.persistence import Persistence
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile

_COMMIT = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.13")
_REF = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.14")


@dataclass(frozen=True, slots=True)
class Invalid:
    """The index names a provenance for a file, but it proves nothing; why, in one sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The index did not answer, or refused to."""

    problem: IndexProblem


Publication = Proven | Invalid | Unanswered | None
"""What a file's provenance comes to; `None` if the index names none."""


def rules_of(trust: Trust) -> str:
    """Return a digest of what decides whether an attestation is valid, apart from itself."""
    # sigstore gives its content in no other way; a contract test checks it.
    root = trust.config.trusted_root._inner.to_json()  # noqa: SLF001
    return key_of(root, __version__, version("sigstore"), version("pypi-attestations"))


@dataclass(frozen=True)
class AttestedFiles:
    """Fetches and verifies provenance, unless it is known from before. Threads may share it.

    `rules` are those of the root of trust, see `rules_of`.
    """

    index: Index
    session: requests.Session
    verifier: Verifier
    rules: str
    persistence: Persistence
    cache: VerifiedCache

    def publication(self, project: str, file: IndexFile, sha256: str) -> Publication:
        """Return who published the file with these bytes, which a project's page lists."""
        if file.provenance_url is None:
            return None
        shelf = key_of(self.rules, self.index.simple_url(project))
        key = key_of(self.rules, file.provenance_url, file.filename, sha256)
        known = self.cache.get(shelf, key)
        if known is not None:
            return known
        found = self._looked_up(file, sha256)
        if isinstance(found, Proven):
            self.cache.put(shelf, key, found)
        return found

    def _looked_up(self, file: IndexFile, sha256: str) -> Publication:
        name = shown(file.filename)
        try:
            served = self.persistence(lambda: provenance_listed(file, self.index, self.session))
        except ProvenanceRefused as problem:
            return Unanswered(problem)
        except IndexUnusable as problem:
            if problem.may_pass and not _is_broken(problem):
                return Unanswered(problem)
            return Invalid(f"The provenance of {name} cannot be used: {problem.cause}.")
        except IndexProblem as problem:
            return Unanswered(problem)
        if served is None:
            return Invalid(f"{self.index.name} names a provenance of {name}, but serves none.")
        try:
            provenance = read_provenance(served)
        except NotConvertible as error:
            return Invalid(f"The provenance of {name} cannot be used: {error}")
        return self._verified(provenance, file, sha256)

    def _verified(self, provenance: Provenance, file: IndexFile, sha256: str) -> Publication:
        identities: dict[Identity, None] = {}
        digests = []
        commit = ref = ""
        for bundle in provenance.attestation_bundles:
            for attestation in bundle.attestations:
                try:
                    verify_attestation(
                        attestation,
                        filename=file.filename,
                        sha256=sha256,
                        policy=policy_of(bundle.publisher),
                        verifier=self.verifier,
                    )
                    identities[Identity.proven(bundle.publisher, attestation)] = None
                    commit = commit or extension_text(attestation, _COMMIT) or ""
                    ref = ref or extension_text(attestation, _REF) or ""
                except AttestationRefused as error:
                    return Invalid(
                        f"An attestation of {shown(file.filename)} is not valid: {error}"
                    )
                except ValueError as error:
                    return Invalid(
                        f"The certificate of {shown(file.filename)} cannot be read: {shown(error)}."
                    )
                digests.append(hashlib.sha256(attestation.model_dump_json().encode()).hexdigest())
        if not identities:
            return Invalid(f"The provenance of {shown(file.filename)} has no attestations.")
        return Proven(tuple(identities), tuple(digests), commit, ref)


def _is_broken(problem: IndexUnusable) -> bool:
    """Whether an answer is garbage, not an error of the server, for which trying again may help."""
    return "is not a JSON object" in problem.detail
