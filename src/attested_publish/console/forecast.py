"""A forecast in words: what an index's page will say of a release's provenance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from attested_publish.net.untrusted import shown

if TYPE_CHECKING:
    from attested_publish.report import Forecast

_COVERAGE = {
    "no": "no provenance",
    "full": "full provenance",
    "partial": "partial provenance (not for every file)",
}
_SHOWN = 3


def in_words(forecast: Forecast) -> str:
    """Return a forecast in one sentence, without the final full stop."""
    said = [
        f"{shown(forecast.project)} {shown(forecast.version)}: {_own(forecast)}",
        _compared(forecast),
    ]
    if forecast.why_unknown and _covered(forecast):
        said.append(f"not everything is known ({forecast.why_unknown})")
    return "; ".join(filter(None, said))


def publishers_in_words(publishers: Iterable[Mapping[str, str | None]]) -> str:
    """Return publishers with what identifies each; "none" if there are none."""
    every = [_publisher(each) for each in publishers]
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return (" and ".join(every[:_SHOWN]) + more) or "none"


def _publisher(publisher: Mapping[str, str | None]) -> str:
    named = f"{shown(publisher['kind'])} {shown(publisher['identity'], 200)}"
    workflow = publisher["workflow"]
    return f"{named}, {shown(workflow, 200)}" if workflow else named


def _covered(forecast: Forecast) -> str | None:
    """Return how much of the release has provenance; `None` if that is not known."""
    return next((words for state, words in _COVERAGE.items() if state in forecast.states), None)


def _own(forecast: Forecast) -> str:
    """Return what is said of the release alone."""
    said = _covered(forecast)
    if said is None:
        why = f" ({forecast.why_unknown})" if forecast.why_unknown else ""
        said = f"its provenance is not known{why}"
    if forecast.after:
        said += f", from {publishers_in_words(forecast.after)}"
    if "inconsistent" in forecast.states:
        said += " (inconsistent: not all from one source and workflow)"
    return said


def _compared(forecast: Forecast) -> str:
    """Return how the release compares with the one before it."""
    if forecast.compared_with is None:
        return "there is no earlier release to compare with"
    version = shown(forecast.compared_with)
    before = publishers_in_words(forecast.before)
    if "lost" in forecast.states:
        return f"lost: {version} has provenance" + (f", from {before}" if forecast.before else "")
    if "changed" in forecast.states:
        return f"changed: {version} is from {before}"
    if not forecast.before:
        return "" if "unknown" in forecast.states else f"{version} has no provenance"
    return f"the source is that of {version}" if forecast.after else f"{version} is from {before}"
