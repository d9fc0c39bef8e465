"""Make text from others fit to show: bounded, escaped, without markup.

Whatever is done here takes time in proportion to the text's length.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata

from attested_publish.net.secrecy import blotted

LINE_LIMIT = 500
"""Characters of foreign text shown in one place."""

_BREAK = "\u200b"
"""Breaks up what must not be read in one."""

_READ = 1 << 16
"""Characters of a foreign text that are looked at."""

_BLANKS = re.compile(r"\s+")
_TAG_NAME = re.compile(r"[a-zA-Z]{1,10}\b")
_WITHOUT_TEXT = {
    name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "head")
}


def shown(text: object, limit: int = LINE_LIMIT) -> str:
    r"""Return `text` as one line that can be printed anywhere, `limit` characters at most.

    Line breaks become spaces; secrets are blotted out before anything is cut; what cannot
    be printed is escaped, see `printable`.
    """
    whole = str(text).strip()
    line = _BLANKS.sub(" ", blotted(whole[:_READ], pieces=True)).strip()
    if len(line) > limit or len(whole) > _READ:
        line = line[: limit - 1] + "…"
    return printable(line)


def printable(line: str) -> str:
    r"""Return a line with everything escaped in it that could steer what shows it.

    Control, formatting (bidirectional overrides among them), surrogate and private characters
    become `\x..`/`\u....`: neither a terminal nor the command syntax of a log obeys them.
    """
    if line.isascii() and line.isprintable():
        return line
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        else char
        for char in line
    )


def harmless(text: str, *, pieces: bool = False) -> str:
    """Return a text of several lines without secrets, and without what a log or terminal obeys.

    With `pieces` it is somebody else's text, see `Secrets.blotted`. GitHub's runner obeys `::…::`
    at the start of a line and `##[…]` anywhere, also in what a `run:` step prints, on both
    streams. An invisible character breaks them up. Doing it twice changes nothing.
    """
    return "\n".join(map(_harmless, blotted(text, pieces=pieces).split("\n")))


def _harmless(line: str) -> str:
    line = line.replace("##[", f"##{_BREAK}[")
    line = _BREAK.join(map(printable, line.split(_BREAK)))
    return line.replace("::", f":{_BREAK}:", 1) if line.lstrip().startswith("::") else line


def sentence(*, status: int, reason: str, body: bytes, content_type: str = "") -> str:
    """Return what an HTTP answer says, in one printable line.

    PyPI puts its refusal in the status line's reason phrase and in the body (HTML,
    JSON `message`, or text by what was accepted); other indexes use one of them.
    The most telling one is chosen: JSON `message`/`errors`, then a reason phrase
    that is more than the status's name, then the body without its markup.
    """
    text = body.decode("utf-8", errors="replace")
    told = _from_json(text)
    if told:
        return shown(told)
    # Before markup is taken off, which may be part of a secret.
    text = blotted(text[:_READ], pieces=True)
    reason = blotted(reason[:_READ], pieces=True)
    told = reason.removeprefix(str(status)).strip()
    if len(told.split()) > 3:  # noqa: PLR2004 - "Request Entity Too Large" is the longest bare name but one
        return shown(told)
    is_markup = "html" in content_type.lower() or text.lstrip()[:1] == "<"
    if is_markup:
        # Cut before entities are resolved: a number of any length would be one.
        text = html.unescape(_cut(without_markup(text)))
    return shown(_cut(text) or told or f"HTTP status {status}")


def without_markup(text: str) -> str:
    """Return the text of an HTML page: no tags, nor what scripts, styles and heads hold."""
    kept = []
    position = 0
    while (start := text.find("<", position)) >= 0:
        kept.append(text[position:start])
        name = _TAG_NAME.match(text, start + 1)
        end = text.find(">", start)
        closing = _WITHOUT_TEXT.get(name.group().lower()) if name else None
        if end >= 0 and closing is not None:
            closed = closing.search(text, end)
            end = text.find(">", closed.end()) if closed else -1
        if end < 0:
            kept.append("" if closing else text[start:])
            return " ".join(kept)
        position = end + 1
    kept.append(text[position:])
    return " ".join(kept)


def _cut(text: str) -> str:
    """Join blanks, and keep somewhat more than is shown."""
    return _BLANKS.sub(" ", text).strip()[: 2 * LINE_LIMIT]


def _from_json(text: str) -> str:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors")
    if isinstance(errors, list):
        descriptions = [
            f"{_text(error.get('code'))}: {_text(error.get('description'))}".strip(": ")
            for error in errors[:LINE_LIMIT]
            if isinstance(error, dict)
        ]
        if descriptions:
            return "; ".join(descriptions)
    for key in ("message", "detail", "error", "title"):
        if isinstance(answer.get(key), str) and answer[key]:
            return str(answer[key])
    return ""


def _text(value: object) -> str:
    # Anything else may nest deeper than can be written.
    return str(value) if isinstance(value, str | int) else ""
