"""The embedded services answer programs on this machine only, and write where they are told."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from attested_publish.fronts import cli
from attested_publish.rehearsal.private import write_in_place, write_private
from support.environment import without_a_job

if TYPE_CHECKING:
    from pathlib import Path

    from support.releases import Stage

EXPORTED = {
    **dict.fromkeys(
        ("trust_config.json", "trusted_root.json", "signing_config.json", "jwks.json"), 0o644
    ),
    **dict.fromkeys(("issuer-key.pem", "env.json"), 0o600),
}


def services(stage: Stage) -> dict[str, tuple[str, str]]:
    """Return an address of each service, with a method that it answers."""
    config = json.loads(stage.world.trust_config)["signingConfig"]
    return {
        "index": ("GET", stage.world.index_url),
        "audience": ("GET", stage.world.index_url.replace("/simple/", "/_/oidc/audience")),
        "identity provider": ("GET", stage.world.issuer.request_url(config["oidcUrls"][0]["url"])),
        "certificate authority": ("POST", config["caUrls"][0]["url"] + "/api/v2/signingCert"),
        "log": ("GET", config["rekorTlogUrls"][0]["url"] + "/api/v1/log"),
    }


def answer(method: str, url: str, *hosts: str) -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.putrequest(method, f"{parts.path}?{parts.query}", skip_host=True)
    for host in hosts:
        connection.putheader("Host", host.format(port=parts.port))
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    response = connection.getresponse()
    told = response.read().decode()
    connection.close()
    return response.status, told


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:{port}",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
        ),
        *(
            "128.0.0.1:{port}",
            "0.0.0.0:{port}",
            "[::]:{port}",
            "[::1",
            "::1",
            "127.0.0.1:",
            "127.1",
        ),
        *("127.0.0.1@evil.example", "evil.example:127.0.0.1", "127.0.0.1:1:2", "localhost.", ""),
        *("127.0.0.1:{port}, evil.example", "127.0.0.256", "notlocalhost", "[::ffff:10.0.0.1]"),
    ],
)
def test_a_page_whose_name_leads_to_loopback(stage: Stage, host: str) -> None:
    for name, (method, url) in services(stage).items():
        status, told = answer(method, url, host)
        # What the server cannot even read is refused before.
        assert status in {421, 400}, (name, status)
        assert (status == 421) == ("Host header must be a loopback name" in told)
        assert told.count("\n") <= 1 or status == 400


def test_no_host_and_two_of_them(stage: Stage) -> None:
    for method, url in services(stage).values():
        assert answer(method, url)[0] == 421
        assert answer(method, url, "127.0.0.1", "evil.example")[0] == 421


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1:{port}",
            "127.0.0.1",
            "localhost",
            "LocalHost:{port}",
            "[::1]:{port}",
            "[::1]",
        ),
        *("127.1.2.3:{port}", "localhost:80", "[0:0:0:0:0:0:0:1]"),
    ],
)
def test_loopback_by_every_name(stage: Stage, host: str) -> None:
    for name, (method, url) in services(stage).items():
        assert answer(method, url, host)[0] not in {421, 403}, name


def test_a_request_for_another_place(stage: Stage) -> None:
    """In absolute form (RFC 9112, 3.2.2), which counts more than the header."""
    parts = urlsplit(stage.world.index_url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", "http://evil.example/simple/", headers={"Host": "127.0.0.1"})
    assert connection.getresponse().status == 421
    connection.close()


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in folder.iterdir()}


def test_what_is_exported_is_for_its_owner(stage: Stage, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        stage.world.export(tmp_path / "new" / "folder")
    finally:
        os.umask(before)
    assert modes(tmp_path / "new" / "folder") == EXPORTED


def test_a_key_is_private_before_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only afterwards: who has opened a file can read what comes."""
    opened = []
    os_open = os.open

    def noted(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        opened.append((flags & os.O_EXCL, mode))
        return os_open(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", noted)
    write_private(tmp_path / "key", b"secret")
    assert opened == [(os.O_EXCL, 0o600)]
    assert (tmp_path / "key").read_bytes() == b"secret"


@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.parametrize("to", ["file", "nowhere", "folder", "hard link"])
def test_a_link_that_is_in_the_place_of_a_file(
    stage: Stage, tmp_path: Path, name: str, to: str
) -> None:
    precious = tmp_path / "precious"
    folder = tmp_path / "exported"
    folder.mkdir()
    if to == "folder":
        precious.mkdir()
    elif to != "nowhere":
        precious.write_text("precious")
        precious.chmod(0o666)
    if to == "hard link":
        (folder / name).hardlink_to(precious)
    else:
        (folder / name).symlink_to(precious)
    stage.world.export(folder)
    assert not (folder / name).is_symlink()
    assert modes(folder).keys() == EXPORTED.keys()
    assert modes(folder)[name] == EXPORTED[name] & ~umask()
    if to == "folder":
        assert list(precious.iterdir()) == []
    elif to == "nowhere":
        assert not precious.exists()
    else:
        assert precious.read_text() == "precious"


def umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_in_place(tmp_path / "file", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_a_link(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "world").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SystemExit) as ended:
        cli.main(["services", "--export", str(tmp_path / "world")])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert told == (
        "attested-publish: --export cannot be written: it is a link, which may point anywhere.\n"
    )
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_documented_way_leaves_nothing_to_others(tmp_path: Path) -> None:
    """`umask 077` stands in the documentation: what the shell itself writes is private, too."""
    program = shlex.join([sys.executable, "-m", "attested_publish"])
    command = f"umask 077; exec {program} services --export world > world.json"
    process = subprocess.Popen(["/bin/sh", "-c", command], cwd=tmp_path, env=without_a_job())
    try:
        while (
            not (tmp_path / "world.json").exists() or not (tmp_path / "world.json").stat().st_size
        ):
            assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)
    readable = [
        path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_mode & 0o077
    ]
    assert readable == []
