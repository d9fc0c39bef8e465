"""A table for a console of any width: narrower it has fewer columns, then it is a list.

Nothing that somebody may want to copy is ever broken or cut: a name that is longer than the line
is left to the terminal, which continues it on the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from attested_publish.console.wrapping import packed, wrapped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.style import StyleType

_PROSE_WIDTH = 30
"""Columns that sentences have in a table, at least: narrower ones are hard to read."""

_EDGES = 2
_BETWEEN = 1
_PADDING = 1
_INDENT = "  "
_NOTHING = "-"
_APART = " · "


class Cells(Enum):
    """What the cells of a column contain, which decides how they may be broken."""

    NAMES = "a line that is never broken, and maybe sentences below it"
    FACTS = "lines that are never broken"
    PROSE = "sentences"


@dataclass(frozen=True)
class Column:
    """A column of a listing.

    `goes` says that it can be left out where a table has no room for it: of several, the last one
    goes first. A list has no headings: `label` is what the facts are called there, and what is of
    no use there is not `listed`.
    """

    heading: str
    cells: Cells = Cells.FACTS
    right: bool = False
    goes: bool = False
    label: str = ""
    listed: bool = True


class Listing:
    """Rows of cells, the first column naming what a row is about.

    The cells are harmless texts; an empty one says that there is nothing.
    """

    def __init__(self, *columns: Column, title: str = "") -> None:
        self._columns = columns
        self._title = title
        self._rows: list[tuple[Text, ...]] = []

    def add(self, *cells: str | Text) -> None:
        """Add a row, with a cell of one or more lines for each column."""
        self._rows.append(
            tuple(cell if isinstance(cell, Text) else Text(cell) for cell in cells),
        )

    def lines(self, console: Console) -> Iterator[list[tuple[str, StyleType]]]:
        """Yield the lines for a console of this width, in parts that have a style each.

        Only names, and words that are longer than the line, make a line wider than the console.
        """
        if self._title:
            yield [(self._title, "bold")]
        kept = self._kept(console.width)
        if kept is None:
            yield []
            for row in self._rows:
                for text in self._paragraph(row, console.width):
                    yield [(each.text, each.style or "") for each in text.render(console)]
            yield []
        else:
            table = self._table(kept, console.width)
            for line in console.render_lines(table, pad=False):
                yield [(each.text, each.style or "") for each in line]

    def _kept(self, width: int) -> list[int] | None:
        """Return which columns a table has; `None` if too few would fit."""
        kept = list(range(len(self._columns)))
        while sum(self._least(each) for each in kept) > _room(kept, width):
            going = [each for each in kept if self._columns[each].goes]
            if not going:
                return None
            kept.remove(going[-1])
        return kept

    def _cells(self, column: int) -> Iterator[Sequence[str]]:
        yield [self._columns[column].heading]
        for row in self._rows:
            yield row[column].plain.split("\n")

    def _natural(self, column: int) -> int:
        """Return how wide a column would be if nothing in it were wrapped."""
        return max(cell_len(line) for cell in self._cells(column) for line in cell)

    def _least(self, column: int) -> int:
        """Return how narrow a column can be without breaking what may not be broken."""
        kind = self._columns[column].cells
        natural = self._natural(column)
        if kind is Cells.FACTS:
            return natural
        cells = list(self._cells(column))
        words = (
            _hang(line) + cell_len(word)
            for cell in cells
            for line in cell[kind is Cells.NAMES :]
            for word in line.split()
        )
        first = (cell_len(cell[0]) for cell in cells if kind is Cells.NAMES)
        return max(min(natural, _PROSE_WIDTH), max(words, default=0), max(first, default=0))

    def _table(self, kept: Sequence[int], width: int) -> Table:
        table = Table(header_style="bold", box=SIMPLE_HEAD, padding=(0, _PADDING, 0, 0))
        widths = self._widths(kept, width)
        for each, wide in zip(kept, widths, strict=True):
            column = self._columns[each]
            table.add_column(
                column.heading,
                width=wide,
                justify="right" if column.right else "left",
                no_wrap=True,
            )
        for row in self._rows:
            cells = (row[each] or Text(_NOTHING) for each in kept)
            table.add_row(*map(_cell, cells, widths))
        return table

    def _widths(self, kept: Sequence[int], width: int) -> list[int]:
        """Return how wide each column is: what is to spare goes where something is wrapped."""
        least = [self._least(each) for each in kept]
        wanted = [self._natural(each) - narrow for each, narrow in zip(kept, least, strict=True)]
        spare = min(_room(kept, width) - sum(least), sum(wanted))
        return [
            narrow + (spare * more // sum(wanted) if more else 0)
            for narrow, more in zip(least, wanted, strict=True)
        ]

    def _paragraph(self, row: Sequence[Text], width: int) -> Iterator[Text]:
        """Yield a row as lines: its name, sentences, and the facts in as few lines as possible."""
        name, *more = row[0].plain.split("\n")
        yield Text.assemble((name, "bold"))
        below = [Text(line.strip()) for line in more]
        facts: list[Text] = []
        for column, cell in zip(self._columns[1:], row[1:], strict=True):
            if column.cells is Cells.PROSE:
                below.extend(cell.split("\n"))
            elif cell and column.listed:
                label = f"{column.label} " if column.label else ""
                facts.append(Text.assemble(label, Text(", ").join(cell.split("\n"))))
        room = width - len(_INDENT)
        for line in (*below, *packed(facts, _APART, room)):
            for part in wrapped(line, room):
                yield Text.assemble(_INDENT, part)


def _cell(text: Text, width: int) -> Text:
    """Return the lines of a cell, wrapped; what goes on of an indented line is indented more."""
    lines: list[Text] = []
    for line in text.split("\n"):
        lines.extend(wrapped(line, width, _hang(line.plain)))
    return Text("\n").join(lines)


def _hang(line: str) -> int:
    return 2 * (len(line) - len(line.lstrip()))


def _room(kept: Sequence[int], width: int) -> int:
    """Return how many columns of a console of `width` are left for the texts of a table."""
    return width - _EDGES - _BETWEEN * (len(kept) - 1) - _PADDING * len(kept)
