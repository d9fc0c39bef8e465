"""Lines of whole words: names and addresses must neither be cut nor broken, however long."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

_WORD = re.compile(r"\S+")


def wrapped(text: Text, width: int, hang: int = 0) -> Iterator[Text]:
    """Yield a line as several of at most `width` columns, the later ones indented by `hang`.

    A word that is longer than that has a line of its own, which the terminal continues on the
    next: rich would break or cut it.
    """
    if cell_len(text.plain) <= width:
        yield text
        return
    breaks: list[int] = []
    started, room = 0, width
    for word in _WORD.finditer(text.plain):
        # Below a mark there is no more room than behind it.
        is_worth_it = cell_len(text.plain[started : word.start()]) > (0 if breaks else hang)
        if is_worth_it and cell_len(text.plain[started : word.end()]) > room:
            started, room = word.start(), width - hang
            breaks.append(started)
    for number, part in enumerate(text.divide(breaks)):
        part.rstrip()
        yield Text.assemble(" " * hang if number else "", part)


def packed(pieces: Sequence[Text], between: str, width: int) -> Iterator[Text]:
    """Yield lines of pieces, as many in each as there is room for."""
    line: list[Text] = []
    for piece in pieces:
        if line and cell_len(Text(between).join([*line, piece]).plain) > width:
            yield Text(between).join(line)
            line = []
        line.append(piece)
    if line:
        yield Text(between).join(line)
