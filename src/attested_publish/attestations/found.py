"""Attestations in untrusted files: read in a child process, whose answer is read here.

Whatever is in a file, what comes back is few attestations of the usual form (PEP 740, JSON).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attested_publish.attestations.convert import (
    FILE_LIMIT,
    Form,
    NotConvertible,
    attestation_of,
    bundle_of,
    documents_in,
    form_of,
    read_attestation,
    read_provenance,
    subjects_of,
)
from attested_publish.distributions import Changed, opened
from attested_publish.sandbox.pool import BeyondBounds, Unreadable
from attested_publish.sandbox.questions import Answer, Question, path_in

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.sandbox.pool import Sandbox

QUESTIONS = "attested_publish.attestations.found"
"""The module that the child process imports: this one."""

SECONDS = 5.0
"""How long one file may take; reading a real one takes some milliseconds."""


@dataclass(frozen=True)
class Found:
    """One JSON object of a file.

    `attestations`: what it is, holds or can be turned into, each as JSON; where there is none,
    `why_not` says why. `about`: which of the digests that were asked for a bundle names.
    """

    form: Form | None
    attestations: Sequence[str]
    about: Sequence[str] = ()
    why_not: str = ""


def found_in(
    path: Path, sandbox: Sandbox, digests: Collection[str] = (), seconds: float = SECONDS
) -> list[Found]:
    """Have the file at `path` read, which may lead nowhere out of its folder.

    Raises `NotConvertible` where nothing in it can be used.
    """
    try:
        answer = sandbox.ask_about(
            f"{QUESTIONS}:look_into",
            path,
            path.name,
            0,
            {"digests": sorted(digests)},
            seconds=seconds,
        )
    except (BeyondBounds, Unreadable) as why:
        raise NotConvertible(f"It cannot be read: {why}.") from why
    if answer["why_not"]:
        raise NotConvertible(answer["why_not"])
    return [
        Found(one["form"] and Form(one["form"]), one["attestations"], one["about"], one["why_not"])
        for one in answer["found"]
    ]


def look_into(question: Question) -> Answer:
    """Read a file in the child process: what `found_in` asks for, as JSON."""
    digests = question["digests"]
    try:
        found = [_found(each, digests) for each in documents_in(_content(path_in(question)))]
    except NotConvertible as why:
        return {"found": [], "why_not": str(why)}
    return {"found": found, "why_not": ""}


def _content(path: Path) -> bytes:
    try:
        with opened(path, [path.parent]) as file:
            return file.read(FILE_LIMIT + 1)
    except OSError as error:
        raise NotConvertible(f"It cannot be read: {error.strerror}.") from error
    except Changed as error:
        raise NotConvertible(f"{str(error).capitalize()}.") from error


def _found(document: Mapping[str, Any], digests: Collection[str]) -> dict[str, Any]:
    form: Form | None = None
    attestations: list[str] = []
    why_not = ""
    try:
        form = form_of(document)
        attestations = [each.model_dump_json() for each in _attestations(document, form)]
    except NotConvertible as error:
        why_not = str(error)
    named = {digest for _, digest in subjects_of(document)} if digests else set()
    return {
        "form": form,
        "attestations": attestations,
        "about": sorted(named.intersection(digests)),
        "why_not": why_not,
    }


def _attestations(document: Mapping[str, Any], form: Form) -> list[Attestation]:
    match form:
        case Form.BUNDLE:
            return [attestation_of(document)]
        case Form.ATTESTATION:
            found = [read_attestation(document)]
        case Form.PROVENANCE:
            bundles = read_provenance(document).attestation_bundles
            found = [each for bundle in bundles for each in bundle.attestations]
    for attestation in found:
        bundle_of(attestation)
    return found
