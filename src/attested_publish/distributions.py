"""Find distributions, take a private copy of each, and know them by their digests."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import itertools
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from packaging.utils import (
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from attested_publish.net.stopping import ended_when_stopped
from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, Topic, counted

if TYPE_CHECKING:
    from packaging.version import Version

SIDECARS = (
    "*.publish.attestation",
    "*.slsa.attestation",
    "*.sigstore",
    "*.sigstore.json",
    "*.intoto.jsonl",
    "*.asc",
    "*.sha256",
    "*.sha512",
    "*.md5",
    "sha256sums*",
    "sha512sums*",
    "md5sums*",
    "checksums*",
)
"""What other tools leave beside distributions; compared without regard to case."""

FOREIGN_ARCHIVES = (
    *("*.tar", "*.tgz", "*.tar.bz2", "*.tbz", "*.tar.xz", "*.txz", "*.tar.zst", "*.tar.z"),
    *("*.7z", "*.rar", "*.egg", "*.exe", "*.msi", "*.dmg", "*.rpm", "*.deb", "*.conda", "*.pyz"),
)
"""Packages and archives that no index takes as a distribution: most likely a mistake."""

_CHUNK = 1 << 20
_SHOWN_NAMES = 10
_MOST_ENTRIES = 10_000


class Kind(StrEnum):
    """What a distribution is, in the words of the upload form's `filetype`."""

    SDIST = "sdist"
    WHEEL = "bdist_wheel"


_EXTENSIONS = {".whl": Kind.WHEEL, ".tar.gz": Kind.SDIST, ".zip": Kind.SDIST}


def kind_of(filename: str) -> Kind | None:
    """Say by its extension what a file would be uploaded as; `None`: as nothing."""
    for extension, kind in _EXTENSIONS.items():
        if filename.endswith(extension):
            return kind
    return None


@dataclass(frozen=True)
class Distribution:
    """One sdist or wheel: a private copy, known by its digests (hexadecimal).

    Of a file that is refused for its size alone there is no copy: `path` is the
    user's own file, and the digests are empty.
    """

    path: Path
    source: Path
    size: int
    sha256: str
    md5: str
    blake2b_256: str

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


def release_of(filename: str) -> tuple[str | None, Version | None]:
    """Read the normalized project name and the version in a filename; `None` where it is wrong."""
    try:
        if kind_of(filename) is Kind.WHEEL:
            name, version, _, _ = _parsed_wheel(filename)
            return canonicalize_name(name), version
        sdist_name, version = parse_sdist_filename(filename)
    except ValueError:
        return None, None
    return canonicalize_name(sdist_name), version


def _parsed_wheel(filename: str) -> tuple[str, Version, object, object]:
    """Read a wheel's name; also one with a variant as its last part (PEP 825). `ValueError`."""
    try:
        return parse_wheel_filename(_with_single_tags(filename))
    except ValueError:
        return parse_wheel_filename(_with_single_tags(f"{filename.rpartition('-')[0]}.whl"))


def _with_single_tags(filename: str) -> str:
    """Return a wheel's name with the first tag of each part only.

    All tags are combined where a name is parsed. One of 1200 characters, which a project page may
    list, takes 13 s and 500 MB then.
    """
    head, *parts = filename.removesuffix(".whl").rsplit("-", 3)
    return "-".join([head, *(part.partition(".")[0] for part in parts)]) + ".whl"


@dataclass(frozen=True)
class Staged:
    """What was found: distributions sorted by filename, and the files left aside."""

    distributions: tuple[Distribution, ...]
    ignored: tuple[Path, ...]


@contextlib.contextmanager
def stage(
    packages: Sequence[Path],
    is_too_large: Callable[[int], bool] = lambda _size: False,
    copied: Callable[[Distribution], None] = lambda _distribution: None,
) -> Iterator[Staged]:
    """Copy the distributions in `packages` to a private folder that is gone afterwards.

    `packages` are files and folders; folders are looked into, and one folder down
    (download-artifact makes one). What is checked is what is uploaded: the copies
    share no bytes with the originals, and the originals are only read. What
    `is_too_large` (by its size in bytes) is neither read nor copied. `copied` is called with each
    as soon as it is there.

    Raises `FilesProblem`, naming everything at fault at once.
    """
    candidates, ignored = find(packages)
    with ended_when_stopped() as until_done:
        # A run that is stopped while it copies is not waited for: it may put one more in there.
        folder = until_done.enter_context(
            tempfile.TemporaryDirectory(prefix="attested-publish-", ignore_cleanup_errors=True)
        )
        distributions = []
        for source in sorted(candidates, key=_by_name):
            distributions.append(_private_copy(source, packages, Path(folder), is_too_large))
            copied(distributions[-1])
        yield Staged(tuple(distributions), tuple(sorted(ignored)))


