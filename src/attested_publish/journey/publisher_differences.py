"""A hint for an unknown publisher: how this job differs from the one before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509

from attested_publish.attestations.convert import NotConvertible, read_provenance
from attested_publish.attestations.verify import extension_text
from attested_publish.distributions import release_of
from attested_publish.identity.github import GitHubTrustedPublisher
from attested_publish.index.provenance import provenance_of
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexProblem

if TYPE_CHECKING:
    import requests

    from attested_publish.identity.publishers import TrustedPublisher
    from attested_publish.index.contents import Contents
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile

_OWNER_NUMBER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.17")
"""Fulcio's extension "Source Repository Owner Identifier"."""

_UNREADABLE_CERTIFICATE = (
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def differences(
    publisher: TrustedPublisher, held: Contents, index: Index, session: requests.Session
) -> Iterator[str]:
    """Yield a sentence for each field in which the last release's publisher was another one.

    PyPI does not say which publishers it knows, but the provenance of what was published
    before names one (PEP 740). What cannot be read is skipped: this is only a hint.
    """
    fields = publisher.provenance
    if fields is None:
        return
    for project, files in held.files.items():
        last = _last_attested(files)
        version = release_of(last.filename)[1] if last else None
        if last is None or version is None:
            continue
        try:
            served = provenance_of(index, project, str(version), last.filename, session)
        except IndexProblem:
            continue
        if served is None:
            continue
        before = _publisher_in(served)
        for name, value in fields.items():
            if name in before and before[name] != value:
                yield (
                    f"Differs: {shown(last.filename)} was published with the {name} "
                    f"{_quoted(before[name])}, this job has {_quoted(value)}."
                )
        if isinstance(publisher, GitHubTrustedPublisher) and _is_same_owner(publisher, before):
            yield from _another_account(publisher, last.filename, served)


def _is_same_owner(publisher: GitHubTrustedPublisher, before: Mapping[str, Any]) -> bool:
    owner, _, _ = str(before.get("repository")).partition("/")
    return owner.casefold() == publisher.owner.casefold()


def _another_account(
    publisher: GitHubTrustedPublisher, filename: str, served: Mapping[str, Any]
) -> Iterator[str]:
    """Yield that the account is another one by now, as the certificate's number says."""
    number = _owner_number_in(served)
    if number and number != publisher.owner_id:
        yield (
            f"Differs: {shown(filename)} was published by the account number {_quoted(number)}, "
            f"and {shown(publisher.owner, 100)} now has {_quoted(publisher.owner_id)}: it is "
            "another account of that name. If you trust it, remove the publisher and add it again."
        )


def _owner_number_in(provenance: Mapping[str, Any]) -> str | None:
    try:
        attestation = read_provenance(provenance).attestation_bundles[0].attestations[0]
        return extension_text(attestation, _OWNER_NUMBER)
    except (NotConvertible, LookupError, ValueError, *_UNREADABLE_CERTIFICATE):
        return None


def _last_attested(files: Mapping[str, IndexFile]) -> IndexFile | None:
    attested = [file for file in files.values() if file.provenance_url]
    return max(attested, key=lambda file: file.uploaded_at or _LONG_AGO, default=None)


def _publisher_in(provenance: Any) -> dict[str, Any]:  # noqa: ANN401 - what an index serves
    try:
        publisher = provenance["attestation_bundles"][0]["publisher"]
    except (LookupError, TypeError):
        return {}
    return publisher if isinstance(publisher, dict) else {}


def _quoted(value: object) -> str:
    return "(none)" if value is None else repr(shown(value, 100))
