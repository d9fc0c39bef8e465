"""What a peer sends that means harm: answers without an end, without a bottom, in disguise.

Each function yields what goes over the connection instead of an answer: bytes, or seconds to
wait before the next. Many never end; the client has to.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

Sent = Iterator[bytes | float]

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"
_BLOCK = 1 << 20
_BOMB_BLOCKS = 4096
_LARGE = 16 << 20
_DEEP = 1 << 20
_MARKUP = 1 << 16


def trickle(seconds: float) -> Sent:
    """Send a head that has no end, a byte every `seconds`."""
    for byte in itertools.chain(_OK + b"X-More: ", itertools.repeat(ord("a"))):
        yield bytes((byte,))
        yield seconds


def interim(seconds: float) -> Sent:  # noqa: ARG001 - as fast as it goes
    """Send ``100 Continue`` for ever."""
    return itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 8)


def headers(seconds: float) -> Sent:  # noqa: ARG001
    """Send headers for ever, each of them large."""
    return itertools.chain((_OK,), itertools.repeat(b"X-More: " + b"a" * 60_000 + b"\r\n"))


def drip(seconds: float) -> Sent:
    """Send a body that has no end, a byte every `seconds`."""
    yield _CHUNKED
    for _ in itertools.repeat(None):
        yield b"1\r\n \r\n"
        yield seconds


def endless(seconds: float) -> Sent:  # noqa: ARG001
    """Send a body that has no end, as fast as it goes."""
    piece = b" " * (1 << 16)
    return itertools.chain((_CHUNKED,), itertools.repeat(b"%x\r\n%b\r\n" % (len(piece), piece)))


def bomb(seconds: float) -> Sent:  # noqa: ARG001
    """Send 4 GiB of blanks, compressed to 4 MB."""
    zipped = zlib.compressobj(9, wbits=-15)
    # A full flush begins afresh, so that the block can be repeated.
    block = zipped.compress(b" " * _BLOCK) + zipped.flush(zlib.Z_FULL_FLUSH)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    length = len(head) + _BOMB_BLOCKS * len(block)
    yield _OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % length
    yield head
    for _ in range(_BOMB_BLOCKS):
        yield block


def nested(seconds: float) -> Sent:  # noqa: ARG001
    """Send JSON that nests as deep as it is long."""
    yield _OK + b"Content-Length: %d\r\n\r\n" % _DEEP
    yield b"[" * _DEEP


def objects(seconds: float) -> Sent:  # noqa: ARG001
    """Send 16 MiB of JSON that is thirty times as large when parsed."""
    entry, begin, end = b'{"":{}},', b'{"files":[', b"{}]}"
    body = begin + entry * (_LARGE // len(entry)) + end
    yield _OK + b"Content-Length: %d\r\n\r\n" % len(body)
    yield body


def digits(seconds: float) -> Sent:  # noqa: ARG001
    """Send JSON with a number that has more digits than Python converts."""
    body = b'{"expires": %b}' % (b"9" * 10_000)
    yield _OK + b"Content-Length: %d\r\n\r\n" % len(body)
    yield body


def markup(seconds: float) -> Sent:  # noqa: ARG001
    """Refuse with a page of HTML that consists of brackets."""
    yield b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n"
    yield b"Content-Length: %d\r\n\r\n" % _MARKUP
    yield b"<" * _MARKUP


def reason(seconds: float) -> Sent:  # noqa: ARG001
    """Be out of order, for a reason that steers terminals and runners."""
    said = b"503 \r::error::forged by CR\r \x1b[31m ##[error]forged \xe2\x80\xae again and again"
    yield b"HTTP/1.1 " + said + b"\r\nContent-Length: 0\r\n\r\n"


KINDS: Mapping[str, Callable[[float], Sent]] = MappingProxyType(
    {
        "trickle": trickle,
        "continue": interim,
        "headers": headers,
        "drip": drip,
        "endless": endless,
        "bomb": bomb,
        "nested": nested,
        "objects": objects,
        "digits": digits,
        "markup": markup,
        "reason": reason,
    }
)
PACED = frozenset({"trickle", "drip"})
"""Those that wait between two bytes."""
