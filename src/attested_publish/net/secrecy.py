"""Mask secrets in texts, in every encoding in which they are transmitted.

A secret is found raw, in Base64 (also in the middle of a longer Base64 text, as in
`user:secret`), percent-encoded, JSON-escaped, and as HTML entities, even if only a part of it is
escaped, and in any nesting of these. Whatever follows the name of an authorization scheme, or
precedes the `@` of an address, is masked even if it is not a known secret.
"""

from __future__ import annotations

import base64
import re
import threading
from bisect import bisect_right
from dataclasses import dataclass
from enum import IntEnum
from html.entities import html5
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

BLOT = "***"

SHORTEST = 4
"""Characters. Anything shorter appears in too many texts by chance."""

_PIECE = 8
"""Bytes of a secret that are masked even if the rest of it is missing."""

_MARKS = b"x" * _PIECE
_MARKED = re.compile(rb"x+")
_SHORTEST_PART = 16
_LONGEST_PASSWORD = 4096
_DEPTH = 4
"""How many nested levels of escapes are undone."""

_ESCAPE = re.compile(
    rb"%([0-9A-Fa-f]{2})"
    rb"|\\u([Dd][89ABab][0-9A-Fa-f]{2})\\u([Dd][C-Fc-f][0-9A-Fa-f]{2})"
    rb"|\\u([0-9A-Fa-f]{4})"
    rb"|\\U([0-9A-Fa-f]{8})"
    rb"|\\x([0-9A-Fa-f]{2})"
    # JSON's, Python's and Markdown's.
    rb"|\\([\"'/\\`*_\[\]<>#|~&@$])"
    rb"|&#([0-9]{1,9});?"
    rb"|&#[Xx]([0-9A-Fa-f]{1,8});?"
    rb"|&([A-Za-z]{2,31};)"
)


class _Group(IntEnum):
    """The last group of `_ESCAPE` that matches for each kind of escape."""

    PERCENT = 1
    SURROGATES = 3
    CODE = 4
    LONG_CODE = 5
    BYTE = 6
    PLAIN = 7
    DECIMAL = 8
    HEXADECIMAL = 9
    NAME = 10


_HEXADECIMAL = 16
_LAST_CHARACTER = 0x10FFFF
_LATIN_1 = range(0x100)
_CONTINUATION = range(0x80, 0xC0)
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+_-=")
_URLSAFE = bytes.maketrans(b"+/", b"-_")
_LONGEST_REST = 128
"""How much of the Base64 around a secret is masked, too: what is encoded together with it."""

_AUTHORIZATION = re.compile(
    rb"\bauthorization[\"']?\s{0,9}[:=]\s{0,9}[\"']?(?:[a-z]{1,20}\s{1,9})?([^\s\"'<>,;]+)",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    rb"\b(?:(?:basic|bearer|token)[\s:=\"']{1,9})+([^\s\"'<>,;]+)",
    re.IGNORECASE,
)
_PROSE = frozenset(
    b"access and auth authentication authorization basic bearer challenge constraints credential"
    b" credentials error header in is not or realm required scheme scope token was with".split()
)
"""Words that follow the name of a scheme in ordinary prose."""

_SEGMENT = re.compile(rb"[^\s/\\\"'<>?#]+")
_SCHEMES = b":", b"http", b"https", b"ftp"
_AT = re.compile(r"@|%(?:25)*40|\uFF20|\uFE6B", re.IGNORECASE)
_SCHEME_OF_ADDRESS = re.compile(
    r"\s*(?:([a-z][a-z0-9+.-]{0,19})\s*:\s*[/\\]+|(https?|ftp)\s*[:/\\][/\\]*)", re.IGNORECASE
)
_HOST_OF_ADDRESS = re.compile(
    r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?/", re.IGNORECASE
)

_SECRET_VARIABLES = frozenset(
    {
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "ATTESTED_PUBLISH_PASSWORD",
        "CIRCLE_OIDC_TOKEN",
        "CIRCLE_OIDC_TOKEN_V2",
        "CI_JOB_TOKEN",
        "TWINE_PASSWORD",
    }
)
_SECRET_SUFFIX = "_ID_TOKEN"  # noqa: S105 - of names of variables (GitLab)
_ADDRESS_SUFFIXES = "_PROXY", "_URL"


