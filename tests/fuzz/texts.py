"""Texts that readers stumble over: long runs, deep nests, odd characters, grammar in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

CHARACTERS = (
    *("\0", "\t", "\n", "\r", "\x0b", "\x0c", "\x1b", "\x1c", "\x7f", "\x85", "\xa0", "\xad"),
    *("\u0130", "\u0301", "\u200b", "\u200d", "\u2028", "\u2029", "\u202e", "\ufeff", "\ufffe"),
    *("\ufb00", "\uff11", "\u0660", "\u212a", "\U0001f469\u200d\U0001f467", "\U000e0041"),
    *("é", "ß", "ǆ", "İ", "٣", "²", "Ⅷ", "%", "'", '"', "\\", "`", "{", "}", "[", "]", "<", ">"),
)

WORDS = (
    *("sample", "1.0", "UNKNOWN", "None", "null", "true", "0", "-1", "1e999", "NaN", "0x10"),
    *("::error::x", "##[group]x", "%s%n", "{0}", "${{ x }}", "$(x)", "../../x", "C:\\x", "/etc"),
    *("9" * 5000, "=?utf-8?q?=41?=", "=?utf-8?b?!!?=", "a@b", "<a@b>", '"a" <a@[1]>', "x" * 300),
    *("https://example.org", "http://[::1", "http://a@b:c@d", "javascript:x", "mailto:a@b"),
    *("MIT", "MIT OR (Apache-2.0", "LicenseRef-x", ">=3.9", "<1,>2,!=3.*", "===x", "~=1"),
    *("Private :: x", "License :: OSI Approved :: MIT License", "Topic  ::  x", "a ; x == 'y'"),
    *("a[b,c] @ https://x ; python_version<'3'", "a>=1,", "a[", "text/markdown; variant=x"),
    *("text/x-rst; charset=UTF-8", "text/plain; charset*0=x", 'a/b; c="', ";", "/", "\n "),
)

UNITS = (
    *(" ", "a", "A", "1", ".", "-", "_", ",", ";", "=", "(", ")", "[", "]", "{", "}", "<", ">"),
    *('"', "'", "\\", "/", "@", "!", "*", "#", "&", "%", "~", "`", "|", ":", "\t", "\n", "\r\n"),
    *("a,", "a.", "a-", "a=", "a;", "(a", "a)", "1.", "1,", "a@", "a b", " a", "a\n", "\n a"),
    *("==1,", "a[", "a and ", "(a or ", "not ", '\\"', "()", "\n\n", "\u0301", "\u202e", "é"),
    *("<a", "<!--", "-->", "<div>", "</", "&#1", "&amp;", "[a", "](", "[^1]", "![", "**a", "_a_"),
    *("> ", "- ", "1. ", "  ", "* a\n", "|a", "|-", "# ", "```\n", "~~~x\n", "<![CDATA[", "<?"),
    *(
        "`a",
        "``",
        "|a|",
        "[1]_ ",
        "_`a`",
        ".. ",
        ":a:",
        "::\n\n ",
        "=\n",
        "+-",
        "=== ",
        "`a <b>`_ ",
    ),
    *("::", " :: ", "%41", "//", "a:b", "a/", "?a", "&a=b", "\x00", "\xa0", "a\u2028", "Z"),
)


def character(chance: random.Random) -> str:
    return chance.choice(CHARACTERS) if chance.random() < 0.7 else chr(chance.randrange(0x110000))


def word(chance: random.Random) -> str:
    kind = chance.random()
    if kind < 0.5:
        return chance.choice(WORDS)
    if kind < 0.8:
        return "".join(character(chance) for _ in range(chance.randrange(8)))
    return repeated(chance, 400)


def repeated(chance: random.Random, most: int) -> str:
    """Repeat something short, up to about `most` characters; small sizes are as likely as large."""
    units = [chance.choice(UNITS) for _ in range(chance.choice((1, 1, 1, 2, 3)))]
    unit = "".join(units)
    size = int(most ** chance.random())
    before, after = chance.choice(("", "", *UNITS)), chance.choice(("", "", "x", *UNITS))
    return before + unit * max(1, size // len(unit)) + after


def text(chance: random.Random, most: int) -> str:
    """Put together a text of words, runs and nests."""
    pieces = []
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        kind = chance.random()
        if kind < 0.5:
            pieces.append(repeated(chance, most))
        elif kind < 0.8:
            pieces.append(word(chance))
        else:
            opening, closing = chance.choice(("[]", "()", "{}", "<>", "**", "__", '""', "> "))
            depth = int((most / 2) ** chance.random())
            pieces.append(opening * depth + "a" + closing * depth)
    return chance.choice(("", " ", "\n", "\n\n")).join(pieces)[: most * 2]


def encoded(chance: random.Random, content: str) -> bytes:
    """Encode a text, now and then in a way that is not UTF-8."""
    if chance.random() < 0.1:
        return content.encode(chance.choice(("utf-16", "latin-1", "utf-8-sig")), "replace")
    return content.encode("utf-8", "surrogatepass")


def damaged(chance: random.Random, content: bytes) -> bytes:
    """Change, take out, repeat or add some bytes."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 12))):
        place = chance.randrange(len(data) + 1)
        length = chance.choice((1, 1, 2, 4, 16, 200))
        match chance.randrange(5):
            case 0:
                data[place : place + length] = chance.randbytes(length)
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length] * chance.choice((1, 2, 100))
            case 3:
                data[place : place + length] = chance.choice((b"\0", b"\xff")) * length
            case _:
                numbers = (0, 1, 0x7F, 0x80, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
                data[place : place + 4] = chance.choice(numbers).to_bytes(4, "little")
    return bytes(data)


def some(chance: random.Random, values: Sequence[str]) -> list[str]:
    return [chance.choice(values) for _ in range(chance.randrange(4))]
