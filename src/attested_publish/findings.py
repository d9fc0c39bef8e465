"""What the checks say about a file before anything is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

OTHER_BYTES = "other-bytes"
"""The rule of a file that is skipped as asked for: its warning stops no release."""

_OF_ONE_RULE = 20


class Severity(StrEnum):
    """How sure a finding is, worst first.

    `error`: the index surely refuses. `warning`: it depends on the index or the
    project, or `twine check` warns of it. `notice`: legal, but unwise.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark of one rule about one file.

    `rule` is the rule's name in kebab-case, `message` one sentence with the
    offending value, `remedy` the tool or the line to change.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str = ""


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Sort findings by how much they weigh, nothing twice, and a few of each rule."""
    kept: list[Finding] = []
    left_out: Counter[tuple[str, Severity]] = Counter()
    seen: Counter[tuple[str, Severity]] = Counter()
    for finding in dict.fromkeys(found):
        kind = (finding.rule, finding.severity)
        seen[kind] += 1
        if seen[kind] <= _OF_ONE_RULE:
            kept.append(finding)
        else:
            left_out[kind] += 1
    for (rule, severity), count in left_out.items():
        kept.append(Finding(rule, severity, f"There are {count:,} more findings of this kind."))
    return sorted(kept, key=lambda finding: tuple(Severity).index(finding.severity))
