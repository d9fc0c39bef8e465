"""What a malicious server sends: answers that never end, expand hugely, or contain commands.

Each function yields what is sent instead of an answer: bytes, or seconds to wait before the next.
Many never end; the client has to end the connection.
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
    """Send headers that never end, a byte every `seconds`."""
    for byte in itertools.chain(_OK + b"X-More: ", itertools.repeat(ord("a"))):
        yield bytes((byte,))
        yield seconds


def interim(seconds: float) -> Sent:  # noqa: ARG001 - as fast as possible
    """Send ``100 Continue`` forever."""
    return itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n" * 8)


def headers(seconds: float) -> Sent:  # noqa: ARG001
    """Send large headers forever."""
    return itertools.chain((_OK,), itertools.repeat(b"X-More: " + b"a" * 60_000 + b"\r\n"))


def drip(seconds: float) -> Sent:
    """Send a body that never ends, a byte every `seconds`."""
    yield _CHUNKED
    for _ in itertools.repeat(None):
        yield b"1\r\n \r\n"
        yield seconds


def endless(seconds: float) -> Sent:  # noqa: ARG001
    """Send a body that never ends, as fast as possible."""
    piece = b" " * (1 << 16)
    return itertools.chain((_CHUNKED,), itertools.repeat(b"%x\r\n%b\r\n" % (len(piece), piece)))


def bomb(seconds: float) -> Sent:  # noqa: ARG001
    """Send 4 GiB of blanks, compressed to 4 MB."""
    zipped = zlib.compressobj(9, wbits=-15)
    # A full flush resets the compressor, so that the block can be repeated.
    block = zipped.compress(b" " * _BLOCK) + zipped.flush(zlib.Z_FULL_FLUSH)
    head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    length = len(head) + _BOMB_BLOCKS * len(block)
    yield _OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % length
    yield head
    for _ in range(_BOMB_BLOCKS):
        yield block


def nested(seconds: float) -> Sent:  # noqa: ARG001
    """Send JSON that is nested as deeply as it is long."""
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
    """Refuse with an HTML page that consists of brackets."""
    yield b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n"
    yield b"Content-Length: %d\r\n\r\n" % _MARKUP
    yield b"<" * _MARKUP


def reason(seconds: float) -> Sent:  # noqa: ARG001
    """Answer with an error whose reason phrase contains commands to terminals and runners."""
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
