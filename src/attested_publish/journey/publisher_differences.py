"""A hint for an unknown publisher: how this job differs from the one before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from attested_publish.distributions import release_of
from attested_publish.index.provenance import provenance_of
from attested_publish.net.untrusted import shown
from attested_publish.problems import IndexProblem

if TYPE_CHECKING:
    import requests

    from attested_publish.identity.publishers import TrustedPublisher
    from attested_publish.index.contents import Contents
    from attested_publish.index.index import Index
    from attested_publish.index.pages import IndexFile

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
        before = _publisher_in(served)
        for name, value in fields.items():
            if name in before and before[name] != value:
                yield (
                    f"Differs: {shown(last.filename)} was published with the {name} "
                    f"{_quoted(before[name])}, this job has {_quoted(value)}."
                )


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