class Secrets:
    """A growing set of secrets, prepared for searching. Thread-safe.

    Adding a secret takes the same time however many there are, and a search takes time in
    proportion to the text. Anything under four characters is ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._wholes: set[bytes] = set()
        """Every form of the secrets."""
        self._short: set[bytes] = set()
        """Those of `_wholes` that are shorter than a piece."""
        self._pieces: set[int] = set()
        """Every eight bytes of `_wholes`, as a number: that makes searching fast."""
        self._plain: set[int] = set()
        """Those of `_pieces` that are not only in Base64."""
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Add secrets; once this returns, every search finds them."""
        with self._lock:
            for secret in secrets:
                if len(secret) >= SHORTEST and secret not in self._values:
                    self._prepare(secret)
                    self._values.add(secret)

    def _prepare(self, secret: str) -> None:
        prepared: list[bytes] = []
        for plain in sorted(_spellings(secret), key=len, reverse=True):
            in_base64 = set(_in_base64(plain))
            if is_encoded_again := len(plain) <= _LONGEST_PASSWORD:
                # A header that contains it may be encoded again as a whole.
                in_base64 |= {again for form in in_base64 for again in _in_base64(form)}
            forms = {plain, *in_base64}
            self._wholes |= forms
            self._short |= {form for form in forms if len(form) < _PIECE}
            if any(plain in longer for longer in prepared):
                # All its pieces, in Base64 too, are pieces of the longer one.
                continue
            if is_encoded_again:
                prepared.append(plain)
            self._plain.update(*(words for _, words in _words(plain)))
            for form in forms:
                self._pieces.update(*(words for _, words in _words(form)))

    def blotted(self, text: str, *, pieces: bool = False) -> str:
        """Return `text` without the secrets; with `pieces`, also without parts of them.

        A part is eight characters or more: others may truncate what they quote. In our own texts,
        which are not truncated, a part of a password is more likely to be a common word.
        """
        data = text.encode("utf-8", "surrogatepass")
        spans = _merged(self._spans(data, pieces=pieces))
        if not spans:
            return text
        kept = []
        end = 0
        for start, stop in spans:
            kept.append(data[end:start].decode("utf-8", "surrogatepass"))
            end = stop
        return BLOT.join((*kept, data[end:].decode("utf-8", "surrogatepass")))

    def _spans(self, data: bytes, *, pieces: bool) -> Iterator[tuple[int, int]]:
        """Yield the spans of everything secret, in whole characters, in no particular order."""
        levels: list[_Level] = []
        shown = data
        while True:
            for start, stop in (
                *self._known(shown, pieces=pieces),
                *_after_schemes(shown),
                *_before_at(shown),
            ):
                for level in reversed(levels):
                    start, stop = level.origin(start, stop)  # noqa: PLW2901 - step by step
                while start > 0 and data[start] in _CONTINUATION:
                    start -= 1  # noqa: PLW2901
                while stop < len(data) and data[stop] in _CONTINUATION:
                    stop += 1  # noqa: PLW2901
                yield start, stop
            unescaped = _unescaped(shown) if len(levels) < _DEPTH else None
            if unescaped is None:
                return
            levels.append(unescaped)
            shown = unescaped.data

    def _known(self, data: bytes, *, pieces: bool) -> Iterator[tuple[int, int]]:
        """Yield the spans of the secrets and of parts of them."""
        for form in tuple(self._short):
            yield from _everywhere(form, data)
        for start, stop in self._similar(data):
            if pieces:
                yield start, stop
                continue
            part = data[start:stop]
            for form in tuple(self._wholes):
                for first, last in _everywhere(form, part):
                    yield start + first, start + last

    def _similar(self, data: bytes) -> list[tuple[int, int]]:
        """Return the spans of text that consist of pieces of secrets."""
        if not self._pieces:
            return []
        plain, coded = bytearray(len(data)), bytearray(len(data))
        for shift, words in _words(data):
            if self._pieces.isdisjoint(words):
                continue
            for start, word in enumerate(words):
                if word in self._pieces:
                    place = shift + start * _PIECE
                    marks = plain if word in self._plain else coded
                    marks[place : place + _PIECE] = _MARKS
        in_base64 = (_with_rest(data, *span) for span in _marked(coded))
        return _merged((*_marked(plain), *in_base64))


