"""What the checks report about a file before anything irreversible happens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

OTHER_BYTES = "other-bytes"
"""The rule for a file that is skipped on request: its warning does not stop a release."""


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
