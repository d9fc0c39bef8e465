"""A line to a server that takes so many bytes a second, as a home's does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from support.hostile_peers import Peer

_PIECE = 1 << 15


class SlowRelay(Peer):
    """Passes connections on to a port; `rate` is in bytes a second, of what is sent to it.

    After `breaks_after` bytes of a connection the first one that sends so much is cut.
    """

    def __init__(self, port: int, rate: float, breaks_after: float = float("inf")) -> None:
        super().__init__()
        self._to = port
        self._rate = rate
        self._breaks_after = breaks_after
        # A large buffer would take a file at once.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)

    def treat(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._to)) as server:
            back = threading.Thread(target=self._back, args=(server, connection), daemon=True)
            back.start()
            passed = 0
            while piece := connection.recv(_PIECE):
                server.sendall(piece)
                passed += len(piece)
                if passed > self._breaks_after:
                    self._breaks_after = float("inf")
                    connection.shutdown(socket.SHUT_RDWR)
                    break
                if len(piece) == _PIECE:
                    time.sleep(len(piece) / self._rate)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_WR)
            back.join()

    def _back(self, server: socket.socket, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := server.recv(_PIECE):
                connection.sendall(piece)
            connection.shutdown(socket.SHUT_RDWR)
