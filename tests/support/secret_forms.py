"""Every form that a secret travels in, and what somebody finds of one in a text."""

from __future__ import annotations

import base64
import html
import json
import random
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlencode

if TYPE_CHECKING:
    from collections.abc import Callable


TOKEN = "pypi-AgEIcHlwaS5vcmcCJGE4ZjE0ZDY2LWIwNzYtNGMyMC05YTVi_-QwOTk0MTZhYjMyMAAC"


JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (
        json.dumps({"alg": "RS256", "kid": "a5f2", "typ": "JWT"}).encode(),
        json.dumps({"aud": "pypi", "sub": "repo:octo-org/sample", "jti": "71c9e0fa"}).encode(),
        random.Random(11).randbytes(256),
    )
)


JSON_SHORT = {"\\": "\\\\", '"': '\\"', "/": "\\/"}


def in_json(text: str, digits: str = "04x") -> str:
    pairs = text.encode("utf-16-be")
    codes = [int.from_bytes(pairs[at : at + 2]) for at in range(0, len(pairs), 2)]
    return "".join(f"\\u{code:{digits}}" for code in codes)


def partly(text: str, coded: Callable[[str], str], seed: int) -> str:
    chosen = random.Random(seed)
    return "".join(coded(char) if chosen.random() < 0.5 else char for char in text)


def percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


def b64(text: str, before: bytes = b"") -> str:
    return base64.b64encode(before + text.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "base64": b64,
    "base64, one byte before": lambda text: b64(text, b"?"),
    "base64, two bytes before": lambda text: b64(text, b"\xff\xfe"),
    "base64 with the user": lambda text: b64(text, b"__token__:"),
    "base64 of a header": lambda text: b64(b64(text, b"me:"), b"Basic "),
    "base64 among other things": lambda text: b64(f"{text}&more=yes", b"user=x&password="),
    "base64, URL-safe": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 without padding": lambda text: b64(text, b"u:").rstrip("="),
    "base64 in lines": lambda text: base64.encodebytes(f"u:{text}".encode()).decode(),
    "base64, percent-encoded": lambda text: quote(b64(text, b"a:"), safe=""),
    "percent, reserved only": quote,
    "percent, slashes too": lambda text: quote(text, safe=""),
    "percent, everything": lambda text: "".join(map(percent, text)),
    "percent, lower case": lambda text: "".join(map(percent, text)).lower(),
    "percent, here and there": lambda text: partly(text, percent, 1).replace("%41", "%2541"),
    "percent, twice": lambda text: quote("".join(map(percent, text)), safe=""),
    "form": quote_plus,
    "form field": lambda text: urlencode({"password": text}),
    "JSON": json.dumps,
    "JSON, UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"token": text})),
    "JSON, everything": in_json,
    "JSON, capitals": lambda text: in_json(text, "04X"),
    "JSON, slashes": lambda text: "".join(JSON_SHORT.get(char, char) for char in text),
    "JSON, here and there": lambda text: partly(
        text, lambda char: in_json(char) if char != "\\" else "\\\\", 2
    ).replace("pä\\u0041", "pä\\\\u0041"),
    "HTML": html.escape,
    "HTML, decimal": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "HTML of JSON": lambda text: html.escape(json.dumps({"password": text})),
    "Python": ascii,
    "Python bytes": lambda text: repr(text.encode()),
}


def readings(text: str) -> set[str]:
    """Return a text and what it is when somebody takes escapes off, of any kind, thrice."""
    seen = {text}
    for _ in range(3):
        for each in list(seen):
            seen |= {
                unquote(each),
                html.unescape(each),
                re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), each),
                re.sub(r"\\x([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), each),
                re.sub(r"\\([/\"'\\])", r"\1", each),
            }
    decoded = in_base64(seen)
    return seen | decoded | in_base64(decoded)


def in_base64(texts: set[str]) -> set[str]:
    """Return whatever somebody finds who takes all that looks like it for Base64."""
    found = set()
    for run in {run for each in texts for run in re.findall(r"[A-Za-z0-9+/_-]{11,}", each)}:
        standard = run.replace("-", "+").replace("_", "/")
        for begin in range(4):
            part = standard[begin:]
            found.add(base64.b64decode(part[: len(part) // 4 * 4]).decode("latin-1"))
    return found


def leaks(text: str, secret: str, least: int = 8) -> str:
    """Return a piece of a secret that somebody finds in a text; empty where there is none."""
    pieces = [secret[at : at + least] for at in range(max(1, len(secret) - least + 1))]
    read = readings(text)
    return next((piece for piece in pieces if any(piece in each for each in read)), "")
