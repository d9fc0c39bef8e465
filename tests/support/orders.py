"""What a runner obeys in a log: workflow commands, wherever a line may begin for it."""

from __future__ import annotations

import re

OUR_ORDERS = {"add-mask", "group", "endgroup", "error", "warning", "notice"}
"""The workflow commands that the action gives."""

_LINE_ENDS = re.compile("[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")


def obeyed(text: str) -> list[str]:
    """Return the lines that a runner may obey, however it divides lines."""
    return [
        line for line in _LINE_ENDS.split(text) if line.strip().startswith("::") or "##[" in line
    ]


def orders_in(text: str) -> set[str]:
    """Return the names of the commands in what is printed; `##[` for those of the older kind."""
    return {
        "##[" if "##[" in line else re.split("[ :]", line.strip()[2:], maxsplit=1)[0]
        for line in obeyed(text)
    }
