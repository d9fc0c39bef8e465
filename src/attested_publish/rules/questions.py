"""What is asked about files and upload forms in a child process, as JSON (see `sandbox`).

`judge_file` and `describe` belong together: the first keeps the description for the second, which
has a time of its own.
"""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from attested_publish.rules import checks
from attested_publish.rules import description as descriptions
from attested_publish.rules.bounds import ArchiveBounds
from attested_publish.rules.wheel import open_wheel
from attested_publish.rules.zips import NotRead
from attested_publish.sandbox.questions import Answer, Question, Unreadable, path_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from attested_publish.findings import Finding


@dataclass
class _Kept:
    """What one question leaves for the next."""

    description: descriptions.Description | None = None


_kept = _Kept()


def judge_file(question: Question) -> Answer:
    """Find what the rules say of a file but for its description, which is kept for `describe`."""
    found = checks.judge_file(path_in(question), question["filename"], question["size"])
    _kept.description = found.description
    return {
        "before": _as_json(found.before),
        "after": _as_json(found.after),
        "description": found.description.key if found.description else None,
    }


def describe(_question: Question) -> Answer:
    """Render the description of the file that was judged last."""
    if _kept.description is None:
        return {"findings": []}
    return {"findings": _as_json(descriptions.describe(_kept.description))}


def refuse_form(question: Question) -> Answer:
    """Find the first refusal of a form's fields."""
    return _refusal(checks.refuse_form(question["form"]))


def refuse_description(question: Question) -> Answer:
    """Find the refusal of the description in an accepted form."""
    return _refusal(checks.refuse_description(question["form"]))


def refuse_filename(question: Question) -> Answer:
    """Find the first refusal of a file name by itself."""
    return _refusal(checks.refuse_filename(question["form"], question["filename"]))


def refuse_file(question: Question) -> Answer:
    """Find the first refusal of a file with an accepted form."""
    form, filename = question["form"], question["filename"]
    return _refusal(checks.refuse_file(form, filename, path_in(question), question["size"]))


def wheel_metadata(question: Question) -> Answer:
    """Read a wheel's METADATA, as an index serves it beside the wheel."""
    path, filename = path_in(question), question["filename"]
    with open_wheel(path, filename, question["size"], ArchiveBounds()) as wheel:
        try:
            content = wheel.read("METADATA")
        except NotRead as why:
            raise Unreadable(f"METADATA: {why}") from why
    return {"content": None if content is None else base64.b64encode(content).decode()}


def _as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in findings]


def _refusal(finding: Finding | None) -> Answer:
    return {"finding": None if finding is None else asdict(finding)}
