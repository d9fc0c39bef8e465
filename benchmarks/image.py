"""The image: how much a runner has to pull, and how long it takes to start.

Needs a Docker engine, and a base image that it has or can pull. As for the action,
`ATTESTED_PUBLISH_DOCKER_BUILD_ARGS` adds arguments to `docker build`.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import secrets
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import IO

from measure import CannotMeasure

GOALS = {"megabytes": 40.0, "help_seconds": 0.25}

GITLAB_TARGET = "shell"

_ROOT = Path(__file__).resolve().parents[1]
_BUILD_ARGUMENTS = "ATTESTED_PUBLISH_DOCKER_BUILD_ARGS"
_BUILD_SECONDS = 1800
_SECONDS = 300
STARTS = 9
_CHUNK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


def measure(runs: int) -> dict[str, float]:
    """Build the image and its target for GitLab, and measure them.

    Sizes are in megabytes (10^6 bytes) of all layers, gzipped as by `docker push`. A pull cannot be
    measured without a registry: `load_and_first_run_seconds` is how long it takes to load the image
    from a gzipped archive on this disk, after it was removed, and to run it once. Raises
    `CannotMeasure`.
    """
    _prove_engine()
    with tempfile.TemporaryDirectory(prefix="bench-image-") as folder:
        archive = Path(folder, "image.tar")
        with _built() as name:
            megabytes = _saved(name, archive)
            help_seconds = [_run(name) for _ in range(STARTS)]
            compressed = archive.with_suffix(".tar.gz")
            with archive.open("rb") as plain, gzip.open(compressed, "wb", 6) as packed:
                shutil.copyfileobj(plain, packed, _CHUNK)
            first_runs = [_load_and_run(name, compressed) for _ in range(runs)]
        with _built("--target", GITLAB_TARGET) as name:
            gitlab_megabytes = _saved(name, archive)
    return {
        "megabytes": round(megabytes, 1),
        "gitlab_megabytes": round(gitlab_megabytes, 1),
        "help_seconds": round(median(help_seconds), 3),
        "load_and_first_run_seconds": round(median(first_runs), 2),
    }


def _prove_engine() -> None:
    if shutil.which("docker") is None:
        raise CannotMeasure("there is no docker command on PATH")
    try:
        _docker("info", seconds=20)
    except subprocess.SubprocessError:
        raise CannotMeasure("no Docker engine answers") from None


@contextlib.contextmanager
def _built(*arguments: str) -> Iterator[str]:
    """Build the image, with a name that nobody else uses, which is removed in the end."""
    name = f"attested-publish-bench:{secrets.token_hex(4)}"
    extra = shlex.split(os.environ.get(_BUILD_ARGUMENTS, ""))
    try:
        _docker(*("build", *extra, *arguments, "--tag", name, str(_ROOT)), seconds=_BUILD_SECONDS)
    except subprocess.CalledProcessError as error:
        # Such as: the base image cannot be pulled.
        raise CannotMeasure(f"the image cannot be built: {_last_line(error.stderr)}") from error
    try:
        yield name
    finally:
        _docker("rmi", "--force", name)


def _saved(name: str, archive: Path) -> float:
    """Save an image, and return the megabytes of its layers, each gzipped."""
    _docker("save", "--output", str(archive), name)
    with tarfile.open(archive) as saved:
        manifest = json.load(_member(saved, "manifest.json"))
        return sum(_gzipped(saved, layer) for layer in manifest[0]["Layers"]) / 1e6


def _gzipped(saved: tarfile.TarFile, layer: str) -> int:
    stream = _member(saved, layer)
    is_gzipped = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    stream.seek(0)
    if is_gzipped:
        return sum(map(len, iter(lambda: stream.read(_CHUNK), b"")))
    compressor = zlib.compressobj(6, wbits=_GZIP)
    size = sum(len(compressor.compress(chunk)) for chunk in iter(lambda: stream.read(_CHUNK), b""))
    return size + len(compressor.flush())


def _member(saved: tarfile.TarFile, name: str) -> IO[bytes]:
    stream = saved.extractfile(name)
    assert stream is not None, f"{name} is no file"
    return stream


def _run(name: str) -> float:
    """Return the seconds of `--help` in a new container."""
    begin = time.perf_counter()
    _docker("run", "--rm", "--network", "none", name, "--help")
    return time.perf_counter() - begin


def _load_and_run(name: str, archive: Path) -> float:
    _docker("rmi", "--force", name)
    begin = time.perf_counter()
    _docker("load", "--quiet", "--input", str(archive))
    loaded = time.perf_counter() - begin
    return loaded + _run(name)


def _docker(*arguments: str, seconds: float = _SECONDS) -> str:
    """Run a docker command and return what it prints. Raises `subprocess.SubprocessError`."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=seconds, check=True
    )
    return done.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it does not say why"])[-1]
