"""What docs/comparison.md says about `uv publish` is true of the uv that is locked here."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World
from support.environment import without_a_job
from support.index_client import JOB, client_of
from support.makers import make_release
from support.mirror import private_certificates

_FOREIGN = re.compile(r"(PIP|UV|SSL)_|(HTTPS?|ALL)_PROXY", re.IGNORECASE)
_PROGRAM = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")


def test_uv_revokes_its_token_and_signs_nothing(tmp_path: Path) -> None:
    paths = make_release(tmp_path / "dist")
    kept = {name: text for name, text in without_a_job().items() if not _FOREIGN.match(name)}
    authority, certificate = private_certificates(tmp_path / "certificates")
    with (
        World(claims=JOB, registry=Registry.open()) as world,
        _encrypted(world.upload_url, certificate) as upload_url,
    ):
        done = subprocess.run(
            [
                *(_PROGRAM, "publish", "--no-config", "--no-cache"),
                *("--trusted-publishing", "always", "--publish-url", upload_url),
            ],
            env={
                **kept,
                **world.environment,
                "GITHUB_ACTIONS": "true",
                "HOME": str(tmp_path),
                "USERPROFILE": str(tmp_path),
                "NO_PROXY": "127.0.0.1",
                "SSL_CERT_FILE": str(authority),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        files = client_of(world).simple("sample")["files"]
        assert {file["filename"] for file in files} == {path.name for path in paths}
        assert {file["provenance"] for file in files} == {None}
        (token,) = world.index.issued_tokens
        assert token.is_revoked


@contextlib.contextmanager
def _encrypted(url: str, certificate: Path) -> Iterator[str]:
    """Put TLS, without which uv requests no token, in front of a server; give its new address."""
    parts = urlsplit(url)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as listening, contextlib.ExitStack() as opened:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    raw, _ = listening.accept()
                    client = opened.enter_context(context.wrap_socket(raw, server_side=True))
                    there = (parts.hostname or "", parts.port or 0)
                    server = opened.enter_context(socket.create_connection(there))
                    for ends in ((client, server), (server, client)):
                        threading.Thread(target=_forward, args=ends, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}{parts.path}"
        # Closing alone does not end a call of accept on Linux.
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(1 << 16):
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)
