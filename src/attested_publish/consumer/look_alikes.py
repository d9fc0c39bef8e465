"""Texts that people take for one another: other case, other alphabets, characters alike."""

from __future__ import annotations

import unicodedata

# Cyrillic, Greek, Armenian and Latin letters that fonts draw like a plain one (Unicode, UTS 39).
_LETTERS = str.maketrans(
    "\u0430\u0432\u0435\u0451\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0455"
    "\u0456\u0457\u0458\u04bb\u0501\u051b\u051d\u0475\u04cf\u0433\u043f\u03b1\u03b2\u03b5"
    "\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u03c9\u03f2\u0578\u057d\u0585\u0570"
    "\u0581\u0261\u0131\u0269\u029f\u01c301|",
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
