"""Connections that can be ended from outside, and limits on the headers of an answer.

A socket's own time limit applies to silence only: a peer that sends a byte now and then never
reaches it. So a timer shuts the socket down when the time of a request is over, whatever the
request is doing: connecting, the TLS handshake, sending, or reading. Nothing here reads bodies.
"""

from __future__ import annotations

import contextlib
import http.client
import math
import re
import socket
import threading
import time
from concurrent.futures import Future
from contextvars import ContextVar
from typing import IO, TYPE_CHECKING, Any

import requests
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD_LIMIT = 1 << 16
"""Bytes of everything before a body: status lines and headers, including interim answers."""

_INTERIM_ANSWERS = 10
_INTERIM = re.compile(rb"HTTP/\d\.\d 1(?!01)\d\d(?!\d)")
_ALL_ADDRESSES = 2
"""Times the limit for one address: the limit for a host that has several."""


class TooSlow(requests.ReadTimeout):
    """An answer was still arriving, or a request was still being sent, when its time was over."""


class EndlessHead(http.client.HTTPException):
    """An answer has more headers, or more interim answers before it, than are allowed."""


class _Alarm:
    """One thread that ends watches in time: one for each would take longer than its request."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: set[Watch] = set()
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None

    def add(self, watch: Watch) -> None:
        """End a watch when its time is over, unless it is discarded before."""
        with self._changed:
            # A process that was forked has none of its parent's threads.
            if self._thread is None or not self._thread.is_alive():
                self._wakes_at = math.inf
                thread = threading.Thread(target=self._serve, daemon=True, name="alarm")
                thread.start()
                self._thread = thread
            self._watches.add(watch)
            if watch.until < self._wakes_at:
                self._changed.notify()

    def discard(self, watch: Watch) -> None:
        """Forget a watch that has ended."""
        with self._changed:
            self._watches.discard(watch)

    def _serve(self) -> None:
        while True:
            for watch in self._overdue():
                watch.bite()

    def _overdue(self) -> list[Watch]:
        """Wait until something is overdue or was added, and return what is overdue."""
        with self._changed:
            self._wakes_at = min((each.until for each in self._watches), default=math.inf)
            left = self._wakes_at - time.monotonic()
            if left > 0:
                self._changed.wait(None if math.isinf(left) else left)
            now = time.monotonic()
            overdue = [each for each in self._watches if each.until <= now]
            self._watches.difference_update(overdue)
        return overdue


_alarm = _Alarm()


class Watch:
    """Shuts down the sockets it watches when its time is over. Threads may share it."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_over = False
        self.until = time.monotonic() + seconds
        self._handles: list[socket.socket] = []
        self._lock = threading.Lock()
        _alarm.add(self)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self.until - time.monotonic())

    def over(self, connected: socket.socket) -> None:
        """Watch a socket, also after it is wrapped for TLS or passed on."""
        # A duplicated handle, because the number of a closed socket may soon be reused.
        handle = socket.fromfd(connected.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        with self._lock:
            self._handles.append(handle)
            if self.is_over:
                _shut(handle)

    def end(self) -> None:
        """Release all sockets, without shutting them down."""
        _alarm.discard(self)
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()

    def bite(self) -> None:
        """Shut down all sockets: its time is over."""
        with self._lock:
            self.is_over = True
            for handle in self._handles:
                _shut(handle)


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[Watch]:
    """Limit all requests of this thread in this block to `seconds` in total.

    Raises `TooSlow` when they are over, because an answer cut off then may look complete.
    """
    watch = Watch(seconds)
    token = _watch.set(watch)
    try:
        yield watch
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        if watch.is_over:
            raise _too_slow(seconds) from error
        raise
    finally:
        _watch.reset(token)
        watch.end()
    if watch.is_over:
        raise _too_slow(seconds)


def current_watch() -> Watch | None:
    """Return the watch that currently limits this thread's requests."""
    return _watch.get()


def manage(manager: urllib3.PoolManager) -> None:
    """Make a pool manager use the connection classes below."""
    manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}


class _BoundedResponse(http.client.HTTPResponse):
    """Reads a limited amount of headers."""

    fp: Any  # typeshed declares it as a reader that always exists

    def begin(self) -> None:
        stream = self.fp
        self.fp = _Head(stream)
        try:
            super().begin()
        finally:
            # If nothing follows the headers, it is closed already.
            if self.fp is not None:
                self.fp = stream


class _Head:
    """The lines at the beginning of a stream, up to a limit."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = HEAD_LIMIT
        self._answers = 0

    def readline(self, limit: int = -1) -> bytes:
        line = self._stream.readline(limit)
        self._left -= len(line)
        self._answers += line.startswith(b"HTTP/")
        if self._left < 0 or self._answers > _INTERIM_ANSWERS:
            raise EndlessHead("the headers of the answer never end")
        if _INTERIM.match(line):
            # http.client skips no other one, and takes "103 Early Hints" for the answer itself.
            return b"HTTP/1.1 100 Continue\r\n"
        return line

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


class _Watched(HTTPConnection):
    """Is watched from the moment it is connected, and again for each request."""

    response_class = _BoundedResponse

    def _new_conn(self) -> socket.socket:
        connected = self._connected()
        if (watch := _watch.get()) is not None:
            watch.over(connected)
        return connected

    def request(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - urllib3's own
        watch = _watch.get()
        if watch is not None and self.sock is not None:
            watch.over(self.sock)
        super().request(*arguments, **options)

    def _connected(self) -> socket.socket:
        """Connect in a separate thread, because a host name lookup cannot be interrupted."""
        outcome: Future[socket.socket] = Future()

        def connect() -> None:
            try:
                outcome.set_result(super(_Watched, self)._new_conn())
            except BaseException as error:  # noqa: BLE001 - raised in the waiting thread
                outcome.set_exception(error)

        limit = self.timeout if isinstance(self.timeout, int | float) else None
        seconds = None if limit is None else limit * _ALL_ADDRESSES
        if (watch := _watch.get()) is not None:
            seconds = watch.left if seconds is None else min(seconds, watch.left)
        threading.Thread(target=connect, daemon=True).start()
        try:
            return outcome.result(seconds)
        except TimeoutError as error:
            if outcome.done():
                # It was raised at the last moment, or because the connection was ended.
                return outcome.result()
            outcome.add_done_callback(_close)
            raise urllib3.exceptions.ConnectTimeoutError(
                self, f"no connection to {self.host} in time"
            ) from error


class _WatchedTLS(HTTPSConnection, _Watched):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Watched


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


def _close(outcome: Future[socket.socket]) -> None:
    if outcome.exception() is None:
        outcome.result().close()


def _shut(handle: socket.socket) -> None:
    with contextlib.suppress(OSError):
        handle.shutdown(socket.SHUT_RDWR)


def _too_slow(seconds: float) -> TooSlow:
    return TooSlow(f"not done within {seconds:.0f} s")
