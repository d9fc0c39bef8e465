"""Attestations (PEP 740): the Sigstore they come from, and verifying them the way PyPI does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sigstore.errors
from cryptography import x509
from packaging.utils import parse_sdist_filename, parse_wheel_filename
from pypi_attestations import Attestation, AttestationError, AttestationType, GitHubPublisher
from sigstore.models import ClientTrustConfig
from sigstore.sign import SigningContext
from sigstore.verify import Verifier

from attested_publish.foreign import shown
from attested_publish.problems import SigningProblem, VerificationProblem

if TYPE_CHECKING:
    from sigstore.verify.policy import VerificationPolicy

    from attested_publish.distributions import Distribution
    from attested_publish.identity import TrustedPublisher

PUBLISH_PREDICATE = AttestationType.PYPI_PUBLISH_V1.value
FILE_SUFFIX = ".publish.attestation"
"""What follows the distribution's filename, as pypi-attestations and twine have it."""

_IN_TOTO = "application/vnd.in-toto+json"


class AttestationRefused(ValueError):
    """An attestation does not hold; its text is one sentence that says in what."""


@dataclass(frozen=True)
class Trust:
    """A Sigstore instance: whom to ask for signatures, and what to verify them with."""

    config: ClientTrustConfig
    signing: SigningContext
    verifier: Verifier


def load_trust(config_json: str | None) -> Trust:
    """Return the Sigstore of a ClientTrustConfig JSON, or the public one (through TUF).

    Forces Rekor v1: PEP 740 has no field for the timestamps that an entry of
    Rekor v2 needs to be verified. Raises `SigningProblem`.
    """
    try:
        if config_json is None:
            config = ClientTrustConfig.production()
        else:
            config = ClientTrustConfig.from_json(config_json)
        config.force_tlog_version = 1
        signing = SigningContext.from_trust_config(config)
        return Trust(config, signing, Verifier(trusted_root=config.trusted_root))
    except sigstore.errors.TUFError as error:
        raise SigningProblem(
            "Sigstore's root of trust could not be had",
            detail=f"{shown(error)}.",
            remedy="Allow tuf-repo-cdn.sigstore.dev in the runner's network, and use a current "
            "version of this tool: an old one cannot follow a renewed root.",
        ) from error
    except (sigstore.errors.Error, ValueError, TypeError, LookupError) as error:
        raise SigningProblem(
            "The Sigstore trust configuration cannot be used",
            detail=f"sigstore-trust-config: {shown(error)}.",
            remedy="Give a ClientTrustConfig JSON (media type "
            "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json) of a Sigstore with a "
            "Rekor v1 log.",
        ) from error


def verify(
    distributions: Iterable[Distribution],
    attestations: Mapping[str, Attestation],
    publisher: TrustedPublisher,
    trust: Trust,
) -> None:
    """Hold every attestation against its staged file as PyPI will (its verifier, its policy).

    Raises `VerificationProblem` for the first one that PyPI would refuse.
    """
    policy = publisher_policy(publisher.slug, publisher.workflow)
    for distribution in distributions:
        try:
            verify_attestation(
                attestations[distribution.filename],
                filename=distribution.filename,
                sha256=distribution.sha256,
                policy=policy,
                verifier=trust.verifier,
            )
        except AttestationRefused as error:
            raise VerificationProblem(
                f"The attestation of {shown(distribution.filename)} does not hold",
                detail=f"{error} {trust_hint(trust)}",
                remedy="The index would refuse it, so nothing was uploaded. Run again; if it "
                "stays so, the Sigstore instance or the trusted publisher's fields are wrong.",
                file=distribution.filename,
            ) from error


def trust_hint(trust: Trust) -> str:
    """Name the certificate authority that was trusted, for a message."""
    roots = trust.config.trusted_root.get_fulcio_certs()
    names = {root.subject.rfc4514_string() for root in roots}
    return f"Verified against: {shown('; '.join(sorted(names)), 200)}."


def verify_attestation(
    attestation: Attestation,
    *,
    filename: str,
    sha256: str,
    policy: VerificationPolicy,
    verifier: Verifier,
) -> str:
    """Verify one attestation as PyPI's server does and return its predicate type.

    The steps are those of `pypi_attestations.Attestation.verify`, which takes no
    other trust root than the public one. Raises `AttestationRefused`.
    """
    try:
        bundle = attestation.to_bundle()
        payload_type, payload = verifier.verify_dsse(bundle, policy)
    except (AttestationError, sigstore.errors.Error, x509.ExtensionNotFound) as error:
        raise AttestationRefused(f"{shown(error)}.") from error
    except (ValueError, TypeError, KeyError) as error:
        # Conversion and verification let parsing errors of their libraries through.
        raise AttestationRefused(f"It cannot be read: {shown(error)}.") from error
    if payload_type != _IN_TOTO:
        raise AttestationRefused(f"Its payload type is {shown(payload_type, 80)}, not {_IN_TOTO}.")
    return _verify_statement(payload, filename, sha256)


def publisher_policy(repository: str, workflow: str) -> VerificationPolicy:
    """Return PyPI's policy for certificates of a GitHub publisher (issuer, repository, workflow).

    It lives in a private method of pypi-attestations: a contract test holds it.
    """
    publisher = GitHubPublisher(repository=repository, workflow=workflow)
    return publisher._as_policy()  # noqa: SLF001


def certificate_identity(attestation: Attestation) -> str:
    """Return the subject alternative name (a URI) of the attestation's certificate."""
    certificate = x509.load_der_x509_certificate(attestation.verification_material.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return ", ".join(names.value.get_values_for_type(x509.UniformResourceIdentifier))


def log_index(attestation: Attestation) -> int:
    """Return the index of the attestation's entry in the transparency log."""
    return int(attestation.verification_material.transparency_entries[0]["logIndex"])


def _verify_statement(payload: bytes, filename: str, sha256: str) -> str:
    """Hold an in-toto statement against a distribution; return its predicate type."""
    try:
        statement = json.loads(payload)
        subjects: list[dict[str, Any]] = statement["subject"]
        predicate_type = str(statement["predicateType"])
        if len(subjects) != 1:
            raise AttestationRefused(f"It has {len(subjects)} subjects instead of one.")
        subject_name = subjects[0]["name"]
        subject_digest = subjects[0]["digest"].get("sha256")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, AttestationRefused):
            raise
        raise AttestationRefused("Its payload is not an in-toto statement.") from error
    try:
        same_name = _parsed(subject_name) == _parsed(filename)
    except (ValueError, AttributeError):
        same_name = False
    if not same_name:
        raise AttestationRefused(f"It is about {shown(subject_name, 200)}, not about this file.")
    if subject_digest != sha256:
        raise AttestationRefused(
            f"It is about other bytes: sha256 {shown(subject_digest, 80)}, the file has {sha256}."
        )
    if predicate_type not in {known.value for known in AttestationType}:
        raise AttestationRefused(f"Its predicate type {shown(predicate_type, 200)} is not known.")
    return predicate_type


def _parsed(filename: str) -> tuple[object, ...]:
    """Names are compared as parsed, so that equivalent spellings are equal (as on PyPI)."""
    if filename.endswith(".whl"):
        return parse_wheel_filename(filename)
    return parse_sdist_filename(filename)
