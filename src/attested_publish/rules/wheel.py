"""Wheels: read within limits, and what PyPI refuses in them."""

from __future__ import annotations

import configparser
import contextlib
import csv
import functools
import hashlib
import re
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attested_publish.rules import zips
from attested_publish.rules.bounds import SCANNED_SIZE, STRAY_LINES, ArchiveBounds, too_much
from attested_publish.rules.encoding import nothing_to_send
from attested_publish.rules.scanned import content_findings, is_scanned
from attested_publish.rules.wording import doubtful, first, refused, sentence, shown, unwise

if TYPE_CHECKING:
    from attested_publish.findings import Finding

_CANDIDATES: Final = 50
_INDENT: Final = 80
_REMEMBERED: Final = 20_000
_ROWS_A_MEMBER: Final = 2
_REBUILD: Final = "Rebuild the wheel with a build backend."
_DUPLICATES_BY: Final = {
    "hatchling": "With Hatch, an entry under [tool.hatch.build.targets.wheel.force-include] adds "
    "files that `packages` (or `only-include`) has added already: remove that entry.",
    "poetry": "With Poetry, `include` matches files that are in `packages` already, or a build "
    "script adds them: remove that pattern.",
    "meson": "With meson-python, a meson.build installs the file twice, for instance in two "
    "`py.install_sources`: remove one.",
    "maturin": "With maturin, `include` matches files that are in `python-source` already: remove "
    "that pattern.",
}
"""The setting that makes duplicates, by the beginning of WHEEL's Generator."""
_DUPLICATES: Final = (
    "Find what adds the file for a second time, and rebuild: with Hatch, an entry of "
    "`force-include` for what `packages` adds already; with Poetry, an `include` for what is in "
    "`packages`; with meson-python, a file that is installed twice. A wheel that was added to with "
    "`zip` or `cat` has to be rebuilt."
)
_GENERATOR: Final = re.compile(rb"^Generator:[ \t]*([a-z]+)", re.MULTILINE | re.IGNORECASE)
_REPACK: Final = "Rebuild the wheel, or repack it with `wheel pack`, which writes RECORD."


@dataclass(frozen=True)
class Wheel:
    """An open wheel, or the finding that says why it cannot be read.

    `info` is the folder that PyPI reads: `name-version.dist-info`, with name and version as
    spelled in the filename. None if the filename has no such parts. `infos` are all such folders
    in the wheel, sorted.
    """

    path: Path
    info: str | None
    archive: zipfile.ZipFile | None
    bounds: ArchiveBounds
    obstacle: Finding | None = None
    infos: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the member names in the order of the directory."""
        return self.archive.namelist() if self.archive else []

    @property
    def is_misnamed(self) -> bool:
        """Whether it has dist-info folders, but not the one that the filename requires."""
        return bool(self.infos) and self.info not in self.infos

    @functools.cached_property
    def one_folder_down(self) -> str | None:
        """The folder that has the dist-info folder in it, if there is none at the top."""
        if self.infos:
            return None
        below = (name.split("/", 2) for name in self.names() if name.count("/") > 1)
        return next((top for top, info, _ in below if info.endswith(".dist-info")), None)

    def read(self, name: str) -> bytes | None:
        """Read a member of dist-info by its name there; None if there is none.

        Raises zips.NotRead.
        """
        if self.archive is None or self.info is None:
            return None
        bounds = {"RECORD": self.bounds.record, "entry_points.txt": self.bounds.entry_points}
        most = bounds.get(name, self.bounds.metadata)
        return zips.read(self.archive, f"{self.info}/{name}", most)


@contextlib.contextmanager
def open_wheel(path: Path, filename: str, size: int, bounds: ArchiveBounds) -> Iterator[Wheel]:
    """Open the wheel at `path`, of `size` bytes, that will be uploaded as `filename`.

    A bomb is not opened.
    """
    parts = filename.split("-", 2)
    info = f"{parts[0]}-{parts[1]}.dist-info" if len(parts) > 2 else None  # noqa: PLR2004
    archive = zips.opened(path, bounds)
    if not isinstance(archive, zipfile.ZipFile):
        yield Wheel(path, info, None, bounds, archive)
        return
    with archive:
        if bomb := next(zips.bomb_findings(archive, size), None):
            yield Wheel(path, info, None, bounds, bomb)
            return
        infos = {folder for name in archive.namelist() if (folder := _dist_info(name))}
        yield Wheel(path, info, archive, bounds, infos=tuple(sorted(infos)))


def shape_findings(wheel: Wheel) -> Iterator[Finding]:
    """Yield what PyPI refuses in the archive itself, in the server's order."""
    if wheel.archive is None:
        if wheel.obstacle is not None:
            yield wheel.obstacle
        return
    yield from _also_a_tar(wheel)
    yield from zips.compression_findings(wheel.archive)
    yield from _wheel_file(wheel)
    yield from zips.framing_findings(wheel.path, wheel.archive.infolist())
    yield from _scanned(wheel)


