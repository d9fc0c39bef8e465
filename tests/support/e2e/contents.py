"""What an image consists of: its files, and its layers as a registry would keep them."""

from __future__ import annotations

import gzip
import json
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from support.e2e.machine import Machine

_LEVEL = 6
"""How much registries and engines compress: gzip's default."""


@dataclass(frozen=True)
class Contents:
    """The files of all layers by path, without a leading slash, and the layers' gzipped sizes."""

    files: dict[str, tarfile.TarInfo]
    layers: list[int]

    @property
    def programs(self) -> set[str]:
        """Names of all files in folders that are usually on PATH, and of other executables."""
        return {
            Path(path).name
            for path, file in self.files.items()
            if not file.isdir()
            and (Path(path).parent.name in {"bin", "sbin"} or (file.isfile() and file.mode & 0o111))
        }


def contents(machine: Machine, image: str) -> Contents:
    """Read an image without starting it."""
    files = {}
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "image.tar")
        machine.docker("save", "--output", str(archive), image)
        with tarfile.open(archive) as saved:
            (manifest,) = json.load(_member(saved, "manifest.json"))
            for name in manifest["Layers"]:
                layer = Path(folder, "layer.tar")
                layer.write_bytes(_member(saved, name).read())
                with tarfile.open(layer) as members:
                    files |= {member.name.strip("/"): member for member in members}
                sizes.append(_gzipped(layer))
    return Contents(files, sizes)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    content = archive.extractfile(name)
    assert content is not None, f"{name} is not a file"
    return content


def _gzipped(path: Path) -> int:
    if path.read_bytes()[:2] == b"\x1f\x8b":
        return path.stat().st_size
    return len(gzip.compress(path.read_bytes(), _LEVEL))
