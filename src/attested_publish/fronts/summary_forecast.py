"""The part of the summary that says what the index's page shows of a release's provenance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from attested_publish.console.forecast import in_words, publishers_in_words
from attested_publish.report import Result

if TYPE_CHECKING:
    from attested_publish.report import Forecast, Report

WARNINGS = {
    "changed": "**The source has changed.**",
    "lost": "**The provenance is lost.**",
}


def forecast_section(
    report: Report, literal: Callable[[str], str]
) -> tuple[str, Sequence[str], str]:
    """Return head, lines and foot of the section; all empty if there is no forecast.

    A source that changes, and provenance that is lost, come with both publishers side by side.
    `literal` escapes untrusted text.
    """
    if not report.forecast:
        return "", (), ""
    says = "says" if report.result is Result.DONE else "would say"
    name = literal(report.story.index_name)
    head = f"### What the page on {name} {says} about the provenance\n\n"
    return head, [line for each in report.forecast for line in _lines(each, literal)], "\n"


def _lines(forecast: Forecast, literal: Callable[[str], str]) -> Iterator[str]:
    warnings = [text for state, text in WARNINGS.items() if state in forecast.states]
    mark = "⚠️ " if warnings else ""
    yield f"- {mark}{literal(in_words(forecast))}.\n"
    if warnings:
        before, after = map(publishers_in_words, (forecast.before, forecast.after))
        if "lost" in forecast.states and not forecast.before:
            before = "some, but by whom is not known"
        yield (
            f"\n  {' '.join(warnings)}\n\n"
            f"  | {literal(forecast.compared_with or '')} | {literal(forecast.version)} |\n"
            "  |---|---|\n"
            f"  | {literal(before)} | {literal(after)} |\n\n"
        )
