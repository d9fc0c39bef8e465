"""Builders of distributions for tests: well-formed by default, bad in the one way asked for.

Every builder returns the path of the file it wrote, and the same arguments give the same
bytes. A bad file is a good one with something added, replaced or left out:

    make_wheel(tmp_path)                                        # uploadable as it is
    make_wheel(tmp_path, version="1.0+local")                   # metadata and names follow
    make_wheel(tmp_path, metadata={"Summary": "x" * 600})       # one header changed
    make_wheel(tmp_path, metadata={"Classifier": ["A", "B"]})   # a header that repeats
    make_wheel(tmp_path, omit=["RECORD"])                       # a member left out
    make_wheel(tmp_path, filename="Sample-1.0-py3-none-any.whl")
    make_sdist(tmp_path, extra_files={"sample-1.0/extra.txt": b"..."})
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

Header = str | list[str] | None
"""A header's value, its values, or None to leave it out."""

_EPOCH = (2020, 1, 1, 0, 0, 0)
_MTIME = 1577836800


def normalized(name: str) -> str:
    """Give `name` as it stands in file names (PEP 625, PEP 427)."""
    return re.sub(r"[-_.]+", "_", name).lower()


def metadata_text(
    name: str = "sample",
    version: str = "1.0",
    headers: Mapping[str, Header] | None = None,
    *,
    body: str = "A sample.\n",
) -> str:
    """Give core metadata: the usual headers, changed and extended by `headers`, and `body`."""
    fields: dict[str, Header] = {
        "Metadata-Version": "2.4",
        "Name": name,
        "Version": version,
        "Summary": "A sample project",
        "Requires-Python": ">=3.9",
        "Description-Content-Type": "text/plain",
    }
    fields.update(headers or {})
    lines = []
    for header, value in fields.items():
        values = [] if value is None else [value] if isinstance(value, str) else value
        lines.extend(f"{header}: {one}\n" for one in values)
    return "".join(lines) + ("\n" + body if body else "")


def _metadata(name: str, version: str, metadata: Mapping[str, Header] | str | None) -> str:
    return metadata if isinstance(metadata, str) else metadata_text(name, version, metadata)


def record_text(files: Mapping[str, bytes], record: str) -> str:
    """Give a wheel's RECORD: a line with hash and size for each of `files`, and its own."""
    lines = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(content)}\n")
    return "".join(lines) + f"{record},,\n"


