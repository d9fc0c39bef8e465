"""Find the distributions in the given files and folders, and what cannot be one."""

from __future__ import annotations

import itertools
import os
import stat
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from attested_publish.distributions.names import kind_of
from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, Topic, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path, PurePath

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

_SHOWN_NAMES = 10
_MOST_ENTRIES = 10_000


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


def is_sidecar(path: PurePath) -> bool:
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


def _named(path: Path) -> str:
    return shown(path.name)
