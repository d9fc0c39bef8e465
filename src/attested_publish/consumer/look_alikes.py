"""Texts that people take for one another: other case, other alphabets, characters alike."""

from __future__ import annotations

import unicodedata

_LETTERS = str.maketrans(
    # Cyrillic, Greek, Armenian and Latin letters that fonts draw like a plain one (Unicode, UTS 39).
    "авеёкмнорстухѕіїјһԁԛԝѵӏгпαβεικνορτυχωϲոսօհցɡıɩʟǃ01|",
    "abeekmhopctyxsiijhdqwvlrnabeikvoptuxwcnuohggiilloll",
)
_PAIRS = (("rn", "m"), ("vv", "w"), ("i", "l"))
_SEPARATORS = str.maketrans({"_": "-", ".": "-"})


def differ_only_in_look(one: str, other: str) -> str:
    """Return how two different texts look alike, as a sentence; empty if they do not."""
    if one == other:
        return ""
    if one.casefold() == other.casefold():
        return "They differ only in the case of letters."
    if _skeleton(one) != _skeleton(other):
        return ""
    odd = next((char for char in one + other if not char.isascii()), None)
    if odd is None:
        return "They look alike, but are different names."
    name = unicodedata.name(odd, "a character without a name")
    return f"They look alike, but one contains {name} (U+{ord(odd):04X})."


def _skeleton(text: str) -> str:
    """Return a text in which look-alikes are one (as UTS 39, but with fewer characters)."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    plain = "".join(
        char for char in decomposed if unicodedata.category(char) not in {"Mn", "Cf"}
    ).translate(_LETTERS)
    for pair, single in _PAIRS:
        plain = plain.replace(pair, single)
    return plain.translate(_SEPARATORS)
