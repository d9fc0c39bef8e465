"""What the checks report about a file before anything irreversible happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

OTHER_BYTES = "other-bytes"
"""The rule for a file that is skipped on request: its warning does not stop a release."""

_OF_ONE_RULE = 20


class Severity(StrEnum):
    """How certain a finding is, worst first.

    `error`: the index is certain to refuse. `warning`: it depends on the index or the
    project, or `twine check` warns about it. `notice`: allowed, but unwise.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of one rule about one file.

    `rule` is the rule's name in kebab-case, `message` one sentence with the
    offending value, `remedy` the tool to use or the line to change.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str = ""


def worst_first(found: Iterable[Finding]) -> list[Finding]:
    """Sort findings by severity, without duplicates, and only a few for each rule."""
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
    return by_severity(kept)


def by_severity(found: Iterable[Finding]) -> list[Finding]:
    """Sort findings by severity, worst first; those of the same stay in their order."""
    return sorted(found, key=lambda finding: tuple(Severity).index(finding.severity))
