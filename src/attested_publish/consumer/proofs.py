"""What the provenance of a file proves. It is a stranger's, and verified in a child process.

`prove` runs in the child (see `sandbox`), which keeps the root of trust; `Prover` asks it.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from attested_publish.attestations.convert import NotConvertible, read_provenance
from attested_publish.attestations.verify import (
    AttestationRefused,
    load_trust,
    policy_of,
    publisher_fields,
    verify_attestation,
)
from attested_publish.consumer.expected import Origin
from attested_publish.net.untrusted import shown
from attested_publish.problems import SigningProblem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pypi_attestations import Provenance, Publisher
    from sigstore.verify import Verifier

    from attested_publish.sandbox.questions import Answer, Question

_verifiers: dict[str, Verifier] = {}
"""What attestations are verified with, by the digest of its root of trust: the last one."""


def prove(question: Question) -> Answer:
    """Verify the provenance of some `files`: each has `filename`, `sha256`, `provenance` (text).

    `rules` is the digest of the root of trust, whose content is `root` (a ClientTrustConfig). The
    answer has `needs_root` if that is missing, `bad_root` if it cannot be used, or else `verdicts`
    in the order of the files: `invalid` with the reason as a sentence, or what is proven.
    """
    rules = str(question["rules"])
    if rules not in _verifiers:
        if "root" not in question:
            return {"needs_root": True}
        try:
            trust = load_trust(question["root"])
        except SigningProblem as problem:
            return {"bad_root": shown(problem.__cause__ or problem)}
        _verifiers.clear()
        _verifiers[rules] = trust.verifier
    return {"verdicts": [_verdict(each, _verifiers[rules]) for each in question["files"]]}


def _verdict(file: Mapping[str, Any], verifier: Verifier) -> dict[str, Any]:
    filename = file["filename"]
    try:
        provenance = read_provenance(json.loads(file["provenance"]))
    except NotConvertible as error:
        return {"invalid": f"The provenance of {shown(filename)} cannot be used: {error}"}
    return _verified(provenance, filename, file["sha256"], verifier)


def _verified(
    provenance: Provenance, filename: str, sha256: str, verifier: Verifier
) -> dict[str, Any]:
    identities: list[dict[str, str]] = []
    digests = []
    commit = ref = ""
    for bundle in provenance.attestation_bundles:
        for attestation in bundle.attestations:
            try:
                verify_attestation(
                    attestation,
                    filename=filename,
                    sha256=sha256,
                    policy=policy_of(bundle.publisher),
                    verifier=verifier,
                )
                origin = Origin.of(attestation)
            except AttestationRefused as error:
                return {"invalid": f"An attestation of {shown(filename)} is not valid: {error}"}
            except ValueError as error:
                return {
                    "invalid": f"The certificate of {shown(filename)} cannot be read: "
                    f"{shown(error)}."
                }
            identities.append(_identity(bundle.publisher, origin))
            commit = commit or origin.commit or ""
            ref = ref or origin.ref or ""
            digests.append(hashlib.sha256(attestation.model_dump_json().encode()).hexdigest())
    if not identities:
        return {"invalid": f"The provenance of {shown(filename)} has no attestations."}
    return {"identities": identities, "attestations": digests, "commit": commit, "ref": ref}


def _identity(publisher: Publisher, origin: Origin) -> dict[str, str]:
    """Return who made a valid attestation.

    The certificate proves the environment if it names one; otherwise it is the one that the
    index has registered.
    """
    fields = publisher_fields(publisher)
    return {**fields, "environment": origin.environment} if origin.environment else fields
