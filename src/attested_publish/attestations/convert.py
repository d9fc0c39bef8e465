"""Sigstore bundles and PEP 740 attestations: their JSON forms, and conversion between them."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import sigstore.errors
from pydantic import ValidationError
from pypi_attestations import Attestation, AttestationError, AttestationType, Provenance
from sigstore.models import Bundle

from attested_publish.net.untrusted import shown

FILE_LIMIT = 4 << 20
"""Bytes of a file that are read. An attestation or a bundle has about 10,000; some tools write
many bundles to one file, each on its own line."""

DOCUMENT_LIMIT = 1 << 20
"""Bytes of one JSON object. GitHub allows 1,024 files in one bundle, which makes 250,000."""

_MOST_DOCUMENTS = 1000

_MOST_VALUES = 2000
"""Values in one JSON object; a real attestation or bundle has about 60. The parsers collect
several errors for each invalid value: 3 GB for 1 MiB of `{},{},…`."""

_MOST_IN_STATEMENT = 20_000
"""Values in a statement: the largest that GitHub allows has 5,000."""


class NotConvertible(ValueError):
    """Something cannot be converted; the text is one sentence that says why."""


class Form(StrEnum):
    """What a JSON object is: a Sigstore bundle, or an attestation or a provenance of PEP 740."""

    BUNDLE = "bundle"
    ATTESTATION = "attestation"
    PROVENANCE = "provenance"


def documents_in(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in a file: one, or several with a line each (JSON lines).

    Raises `NotConvertible` if there is too much of it, or something else.
    """
    if len(content) > FILE_LIMIT:
        raise NotConvertible(f"It has more than {FILE_LIMIT >> 20} MiB.")
    text = content.strip()
    line_breaks = text.count(b"\n")
    try:
        only = _json_object(text)
    except NotConvertible:
        if not line_breaks:
            raise
    else:
        yield only
        return
    if line_breaks >= _MOST_DOCUMENTS:
        raise NotConvertible(f"It has more than {_MOST_DOCUMENTS} lines.")
    for line in text.split(b"\n"):
        if line.strip():
            yield _json_object(line)


def form_of(document: Mapping[str, Any]) -> Form:
    """Return the form of a JSON object. Raises `NotConvertible` if it has none of the forms."""
    if "attestation_bundles" in document:
        return Form.PROVENANCE
    if "envelope" in document or "verification_material" in document:
        return Form.ATTESTATION
    if "verificationMaterial" in document or "mediaType" in document:
        return Form.BUNDLE
    if "payloadType" in document and "signatures" in document:
        raise NotConvertible(
            "It is a bare DSSE envelope without the log entry that PyPI needs to verify it."
        )
    raise NotConvertible("It is neither a Sigstore bundle nor a PEP 740 attestation.")


