"""Attestations (PEP 740): their Sigstore instance, and verifying them the way PyPI does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sigstore.errors
import urllib3
from cryptography import x509
from cryptography.hazmat import asn1
from packaging.utils import parse_sdist_filename, parse_wheel_filename
from pydantic import TypeAdapter
from pypi_attestations import Attestation, AttestationError, AttestationType, Publisher
from sigstore.models import ClientTrustConfig
from sigstore.sign import SigningContext
from sigstore.verify import Verifier
from sigstore.verify.policy import Identity as PersonPolicy
from tuf.api.exceptions import RepositoryError

from attested_publish.identity.other import PersonTrustedPublisher
from attested_publish.net.parallel import meanwhile
from attested_publish.net.untrusted import shown
from attested_publish.problems import IdentityProblem, SigningProblem, Topic, VerificationProblem

if TYPE_CHECKING:
    import requests
    from sigstore.verify.policy import VerificationPolicy

    from attested_publish.distributions import Distribution
    from attested_publish.identity.publishers import TrustedPublisher

_PUBLISHER: TypeAdapter[Publisher] = TypeAdapter(Publisher)

_BUILD_CONFIG = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.18")
"""Fulcio's extension for the file that defines the job."""

_PRINTED_EXTENSION = re.compile(r"<Extension\(.*\)>(?=\))")
_ROOT_SECONDS = 120.0
_LONGEST_NAME = 300
"""Characters of a filename that is parsed; file systems allow 255 bytes."""

_IN_TOTO = "application/vnd.in-toto+json"


def publisher_fields(publisher: Publisher) -> dict[str, str]:
    """Return a publisher's fields, `kind` first, without empty ones.

    Provenance (PEP 740) and lock files (PEP 751) name them like this; a token's other claims,
    which provenance may contain, too, are not part of the identity.
    """
    fields: dict[str, object] = publisher.model_dump(exclude_none=True, exclude={"claims"})
    return {name: str(value) for name, value in fields.items()}


class AttestationRefused(ValueError):
    """An attestation is not valid; the text is one sentence that says why."""


@dataclass(frozen=True)
class Trust:
    """A Sigstore instance: where to get signatures, and what to verify them with.

    `authority` is the session with the certificate authority; `log` returns the calling thread's
    session with the transparency log.
    """

    config: ClientTrustConfig
    signing: SigningContext
    verifier: Verifier
    authority: requests.Session
    log: Callable[[], requests.Session]


def load_trust(config_json: str | None) -> Trust:
    """Return the Sigstore instance of a ClientTrustConfig JSON, or the public one (through TUF).

    Forces Rekor v1: PEP 740 has no field for the timestamps that an entry of
    Rekor v2 needs to be verified. Raises `SigningProblem`.
    """
    try:
        if config_json is None:
            # TUF's client uses its own session; what it downloads has its own size limits.
            config = meanwhile(ClientTrustConfig.production)(_ROOT_SECONDS)
        else:
            config = ClientTrustConfig.from_json(config_json)
        config.force_tlog_version = 1
        fulcio = config.signing_config.get_fulcio()
        rekor = config.signing_config.get_tlogs()[0]
        return Trust(
            config,
            # Not `from_trust_config`: that also requests a timestamp for each signature, and
            # PEP 740 has no field for it.
            SigningContext(fulcio=fulcio, rekor=rekor, trusted_root=config.trusted_root),
            Verifier(trusted_root=config.trusted_root),
            fulcio.session,
            # The annotation names what logs of all versions have in common.
            lambda: rekor.log.session,  # type: ignore[attr-defined]
        )
    except sigstore.errors.TUFError as error:
        raise no_root(error) from error
    except TimeoutError as error:
        raise SigningProblem(
            "Sigstore's root of trust could not be loaded",
            topic=Topic.SIGSTORE_ROOT,
            detail=f"It was not available after {_ROOT_SECONDS:.0f} s.",
            remedy="Allow tuf-repo-cdn.sigstore.dev in the network (proxy, firewall), and run "
            "again.",
        ) from error
    except (sigstore.errors.Error, ValueError, TypeError, LookupError) as error:
        raise SigningProblem(
            "The Sigstore trust configuration cannot be used",
            topic=Topic.TRUST_CONFIG,
            detail=f"sigstore-trust-config: {shown(error)}.",
            remedy="Use a ClientTrustConfig JSON (media type "
            "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json) of a Sigstore instance "
            "with a Rekor v1 log.",
        ) from error


