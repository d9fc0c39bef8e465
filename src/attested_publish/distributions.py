"""Find distributions, make a private copy of each, and hash it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
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
"""What other tools write next to distributions; compared case-insensitively."""

FOREIGN_ARCHIVES = (
    *("*.tar", "*.tgz", "*.tar.bz2", "*.tbz", "*.tar.xz", "*.txz", "*.tar.zst", "*.tar.z"),
    *("*.7z", "*.rar", "*.egg", "*.exe", "*.msi", "*.dmg", "*.rpm", "*.deb", "*.conda", "*.pyz"),
)
"""Packages and archives that no index accepts as distributions: most likely a mistake."""

_CHUNK = 1 << 20
_SHOWN_NAMES = 10
_MOST_ENTRIES = 10_000


class Kind(StrEnum):
    """The kind of a distribution, as the upload form's `filetype` names it."""

    SDIST = "sdist"
    WHEEL = "bdist_wheel"


_EXTENSIONS = {".whl": Kind.WHEEL, ".tar.gz": Kind.SDIST, ".zip": Kind.SDIST}


def kind_of(filename: str) -> Kind | None:
    """Return the kind that a file has by its extension; `None` if it is not a distribution."""
    for extension, kind in _EXTENSIONS.items():
        if filename.endswith(extension):
            return kind
    return None


@dataclass(frozen=True)
class Distribution:
    """One sdist or wheel: a private copy with its digests (hexadecimal).

    A file that is refused because of its size alone is not copied: `path` is the user's own
    file then, and the digests are empty.
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
    """Read the normalized project name and the version in a filename; `None` if it is invalid."""
    try:
        if kind_of(filename) is Kind.WHEEL:
            name, version, _, _ = _parsed_wheel(filename)
            return canonicalize_name(name), version
        sdist_name, version = parse_sdist_filename(filename)
    except ValueError:
        return None, None
    return canonicalize_name(sdist_name), version


def _parsed_wheel(filename: str) -> tuple[str, Version, object, object]:
    """Parse a wheel's name, also with a variant as its last part (PEP 825). Raises `ValueError`."""
    try:
        return parse_wheel_filename(_with_single_tags(filename))
    except ValueError:
        return parse_wheel_filename(_with_single_tags(f"{filename.rpartition('-')[0]}.whl"))


def _with_single_tags(filename: str) -> str:
    """Return a wheel's name with only the first tag of each part.

    Parsing a name combines all of its tags. For a name of 1200 characters, which a project page
    may list, that takes 13 s and 500 MB.
    """
    head, *parts = filename.removesuffix(".whl").rsplit("-", 3)
    return "-".join([head, *(part.partition(".")[0] for part in parts)]) + ".whl"


@dataclass(frozen=True)
class Staged:
    """What was found: distributions sorted by filename, and the files that are ignored."""

    distributions: tuple[Distribution, ...]
    ignored: tuple[Path, ...]


@contextlib.contextmanager
def stage(
    packages: Sequence[Path],
    is_too_large: Callable[[int], bool] = lambda _size: False,
    copied: Callable[[Distribution], None] = lambda _distribution: None,
) -> Iterator[Staged]:
    """Copy the distributions in `packages` to a private folder that is removed afterwards.

    `packages` are files and folders; folders are searched one level deep (download-artifact
    creates subfolders). What is checked is what is uploaded: the copies share no bytes with the
    originals, and the originals are only read. A file that `is_too_large` (by its size in bytes)
    is neither read nor copied. `copied` is called with each distribution once it is copied.

    Raises `FilesProblem`, which names every faulty file at once.
    """
    candidates, ignored = find(packages)
    with ended_when_stopped() as until_done:
        # A copy that is still running when the run is stopped may add one more file.
        folder = until_done.enter_context(
            tempfile.TemporaryDirectory(prefix="attested-publish-", ignore_cleanup_errors=True)
        )
        distributions = []
        for source in sorted(candidates, key=_by_name):
            distributions.append(_private_copy(source, packages, Path(folder), is_too_large))
            copied(distributions[-1])
        yield Staged(tuple(distributions), tuple(sorted(ignored)))


