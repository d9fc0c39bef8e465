"""What `verify` prints: a table of the files, and what is said of each release."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from attested_publish.attestations.sidecars import KINDS
from attested_publish.console.forecast import in_words
from attested_publish.console.listing import Cells, Column, Listing
from attested_publish.consumer.expected import publisher_text
from attested_publish.net.untrusted import harmless, shown

if TYPE_CHECKING:
    from attested_publish.console.printer import Printer
    from attested_publish.consumer.comparison import Comparison
    from attested_publish.consumer.expected import Expected, Origin
    from attested_publish.consumer.verdict import Verdict

_SHORT_COMMIT = 12
_SHOWN = 3


def print_comparison(comparison: Comparison, printer: Printer) -> None:
    """Print what the index's page says of a release, and how it differs from the one before."""
    words = in_words(comparison.standing)
    before = comparison.standing.compared_with
    if comparison.has_changed:
        now, then = (
            " and ".join(map(publisher_text, each)) for each in (comparison.now, comparison.then)
        )
        printer.item(words)
        printer.warning(f"The publisher has changed: {before} is by {then}, this release by {now}.")
    elif comparison.has_lost:
        printer.warning(f"{words}.")
    else:
        printer.item(words)


def print_verdicts(verdicts: Sequence[Verdict], expected: Expected, printer: Printer) -> None:
    """Print the table of files, and why each invalid one is invalid."""
    listing = Listing(
        # In one column, as both are long: a terminal of 80 columns has no room for two.
        Column("file, and who published it", Cells.NAMES),
        Column("kinds"),
        Column("log", right=True, label="log"),
        Column("verdict"),
    )
    for verdict in verdicts:
        mark, style = ("✓ valid", "green") if verdict.is_good else ("✗ invalid", "bold red")
        cells = (
            "\n".join((shown(verdict.wanted.filename), *_publishers(verdict))),
            "\n".join(_few([KINDS.get(kind, kind) for kind in verdict.predicate_types])),
            "\n".join(_few([f"#{index}" for index in verdict.log_indexes])),
        )
        listing.add(*map(harmless, cells), Text(mark, style))
    printer.table(listing)
    for verdict in verdicts:
        if not verdict.is_good:
            printer.warning(f"{shown(verdict.wanted.filename)}: {verdict.why_not}")
    good = sum(verdict.is_good for verdict in verdicts)
    whom = "the expected publisher" if expected else "the publisher named in the table"
    printer.notice(f"{good} of {len(verdicts)} files are valid, for {whom}.")


def _publishers(verdict: Verdict) -> Iterator[str]:
    """Return who published a file, and what the jobs ran on: a line each, few of each."""
    for lines in (map(publisher_text, verdict.publishers), _origins(verdict.origins)):
        yield from (f"  {line}" for line in _few(list(dict.fromkeys(lines))))


def _few(lines: Sequence[str]) -> Iterator[str]:
    """Yield the first lines; an index may serve any number of attestations."""
    yield from lines[:_SHOWN]
    if len(lines) > _SHOWN:
        yield f"+{len(lines) - _SHOWN} more"


def _origins(origins: Iterable[Origin]) -> Iterator[str]:
    for origin in origins:
        ref = shown(origin.ref, 100) if origin.ref else ""
        commit = f"commit {shown(origin.commit[:_SHORT_COMMIT])}" if origin.commit else ""
        if ref or commit:
            yield ", ".join(filter(None, (ref, commit)))