def no_root(error: sigstore.errors.TUFError) -> SigningProblem:
    """Return why there is no root of trust: the network, or an embedded root that is too old.

    The root that a release of sigstore contains leads to the current one as long as enough of
    its keys have signed the roots between them (TUF, 5.3).
    """
    if isinstance(error.__cause__, RepositoryError):
        return SigningProblem(
            "Sigstore's root of trust could not be verified",
            topic=Topic.SIGSTORE_ROOT,
            detail=f"{shown(error)}: {shown(error.__cause__)}. This version of attested-publish "
            f"(sigstore {sigstore.__version__}) is too old for it.",
            remedy="Use the current release of attested-publish: pin its newest commit in `uses:`, "
            "or upgrade the package.",
        )
    return SigningProblem(
        "Sigstore's root of trust could not be loaded",
        topic=Topic.SIGSTORE_ROOT,
        detail=f"{shown(error)}: {_why(error)}.",
        remedy="Allow tuf-repo-cdn.sigstore.dev in the network (proxy, firewall), and run again.",
    )


def _why(error: BaseException) -> str:
    """Return the first text among an error's causes: some of the clients' errors have none."""
    cause = error.__cause__
    while cause is not None and not str(cause):
        cause = cause.__cause__
    if isinstance(cause, urllib3.exceptions.MaxRetryError):
        # Its text says the same, and repeats the address.
        cause = cause.reason
    return shown(cause or "no answer").rstrip(".")


def verify(
    distributions: Iterable[Distribution],
    attestations: Mapping[str, Sequence[Attestation]],
    policy: VerificationPolicy,
    trust: Trust,
) -> None:
    """Verify every attestation against its staged file as PyPI will (its verifier, its `policy`).

    Raises `VerificationProblem` for the first one that PyPI would refuse.
    """
    pairs = ((each, made) for each in distributions for made in attestations[each.filename])
    for distribution, attestation in pairs:
        try:
            verify_attestation(
                attestation,
                filename=distribution.filename,
                sha256=distribution.sha256,
                policy=policy,
                verifier=trust.verifier,
            )
        except AttestationRefused as error:
            raise VerificationProblem(
                f"The attestation of {shown(distribution.filename)} is not valid",
                topic=Topic.ATTESTATION_INVALID,
                detail=f"{error} {trust_hint(trust)}",
                remedy="The index would refuse it. Run again; if this happens every time, the "
                "Sigstore instance or the fields of the trusted publisher are wrong.",
                file=distribution.filename,
            ) from error


