"""Compare a report with what an index serves."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Served:
    """A file on an index: its sha256, and those that its attestations are about."""

    sha256: str
    attested: frozenset[str]


def served_by(index_url: str, project: str) -> dict[str, Served]:
    """Fetch the files of a project on an index, by filename."""
    page = _get(f"{index_url}{project}/", _SIMPLE_JSON)
    return {
        file["filename"]: Served(file["hashes"]["sha256"], _attested(file.get("provenance")))
        for file in (page or {"files": ()})["files"]
    }


def differences(
    report: Mapping[str, Any] | None,
    status: int,
    release: Mapping[str, str],
    before: Mapping[str, Served],
    after: Mapping[str, Served],
) -> Iterator[str]:
    """Yield how the report of a run differs from the actual state of a release.

    `release` has the sha256 of its files, by filename; `before` and `after` are what the
    index served when the run began and when it had ended, with the exit status `status`.
    """
    yield from index_faults(release, before, after)
    if report is None:
        yield "there is no report"
        return
    if (status == 0) != (report["result"] == "done"):
        yield f"the exit status is {status}, the result {report['result']!r}"
    if (status == 0) != (not report["problems"]):
        yield f"the exit status is {status}, with {len(report['problems'])} problems"
    for file in report["files"]:
        if file["sha256"] != release.get(file["filename"]):
            yield f"{file['filename']}: reported with sha256 {file['sha256']}"
        lie = _lie(file["status"], file["filename"] in before, file["filename"] in after)
        if lie is not None:
            yield f"{file['filename']}: {lie}"
        if report["result"] == "done" and file["status"] not in {"uploaded", "already-there"}:
            yield f"{file['filename']}: {file['status']} in a release that is done"
    missing = release.keys() - {file["filename"] for file in report["files"]}
    if report["result"] == "done" and missing:
        yield f"the report of a release that is done does not name {', '.join(sorted(missing))}"


def _lie(state: str, was_served: bool, is_served: bool) -> str | None:
    """Return what is wrong with a file's status; `failed` makes no claim, and so is never wrong."""
    match state:
        case "uploaded" | "already-there" if not is_served:
            return f"reported as {state}, and not served"
        case "already-there" if not was_served:
            return "reported as already there, which it was not"
        case "not-attempted" | "refused" | "checked" | "attested" if is_served != was_served:
            return f"reported as {state}, and has been uploaded"
    return None


def index_faults(
    release: Mapping[str, str], before: Mapping[str, Served], after: Mapping[str, Served]
) -> Iterator[str]:
    """Yield what must not be on an index, whatever a report says."""
    for name in sorted(before.keys() - after.keys()):
        yield f"{name}: is not served any more"
    for name, file in after.items():
        if file.sha256 != release.get(name):
            yield f"{name}: served with sha256 {file.sha256}, which is not what was released"
        if file.attested != {file.sha256}:
            yield f"{name}: served without its attestation"


def _attested(url: str | None) -> frozenset[str]:
    provenance = None if url is None else _get(url, "application/json")
    if provenance is None:
        return frozenset()
    return frozenset(
        json.loads(base64.b64decode(attestation["envelope"]["statement"]))["subject"][0]["digest"][
            "sha256"
        ]
        for bundle in provenance["attestation_bundles"]
        for attestation in bundle["attestations"]
    )


def _get(url: str, accept: str) -> dict[str, Any] | None:
    request = urllib.request.Request(url, headers={"Accept": accept})
    try:
        with _DIRECT.open(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return None
        raise