def duplicate_findings(wheel: Wheel) -> Iterator[Finding]:
    """Report members that exist twice, with the build setting that makes them.

    PyPI may find something else first that follows from them: see `zips.duplicate_findings`.
    """
    if wheel.archive is not None:
        yield from zips.duplicate_findings(wheel.archive, _duplicates_remedy(wheel))


def _duplicates_remedy(wheel: Wheel) -> str:
    try:
        generator = _GENERATOR.search(wheel.read("WHEEL") or b"")
    except zips.NotRead:
        return _DUPLICATES
    name = generator[1].decode().lower() if generator else ""
    return _DUPLICATES_BY.get(name, _DUPLICATES)


def _also_a_tar(wheel: Wheel) -> Iterator[Finding]:
    """Refuse a file that is both: a zip is recognized by its end, a tar by its start."""
    with wheel.path.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
    if start[257:262] == b"ustar" or start.startswith(b"\x1f\x8b"):
        yield refused(
            "archive-ambiguous",
            "The file is a zip archive and starts like a tar archive.",
            _REBUILD,
        )


def _wheel_file(wheel: Wheel) -> Iterator[Finding]:
    """Look for WHEEL, which PyPI reads, but whose content it does not check."""
    if wheel.info is None:
        return
    if wheel.one_folder_down is not None:
        yield refused(
            "dist-info-misplaced",
            f"Everything in the wheel is one folder too deep: its dist-info folder is in "
            f"{shown(wheel.one_folder_down)}, and PyPI looks for it at the top.",
            "Pack what is in that folder, not the folder itself; `wheel pack` does, and so does a "
            "build backend.",
        )
        return
    if wheel.is_misnamed:
        yield refused(
            "dist-info-misnamed",
            f"PyPI looks for {shown(wheel.info)}, as the file name says; the wheel has "
            f"{first(wheel.infos)}.",
            "Do not rename wheels: rebuild it, or use `wheel tags` to change its tags.",
        )
        return
    try:
        content = wheel.read("WHEEL")
    except zips.NotRead as why:
        yield zips.unreadable_member(f"{wheel.info}/WHEEL", why)
    else:
        if content is None:
            yield refused("wheel-file-missing", _has_no(wheel, "WHEEL"), _REBUILD)
    if extra := [folder for folder in wheel.infos if folder != wheel.info]:
        yield unwise(
            "dist-info-extra",
            f"In addition to {shown(wheel.info)}, the wheel has {first(extra)}.",
            "Rebuild from a clean tree; installers refuse wheels with two projects in them.",
        )


def _has_no(wheel: Wheel, name: str) -> str:
    return f"The wheel has no {shown(f'{wheel.info}/{name}')}."


def _dist_info(name: str) -> str | None:
    folder = name.partition("/")[0]
    return folder if folder.endswith(".dist-info") and folder != name else None