def trust_hint(trust: Trust) -> str:
    """Return a sentence that names the trusted certificate authority."""
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

    The steps are those of `pypi_attestations.Attestation.verify`, which supports only the
    public root of trust. Raises `AttestationRefused`.
    """
    try:
        bundle = attestation.to_bundle()
        payload_type, payload = verifier.verify_dsse(bundle, policy)
    except sigstore.errors.VerificationError as error:
        raise AttestationRefused(f"{_in_words(error, attestation)}.") from error
    except (AttestationError, sigstore.errors.Error, x509.ExtensionNotFound) as error:
        raise AttestationRefused(f"{shown(error)}.") from error
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError, OSError) as error:
        # Conversion and verification let parsing errors of their libraries escape, including
        # those for dates outside the calendar's range.
        raise AttestationRefused(f"It cannot be read: {shown(error)}.") from error
    if payload_type != _IN_TOTO:
        raise AttestationRefused(f"Its payload type is {shown(payload_type, 80)}, not {_IN_TOTO}.")
    return _verify_statement(payload, filename, sha256)


def policy_of(publisher: Publisher) -> VerificationPolicy:
    """Return PyPI's policy for certificates of a publisher of any kind.

    It is a private method of pypi-attestations, which a contract test checks.
    """
    return publisher._as_policy()  # noqa: SLF001


def publisher_of(trusted: TrustedPublisher) -> Publisher | None:
    """Return a publisher as provenance names it; `None` if provenance has no name for it."""
    if trusted.provenance is None:
        return None
    return _PUBLISHER.validate_python(dict(trusted.provenance))


def policy_for(trusted: TrustedPublisher) -> VerificationPolicy:
    """Return the policy with which an index verifies a trusted publisher's attestations.

    A person's policy is for their own use: no index accepts one. Raises `IdentityProblem` if the
    policy is not known.
    """
    if isinstance(trusted, PersonTrustedPublisher):
        return PersonPolicy(identity=trusted.subject, issuer=trusted.issuer)
    publisher = publisher_of(trusted)
    if publisher is None:
        raise IdentityProblem(
            "The contents of certificates for this identity are not known",
            topic=Topic.IDENTITY_UNUSABLE,
            detail=f"The identity is {trusted}.",
            remedy="Sign in a job on GitHub, GitLab, Google Cloud or CircleCI, or in person "
            "on a terminal.",
        )
    return policy_of(publisher)


def certificate_of(attestation: Attestation) -> x509.Certificate:
    """Return the certificate that an attestation was signed with. Raises `ValueError`."""
    return _certificate(attestation.verification_material.certificate)


@lru_cache(maxsize=64)
def _certificate(der: bytes) -> x509.Certificate:
    """Parse a certificate. Several of its extensions are read one after the other."""
    return x509.load_der_x509_certificate(der)


def extension_text(attestation: Attestation, extension: x509.ObjectIdentifier) -> str | None:
    """Return the value of one of Fulcio's extensions in the certificate; `None` if it has none.

    Raises `ValueError` if the value is not text. `Attestation.certificate_claims` reads fewer
    extensions: the one for the environment is missing.
    """
    try:
        found = certificate_of(attestation).extensions.get_extension_for_oid(extension)
    except x509.ExtensionNotFound:
        return None
    return asn1.decode_der(str, found.value.public_bytes())


def certificate_identity(attestation: Attestation) -> str:
    """Return the subject alternative name in the certificate: a URI, or an email address."""
    certificate = certificate_of(attestation)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return ", ".join(str(name.value) for name in names.value)


def log_index(attestation: Attestation) -> int:
    """Return the index of the attestation's entry in the transparency log."""
    entry = attestation.verification_material.transparency_entries[0]
    # The libraries on both sides use either spelling of its fields.
    return int(entry["logIndex"] if "logIndex" in entry else entry["log_index"])


def predicate_type_of(attestation: Attestation) -> str:
    """Return an attestation's predicate type, unverified; empty if it has none."""
    try:
        return str(attestation.statement["predicateType"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return ""


def _in_words(error: sigstore.errors.VerificationError, attestation: Attestation) -> str:
    """Return a verifier's message, with the certificate's build configuration in readable form.

    pypi-attestations prints the library's object for that extension.
    """
    try:
        built_by = extension_text(attestation, _BUILD_CONFIG)
    except ValueError:
        built_by = None
    if built_by is None:
        return shown(error)
    return shown(_PRINTED_EXTENSION.sub(lambda _: built_by, str(error)))


def _verify_statement(payload: bytes, filename: str, sha256: str) -> str:
    """Check an in-toto statement against a distribution; return its predicate type."""
    try:
        statement = json.loads(payload)
        subjects: list[dict[str, Any]] = statement["subject"]
        predicate_type = str(statement["predicateType"])
        if len(subjects) != 1:
            raise AttestationRefused(f"It has {len(subjects)} subjects instead of one.")
        subject_name = subjects[0]["name"]
        subject_digest = subjects[0]["digest"].get("sha256")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, AttestationRefused):
            raise
        raise AttestationRefused("Its payload is not an in-toto statement.") from error
    try:
        # Parsing a name with many tags takes unlimited time and memory.
        is_longer = len(subject_name) > _LONGEST_NAME
        same_name = not is_longer and _parsed(subject_name) == _parsed(filename)
    except (ValueError, AttributeError, TypeError):
        same_name = False
    if not same_name:
        raise AttestationRefused(f"It is about {shown(subject_name, 200)}, not about this file.")
    if subject_digest is None:
        raise AttestationRefused("Its subject has no sha256.")
    if subject_digest != sha256:
        raise AttestationRefused(
            f"It is about other bytes: sha256 {shown(subject_digest, 80)}, the file has {sha256}."
        )
    if predicate_type not in {known.value for known in AttestationType}:
        raise AttestationRefused(f"Its predicate type {shown(predicate_type, 200)} is not known.")
    return predicate_type


def _parsed(filename: str) -> tuple[object, ...]:
    """Compare names as parsed, so that equivalent spellings are equal (as on PyPI)."""
    if filename.endswith(".whl"):
        return parse_wheel_filename(filename)
    return parse_sdist_filename(filename)
