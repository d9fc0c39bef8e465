"""Make text from others fit to show: bounded, escaped, without markup.

Whatever is done here takes time in proportion to the text's length.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata

LINE_LIMIT = 500
"""Characters of foreign text shown in one place."""

_LOOKED_AT = 16
"""Times the limit of what is shown: so much of a text is looked at, as blanks are joined."""

_BLANKS = re.compile(r"\s+")
_TAG_NAME = re.compile(r"[a-zA-Z]{1,10}\b")
_WITHOUT_TEXT = {
    name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "head")
}


def shown(text: object, limit: int = LINE_LIMIT) -> str:
    r"""Return `text` as one line that can be printed anywhere, `limit` characters at most.

    Line breaks become spaces; control, formatting (bidirectional overrides among
    them), surrogate and private characters become `\x..`/`\u....` escapes, so that
    neither a terminal nor a log's command syntax can be steered from outside.
    """
    line = _BLANKS.sub(" ", str(text)[: limit * _LOOKED_AT]).strip()
    if len(line) > limit:
        line = line[: limit - 1] + "…"
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        else char
        for char in line
    )


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
