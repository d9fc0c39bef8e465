"""Releases to publish: a given number of wheels, and one sdist.

Written piece by piece, so that the process that creates them stays small: its memory would count as
memory of the processes it measures.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import random
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "1.0"

_EPOCH = (2020, 1, 1, 0, 0, 0)
_CHUNK = 1 << 20


def make_release(folder: Path, project: str, files: int) -> list[Path]:
    """Write a release of `files` distributions into `folder`: wheels, the last one an sdist."""
    folder.mkdir(parents=True, exist_ok=True)
    wheels = [make_wheel(folder, project, build) for build in range(1, files)]
    return [*wheels, make_sdist(folder, project)]


def make_wheel(
    folder: Path, project: str, build: int, *, payload: int = 0, headers: str = ""
) -> Path:
    """Write a wheel with a build number, `payload` incompressible bytes, and more `headers`."""
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{project}-{VERSION}.dist-info"
    path = folder / f"{project}-{VERSION}-{build}-py3-none-any.whl"
    wheel = (
        "Wheel-Version: 1.0\nGenerator: benchmarks\nRoot-Is-Purelib: true\n"
        f"Tag: py3-none-any\nBuild: {build}\n"
    )
    members = {
        f"{project}/__init__.py": f'"""Build {build} of {project}."""\n'.encode(),
        f"{info}/METADATA": _metadata(project, headers),
        f"{info}/WHEEL": wheel.encode(),
    }
    record = ""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(_entry(name), content)
            record += _record_line(name, hashlib.sha256(content).digest(), len(content))
        if payload:
            name = f"{project}/payload.bin"
            record += _record_line(name, _write_payload(archive, name, payload, build), payload)
        archive.writestr(_entry(f"{info}/RECORD"), f"{record}{info}/RECORD,,\n")
    return path


def make_sdist(folder: Path, project: str) -> Path:
    """Write an sdist."""
    folder.mkdir(parents=True, exist_ok=True)
    top = f"{project}-{VERSION}"
    members = {
        f"{top}/PKG-INFO": _metadata(project),
        f"{top}/pyproject.toml": b'[build-system]\nrequires = ["flit_core"]\n'
        b'build-backend = "flit_core.buildapi"\n',
        f"{top}/{project}/__init__.py": f'"""{project}."""\n'.encode(),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    path = folder / f"{top}.tar.gz"
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return path


def _metadata(project: str, headers: str = "") -> bytes:
    return (
        f"Metadata-Version: 2.4\nName: {project}\nVersion: {VERSION}\n"
        "Summary: A release to measure with\nRequires-Python: >=3.9\n"
        f"{headers}"
        "Description-Content-Type: text/plain\n\nA release to measure with.\n"
    ).encode()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    return entry


def _write_payload(archive: zipfile.ZipFile, name: str, size: int, seed: int) -> bytes:
    digest = hashlib.sha256()
    chance = random.Random(seed)
    with archive.open(_entry(name), "w") as member:
        for start in range(0, size, _CHUNK):
            chunk = chance.randbytes(min(_CHUNK, size - start))
            digest.update(chunk)
            member.write(chunk)
    return digest.digest()


def _record_line(name: str, digest: bytes, size: int) -> str:
    coded = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"{name},sha256={coded},{size}\n"