def find(packages: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the distributions in the given files and folders, and the files that are ignored.

    A file that is given twice, by different paths, counts once: through a folder and a link to
    it, or a folder and a file in it. Raises `FilesProblem` if a path is missing or nothing is
    found, and for symbolic links that point outside their folder, folders and special files
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
    """Whether a file is a known companion of a distribution, such as its signature."""
    return any(fnmatch(path.name.lower(), pattern) for pattern in SIDECARS)


def _listed(given: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each path to examine, with the folder that it must not point out of."""
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
    """Return a folder's entries, by name. Raises `FilesProblem` if there are far too many."""
    entries = list(itertools.islice(folder.iterdir(), _MOST_ENTRIES + 1))
    if len(entries) > _MOST_ENTRIES:
        raise _too_many(folder)
    return sorted(entries)


def _too_many(folder: Path) -> FilesProblem:
    return FilesProblem(
        f"{shown(folder)} contains too many files",
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
    """Return what identifies a path, however it is spelled: its folder, and its name in it."""
    try:
        folder = path.parent.stat()
    except OSError as error:
        raise _unreadable(path.parent, error) from error
    return folder.st_dev, folder.st_ino, path.name


def _is_folder_elsewhere(path: Path, root: Path) -> bool:
    try:
        return path.is_dir() and not _leads_into(path, root)
    except OSError:
        # It has been removed in the meantime.
        return False


def _leads_into(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root.resolve())


def _fault_of(path: Path, root: Path) -> str | None:
    """Return what is wrong with a path that is a distribution, or is mistaken for one."""
    name = path.name.lower()
    if kind_of(path.name) is not None:
        return _unfit(path, root)
    if kind_of(name) is not None:
        return (
            f"{_named(path)} has its extension in capitals: an index accepts .whl and .tar.gz in "
            "lower case only"
        )
    if path.parent == root and _is_folder_elsewhere(path, root):
        return f"{_named(path)} is a symbolic link to a folder outside {shown(root)}"
    if any(fnmatch(name, pattern) for pattern in FOREIGN_ARCHIVES):
        return (
            f"{_named(path)} is not a distribution: an index accepts wheels (.whl) and sdists "
            "(.tar.gz) only"
        )
    return None


def _unfit(path: Path, root: Path) -> str | None:
    """Return why a file that is named like a distribution cannot be one."""
    try:
        path.name.encode()
    except UnicodeEncodeError:
        return f"{_named(path)} has a name that is not UTF-8"
    try:
        if not _leads_into(path, root):
            return f"{_named(path)} is a symbolic link to a file outside {shown(root)}"
        mode = path.stat().st_mode
    except OSError as error:
        return f"{_named(path)} cannot be read: {error.strerror or type(error).__name__}"
    except RuntimeError:
        return f"{_named(path)} is a symbolic link that points to itself"
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
    what = f"{shown(parent)} contains {there}" if there else f"{shown(parent)} is empty or missing"
    if not given.is_absolute() and not _has_working_directory():
        what = "the current working directory no longer exists"
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
            lines.append(f"{_named(given)} is neither")
            continue
        there = _names_in(given)
        lines.append(f"{shown(given)} contains {there}" if there else f"{shown(given)} is empty")
    return FilesProblem(
        "There is nothing to publish",
        topic=Topic.NOTHING_TO_PUBLISH,
        detail="No wheel (.whl) or sdist (.tar.gz) was found: " + "; ".join(lines) + ".",
        remedy="Build first, or set packages-dir to the folder the distributions are in; "
        "the folder and its immediate subfolders are searched.",
    )


def _no_distributions(files: Sequence[Path]) -> FilesProblem:
    """Return the problem that none of the given files is a distribution."""
    names = ", ".join(_named(path) for path in files[:_SHOWN_NAMES])
    more = f" and {len(files) - _SHOWN_NAMES} more" if len(files) > _SHOWN_NAMES else ""
    return FilesProblem(
        f"{names} is neither a wheel nor an sdist"
        if len(files) == 1
        else f"None of {len(files)} files is a wheel or an sdist",
        topic=Topic.NOTHING_TO_PUBLISH,
        detail=f"An index accepts only wheels (.whl) and sdists (.tar.gz), by their names: {names}"
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
    """Copy one file to `folder` and hash the copy; one that `is_too_large` is not copied."""
    try:
        with opened(source, packages) as original:
            size = os.fstat(original.fileno()).st_size
            if is_too_large(size):
                # Not worth copying: every index will refuse it.
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
    """Copy `size` bytes, and return their sha256, md5 and blake2b-256, all in one pass.

    Raises `Changed` if the file has more or fewer bytes by then.
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
    """A file is not, or no longer, what it has to be; the text says in which respect."""


def _not_copied(source: Path, folder: Path, error: OSError | Changed) -> FilesProblem:
    if isinstance(error, Changed):
        return FilesProblem(
            f"{_named(source)} changed while it was read",
            topic=Topic.FOLDER_UNREADABLE,
            detail=f"{shown(source)}: {error}.",
            remedy="Make sure that nothing writes to the folder while its files are published.",
            file=source.name,
        )
    return FilesProblem(
        f"{_named(source)} could not be copied",
        topic=Topic.FOLDER_UNREADABLE,
        detail=f"{shown(source)}: {error.strerror or type(error).__name__}.",
        remedy="Let the job's user read the file, and make space in the temporary folder "
        f"({shown(folder.parent)}) for a copy of the distributions.",
        file=source.name,
    )


@contextlib.contextmanager
def opened(source: Path, packages: Sequence[Path]) -> Iterator[BinaryIO]:
    """Open a regular file in one of `packages` (files and folders) for reading.

    The path may be replaced at any time: by a pipe, which would block until somebody writes to
    it, a device, or a link to another place. So the link is resolved first, no other link is
    followed, opening does not block, and the opened file is examined.

    Raises `OSError`, and `Changed` if it is not a regular file in one of them.
    """
    try:
        real = source.resolve()
    except RuntimeError as error:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
    roots = [(given if given.is_dir() else given.parent).resolve() for given in packages]
    root = next((root for root in roots if real.is_relative_to(root) and real != root), None)
    if root is None:
        raise Changed("it points outside its folder")
    with open(_opened_below(root, real.relative_to(root)), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Changed("it is not a regular file")
        yield file


def _opened_below(root: Path, path: Path) -> int:
    """Open `path`, relative to `root`, without following links (if the system supports that)."""
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
    """Share the bytes copy-on-write if the file system can (ioctl_ficlone(2))."""
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
