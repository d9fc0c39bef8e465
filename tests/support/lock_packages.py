"""Distributions that locks name: the same bytes with every Python, so that locks can be committed.

Nothing in them is compressed, because compressors differ.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from support.makers import make_wheel, sdist_files, tar_file

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES: dict[str, dict[str, list[str]]] = {
    "aperture": {"1.0": [], "1.1": ["brightness>=1.0"], "2.0": ["brightness>=1.1", "dark-room"]},
    "brightness": {"1.0": [], "1.2": []},
    "contrast": {"0.9": [], "1.0": ["aperture<2"]},
    "dark-room": {"2.3": ['emulsion; extra == "develop"']},
    "emulsion": {"3.1": []},
    "fixer": {"1.0": ['grain; sys_platform == "win32"'], "1.0.post1": []},
    "grain": {"1.5": []},
    "halo": {"0.1a1": [], "0.1": ["contrast"]},
}
"""By project and version: what a release requires."""

_TAGS = {"contrast": ("cp311-cp311-manylinux_2_17_x86_64", "cp312-cp312-win_amd64")}
_WHEELS_ONLY = {"grain"}
_LARGEST_BLOCK = 65_535


def build_packages(folder: Path) -> list[Path]:
    """Build all of them, and return their paths."""
    return [
        path
        for name, releases in PACKAGES.items()
        for version, requires in releases.items()
        for path in _release(folder, name, version, requires)
    ]


def _release(folder: Path, name: str, version: str, requires: list[str]) -> list[Path]:
    extras = ["develop"] if any("extra ==" in each for each in requires) else []
    headers = {"Requires-Dist": requires, "Provides-Extra": extras, "Metadata-Version": "2.4"}
    wheels = [
        make_wheel(folder, name, version, tag=tag, metadata=headers, compression=zipfile.ZIP_STORED)
        for tag in ("py3-none-any", *_TAGS.get(name, ()))
    ]
    if name in _WHEELS_ONLY:
        return wheels
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in sdist_files(name, version, metadata=headers).items():
            member, data = tar_file(path, content)
            archive.addfile(member, io.BytesIO(data))
    sdist = folder / f"{name.replace('-', '_')}-{version}.tar.gz"
    sdist.write_bytes(_gzip(buffer.getvalue()))
    return [*wheels, sdist]


def _gzip(content: bytes) -> bytes:
    blocks = [content[at : at + _LARGEST_BLOCK] for at in range(0, len(content), _LARGEST_BLOCK)]
    stored = b"".join(
        struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block
        for block in blocks
    )
    tail = struct.pack("<II", zlib.crc32(content), len(content))
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + stored + tail
