"""Make untrusted text safe to display: limited in length, escaped, without markup.

Everything here takes time in proportion to the length of the text.
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Sequence

from attested_publish.net.secrecy import blotted

LINE_LIMIT = 500
"""Characters of untrusted text displayed in one place."""

_BREAK = "\u200b"
"""Breaks up what must not be read as one."""

_READ = 1 << 16
"""Characters of an untrusted text that are read."""

_BLANKS = re.compile(r"\s+")
_TAG_NAME = re.compile(r"[a-zA-Z]{1,10}\b")
_WITHOUT_TEXT = {
    name: re.compile(f"</{name}", re.IGNORECASE) for name in ("script", "style", "head")
}


def first_shown(names: Sequence[str]) -> str:
    """Return the first of several names as `shown`, and how many more there are."""
    return shown(names[0]) + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def shown(text: object, limit: int = LINE_LIMIT) -> str:
    r"""Return `text` as one line that can be printed anywhere, of at most `limit` characters.

    Line breaks become spaces; secrets are masked before anything is truncated; unprintable
    characters are escaped, see `printable`.
    """
    whole = str(text).strip()
    line = _BLANKS.sub(" ", blotted(whole[:_READ], pieces=True)).strip()
    if len(line) > limit or len(whole) > _READ:
        line = line[: limit - 1] + "…"
    return printable(line)


def printable(line: str) -> str:
    r"""Return a line in which everything that could control a terminal or log is escaped.

    Control, formatting (including bidirectional overrides), surrogate and private-use characters
    become `\x..`/`\u....`, so that neither a terminal nor a log's command syntax obeys them.
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
    """Return a multi-line text without secrets, and without commands to a log or terminal.

    With `pieces` it is an untrusted text, see `Secrets.blotted`. GitHub's runner executes `::…::`
    at the start of a line and `##[…]` anywhere, also in the output of a `run:` step, on both
    streams. An invisible character breaks them up. Calling it twice has no further effect.
    """
    return "\n".join(map(_harmless, blotted(text, pieces=pieces).split("\n")))


def _harmless(line: str) -> str:
    line = line.replace("##[", f"##{_BREAK}[")
    line = _BREAK.join(map(printable, line.split(_BREAK)))
    return line.replace("::", f":{_BREAK}:", 1) if line.lstrip().startswith("::") else line


def sentence(*, status: int, reason: str, body: bytes, content_type: str = "") -> str:
    """Return the message of an HTTP answer, in one printable line.

    PyPI puts the reason for a refusal in the status line's reason phrase and in the body (HTML,
    JSON `message`, or text, depending on the Accept header); other indexes use one of them.
    The most informative one is chosen: JSON `message`/`errors`, then a reason phrase that is
    more than the name of the status, then the body without its markup.
    """
    text = body.decode("utf-8", errors="replace")
    told = _from_json(text)
    if told:
        return shown(told)
    # Before markup is removed, because it may be part of a secret.
    text = blotted(text[:_READ], pieces=True)
    reason = blotted(reason[:_READ], pieces=True)
    told = reason.removeprefix(str(status)).strip()
    if len(told.split()) > 3:  # noqa: PLR2004 - "Request Entity Too Large" is the longest bare name but one
        return shown(told)
    is_markup = "html" in content_type.lower() or text.lstrip()[:1] == "<"
    if is_markup:
        # Truncated before entities are resolved: an entity may be a number of any length.
        text = html.unescape(_cut(without_markup(text)))
    return shown(_cut(text) or told or f"HTTP status {status}")


def without_markup(text: str) -> str:
    """Return the text of an HTML page, without tags, scripts, styles and the head."""
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
    """Collapse white space, and keep somewhat more than is displayed."""
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
            # PyPI names it `description`, Artifactory `message`.
            f"{_text(error.get('code'))}: "
            f"{_text(error.get('description')) or _text(error.get('message'))}".strip(": ")
            for error in errors[:LINE_LIMIT]
            if isinstance(error, dict)
        ]
        if any(descriptions):
            return "; ".join(filter(None, descriptions))
    for key in ("message", "detail", "error", "title"):
        if isinstance(answer.get(key), str) and answer[key]:
            return str(answer[key])
    return "; ".join(_sentences_in(answer))


def _sentences_in(fields: dict[str, object]) -> list[str]:
    """Return the sentences of an answer that has a list of them for each field, or an object.

    The former is what pulp and GitLab do, the latter Google.
    """
    return [
        f"{name}: {each}"
        for name, value in list(fields.items())[:LINE_LIMIT]
        for each in _listed(value)[:LINE_LIMIT]
        if isinstance(each, str)
    ]


def _listed(value: object) -> list[object]:
    match value:
        case list():
            return value
        case {"message": str(text)}:
            return [text]
        case dict():
            return [each for inner in value.values() if isinstance(inner, list) for each in inner]
        case _:
            return []


def _text(value: object) -> str:
    # Anything else may be nested too deeply to be serialized.
    return str(value) if isinstance(value, str | int) else ""