def write_zip(
    path: Path,
    files: Iterable[tuple[str, bytes]],
    *,
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """Write a zip of `files`, in their order (a name may come twice), and give its path."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = compression
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return path


def write_tar_gz(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Write a gzipped tar of `members` as they are and give its path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content) if member.isreg() else None)
    path.write_bytes(gzip.compress(buffer.getvalue(), mtime=0))
    return path


def tar_file(name: str, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    """Give a regular file for `write_tar_gz`."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime = len(content), _MTIME
    return member, content


def tar_link(
    name: str, target: str, *, kind: bytes = tarfile.SYMTYPE
) -> tuple[tarfile.TarInfo, bytes]:
    """Give a link, symbolic unless `kind` says otherwise, for `write_tar_gz`."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mtime = kind, target, _MTIME
    return member, b""


def wheel_files(
    name: str = "sample",
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    metadata: Mapping[str, Header] | str | None = None,
    extra_files: Mapping[str, bytes] | None = None,
    omit: Collection[str] = (),
) -> dict[str, bytes]:
    """Give a wheel's members by path; `omit` and `extra_files` as in `make_wheel`."""
    package = normalized(name)
    info = f"{package}-{version.replace('-', '_')}.dist-info"
    python, abi, platform = tag.split("-")[-3:]
    tags = "".join(
        f"Tag: {one}-{two}-{three}\n"
        for one in python.split(".")
        for two in abi.split(".")
        for three in platform.split(".")
    )
    files = {
        f"{package}/__init__.py": f'"""{name}."""\n'.encode(),
        f"{info}/METADATA": _metadata(name, version, metadata).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: makers\nRoot-Is-Purelib: true\n{tags}"
        "".encode(),
    }
    files |= extra_files or {}
    files.setdefault(f"{info}/RECORD", record_text(files, f"{info}/RECORD").encode())
    return {path: data for path, data in files.items() if not _omitted(path, omit)}


def _omitted(path: str, omit: Collection[str]) -> bool:
    return path in omit or path.rpartition("/")[2] in omit


def make_wheel(
    folder: Path,
    name: str = "sample",
    version: str = "1.0",
    *,
    tag: str = "py3-none-any",
    metadata: Mapping[str, Header] | str | None = None,
    extra_files: Mapping[str, bytes] | None = None,
    omit: Collection[str] = (),
    filename: str | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """Write a wheel into `folder` and give its path.

    `tag` may start with a build tag (`1-py3-none-any`). `metadata` is a mapping that changes
    single headers, or the whole text of METADATA. `extra_files` adds or replaces members by
    full path, `omit` leaves members out by full path or by last part (`"RECORD"`).
    `filename` renames the file without touching what is inside.
    """
    files = wheel_files(
        name, version, tag=tag, metadata=metadata, extra_files=extra_files, omit=omit
    )
    stem = f"{normalized(name)}-{version.replace('-', '_')}-{tag}"
    folder.mkdir(parents=True, exist_ok=True)
    return write_zip(folder / (filename or f"{stem}.whl"), files.items(), compression=compression)


class _Pipe(io.RawIOBase):
    """Takes bytes, but cannot go back to fill in sizes."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.data += bytes(data)
        return len(data)


def make_piped_wheel(folder: Path) -> Path:
    """Write a wheel as a program does that writes into a pipe, and give its path."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        for name, content in wheel_files().items():
            archive.writestr(name, content)
    path = folder / "sample-1.0-py3-none-any.whl"
    path.write_bytes(pipe.data)
    return path


def make_commented_wheel(folder: Path) -> Path:
    """Write a wheel whose members have comments and give its path."""
    path = folder / "sample-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in wheel_files().items():
            entry = zipfile.ZipInfo(name)
            entry.comment = b"made by hand"
            archive.writestr(entry, content)
    return path


def sdist_files(
    name: str = "sample",
    version: str = "1.0",
    *,
    metadata: Mapping[str, Header] | str | None = None,
    extra_files: Mapping[str, bytes] | None = None,
    omit: Collection[str] = (),
) -> dict[str, bytes]:
    """Give an sdist's members by path; `omit` and `extra_files` as in `make_sdist`."""
    top = f"{normalized(name)}-{version}"
    files = {
        f"{top}/PKG-INFO": _metadata(name, version, metadata).encode(),
        f"{top}/pyproject.toml": b'[build-system]\nrequires = ["flit_core"]\n'
        b'build-backend = "flit_core.buildapi"\n',
        f"{top}/{normalized(name)}/__init__.py": f'"""{name}."""\n'.encode(),
    }
    files |= extra_files or {}
    return {path: data for path, data in files.items() if not _omitted(path, omit)}


def make_sdist(
    folder: Path,
    name: str = "sample",
    version: str = "1.0",
    *,
    metadata: Mapping[str, Header] | str | None = None,
    extra_files: Mapping[str, bytes] | None = None,
    omit: Collection[str] = (),
    filename: str | None = None,
    members: Iterable[tuple[tarfile.TarInfo, bytes]] = (),
) -> Path:
    """Write an sdist into `folder` and give its path.

    As `make_wheel`; `members` are appended as they are (see `tar_link`). A `filename` that
    ends in `.zip` makes a zip.
    """
    files = sdist_files(name, version, metadata=metadata, extra_files=extra_files, omit=omit)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (filename or f"{normalized(name)}-{version}.tar.gz")
    if path.suffix == ".zip":
        return write_zip(path, files.items())
    return write_tar_gz(path, [*(tar_file(*file) for file in files.items()), *members])


def make_moved_sdist(folder: Path, prefix: str) -> Path:
    """Write an sdist with `prefix` before every path in it and give its path."""
    files = sdist_files().items()
    members = (tar_file(prefix + path, content) for path, content in files)
    return write_tar_gz(folder / "sample-1.0.tar.gz", members)


def make_release(folder: Path, name: str = "sample", version: str = "1.0") -> list[Path]:
    """Write an sdist and a wheel of one release into `folder` and give their paths."""
    return [make_sdist(folder, name, version), make_wheel(folder, name, version)]
