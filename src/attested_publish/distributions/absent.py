"""What is told where there is nothing to publish."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from attested_publish.distributions.mistyped import mistake_in
from attested_publish.distributions.patterns import is_pattern, start_of
from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, Topic

_SHOWN_NAMES = 10
_MOST_LISTED = 10_000


class NothingThere(FilesProblem):
    """There is nothing at one of the given paths."""


def nothing_at(given: str) -> NothingThere:
    """Return the problem that there is nothing at a path, with the reason if it is mistyped."""
    path = Path(given)
    what = _contents_of(path.parent)
    if not path.is_absolute() and not _has_working_directory():
        what = "the current working directory no longer exists"
    elif (mistake := mistake_in(given)) is not None:
        return NothingThere(
            f"{shown(given)} does not exist",
            topic=Topic.FOLDER_MISSING,
            detail=f"There is nothing at {shown(given)}: {mistake.why}.",
            remedy=mistake.remedy,
        )
    return NothingThere(
        f"{shown(given)} does not exist",
        topic=Topic.FOLDER_MISSING,
        detail=f"There is nothing at {shown(given)}; {what}.",
        remedy="Build first, or set packages-dir to the folder the distributions are in "
        "(in a workflow, download the artifact of the build job before this step).",
    )


def nothing_matches(pattern: str) -> NothingThere:
    """Return the problem that a pattern matches nothing, with the reason if it is mistyped."""
    mistake = mistake_in(pattern)
    if mistake is not None:
        what, remedy = f": {mistake.why}", mistake.remedy
    else:
        what = f"; {_contents_of(start_of(pattern))}"
        remedy = (
            "Build first, or correct the pattern: * matches within one name, ** any folders, and "
            "a / at the end folders only."
        )
    return NothingThere(
        f"Nothing matches {shown(pattern)}",
        topic=Topic.FOLDER_MISSING,
        detail=f"No file or folder matches {shown(pattern)}{what}.",
        remedy=remedy,
    )


def _contents_of(folder: Path) -> str:
    """Return what is in a folder as a clause, or why that cannot be said."""
    name = "the working directory" if folder == Path() else shown(folder)
    if not folder.is_dir():
        return f"{name} does not exist"
    there = _names_in(folder)
    if there is None:
        return f"{name} cannot be read"
    return f"{name} contains {there}" if there else f"{name} is empty"


def together(missing: Sequence[NothingThere]) -> FilesProblem:
    """Return several problems as one, so that nobody has to run again to see the next one."""
    return FilesProblem(
        f"Nothing is at {len(missing)} of the given paths",
        topic=Topic.FOLDER_MISSING,
        detail="\n".join(problem.detail for problem in missing),
        remedy="\n".join(dict.fromkeys(problem.remedy for problem in missing)),
    )


def _has_working_directory() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - whether there is one
    except FileNotFoundError:
        return False
    return True


def nothing_found(packages: Sequence[str]) -> FilesProblem:
    """Return the problem that none of the given paths and patterns has a distribution."""
    if not any(is_pattern(given) or Path(given).is_dir() for given in packages):
        return _no_distributions(list(map(Path, packages)))
    lines = []
    for given in packages:
        if is_pattern(given):
            lines.append(f"{shown(given)} matches none")
        elif Path(given).is_dir():
            lines.append(_contents_of(Path(given)))
        else:
            lines.append(f"{shown(Path(given).name)} is neither")
    return FilesProblem(
        "There is nothing to publish",
        topic=Topic.NOTHING_TO_PUBLISH,
        detail="No wheel (.whl) or sdist (.tar.gz) was found: " + "; ".join(lines) + ".",
        remedy="Build first, or set packages-dir to the folder the distributions are in; "
        "the folder and its immediate subfolders are searched.",
    )


def _no_distributions(files: Sequence[Path]) -> FilesProblem:
    """Return the problem that none of the given files is a distribution."""
    names = ", ".join(shown(path.name) for path in files[:_SHOWN_NAMES])
    more = f" and {len(files) - _SHOWN_NAMES} more" if len(files) > _SHOWN_NAMES else ""
    return FilesProblem(
        f"{names} is neither a wheel nor an sdist"
        if len(files) == 1
        else f"None of {len(files)} files is a wheel or an sdist",
        topic=Topic.NOTHING_TO_PUBLISH,
        detail=f"An index accepts only wheels (.whl) and sdists (.tar.gz), not {names}{more}.",
        remedy="Name the distributions, or the folder they are in.",
    )


def _names_in(folder: Path) -> str | None:
    """Return the first names in a folder; `None` if it cannot be read."""
    try:
        entries = list(itertools.islice(folder.iterdir(), _MOST_LISTED + 1))
        names = sorted(
            (
                shown(entry.name, 80) + ("/" if entry.is_dir() else "")
                for entry in entries[:_MOST_LISTED]
            ),
            # Hidden ones are seldom what was meant.
            key=lambda name: (name.startswith("."), name),
        )
    except OSError:
        return None
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    if len(entries) > _MOST_LISTED:
        more = f" and more than {_MOST_LISTED - _SHOWN_NAMES:,} more"
    return ", ".join(names[:_SHOWN_NAMES]) + more
