"""What the name of a distribution says: what it is, its project, and its version."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from packaging.utils import (
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

if TYPE_CHECKING:
    from packaging.version import Version


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
        return parse_wheel_filename(with_single_tags(filename))
    except ValueError:
        return parse_wheel_filename(with_single_tags(f"{filename.rpartition('-')[0]}.whl"))


def with_single_tags(filename: str) -> str:
    """Return a wheel's name with only the first tag of each part.

    Parsing a name combines all of its tags. For a name of 1200 characters, which a project's
    page or a lock may have, that takes 13 s and 500 MB.
    """
    head, *parts = filename.removesuffix(".whl").rsplit("-", 3)
    return "-".join([head, *(part.partition(".")[0] for part in parts)]) + ".whl"