def subjects_of(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the names and sha256 digests of the files a bundle is about, unverified.

    An empty list if it does not name its file, or cannot be read.
    """
    try:
        _check_values(document)
        bundle = Bundle.from_json(json.dumps(document))
        payload = b64decode(json.loads(bundle.to_json())["dsseEnvelope"]["payload"])
        if _values_in(payload) > _MOST_IN_STATEMENT:
            return []
        statement = json.loads(payload)
        return [
            (str(subject.get("name", "")), str(subject["digest"].get("sha256", "")))
            for subject in statement.get("subject", ())
        ]
    except sigstore.errors.Error:
        return []
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return []


def read_attestation(document: Mapping[str, Any]) -> Attestation:
    """Parse a PEP 740 attestation, without verifying it. Raises `NotConvertible`."""
    _check_values(document)
    try:
        attestation = Attestation.model_validate(document)
    except ValidationError as error:
        raise NotConvertible(f"It is not a PEP 740 attestation: {_first_of(error)}.") from error
    _check_amount_of_statement(attestation)
    return attestation


def read_provenance(document: Mapping[str, Any]) -> Provenance:
    """Parse a provenance as an index serves it (PEP 740). Raises `NotConvertible`."""
    _check_values(document)
    try:
        provenance = Provenance.model_validate(document)
    except ValidationError as error:
        raise NotConvertible(f"It is not a PEP 740 provenance: {_first_of(error)}.") from error
    for bundle in provenance.attestation_bundles:
        for attestation in bundle.attestations:
            _check_amount_of_statement(attestation)
    return provenance


def bundle_of(attestation: Attestation) -> Bundle:
    """Return an attestation as a Sigstore bundle (v0.3), for cosign and other verifiers.

    Raises `NotConvertible` if its certificate or its log entry is invalid.
    """
    try:
        return attestation.to_bundle()
    except (AttestationError, sigstore.errors.Error, ValueError, TypeError, LookupError) as error:
        raise NotConvertible(f"It cannot be read: {_cause_of(error)}.") from error


def attestation_of(document: Mapping[str, Any]) -> Attestation:
    """Return a Sigstore bundle as the PEP 740 attestation that PyPI could accept.

    PyPI accepts an in-toto statement about one file, with a supported predicate type, one
    signature and a log entry that proves its time (Rekor v1): PEP 740 has no field for
    timestamps. Raises `NotConvertible` with the first of these that is missing.
    """
    if form_of(document) is not Form.BUNDLE:
        raise NotConvertible("It is not a Sigstore bundle.")
    if "messageSignature" in document:
        raise NotConvertible("It signs the file itself, without an in-toto statement about it.")
    _check_values(document)
    _check_log_entry(document)
    try:
        attestation = Attestation.from_bundle(Bundle.from_json(json.dumps(document)))
    except (AttestationError, sigstore.errors.Error, ValueError, TypeError) as error:
        raise NotConvertible(f"It is not a valid Sigstore bundle: {_cause_of(error)}.") from error
    bundle_of(attestation)
    _check_amount_of_statement(attestation)
    _check_statement(attestation)
    return attestation


def _check_log_entry(bundle: Mapping[str, Any]) -> None:
    material = bundle.get("verificationMaterial")
    entries = material.get("tlogEntries") if isinstance(material, dict) else None
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict):
        raise NotConvertible(
            "It has no transparency log entry, without which PyPI cannot verify it (GitHub's "
            "own Sigstore, which signs for private repositories, writes none)."
        )
    version = entries[0].get("kindVersion")
    kind = (version.get("kind"), version.get("version")) if isinstance(version, dict) else ()
    if kind != ("dsse", "0.0.1") or not entries[0].get("inclusionPromise"):
        named = " ".join(str(part) for part in kind) or "no kind"
        raise NotConvertible(
            f"Its log entry ({shown(named, 80)}) is not one of Rekor v1 for a statement (dsse "
            "0.0.1, with a promise); PEP 740 supports no other."
        )


def _check_statement(attestation: Attestation) -> None:
    try:
        statement = attestation.statement
        subjects = statement["subject"]
        predicate_type = statement["predicateType"]
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise NotConvertible("Its payload is not an in-toto statement.") from error
    if not isinstance(subjects, Sequence) or len(subjects) != 1:
        count = len(subjects) if isinstance(subjects, Sequence) else 0
        raise NotConvertible(
            f"It is about {count} files in one statement; PyPI accepts one statement for each file."
        )
    known = [each.value for each in AttestationType]
    if predicate_type not in known:
        raise NotConvertible(
            f"Its predicate type is {shown(predicate_type, 200)}; "
            f"PyPI accepts {' and '.join(known)}."
        )


def _json_object(content: bytes) -> dict[str, Any]:
    if len(content) > DOCUMENT_LIMIT:
        raise NotConvertible(f"It has more than {DOCUMENT_LIMIT >> 20} MiB, and is not JSON lines.")
    if _values_in(content) > _MOST_VALUES:
        raise _too_many_values()
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise NotConvertible("It is neither JSON nor JSON lines.") from error
    if not isinstance(value, dict):
        raise NotConvertible("It is JSON, but not an object.")
    return value


def _values_in(content: bytes) -> int:
    """Return the maximum number of values in JSON, without parsing it (which may be costly)."""
    return sum(content.count(sign) for sign in (b",", b"[", b"{"))


def _check_values(document: Mapping[str, Any]) -> None:
    """Raise `NotConvertible` if there are too many values, or text that is not Unicode."""
    left = _MOST_VALUES
    looked_into: list[object] = [document]
    while looked_into:
        value = looked_into.pop()
        if isinstance(value, str) and not _is_unicode(value):
            raise NotConvertible(
                "It has a text with half of a surrogate pair, which is not valid Unicode."
            )
        if isinstance(value, Mapping):
            looked_into.extend(value)
            value = list(value.values())
        if isinstance(value, list):
            left -= len(value)
            if left < 0:
                raise _too_many_values()
            looked_into.extend(value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_amount_of_statement(attestation: Attestation) -> None:
    if _values_in(attestation.envelope.statement) > _MOST_IN_STATEMENT:
        raise NotConvertible(f"Its statement has more than {_MOST_IN_STATEMENT:,} values.")


def _too_many_values() -> NotConvertible:
    return NotConvertible(
        f"It has more than {_MOST_VALUES:,} values; attestations and bundles have about 60."
    )


def _cause_of(error: Exception) -> str:
    for link in (error, error.__cause__):
        if isinstance(link, ValidationError):
            return _first_of(link)
    return shown(error, 200).rstrip(".")


def _first_of(error: ValidationError) -> str:
    """Return pydantic's first error, without quoting the input."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return shown(f"{place}: {first['msg']}", 200).rstrip(".")
