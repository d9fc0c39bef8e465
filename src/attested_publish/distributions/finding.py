"""Find the distributions in the given files and folders, and what cannot be one."""

from __future__ import annotations

import itertools
import os
import stat
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attested_publish.distributions.absent import (
    NothingThere,
    nothing_at,
    nothing_found,
    nothing_matches,
    together,
)
from attested_publish.distributions.names import kind_of
from attested_publish.distributions.patterns import (
    MOST_EXAMINED,
    TooManyExamined,
    is_pattern,
    matches,
    start_of,
)
from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, Topic, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import PurePath

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

_MOST_ENTRIES = 10_000


class _Entry(NamedTuple):
    """A path to examine, the folder it must not point out of, and whether a folder is searched."""

    path: Path
    root: Path
    is_searched: bool = True


def find(packages: Sequence[str | Path]) -> tuple[list[Path], list[Path]]:
    """Return the distributions in the given files, folders and patterns, and what is ignored.

    A file that is given twice, by different paths, counts once: through a folder and a link to
    it, or a folder and a file in it. Raises `FilesProblem` if there is nothing at a path, nothing
    matches a pattern or nothing is found, and for symbolic links that point outside their folder,
    folders and special files named like a distribution, names that are not UTF-8, packages of
    another kind, and equal filenames.
    """
    found: list[Path] = []
    ignored: list[Path] = []
    faults: list[str] = []
    given = [str(each) for each in packages]
    for entry in _distinct(given):
        path = entry.path
        fault = _fault_of(entry)
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
        raise nothing_found(given)
    return found, ignored


def roots(packages: Iterable[str | Path]) -> list[Path]:
    """Return the folders that all found distributions are in, each once."""
    # A shell may have made thousands of files of `dist/*`.
    places = places_of(packages)
    return list(dict.fromkeys(each if each.is_dir() else each.parent for each in places))


def places_of(packages: Iterable[str | Path]) -> Iterator[Path]:
    """Yield the given files and folders, and of a pattern the folder where its matches are."""
    for each in map(str, packages):
        yield start_of(each) if is_pattern(each) else Path(each)


def is_sidecar(path: PurePath) -> bool:
    """Whether a file is a known companion of a distribution, such as its signature."""
    return any(fnmatch(path.name.lower(), pattern) for pattern in SIDECARS)


def _distinct(packages: Sequence[str]) -> Iterator[_Entry]:
    """Yield what is in or at all of the given paths and patterns, each once.

    Raises `FilesProblem`; one for all paths with nothing at them.
    """
    seen: set[tuple[int, int, str]] = set()
    missing: list[NothingThere] = []
    for given in packages:
        try:
            for entry in _listed(given):
                place = _place_of(entry.path)
                if place not in seen:
                    seen.add(place)
                    if len(seen) > _MOST_ENTRIES:
                        raise _too_many(given)
                    yield entry
        except NothingThere as problem:
            missing.append(problem)
    if missing:
        raise missing[0] if len(missing) == 1 else together(missing)


def _listed(given: str) -> Iterator[_Entry]:
    """Yield each path to examine. Raises `NothingThere` if there is none."""
    path = Path(given)
    try:
        if is_pattern(given):
            yield from _matched(given)
        elif path.is_dir():
            for entry in _entries(path):
                yield from _searched(entry, path)
        else:
            path.lstat()
            yield _Entry(path, path.parent)
    except FileNotFoundError:
        raise nothing_at(given) from None
    except OSError as error:
        raise _unreadable(path, error) from error


def _matched(pattern: str) -> Iterator[_Entry]:
    """Yield what a pattern matches, and what is in folders that it matches."""
    root = start_of(pattern)
    try:
        matched = matches(pattern)
    except TooManyExamined as too_many:
        raise _too_many(str(too_many), MOST_EXAMINED) from None
    if not matched:
        raise nothing_matches(pattern)
    for match in matched:
        if not _is_to_be_searched(match, root):
            yield _Entry(match, root)
            continue
        for entry in _entries(match):
            yield from _searched(entry, root)


def _searched(path: Path, root: Path) -> Iterator[_Entry]:
    """Yield an entry of a folder, or what is in it if it is a folder itself."""
    if not _is_to_be_searched(path, root):
        yield _Entry(path, root)
    elif not path.name.startswith("."):
        for inner in _entries(path):
            yield _Entry(inner, root, is_searched=False)


def _is_to_be_searched(path: Path, root: Path) -> bool:
    return kind_of(path.name) is None and path.is_dir() and _leads_into(path, root)


def _entries(folder: Path) -> list[Path]:
    """Return a folder's entries, by name. Raises `FilesProblem` if there are far too many."""
    entries = list(itertools.islice(folder.iterdir(), _MOST_ENTRIES + 1))
    if len(entries) > _MOST_ENTRIES:
        raise _too_many(folder)
    return sorted(entries)


def _too_many(folder: str | Path, most: int = _MOST_ENTRIES) -> FilesProblem:
    return FilesProblem(
        f"{shown(folder)} contains too many files",
        topic=Topic.FILES_UNFIT,
        detail=f"There are more than {most:,} files and folders in {shown(folder)}.",
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


def _fault_of(entry: _Entry) -> str | None:
    """Return what is wrong with a path that is a distribution, or is mistaken for one."""
    path, root, is_searched = entry
    name = path.name.lower()
    if kind_of(path.name) is not None:
        return _unfit(path, root)
    if kind_of(name) is not None:
        return (
            f"{_named(path)} has its extension in capitals: an index accepts .whl and .tar.gz in "
            "lower case only"
        )
    if is_searched and _is_folder_elsewhere(path, root):
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


def _named(path: Path) -> str:
    return shown(path.name)
