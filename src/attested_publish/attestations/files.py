"""Attestations as files: for twine, which reads them, and for the user to keep."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attested_publish.attestations.sidecars import (
    ATTESTATION_SUFFIXES,
    attestation_file,
    is_attestation_file,
)
from attested_publish.attestations.verify import predicate_type_of
from attested_publish.net.stopping import ended_when_stopped
from attested_publish.net.untrusted import shown
from attested_publish.problems import FilesProblem, Topic

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from attested_publish.attestations.sidecars import Ready

_UPLOADED = ".attestation"
"""The end of the names that uploaders send along (after the distribution's name)."""


@contextlib.contextmanager
def written(attestations: Mapping[str, Sequence[Attestation]]) -> Iterator[dict[str, list[Path]]]:
    """Write attestations, by distribution filename, to a folder that is removed afterwards."""
    with ended_when_stopped() as until_done:
        # The release is done by then, and must not fail because a file could not be removed.
        folder = until_done.enter_context(
            tempfile.TemporaryDirectory(prefix="attested-publish-", ignore_cleanup_errors=True)
        )
        files: dict[str, list[Path]] = {}
        for filename, of_file in attestations.items():
            for attestation in of_file:
                path = Path(folder, _name(filename, attestation))
                path.write_text(attestation.model_dump_json(), encoding="utf-8")
                files.setdefault(filename, []).append(path)
        yield files


def prove_writable(folders: Mapping[str, Path]) -> None:
    """Create the folder of each distribution (by filename), and prove that it is writable.

    Raises `FilesProblem`.
    """
    for folder in set(folders.values()):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder, prefix=".attested-publish-"):
                pass
        except OSError as error:
            raise _unwritable(folder, error) from error
    for filename, folder in folders.items():
        for suffix in ATTESTATION_SUFFIXES:
            path = folder / f"{filename}{suffix}"
            if path.is_dir():
                raise _unwritable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))


def staying(
    ready: Iterable[Ready], filename: str, folder: Path, wanted: Iterable[Attestation]
) -> list[Ready]:
    """Return the files in `folder` that can be kept: under their own name, or an unused one.

    A file cannot be kept under the name of another of the `wanted` attestations.
    """
    names = {_name(filename, each) for each in wanted}
    return [
        each
        for each in ready
        if is_attestation_file(each.path)
        and each.path.parent.resolve() == folder.resolve()
        and (each.path.name == _name(filename, each.attestation) or each.path.name not in names)
    ]


def keep(attestations: Iterable[Attestation], filename: str, folder: Path) -> set[str]:
    """Write the attestations of a distribution to `folder`, replacing files with their names.

    Returns these names. Raises `FilesProblem`.
    """
    kept = set()
    for attestation in attestations:
        path = folder / _name(filename, attestation)
        try:
            # What is there may be a link, or not be a file.
            path.unlink(missing_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(attestation.model_dump_json())
        except OSError as error:
            raise _unwritable(path, error) from error
        kept.add(path.name)
    return kept


def others(filename: str, folder: Path, known: Collection[str]) -> list[Path]:
    """Return the other files in `folder` that an uploader would send as a file's attestations.

    `known` are the names of those that it should send.
    """
    named = (path for path in folder.iterdir() if path.name.startswith(f"{filename}."))
    return sorted(
        path for path in named if path.name.endswith(_UPLOADED) and path.name not in known
    )


def _name(filename: str, attestation: Attestation) -> str:
    return attestation_file(filename, predicate_type_of(attestation))


def _unwritable(path: Path, error: OSError) -> FilesProblem:
    return FilesProblem(
        "The attestation files could not be written",
        topic=Topic.ATTESTATIONS_DIR_UNWRITABLE,
        detail=f"{shown(path)}: {error.strerror or type(error).__name__}.",
        remedy="Set attestations-dir to a folder that the job can write to.",
    )