def find(packages: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the distributions in the given files and folders, and what is ignored there.

    What is given twice, by whatever path, is one: a folder and a link to it, a folder and a file
    in it. Raises `FilesProblem` when a path is missing, when nothing is found, and for
    symbolic links that lead out of their folder, folders and other special files
    named like a distribution, names that are not UTF-8, packages of another kind, and equal
    filenames.
    """
    found: list[Path] = []
    ignored: list[Path] = []
    faults: list[str] = []
    seen: set[tuple[int, int, str]] = set()
    for given in packages:
        for path, root in _listed(given):
            place = _place_of(path)
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > _MOST_ENTRIES:
                raise _too_many(given)
            fault = _fault_of(path, root)
            if fault is not None:
                faults.append(fault)
            elif kind_of(path.name) is not None:
                found.append(path)
            elif not path.name.startswith(".") and not path.is_dir():
                ignored.append(path)
    faults.extend(_equal_names(found))
    if faults:
        raise FilesProblem(
            f"{counted(len(faults), 'file')} cannot be published",
            topic=Topic.FILES_UNFIT,
            detail="\n".join(sorted(faults)),
            remedy="Leave only the wheels and sdists of this release in the folder.",
        )
    if not found:
        raise _nothing_found(packages)
    return found, ignored


def is_sidecar(path: Path) -> bool:
    """Say whether a file is known company of a distribution, such as its signature."""
    return any(fnmatch(path.name.lower(), pattern) for pattern in SIDECARS)


def _listed(given: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each path to look at, with the folder it may not lead out of."""
    try:
        if not given.is_dir():
            given.lstat()
            yield given, given.parent
            return
        for entry in _entries(given):
            is_wheel_named = kind_of(entry.name) is not None
            if is_wheel_named or not entry.is_dir() or not _leads_into(entry, given):
                yield entry, given
            elif not entry.name.startswith("."):
                for inner in _entries(entry):
                    yield inner, given
    except FileNotFoundError:
        raise _missing(given) from None
    except OSError as error:
        raise _unreadable(given, error) from error


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, by name. Raises `FilesProblem` where that is far too much."""
    entries = list(itertools.islice(folder.iterdir(), _MOST_ENTRIES + 1))
    if len(entries) > _MOST_ENTRIES:
        raise _too_many(folder)
    return sorted(entries)


def _too_many(folder: Path) -> FilesProblem:
    return FilesProblem(
        f"{shown(folder)} holds too much",
        topic=Topic.FILES_UNFIT,
        detail=f"There are more than {_MOST_ENTRIES:,} files and folders in {shown(folder)}.",
        remedy="Set packages-dir to a folder with the distributions of this release only.",
    )


def _unreadable(path: Path, error: OSError) -> FilesProblem:
    return FilesProblem(
        f"{shown(path)} cannot be read",
        topic=Topic.FOLDER_UNREADABLE,
        detail=f"{shown(path)}: {error.strerror or type(error).__name__}.",
        remedy="Let the job's user read the folder and the files in it.",
    )


def _place_of(path: Path) -> tuple[int, int, str]:
    """Return what a path is, however it is written: its folder, and its name in there."""
    try:
        folder = path.parent.stat()
    except OSError as error:
        raise _unreadable(path.parent, error) from error
    return folder.st_dev, folder.st_ino, path.name


def _is_folder_elsewhere(path: Path, root: Path) -> bool:
    try:
        return path.is_dir() and not _leads_into(path, root)
    except OSError:
        # It is gone by now.
        return False


def _leads_into(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _fault_of(path: Path, root: Path) -> str | None:
    """Say what is wrong with a path that is a distribution, or is taken for one by mistake."""
    name = path.name.lower()
    if kind_of(path.name) is not None:
        return _unfit(path, root)
    if kind_of(name) is not None:
        return (
            f"{_named(path)} has its extension in capitals: an index takes .whl and .tar.gz in "
            "lower case only"
        )
    if path.parent == root and _is_folder_elsewhere(path, root):
        return f"{_named(path)} is a symbolic link to a folder outside of {shown(root)}"
    if any(fnmatch(name, pattern) for pattern in FOREIGN_ARCHIVES):
        return (
            f"{_named(path)} is not a distribution: an index takes wheels (.whl) and sdists "
            "(.tar.gz) only"
        )
    return None


def _unfit(path: Path, root: Path) -> str | None:
    """Say why a file named like a distribution cannot be one."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        return f"{_named(path)} has a name that is not UTF-8"
    try:
        if not _leads_into(path, root):
            return f"{_named(path)} is a symbolic link that leads out of {shown(root)}"
        mode = path.stat().st_mode
    except OSError as error:
        return f"{_named(path)} cannot be read: {error.strerror or type(error).__name__}"
    except RuntimeError:
        return f"{_named(path)} is a symbolic link that leads to itself"
    if stat.S_ISDIR(mode):
        return f"{_named(path)} is a folder, not a file"
    if not stat.S_ISREG(mode):
        return f"{_named(path)} is not a regular file"
    if not os.access(path, os.R_OK):
        return f"{_named(path)} cannot be read: permission denied"
    return None


def _equal_names(found: Iterable[Path]) -> Iterator[str]:
    by_name: dict[str, list[Path]] = {}
    for path in found:
        by_name.setdefault(path.name, []).append(path)
    for name, paths in by_name.items():
        if len(paths) > 1:
            places = ", ".join(sorted({shown(path.parent) for path in paths}))
            yield f"{shown(name)} is given {len(paths)} times: in {places}"


def _missing(given: Path) -> FilesProblem:
    parent = given.parent
    there = _names_in(parent)
    what = f"{shown(parent)} holds {there}" if there else f"{shown(parent)} is empty or missing"
    if not given.is_absolute() and not _has_working_directory():
        what = "the folder that this was started in does not exist any more"
    return FilesProblem(
        f"{shown(given)} does not exist",
        topic=Topic.FOLDER_MISSING,
        detail=f"There is nothing at {shown(given)}; {what}.",
        remedy="Build first, or set packages-dir to the folder the distributions are in "
        "(in a workflow, download the artifact of the build job before this step).",
    )


def _has_working_directory() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - whether there is one
    except FileNotFoundError:
        return False
    return True


def _nothing_found(packages: Sequence[Path]) -> FilesProblem:
    if not any(given.is_dir() for given in packages):
        return _no_distributions(packages)
    lines = []
    for given in packages:
        if not given.is_dir():
            lines.append(f"{_named(given)} is none")
            continue
        there = _names_in(given)
        lines.append(f"{shown(given)} holds {there}" if there else f"{shown(given)} is empty")
    return FilesProblem(
        "There is nothing to publish",
        topic=Topic.NOTHING_TO_PUBLISH,
        detail="No wheel (.whl) or sdist (.tar.gz) was found: " + "; ".join(lines) + ".",
        remedy="Build first, or set packages-dir to the folder the distributions are in; "
        "it is searched itself and one folder down.",
    )


def _no_distributions(files: Sequence[Path]) -> FilesProblem:
    """Say that no file that was given is what an index takes."""
    names = ", ".join(_named(path) for path in files[:_SHOWN_NAMES])
    more = f" and {len(files) - _SHOWN_NAMES} more" if len(files) > _SHOWN_NAMES else ""
    return FilesProblem(
        f"{names} is no wheel and no sdist"
        if len(files) == 1
        else f"None of {len(files)} files is a wheel or an sdist",
        topic=Topic.NOTHING_TO_PUBLISH,
        detail=f"An index takes wheels (.whl) and sdists (.tar.gz), known by their names: {names}"
        f"{more}.",
        remedy="Name the distributions, or the folder they are in.",
    )


def _names_in(folder: Path) -> str:
    try:
        names = sorted(
            shown(entry.name, 80) + ("/" if entry.is_dir() else "") for entry in folder.iterdir()
        )
    except OSError:
        return ""
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def _private_copy(
    source: Path,
    packages: Sequence[Path],
    folder: Path,
    is_too_large: Callable[[int], bool],
) -> Distribution:
    """Copy one file to `folder` and hash the copy; one that `is_too_large` is left where it is."""
    try:
        with opened(source, packages) as original:
            size = os.fstat(original.fileno()).st_size
            if is_too_large(size):
                # Not worth a copy: nobody will take it.
                return Distribution(source, source, size, sha256="", md5="", blake2b_256="")
            target = folder / source.name
            with target.open("x+b") as copy:
                sha256, md5, blake2b = _copied(original, copy, size)
    except (OSError, Changed) as error:
        raise _not_copied(source, folder, error) from error
    return Distribution(
        path=target, source=source, size=size, sha256=sha256, md5=md5, blake2b_256=blake2b
    )


def _copied(original: BinaryIO, copy: BinaryIO, size: int) -> tuple[str, str, str]:
    """Copy `size` bytes, and return their sha256, md5 and blake2b-256; all in one pass.

    Raises `Changed` where there are more or less of them by now.
    """
    digests = (
        hashlib.sha256(),
        hashlib.md5(usedforsecurity=False),
        hashlib.blake2b(digest_size=32),
    )
    is_cloned = _clone(original, copy)
    read_from = copy if is_cloned else original
    left = size
    while left and (chunk := read_from.read(min(_CHUNK, left))):
        if not is_cloned:
            copy.write(chunk)
        for digest in digests:
            digest.update(chunk)
        left -= len(chunk)
    if left or read_from.read(1):
        raise Changed("its size changed while it was copied")
    sha256, md5, blake2b = (digest.hexdigest() for digest in digests)
    return sha256, md5, blake2b


class Changed(Exception):
    """A file is not, or no longer, what it has to be; the text says in what."""


def _not_copied(source: Path, folder: Path, error: OSError | Changed) -> FilesProblem:
    if isinstance(error, Changed):
        return FilesProblem(
            f"{_named(source)} changed while it was read",
            topic=Topic.FOLDER_UNREADABLE,
            detail=f"{shown(source)}: {error}.",
            remedy="Let nothing write to the folder while its files are being published.",
            file=source.name,
        )
    return FilesProblem(
        f"{_named(source)} cannot be copied",
        topic=Topic.FOLDER_UNREADABLE,
        detail=f"{shown(source)}: {error.strerror or type(error).__name__}.",
        remedy="Let the job's user read the file, and leave room in the temporary folder "
        f"({shown(folder.parent)}) for a copy of the distributions.",
        file=source.name,
    )


@contextlib.contextmanager
def opened(source: Path, packages: Sequence[Path]) -> Iterator[io.BufferedReader]:
    """Open a file in one of `packages` (files and folders) for reading, and nothing else.

    What is at its path may be exchanged at any time: for a pipe, which would not open before
    somebody writes to it, a device, or a link that leads elsewhere. So a link is resolved first
    and then no other is followed, nothing is waited for, and what was opened is looked at.

    Raises `OSError`, and `Changed` where it is no regular file in there.
    """
    try:
        real = source.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
    roots = [(given if given.is_dir() else given.parent).resolve() for given in packages]
    root = next((root for root in roots if real.is_relative_to(root) and real != root), None)
    if root is None:
        raise Changed("it leads out of its folder")
    with open(_opened_below(root, real.relative_to(root)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Changed("it is not a regular file")
        yield file


def _opened_below(root: Path, path: Path) -> int:
    """Open `path`, relative to `root`, without following a link (where the system can tell)."""
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
        return os.open(root / path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    *folders, name = path.parts
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for inner in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            outer, folder = folder, os.open(inner, flags, dir_fd=folder)
            os.close(outer)
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _clone(original: BinaryIO, copy: BinaryIO) -> bool:
    """Let the file system share the bytes copy-on-write, where it can (ioctl_ficlone(2))."""
    if sys.platform != "linux":
        return False
    import fcntl

    ficlone = 0x40049409
    try:
        fcntl.ioctl(copy.fileno(), ficlone, original.fileno())
    except OSError:
        return False
    return True


def _by_name(path: Path) -> str:
    return path.name


def _named(path: Path) -> str:
    return shown(path.name)