@dataclass(frozen=True)
class _Level:
    """A text with one layer of escapes removed, and where its bytes come from."""

    data: bytes
    begins: list[int]
    """The start of each escape's value in `data`; `ends` has the ends."""
    ends: list[int]
    origins: list[tuple[int, int]]
    """The start of each escape in the original text."""

    def origin(self, start: int, stop: int) -> tuple[int, int]:
        """Return the span in the original text of the part from `start` to `stop`."""
        return self._escape_at(start)[0], self._escape_at(stop - 1)[1]

    def _escape_at(self, place: int) -> tuple[int, int]:
        number = bisect_right(self.begins, place) - 1
        if number < 0:
            return place, place + 1
        if place < self.ends[number]:
            return self.origins[number]
        before = self.origins[number][1] + place - self.ends[number]
        return before, before + 1


def _unescaped(data: bytes) -> _Level | None:
    """Remove one layer of escapes; return `None` if there is none."""
    if not any(mark in data for mark in (b"%", b"\\", b"&")):
        return None
    parts: list[bytes] = []
    begins: list[int] = []
    ends: list[int] = []
    origins: list[tuple[int, int]] = []
    size = end = 0
    for match in _ESCAPE.finditer(data):
        value = _value(match)
        if value == match[0]:
            continue
        start = match.start()
        parts += data[end:start], value
        size += start - end
        begins.append(size)
        size += len(value)
        ends.append(size)
        end = match.end()
        origins.append((start, end))
    if not parts:
        return None
    return _Level(b"".join((*parts, data[end:])), begins, ends, origins)


def _value(escape: re.Match[bytes]) -> bytes:
    """Return the value of an escape, in UTF-8; the text itself if it is not an escape."""
    kind = escape.lastindex or 0
    digits = escape[kind]
    match kind:
        case _Group.PLAIN:
            return digits
        case _Group.PERCENT | _Group.BYTE:
            return bytes([int(digits, _HEXADECIMAL)])
        case _Group.NAME:
            return html5.get(digits.decode(), escape[0].decode()).encode()
        case _Group.SURROGATES:
            high, low = int(escape[kind - 1], _HEXADECIMAL), int(digits, _HEXADECIMAL)
            code = 0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF)
        case _Group.DECIMAL:
            code = int(digits)
        case _:
            code = int(digits, _HEXADECIMAL)
    return chr(code).encode("utf-8", "surrogatepass") if code <= _LAST_CHARACTER else escape[0]


def _spellings(secret: str) -> Iterator[bytes]:
    """Yield the forms of a secret in an unescaped text, and parts that are secret themselves.

    Each line of a multi-line secret is a part; so are the parts of a JSON web token. Some
    programs encode HTTP headers in Latin-1, others in UTF-8. A secret may itself look escaped:
    when the escapes of a text are removed, those of the secret are removed, too.
    """
    data = secret.encode("utf-8", "surrogatepass")
    spellings = {data, *data.splitlines(), b" ".join(data.split()), data.replace(b" ", b"+")}
    if not secret.isascii():
        spellings |= {
            b"".join(
                bytes([ord(c)]) if ord(c) in _LATIN_1 else c.encode(errors="replace")
                for c in secret
            ),
            data.decode("latin-1").encode(),
        }
    if secret.startswith("eyJ"):
        spellings |= {part for part in data.split(b".") if len(part) >= _SHORTEST_PART}
    for level in [_Level(each, [], [], []) for each in spellings]:
        inner: _Level | None = level
        for _ in range(_DEPTH):
            inner = None if inner is None else _unescaped(inner.data)
            if inner is not None:
                spellings.add(inner.data)
    yield from (each for each in spellings if len(each) >= SHORTEST)