def _scanned(wheel: Wheel) -> Iterator[Finding]:
    assert wheel.archive is not None
    left = wheel.bounds.unpacked
    with wheel.path.open("rb", buffering=0) as file:
        members = zips.Members(file, wheel.archive)
        for entry in wheel.archive.infolist():
            if not is_scanned(entry.filename, entry.file_size) or entry.is_dir():
                continue
            left -= entry.file_size
            if left < 0:
                yield too_much(f"its Python files have more than {wheel.bounds.unpacked:,} bytes")
                return
            try:
                yield from _member_findings(wheel.archive, members, entry)
            except zips.NotRead as why:
                yield zips.unreadable_member(entry.filename, why)
                return


_clean: set[bytes] = set()
"""Digests of members in which nothing was found: the wheels of a release have most in common."""


def _member_findings(
    archive: zipfile.ZipFile, members: zips.Members, entry: zipfile.ZipInfo
) -> list[Finding]:
    """Scan a member, unless the same one was scanned before. Raises zips.NotRead."""
    record = members.record(entry, SCANNED_SIZE)
    content = None
    if record is not None:
        stated = (entry.orig_filename, entry.flag_bits, entry.compress_type, entry.CRC)
        sizes = (entry.compress_size, entry.file_size)
        known = hashlib.blake2b(repr((*stated, *sizes)).encode(errors="surrogatepass"))
        known.update(record)
        if known.digest() in _clean:
            return []
        content = members.content(entry, record)
    if content is None:
        return [*content_findings(entry.filename, zips.read_entry(archive, entry, SCANNED_SIZE))]
    findings = [*content_findings(entry.filename, content)]
    if not findings and len(_clean) < _REMEMBERED:
        _clean.add(known.digest())
    return findings


def metadata_of(wheel: Wheel) -> tuple[bytes | None, list[Finding]]:
    """Return the metadata that twine sends for the wheel, and what is wrong with that choice.

    twine 7.0.0 uses the least deeply nested, alphabetically first member with METADATA in its name
    and `Metadata-Version` in its content.
    """
    candidates = sorted(
        (name.split("/") for name in wheel.names() if "METADATA" in name),
        key=lambda parts: (len(parts), parts),
    )
    for parts in candidates[:_CANDIDATES]:
        name = "/".join(parts)
        try:
            assert wheel.archive is not None
            content = zips.read(wheel.archive, name, wheel.bounds.metadata)
        except zips.NotRead as why:
            return None, [zips.unreadable_member(name, why)]
        if content is not None and b"Metadata-Version" in content:
            return content, list(_other_metadata(wheel, name))
    return None, list(_nothing_to_send(wheel))


def _other_metadata(wheel: Wheel, name: str) -> Iterator[Finding]:
    is_known = wheel.one_folder_down is not None
    if wheel.info is not None and name != f"{wheel.info}/METADATA" and not is_known:
        yield doubtful(
            "metadata-from-elsewhere",
            f"twine sends the metadata in {shown(name)}, not in {shown(wheel.info)}.",
            "Rebuild the wheel from a clean tree, without that file.",
        )


def _nothing_to_send(wheel: Wheel) -> Iterator[Finding]:
    # A missing METADATA, and one that cannot be read, are reported separately.
    with contextlib.suppress(zips.NotRead):
        content = wheel.read("METADATA")
        if content is not None:
            yield nothing_to_send("METADATA", content)


def dist_info_findings(wheel: Wheel, license_files: Sequence[str]) -> Iterator[Finding]:
    """Yield what PyPI refuses in a wheel's dist-info, in the server's order.

    A misnamed or misplaced one is not checked: that has already been reported.
    """
    is_elsewhere = wheel.is_misnamed or wheel.one_folder_down is not None
    if wheel.archive is None or wheel.info is None or is_elsewhere:
        return
    yield from _license_files(wheel, license_files)
    rules = {"RECORD": _record, "entry_points.txt": _entry_points, "METADATA": _metadata}
    for name, rule in rules.items():
        try:
            content = wheel.read(name)
        except zips.NotRead as why:
            yield zips.unreadable_member(f"{wheel.info}/{name}", why)
        else:
            yield from rule(wheel, content)


