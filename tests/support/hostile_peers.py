"""Peers that no server library would make: raw sockets, one class a misbehaviour.

What goes wrong within an answer is a fault of the embedded world (`rehearsal.hostile`); what
goes wrong before it, or with other addresses, is here. Each is a context with a `port`.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD_END = b"\r\n\r\n"


class Peer:
    """Takes connections, and treats each as `treat` does, in a thread of its own."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.requests: list[bytes] = []
        """Heads of the requests, as far as they were read."""
        self._open: list[socket.socket] = []
        self.stopped = threading.Event()
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def treat(self, connection: socket.socket) -> None:
        """Misbehave."""
        raise NotImplementedError

    def head(self, connection: socket.socket) -> bytes:
        """Read and remember the head of a request; the body is left unread."""
        head = b""
        while _HEAD_END not in head and (piece := connection.recv(1 << 12)):
            head += piece
        self.requests.append(head)
        return head

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        # Closing it would not wake who waits for a connection.
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._accepting.join()
        self._socket.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self._open.append(connection)
            if self.stopped.is_set():
                return
            threading.Thread(target=self._treat, args=(connection,), daemon=True).start()

    def _treat(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.treat(connection)


class Silent(Peer):
    """Takes a connection and does nothing: neither TLS nor a request gets anywhere."""

    def treat(self, connection: socket.socket) -> None:
        self.stopped.wait()


class SlowHandshake(Peer):
    """Begins a TLS record of the greatest length, and sends a byte of it now and then."""

    def treat(self, connection: socket.socket) -> None:
        connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
        while not self.stopped.wait(0.1):
            connection.sendall(b"\0")


class SlowReader(Peer):
    """Reads a few bytes of a request now and then, so that it is never silent."""

    def treat(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        while not self.stopped.wait(0.05):
            self.requests.append(connection.recv(1 << 10))


class SlowAtLast(Peer):
    """Answers the first request of a connection as it should, and the next with a slow head."""

    def treat(self, connection: socket.socket) -> None:
        self.head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        self.head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not self.stopped.wait(0.1):
            connection.sendall(b"x")


class Answering(Peer):
    """Answers each path as told, and 404 to all others; one request a connection."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        super().__init__()
        self.answers = dict(answers)

    def treat(self, connection: socket.socket) -> None:
        target = self.head(connection).split(b" ")[1].decode()
        path = "/" + target.partition("://")[2].partition("/")[2] if "://" in target else target
        answer = self.answers.get(path.partition("?")[0], response(b"no", status="404 Not Found"))
        connection.sendall(answer)
        # What it was sent may still be on the way: closed now, the answer would be lost.
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(1)
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and connection.recv(1 << 16):
            pass
        connection.close()


def response(
    body: bytes, *, status: str = "200 OK", kind: str = "text/html", **headers: str
) -> bytes:
    """Return a whole answer."""
    fields = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body


def json_response(value: object) -> bytes:
    """Return a whole answer with JSON, compressed."""
    body = gzip.compress(json.dumps(value).encode())
    return response(body, kind="application/json", Content_Encoding="gzip")