def _in_base64(data: bytes) -> Iterator[bytes]:
    """Yield what the Base64 of any bytes that include `data` must contain, in both alphabets."""
    for before in range(3):
        bits = 8 * before, 8 * (before + len(data))
        coded = base64.b64encode(bytes(before) + data)[-(-bits[0] // 6) : bits[1] // 6]
        if len(coded) >= SHORTEST:
            yield coded
            yield coded.translate(_URLSAFE)


def _words(data: bytes) -> Iterator[tuple[int, memoryview[int]]]:
    """Yield all sequences of eight bytes as numbers, for one starting offset after the other."""
    view = memoryview(data)
    for shift in range(min(_PIECE, len(data) - _PIECE + 1)):
        yield shift, view[shift : len(data) - (len(data) - shift) % _PIECE].cast("Q")


def _marked(marks: bytearray) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _MARKED.finditer(marks))


def _everywhere(form: bytes, data: bytes) -> Iterator[tuple[int, int]]:
    start = data.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = data.find(form, start + len(form))


def _with_rest(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """Extend a span of Base64 by its neighbors, which share bits with it."""
    least, most = max(0, start - _LONGEST_REST), min(len(data), stop + _LONGEST_REST)
    while start > least and data[start - 1] in _BASE64:
        start -= 1
    while stop < most and data[stop] in _BASE64:
        stop += 1
    return start, stop


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans in order, with overlapping and adjacent ones merged."""
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


def _after_schemes(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the spans of credentials that follow the name of an authorization scheme."""
    for match in _AUTHORIZATION.finditer(data):
        if match[1].lower() not in {b"basic", b"bearer"}:
            yield match.span(1)
    for match in _SCHEME.finditer(data):
        word = match[1]
        if match[0][:5].lower() == b"token":
            # "Token" is a common word, so what follows has to look like a token.
            is_secret = (
                len(word) >= _SHORTEST_PART
                and b"://" not in word
                and re.search(rb"[0-9]", word) is not None
            )
        else:
            is_secret = word.lower().rstrip(b".:").partition(b"=")[0] not in _PROSE
        if is_secret:
            yield match.span(1)


def _before_at(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the spans of user and password in addresses.

    Text without a colon before an `@` counts only where a host is expected: an `@` also
    separates a workflow from its ref, and a person's name from the mail host.
    """
    if b"@" not in data:
        return
    for match in _SEGMENT.finditer(data):
        before, at, _ = match[0].rpartition(b"@")
        if not at or not before:
            continue
        start = match.start()
        if b":" in before or _is_host_due(data, start):
            yield start, start + len(before)


def _is_host_due(data: bytes, place: int) -> bool:
    """Whether the slashes before `place` begin an authority, as in `https://` or `//`."""
    slashes = place
    while slashes > 0 and data[slashes - 1] in b"/\\":
        slashes -= 1
    before = data[max(0, slashes - 5) : slashes].lower()
    if before.endswith(_SCHEMES):
        return slashes < place
    return place - slashes > 1 and (not before or before[-1] in b" \t\n\"'<>(=,")


def without_credentials(address: str) -> str:
    """Return an address without the user and password in it.

    Works for any malformed address: except for the scheme, everything before the last `@` is
    removed.
    """
    last = _last_at(address)
    if last is None or _is_in_path(address, last.start()):
        return address
    scheme = _SCHEME_OF_ADDRESS.match(address, 0, last.start())
    rest = address[last.end() :].strip()
    return f"{scheme[1] or scheme[2]}://{rest}" if scheme else rest


def _last_at(address: str) -> re.Match[str] | None:
    return max(_AT.finditer(address), key=re.Match.start, default=None)


def _is_in_path(address: str, at: int) -> bool:
    """Whether an address is well-formed, with an `@` in nothing but its path."""
    host = _HOST_OF_ADDRESS.match(address)
    return host is not None and host.end() <= at and ":" not in address[host.end() : at]


def credentials_in(address: str) -> Iterator[str]:
    """Yield the secrets in an address: the password, or else the user, which may be a token."""
    last = _last_at(address)
    if last is None or _is_in_path(address, last.start()):
        return
    scheme = _SCHEME_OF_ADDRESS.match(address, 0, last.start())
    given = address[scheme.end() if scheme else 0 : last.start()].strip()
    if ":" not in given:
        yield given if len(given) >= _SHORTEST_PART else ""
    else:
        # In a malformed address, any colon may separate the two.
        yield given.partition(":")[2]
        yield given.rpartition(":")[2]


def secrets_in(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the secrets in the variables of a job, including those in proxy addresses."""
    for name, value in environment.items():
        if name.upper() in _SECRET_VARIABLES or name.endswith(_SECRET_SUFFIX):
            yield value
        elif name.upper().endswith(_ADDRESS_SUFFIXES):
            yield from credentials_in(value)


_kept = Secrets()


def keep(secrets: Iterable[str]) -> None:
    """Mask secrets in everything that this process displays from now on. Thread-safe."""
    _kept.add(secrets)


def forget() -> None:
    """Forget all secrets: for tests, which do many runs in one process."""
    global _kept  # noqa: PLW0603 - secrets belong to the whole process
    _kept = Secrets()


def blotted(text: str, *, pieces: bool = False) -> str:
    """Return `text` without the known secrets; see `Secrets`."""
    return _kept.blotted(text, pieces=pieces)


def all_blotted(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a JSON value with the secrets masked in every string."""
    match value:
        case str():
            return blotted(value)
        case dict():
            return {key: all_blotted(each) for key, each in value.items()}
        case list() | tuple():
            return [all_blotted(each) for each in value]
        case _:
            return value
