"""A registry for images on loopback: Debian's docker-registry, and what is pushed to it."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import socket
import subprocess
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests

from support.e2e.machine import unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SUITE = "bookworm"
_START_SECONDS = 30
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Registry:
    """A running registry: `localhost` with its port, which every client allows without TLS."""

    host: str

    def push_index(self, name: str, *, content: str) -> dict[str, str]:
        """Push a small image for two architectures; return the digests, also `index`."""
        digests = {}
        manifests = []
        for architecture in ("amd64", "arm64"):
            described = self._push_image(name, architecture, content)
            digests[architecture] = described["digest"]
            platform = {"architecture": architecture, "os": "linux"}
            manifests.append({**described, "platform": platform})
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}
        digests["index"] = self._put_manifest(name, index)["digest"]
        return digests

    def _push_image(self, name: str, architecture: str, content: str) -> dict[str, Any]:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(content))
        layer = packed.getvalue()
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
        image = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._put_blob(name, json.dumps(config).encode(), _CONFIG),
            "layers": [self._put_blob(name, layer, _LAYER)],
        }
        return self._put_manifest(name, image)

    def _put_blob(self, name: str, content: bytes, media_type: str) -> dict[str, Any]:
        started = requests.post(f"http://{self.host}/v2/{name}/blobs/uploads/", timeout=20)
        done = requests.put(
            started.headers["Location"],
            params={"digest": _digest(content)},
            data=content,
            headers={"Content-Type": "application/octet-stream"},
            timeout=20,
        )
        done.raise_for_status()
        return _descriptor(content, media_type)

    def _put_manifest(self, name: str, manifest: dict[str, Any]) -> dict[str, Any]:
        content = json.dumps(manifest).encode()
        done = requests.put(
            f"http://{self.host}/v2/{name}/manifests/{_digest(content)}",
            data=content,
            headers={"Content-Type": manifest["mediaType"]},
            timeout=20,
        )
        done.raise_for_status()
        return _descriptor(content, manifest["mediaType"])


@contextlib.contextmanager
def running_registry(work: Path) -> Iterator[Registry]:
    """Run Debian's docker-registry, unpacked into a folder, for as long as needed."""
    program = unpacked("docker-registry", _SUITE, work / "docker-registry")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(work / "images")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    # JSON is YAML.
    (work / "registry.yml").write_text(json.dumps(settings), encoding="utf-8")
    with (work / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [program / "usr/bin/docker-registry", "serve", work / "registry.yml"],
            stdout=log,
            stderr=log,
        )
        try:
            registry = Registry(f"localhost:{port}")
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(registry):
                assert process.poll() is None, (work / "registry.log").read_text()
                assert time.monotonic() < deadline, "docker-registry does not start"
                time.sleep(0.1)
            yield registry
        finally:
            process.terminate()
            process.wait(20)


def _answers(registry: Registry) -> bool:
    try:
        return requests.get(f"http://{registry.host}/v2/", timeout=5).ok
    except requests.ConnectionError:
        return False


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
