"""Functions to make findings of each severity, and to quote untrusted text safely."""

from __future__ import annotations

from collections.abc import Sequence

from attested_publish.findings import Finding, Severity
from attested_publish.net import untrusted

SHOWN = 80
"""Characters of an untrusted value that a sentence quotes."""


def refused(rule: str, message: str, remedy: str) -> Finding:
    """Make a finding: the index surely refuses the file, or it cannot even be sent."""
    return Finding(rule, Severity.ERROR, message, remedy)


def doubtful(rule: str, message: str, remedy: str) -> Finding:
    """Make a finding: as far as is known here, the index refuses; it may know or allow more."""
    return Finding(rule, Severity.WARNING, message, remedy)


def discouraged(rule: str, message: str, remedy: str) -> Finding:
    """Make a finding: the index accepts it, but `twine check` warns, or it is a mistake."""
    return Finding(rule, Severity.WARNING, message, remedy)


def unwise(rule: str, message: str, remedy: str) -> Finding:
    """Make a finding: the index accepts it, but it is seldom meant."""
    return Finding(rule, Severity.NOTICE, message, remedy)


def untried(rule: str, message: str, remedy: str) -> Finding:
    """Make a finding: the index checks something that cannot be checked here."""
    return Finding(rule, Severity.NOTICE, message, remedy)


def shown(value: object, limit: int = SHOWN) -> str:
    """Return `value` quoted: one line, every control character escaped, `limit` characters."""
    text = str(value)
    return repr(text if len(text) <= limit else text[:limit] + "…")


def sentence(reason: object, limit: int = 200) -> str:
    """Return the first line of a library's words, printable and without its full stop."""
    lines = str(reason).strip().splitlines()
    return untrusted.shown(lines[0] if lines else type(reason).__name__, limit).rstrip(".")


def first(names: Sequence[str], limit: int = 3) -> str:
    """Return the first few of `names` quoted, and how many more there are."""
    more = len(names) - limit
    listed = ", ".join(shown(name) for name in names[:limit])
    return f"{listed} and {more} more" if more > 0 else listed
