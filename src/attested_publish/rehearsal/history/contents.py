"""The contents of the files of a history: wheels and sdists that pip can install.

A file has the same bytes in every run, so that a lock of a history remains valid.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Mapping

SUMMARY = "A release in a rehearsal's history"
REQUIRES_PYTHON = ">=3.9"

_EPOCH = (2020, 1, 1, 0, 0, 0)
_SECONDS = 1577836800
"""The same, in seconds since the epoch."""

_BACKEND = '''\
"""Builds the wheel of this project, with nothing but Python: the index has no build backend."""

import base64
import hashlib
import os
import zipfile

NAME, VERSION, PACKAGE = {name!r}, {version!r}, {package!r}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    stem = PACKAGE + "-" + VERSION
    info = stem + ".dist-info/"
    with open(os.path.join(PACKAGE, "__init__.py"), "rb") as module:
        code = module.read()
    with open("PKG-INFO", "rb") as described:
        metadata = described.read()
    wheel = b"Wheel-Version: 1.0\\nGenerator: history\\n"
    wheel += b"Root-Is-Purelib: true\\nTag: py3-none-any\\n"
    files = {{PACKAGE + "/__init__.py": code, info + "METADATA": metadata, info + "WHEEL": wheel}}
    record = ""
    name = stem + "-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record += "%s,sha256=%s,%d\\n" % (path, digest.decode(), len(content))
        archive.writestr(info + "RECORD", record + info + "RECORD,,\\n")
    return name
'''


def metadata_of(project: str, version: str) -> bytes:
    """Return the core metadata of a release."""
    return (
        f"Metadata-Version: 2.4\nName: {project}\nVersion: {version}\nSummary: {SUMMARY}\n"
        f"Requires-Python: {REQUIRES_PYTHON}\n"
    ).encode()


def content_of(filename: str, project: str, version: str) -> bytes:
    """Return the content of a wheel or an sdist with this name."""
    make = _wheel if filename.endswith(".whl") else _sdist
    return make(filename, project, version)


def _wheel(filename: str, project: str, version: str) -> bytes:
    package = _package(project)
    tags = sorted(map(str, parse_wheel_filename(filename)[3]))
    parts = filename.removesuffix(".whl").split("-")
    info = f"{parts[0]}-{parts[1]}.dist-info"
    is_pure = all(each.endswith("-any") for each in tags)
    wheel = f"Wheel-Version: 1.0\nGenerator: history\nRoot-Is-Purelib: {str(is_pure).lower()}\n"
    wheel += "".join(f"Tag: {each}\n" for each in tags)
    if len(parts) > 5:  # noqa: PLR2004 - name, version and three tags, and a build tag
        wheel += f"Build: {parts[2]}\n"
    files = {
        f"{package}/__init__.py": _module(project, version),
        f"{info}/METADATA": metadata_of(project, version),
        f"{info}/WHEEL": wheel.encode(),
    }
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            # Whatever system this runs on.
            entry.create_system = 3
            archive.writestr(entry, content)
    return made.getvalue()


def _record(files: Mapping[str, bytes], own: str) -> bytes:
    lines = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}\n")
    return f"{''.join(lines)}{own},,\n".encode()


def _sdist(filename: str, project: str, version: str) -> bytes:
    top, package = filename.removesuffix(".tar.gz"), _package(project)
    backend = _BACKEND.format(name=project, version=version, package=package)
    files = {
        f"{top}/PKG-INFO": metadata_of(project, version),
        f"{top}/pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "build_it"\n'
        b'backend-path = ["."]\n',
        f"{top}/build_it.py": backend.encode(),
        f"{top}/{package}/__init__.py": _module(project, version),
    }
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(content), _SECONDS
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(made.getvalue(), mtime=0)


def _module(project: str, version: str) -> bytes:
    return f'"""{project} {version}: {SUMMARY.lower()}."""\n'.encode()


def _package(project: str) -> str:
    return canonicalize_name(project).replace("-", "_")
