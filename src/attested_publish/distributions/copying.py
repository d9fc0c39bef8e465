"""Make a private copy of each distribution, and hash it: what is checked is what is uploaded."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from attested_publish.distributions.finding import find, roots
from attested_publish.distributions.names import Kind, kind_of, release_of
from attested_publish.distributions.opening import Changed, opened
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, Topic

if sys.platform == "linux":
    import fcntl

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator, Sequence

    from packaging.version import Version

# Stays in the processor's cache between reading, hashing and writing.
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Distribution:
    """One sdist or wheel: a private copy with its digests (hexadecimal).

    A file that is refused because of its size alone is not copied: `path` is the user's own
    file then, and the digests are empty. Only `sha256` is always needed, the others are worked
    out when they are asked for.
    """

    path: Path
    source: Path
    size: int
    sha256: str

    @cached_property
    def md5(self) -> str:
        """The MD5 of the copy."""
        return self._digest(lambda: hashlib.md5(usedforsecurity=False))

    @cached_property
    def blake2b_256(self) -> str:
        """The BLAKE2b of the copy, with 256 bits."""
        return self._digest(lambda: hashlib.blake2b(digest_size=32))

    def _digest(self, new: Callable[[], hashlib._Hash | hashlib.blake2b]) -> str:
        if not self.sha256:
            return ""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, new).hexdigest()

    @property
    def filename(self) -> str:
        """The name it is uploaded under."""
        return self.path.name

    @cached_property
    def kind(self) -> Kind | None:
        """Sdist or wheel, by the extension."""
        return kind_of(self.filename)

    @cached_property
    def release(self) -> tuple[str | None, Version | None]:
        """Project and version in the filename, as `release_of` reads them."""
        return release_of(self.filename)

    @property
    def project(self) -> str | None:
        """The normalized project name in the filename (PEP 503), if it can be read."""
        return self.release[0]

    @property
    def version(self) -> Version | None:
        """The version in the filename (PEP 440), if it can be read."""
        return self.release[1]


@dataclass(frozen=True)
class Copies:
    """What was found: distributions sorted by filename, and the files that are ignored."""

    distributions: tuple[Distribution, ...]
    ignored: tuple[Path, ...]


@contextlib.contextmanager
def copy_privately(
    packages: Sequence[str | Path],
    is_too_large: Callable[[int], bool] = lambda _size: False,
    copied: Callable[[Distribution], None] = lambda _distribution: None,
    found: Callable[[], None] = lambda: None,
) -> Iterator[Copies]:
    """Copy the distributions in `packages` to a private folder that is removed afterwards.

    `packages` are files, folders and patterns (see `patterns`); folders are searched one level deep
    (download-artifact creates subfolders). What is checked is what is uploaded: the copies share no
    bytes with the originals, and the originals are only read. A file that `is_too_large` (by its
    size in bytes) is neither read nor copied. `found` is called before anything is copied, `copied`
    with each distribution once it is copied.

    Raises `FilesProblem`, which names every faulty file at once.
    """
    candidates, ignored = find(packages)
    places = roots(packages)
    found()
    with ended_when_stopped() as until_done:
        # A copy that is still running when the run is stopped may add one more file.
        folder = until_done.enter_context(
            tempfile.TemporaryDirectory(prefix="attested-publish-", ignore_cleanup_errors=True)
        )
        distributions = []
        for source in sorted(candidates, key=_by_name):
            distributions.append(_private_copy(source, places, Path(folder), is_too_large))
            copied(distributions[-1])
        yield Copies(tuple(distributions), tuple(sorted(ignored)))


def _private_copy(
    source: Path,
    places: Sequence[Path],
    folder: Path,
    is_too_large: Callable[[int], bool],
) -> Distribution:
    """Copy one file to `folder` and hash the copy; one that `is_too_large` is not copied."""
    try:
        with opened(source, places) as original:
            size = os.fstat(original.fileno()).st_size
            if is_too_large(size):
                # Not worth copying: every index will refuse it.
                return Distribution(source, source, size, sha256="")
            target = folder / source.name
            with target.open("x+b") as copy:
                sha256 = _copied(original, copy, size)
    except (OSError, Changed) as error:
        raise _not_copied(source, folder, error) from error
    return Distribution(path=target, source=source, size=size, sha256=sha256)


def _copied(original: io.BufferedReader, copy: io.BufferedRandom, size: int) -> str:
    """Copy `size` bytes, and return their sha256.

    Raises `Changed` if the file has more or fewer bytes by then.
    """
    sha256 = hashlib.sha256()
    is_cloned = _clone(original, copy)
    read_from = copy if is_cloned else original
    buffer = memoryview(bytearray(min(_CHUNK, size)))
    left = size
    while left and (count := read_from.readinto(buffer[: min(_CHUNK, left)])):
        chunk = buffer[:count]
        if not is_cloned:
            copy.write(chunk)
        sha256.update(chunk)
        left -= count
    if left or read_from.read(1):
        raise Changed("its size changed while it was copied")
    return sha256.hexdigest()


def _not_copied(source: Path, folder: Path, error: OSError | Changed) -> FilesProblem:
    if isinstance(error, Changed):
        return FilesProblem(
            f"{shown(source.name)} changed while it was read",
            topic=Topic.FOLDER_UNREADABLE,
            detail=f"{shown(source)}: {error}.",
            remedy="Make sure that nothing writes to the folder while its files are published.",
            file=source.name,
        )
    return FilesProblem(
        f"{shown(source.name)} could not be copied",
        topic=Topic.FOLDER_UNREADABLE,
        detail=f"{shown(source)}: {error.strerror or type(error).__name__}.",
        remedy="Let the job's user read the file, and make space in the temporary folder "
        f"({shown(folder.parent)}) for a copy of the distributions.",
        file=source.name,
    )


def _clone(original: BinaryIO, copy: BinaryIO) -> bool:
    """Share the bytes copy-on-write if the file system can (ioctl_ficlone(2))."""
    if sys.platform != "linux":
        return False
    ficlone = 0x40049409
    try:
        fcntl.ioctl(copy.fileno(), ficlone, original.fileno())
    except OSError:
        return False
    return True


def _by_name(path: Path) -> str:
    return path.name
