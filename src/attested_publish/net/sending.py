"""How much of the body of a request has been sent, while it is on its way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import requests

Tell = Callable[[int], None]


class _Body(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


_tell: ContextVar[Tell | None] = ContextVar("tell", default=None)


@contextlib.contextmanager
def telling_what_is_sent(tell: Tell) -> Iterator[None]:
    """Call `tell` with the bytes that were sent of each request of this thread in this block.

    That is for bodies that are read in pieces, and after each of them; also in the end.
    """
    token = _tell.set(tell)
    try:
        yield
    finally:
        _tell.reset(token)


def count_what_is_sent(request: requests.PreparedRequest) -> None:
    """Have what is sent of a request told, where somebody wants to know."""
    # It can be anything that has `read`, whatever the type says.
    tell, body = _tell.get(), cast("Any", request.body)
    if tell is not None and hasattr(body, "read"):
        request.body = cast("Any", _Counted(body, tell))


class _Counted:
    """A body of which the next piece is read when all before it were sent."""

    def __init__(self, body: _Body, tell: Tell) -> None:
        self._body = body
        self._tell = tell
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        self._tell(self._read)
        piece = self._body.read(size)
        self._read += len(piece)
        return piece