def _license_files(wheel: Wheel, license_files: Sequence[str]) -> Iterator[Finding]:
    names = set(wheel.names())
    for file in license_files:
        if f"{wheel.info}/licenses/{file}" not in names:
            yield refused(
                "license-file-missing",
                f"The metadata names the licence file {shown(file)}, which is not in "
                f"{shown(f'{wheel.info}/licenses/')}.",
                "Rebuild with a current build backend (PEP 639); setuptools from 77 puts "
                "licence files there.",
            )


def _record(wheel: Wheel, content: bytes | None) -> Iterator[Finding]:
    """Compare RECORD with the members by name, as PyPI does, which mails differences to owners."""
    if content is None:
        yield refused("record-missing", _has_no(wheel, "RECORD"), _REPACK)
        return
    listed = set()
    try:
        for number, row in enumerate(csv.reader(content.decode().splitlines()), 1):
            if not row:
                yield refused(
                    "record-blank-line",
                    f"RECORD has a blank line ({number}); PyPI fails with a server error then.",
                    _REPACK,
                )
                return
            if number > _ROWS_A_MEMBER * wheel.bounds.members:
                yield too_much(f"RECORD has more than {number - 1:,} rows")
                return
            listed.add(row[0].replace("\\", "/"))
    except (UnicodeDecodeError, csv.Error) as bad:
        yield refused(
            "record-unreadable",
            f"RECORD cannot be read, so PyPI treats it as missing: {sentence(bad)}.",
            _REPACK,
        )
        return
    exempt = {f"{wheel.info}/RECORD.jws", f"{wheel.info}/RECORD.p7s"}
    held = {name for name in wheel.names() if not name.endswith(("/", "\\"))} - exempt
    if listed != held:
        differing = sorted(listed ^ held)
        yield unwise(
            "record-mismatch",
            f"RECORD and the wheel differ in {first(differing)}; PyPI notifies the owners by mail.",
            _REPACK,
        )


_BLANKS: Final = re.compile(r"[^\S\n]{2,}")
_STRAY_LINE: Final = re.compile(r"^[^=\n\[#;]++$", re.MULTILINE)


def _shortened(blanks: re.Match[str]) -> str:
    """Keep the indentation of a line, up to a limit: it marks a continued value."""
    is_indent = blanks.start() == 0 or blanks.string[blanks.start() - 1] == "\n"
    return " " * min(len(blanks[0]), _INDENT) if is_indent else " "


class _CaseSensitive(configparser.ConfigParser):
    optionxform = staticmethod(str)  # type: ignore[assignment]


def _metadata(wheel: Wheel, content: bytes | None) -> Iterator[Finding]:
    """Check METADATA, which PyPI serves next to the wheel without checking it."""
    if content is None:
        yield refused("metadata-missing", _has_no(wheel, "METADATA"), _REBUILD)


def _entry_points(_wheel: Wheel, content: bytes | None) -> Iterator[Finding]:
    """Check the names of scripts, which become filenames at installation."""
    if content is None:
        return
    remedy = "Correct [project.scripts] or [project.gui-scripts] and rebuild."
    parser = _CaseSensitive(delimiters=("=",))
    try:
        # configparser takes quadratic time for a run of blanks, which do not matter, ...
        text = _BLANKS.sub(_shortened, content.decode())
        # ... and for lines that it cannot parse.
        if len(_STRAY_LINE.findall(text)) > STRAY_LINES:
            yield too_much(f"entry_points.txt has over {STRAY_LINES:,} lines without '='")
            return
        parser.read_string(text)
    except (UnicodeDecodeError, configparser.Error) as bad:
        yield refused(
            "entry-points-invalid", f"entry_points.txt cannot be read: {sentence(bad)}.", remedy
        )
        return
    for group in ("console_scripts", "gui_scripts"):
        for name in parser[group] if parser.has_section(group) else ():
            if not name or not all(one.isalnum() or one in "_.-" for one in name):
                yield refused(
                    "entry-points-invalid",
                    f"entry_points.txt has {shown(name)} under {group}, not a script name.",
                    remedy,
                )
