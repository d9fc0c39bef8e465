"""What PyPI refuses in a filename, by itself and compared with the metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from attested_publish.rules import platforms
from attested_publish.rules.versions import parsed_version
from attested_publish.rules.wording import doubtful, refused, sentence, shown

if TYPE_CHECKING:
    from packaging.metadata import RawMetadata
    from packaging.tags import Tag

    from attested_publish.findings import Finding

NAME_LIMIT = 255 - len(".metadata")
"""Bytes in a wheel's name: the server writes `<name>.metadata` beside the file."""

_VARIANT = re.compile(r"[0-9a-z._]{1,16}")
_EXTENSIONS = {"sdist": (".tar.gz", ".zip"), "bdist_wheel": (".whl",)}


def filename_findings(filename: str, filetype: str) -> Iterator[Finding]:
    """Yield what PyPI refuses in a file name before it looks at the file."""
    if re.search(r"[\x00-\x1f\x7f]", filename):
        yield refused(
            "filename-control-character",
            f"The file name {shown(filename)} has a control character.",
            "Rename the project or rebuild; build backends write plain names.",
        )
    if "/" in filename or "\\" in filename:
        yield refused(
            "filename-separator",
            f"The file name {shown(filename)} has a '/' or a '\\'.",
            "Send only the filename, without a path.",
        )
    if not filename.endswith(_EXTENSIONS.get(filetype, ())):
        yield refused(
            "filename-extension",
            f"{shown(filename)} does not have the extension for {filetype}: "
            f"{' or '.join(_EXTENSIONS.get(filetype, ('.tar.gz', '.whl')))}, in lower case.",
            "Publish the .tar.gz and .whl files that a build backend wrote, and nothing else.",
        )


def sdist_name_findings(filename: str, raw: RawMetadata | None) -> Iterator[Finding]:
    """Require an sdist's name as in PEP 625: exactly `name-version.tar.gz`, both normalized.

    Without metadata (`raw`), name and version are taken from the filename itself.
    """
    remedy = (
        "Rebuild with a current build backend (PEP 625): setuptools from 69.3, or flit, "
        "hatchling, poetry-core; .zip is refused."
    )
    if raw is not None:
        name, version = raw.get("name", ""), parsed_version(raw.get("version", ""))
    else:
        try:
            name, version = parse_sdist_filename(filename)
        except ValueError as invalid:  # not only packaging's own error, as for versions
            yield refused(
                "sdist-filename",
                f"{shown(filename)} is not the name of an sdist: {sentence(invalid)}.",
                remedy,
            )
            return
    if version is None:
        return
    expected = f"{_in_file_names(name)}-{version}.tar.gz"
    if filename != expected:
        yield refused(
            "sdist-filename",
            f"The sdist is named {shown(filename)}, PyPI accepts only {shown(expected, 300)}.",
            remedy,
        )


def _in_file_names(name: str) -> str:
    return canonicalize_name(name).replace("-", "_")


def wheel_name_findings(filename: str, raw: RawMetadata | None) -> Iterator[Finding]:
    """Check a wheel's name against its grammar, PyPI's platforms, and the metadata if known."""
    try:
        name, version, _, tags = parse_wheel_filename(filename)
    except ValueError as invalid:  # not only packaging's own error, as for versions
        yield from _unparsed_wheel_name(filename, invalid)
        return
    yield from _platforms(tags)
    if raw is None:
        return
    stated = raw.get("name", "")
    expected = _in_file_names(stated)
    part = filename.partition("-")[0]
    if canonicalize_name(stated) != name:
        yield refused(
            "wheel-name-mismatch",
            f"The file name starts with {shown(part)}, the metadata sent along says "
            f"{shown(stated)}.",
            f"Rebuild the wheel; its name has to start with {shown(expected)}.",
        )
    elif part != expected:
        yield refused(
            "wheel-name-not-normalized",
            f"The file name starts with {shown(part)}, PyPI accepts only {shown(expected)}.",
            "Rebuild with a current build backend: the name in lower case, with single '_'.",
        )
    declared = parsed_version(raw.get("version", ""))
    if declared is not None and declared != version:
        yield refused(
            "wheel-version-mismatch",
            f"The file name says version {shown(version)}, the metadata sent along "
            f"{shown(declared)}.",
            "Remove stale files from the folder and rebuild the wheel.",
        )


def _unparsed_wheel_name(filename: str, invalid: ValueError) -> Iterator[Finding]:
    message = f"{shown(filename)} is not the name of a wheel: {sentence(invalid)}."
    remedy = "Rebuild the wheel: name-version[-build]-python-abi-platform.whl."
    if (variant := _variant(filename)) is not None:
        # PEP 825 is a draft; PyPI's server answers "Invalid wheel filename" (August 2026).
        yield doubtful(
            "wheel-filename-newer",
            f"{shown(filename)} is named as a wheel variant (PEP 825, a draft), with the label "
            f"{shown(variant)} after the platform; PyPI is not known to accept variants yet.",
            "Publish a wheel without a variant label, or let the index decide: it may accept "
            "variants by now.",
        )
    elif "tag component" in str(invalid):
        # packaging 26.3 is stricter about tags; the server has 26.2.
        yield doubtful("wheel-filename-tags", message, remedy)
    else:
        yield refused("wheel-filename", message, remedy)


def _variant(filename: str) -> str | None:
    """Return the last part of a wheel's name if it is one too many: the label of PEP 825."""
    head, _, variant = filename.removesuffix(".whl").rpartition("-")
    if not _VARIANT.fullmatch(variant):
        return None
    try:
        parse_wheel_filename(f"{head}.whl")
    except ValueError:
        return None
    return variant


def _platforms(tags: frozenset[Tag]) -> Iterator[Finding]:
    for platform in sorted({tag.platform for tag in tags}):
        match platforms.standing(platform):
            case platforms.Standing.REFUSED:
                yield refused(
                    "wheel-platform",
                    f"PyPI does not accept the platform tag {shown(platform)}.",
                    platforms.remedy(platform),
                )
            case platforms.Standing.NEWER:
                yield doubtful(
                    "wheel-platform-newer",
                    f"The platform tag {shown(platform)} is not one that PyPI is known to accept; "
                    f"it may be newer than this list.",
                    platforms.remedy(platform),
                )
            case platforms.Standing.TAKEN:
                pass


def wheel_name_length(filename: str) -> Iterator[Finding]:
    """Check that a wheel's name is not longer than the server can store."""
    length = len(filename.encode("utf-8", "surrogateescape"))
    if length > NAME_LIMIT:
        yield refused(
            "wheel-name-length",
            f"The file name has {length} bytes, the limit is {NAME_LIMIT}: {shown(filename)}.",
            "Shorten the name or the version, or split the compressed tags into several wheels.",
        )
