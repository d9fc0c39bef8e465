"""Serve an application of the test's own."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from attested_publish.rehearsal.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def serving(app: Any) -> Iterator[Server]:
    """Run a WSGI application on a port of this machine."""
    server = Server(app)
    server.start()
    try:
        yield server
    finally:
        server.stop()
