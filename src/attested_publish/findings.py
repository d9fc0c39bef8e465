"""What the checks say about a file before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

OTHER_BYTES = "other-bytes"
"""The rule of a file that is skipped as asked for: its warning stops no release."""


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
