"""Real indexes other than PyPI, on this machine: devpi-server and pypiserver, of the e2e lock."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import requests

from support.paths import ROOT
from support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PROGRAMS = ROOT / ".venv" / "e2e" / "bin"
_START_SECONDS = 90
_STOP_SECONDS = 10
_CHEAP = ("--argon2-time-cost", "1", "--argon2-memory-cost", "1024", "--argon2-parallelism", "1")
"""devpi-server's own protection of passwords takes it 8 s and 512 MB to start."""


@dataclass(frozen=True)
class RealIndex:
    """A running index: where it is, and who may upload to it.

    `upload_url` is what a user sets as `repository-url`, `simple_path` what pip gets as index.
    `stranger` may log in and has no right to upload, where the software has such users.
    """

    root: str
    server: Server
    software: str
    upload_url: str
    wrong_url: str
    simple_path: str
    user: str
    password: str
    stranger: tuple[str, str] | None = None

    def downloaded(self, requirement: str, folder: Path) -> dict[str, bytes]:
        """Let pip download the wheel of a requirement, and return it by name."""
        scheme, _, host = self.root.partition("://")
        address = f"{scheme}://{self.user}:{self.password}@{host}{self.simple_path}"
        self._pip("download", "--no-deps", "--only-binary", ":all:", requirement, address, folder)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def file(self, project: str, filename: str) -> bytes:
        """Return a file that the project's page links to."""
        credentials = (self.user, self.password)
        page = f"{self.root}{self.simple_path}{project}/"
        answer = requests.get(page, auth=credentials, timeout=20, headers={"Accept": "text/html"})
        (link,) = re.findall(rf'href="([^"#]*/{re.escape(filename)})[#"]', answer.text)
        return requests.get(urljoin(page, link), auth=credentials, timeout=20).content

    def _pip(self, *arguments: str | Path) -> None:
        *command, address, folder = arguments
        # What a machine has set for other packages has no say here.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PIP_")
        }
        environment |= {"PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", *command),
                *("--no-cache-dir", "--no-input", "--index-url", address, "--dest", folder),
            ],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def running_devpi(folder: Path) -> Iterator[RealIndex]:
    """Run a devpi-server with one index that takes each name once, and two users."""
    # In hex: a password that begins with a hyphen would be an option to devpi's commands.
    of_root, password, of_stranger = (secrets.token_hex(24) for _ in range(3))
    state = folder / "devpi"
    subprocess.run(
        [
            *(_PROGRAMS / "devpi-init", "--serverdir", state, "--no-root-pypi"),
            *("--root-passwd", of_root),
        ],
        capture_output=True,
        timeout=_START_SECONDS,
        check=True,
    )
    port = _free_port()
    root = f"http://127.0.0.1:{port}"
    command = [
        *(_PROGRAMS / "devpi-server", "--serverdir", state, "--offline-mode"),
        *("--host", "127.0.0.1", "--port", str(port), *_CHEAP),
    ]
    with _running(command, folder / "devpi.log", f"{root}/+api") as server:
        for user, its_password in (("someone", password), ("stranger", of_stranger)):
            _put(f"{root}/{user}", ("root", of_root), {"password": its_password})
        settings = {"type": "stage", "bases": [], "volatile": False}
        _put(f"{root}/someone/release", ("someone", password), settings)
        yield RealIndex(
            root,
            server,
            "devpi-server",
            upload_url=f"{root}/someone/release/",
            wrong_url=f"{root}/",
            simple_path="/someone/release/+simple/",
            user="someone",
            password=password,
            stranger=("stranger", of_stranger),
        )


@contextlib.contextmanager
def running_pypiserver(folder: Path, elsewhere: str) -> Iterator[RealIndex]:
    """Run a pypiserver that asks for a password everywhere.

    Who asks for a project that it does not have is redirected to the index `elsewhere`; without
    being told it is PyPI.
    """
    password = secrets.token_hex(24)
    (folder / "packages").mkdir()
    passwords = folder / "passwords"
    write = (
        "import sys; from passlib.apache import HtpasswdFile; "
        "file = HtpasswdFile(sys.argv[1], new=True, default_scheme='apr_md5_crypt'); "
        "file.set_password('someone', sys.stdin.read()); file.save()"
    )
    subprocess.run(
        [_PROGRAMS / "python", "-c", write, passwords],
        input=password,
        text=True,
        capture_output=True,
        timeout=_START_SECONDS,
        check=True,
    )
    port = _free_port()
    root = f"http://127.0.0.1:{port}"
    command = [
        *(_PROGRAMS / "pypi-server", "run", "--interface", "127.0.0.1", "--port", str(port)),
        *("--passwords", passwords, "--authenticate", "update,list,download"),
        *("--fallback-url", elsewhere, folder / "packages"),
    ]
    with _running(command, folder / "pypiserver.log", f"{root}/") as server:
        yield RealIndex(
            root,
            server,
            "pypiserver",
            upload_url=f"{root}/",
            wrong_url=f"{root}/legacy/",
            simple_path="/simple/",
            user="someone",
            password=password,
        )


class Server:
    """A process that serves an index at `address`, and can be started again with its state."""

    def __init__(self, command: list[str | Path], log: Path, address: str) -> None:
        self._command = command
        self._log = log
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self._log.open("ab") as output:
            process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self._process = process
        wait_for(lambda: _is_up(process, self._log, self._address), _START_SECONDS)

    def kill(self) -> None:
        """End it as a crash does, whatever it is doing."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        """End it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


@contextlib.contextmanager
def _running(command: list[str | Path], log: Path, address: str) -> Iterator[Server]:
    """Run a server until it is no longer needed; it answers at `address` once it is up."""
    server = Server(command, log, address)
    try:
        server.start()
        yield server
    finally:
        server.end()


def _is_up(process: subprocess.Popen[bytes], log: Path, address: str) -> bool:
    assert process.poll() is None, log.read_text(errors="replace")
    try:
        return requests.get(address, timeout=5).status_code < 500
    except requests.ConnectionError:
        return False


def _put(address: str, credentials: tuple[str, str], value: dict[str, object]) -> None:
    requests.put(address, json=value, auth=credentials, timeout=20).raise_for_status()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return bound.getsockname()[1]
