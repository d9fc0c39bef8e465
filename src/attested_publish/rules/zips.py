"""Zip archives: read within limits, and checked against the strict form that PyPI requires.

Installers read a zip from the directory at its end, other programs from its start. PyPI accepts
only archives in which both find the same files, without rare features. Based on PyPI's
`warehouse/utils/zipfiles.py`; records as in PKWARE's APPNOTE.TXT.
"""

from __future__ import annotations

import itertools
import os
import re
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING, Final

from attested_publish.rules.bounds import ArchiveBounds, too_much
from attested_publish.rules.mistaken import recognized
from attested_publish.rules.wording import first, refused, shown

if TYPE_CHECKING:
    from pathlib import Path

    from attested_publish.findings import Finding

RATIO_FROM: Final = 64 << 20
"""Unpacked bytes above which PyPI checks the compression ratio."""
RATIO: Final = 50
TAKEN_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The compression methods that PyPI accepts."""

FOLLOWS_FROM_DUPLICATES: Final = frozenset({"zip-duplicate", "zip-sizes"})
"""What the walk over the records finds first where a member exists twice."""

_LOCAL, _CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
_END, _END64, _END64_LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_LOCAL_SIZE, _CENTRAL_SIZE = 30, 46
_UNSET16, _UNSET32 = 0xFFFF, 0xFFFFFFFF
_ZIP64, _UNICODE_PATH = 0x0001, 0x7075
_ZIP64_SIZES: Final = frozenset({0, 8, 16, 24, 28})
_DATA_DESCRIPTOR: Final = 0x08
_LONGEST_DATA_DESCRIPTOR: Final = 24
# Encrypted, patched, and strongly encrypted, none of which `zipfile` reads.
_NOT_PLAIN: Final = 0x61
_UTF8: Final = 0x800
_CONTROL_CHARACTER: Final = re.compile(rb"[\x00-\x1f\x7f]")

_REBUILD: Final = (
    "Write the archive with a build backend directly to a file, not through a pipe and not "
    "with another zip program."
)


class NotRead(Exception):
    """A member cannot be read; the text says why."""


class TooLarge(NotRead):
    """A member is larger than the limit."""


def opened(path: Path, bounds: ArchiveBounds) -> zipfile.ZipFile | Finding:
    """Open the zip at `path`, or return why that is impossible. The caller closes it."""
    try:
        if not zipfile.is_zipfile(path):
            return _not_a_zip(path, "it has no zip directory")
        if (count := _directory_records(path, bounds.members)) > bounds.members:
            return too_much(f"it lists {count:,} members or more")
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as bad:
        return _not_a_zip(path, str(bad) or type(bad).__name__)


def _not_a_zip(path: Path, why: str) -> Finding:
    other = recognized(path, expected=_LOCAL)
    if other is not None:
        return refused(
            "zip-unreadable", f"The file is not a zip archive: it is {other.what}.", other.remedy
        )
    return refused(
        "zip-unreadable",
        f"The file is not a readable zip archive: {shown(why)}.",
        "Build or download it again; it may be truncated, or not a wheel at all.",
    )


def _directory_records(path: Path, enough: int) -> int:
    """Count the entries of the directory, without creating objects, up to about `enough`.

    `zipfile` would create an object for each, and a bomb can list millions. The archive can state
    the place of its directory in several ways, so the whole file is searched, unless it is too
    small for that many.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < enough * _CENTRAL_SIZE:
            return 0
        count, overlap = 0, b""
        while count <= enough and (chunk := file.read(1 << 20)):
            count += (overlap + chunk).count(_CENTRAL)
            overlap = chunk[-3:]
    return count


def read(archive: zipfile.ZipFile, name: str, most: int) -> bytes | None:
    """Read the member `name`, of `most` bytes; None if there is none. Raises NotRead."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        return None
    return read_entry(archive, info, most)


def read_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """Read one member. NotRead: it is damaged or encrypted. TooLarge: over `most` bytes.

    Only methods that PyPI accepts are decompressed: bzip2 and lzma cannot be stopped at a limit.
    """
    if info.compress_type not in TAKEN_METHODS:
        raise NotRead(f"it is compressed with method {info.compress_type}")
    if info.file_size > most:
        raise TooLarge(f"it has {info.file_size:,} bytes")
    try:
        # Newer Pythons warn of two members in one place, which has a finding of its own.
        with warnings.catch_warnings(action="ignore"), archive.open(info) as member:
            # Without a size, zipfile decompresses everything, whatever the stated size is.
            return member.read(info.file_size + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,  # encrypted
        NotImplementedError,  # an unsupported compression method
        ValueError,
    ) as bad:
        raise NotRead(str(bad) or type(bad).__name__) from bad


class Members:
    """Reads many members of one archive at the cost of their bytes; `zipfile` needs more for each.

    `file` is the archive's file, open without a buffer. Only plain members are read here: for one
    with anything odd about it `zipfile` has to say what is wrong (`read_entry`).
    """

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile) -> None:
        self._file = file
        self._seen: set[int] = set()
        starts = sorted({entry.header_offset for entry in archive.infolist()})
        self._ends = dict(itertools.pairwise([*starts, archive.start_dir]))

    def record(self, entry: zipfile.ZipInfo, most: int) -> bytes | None:
        """Return the record of a member, from its header to the next one's; None if it is odd.

        That it has at most `most` bytes besides names and extra fields is part of being plain.
        """
        start = entry.header_offset
        size = self._ends[start] - start
        # Each byte of the archive is read once, whatever the directory makes of it.
        is_first = start not in self._seen
        self._seen.add(start)
        longest = _LOCAL_SIZE + 2 * _UNSET16 + entry.compress_size + _LONGEST_DATA_DESCRIPTOR
        is_usual = is_first and _LOCAL_SIZE <= size <= min(longest, most + 2 * _UNSET16)
        if (
            not is_usual
            or entry.file_size > most
            or entry.flag_bits & _NOT_PLAIN
            or entry.compress_type not in TAKEN_METHODS
        ):
            return None
        try:
            self._file.seek(start)
            record = self._file.read(size)
        except (OSError, OverflowError):
            # The directory of a damaged archive may name any place.
            return None
        return record if len(record) == size and record.startswith(_LOCAL) else None

    @staticmethod
    def content(entry: zipfile.ZipInfo, record: bytes) -> bytes | None:
        """Return what is packed in the record of a member; None if it is odd."""
        flags, name_size, extra_size = struct.unpack_from("<6xH18xHH", record)
        start = _LOCAL_SIZE + name_size + extra_size
        packed = record[start : start + entry.compress_size]
        if len(packed) != entry.compress_size:
            return None
        try:
            coding = "utf-8" if flags & _UTF8 else "cp437"
            name = record[_LOCAL_SIZE : _LOCAL_SIZE + name_size].decode(coding)
            content = packed
            if entry.compress_type == zipfile.ZIP_DEFLATED:
                inflater = zlib.decompressobj(-zlib.MAX_WBITS)
                content = inflater.decompress(packed, entry.file_size + 1)
        except (UnicodeDecodeError, zlib.error):
            return None
        is_right = len(content) == entry.file_size and zlib.crc32(content) == entry.CRC
        return content if is_right and name == entry.orig_filename else None


def unreadable_member(name: str, why: NotRead) -> Finding:
    """Make the finding about a member that PyPI reads, and that cannot be read."""
    if isinstance(why, TooLarge):
        return too_much(f"the member {shown(name)} exceeds the limit: {why}")
    return refused(
        "zip-member-unreadable",
        f"The member {shown(name)} cannot be read: {shown(str(why))}.",
        "Build the file again; it is damaged or encrypted.",
    )


def bomb_findings(archive: zipfile.ZipFile, size: int) -> Iterator[Finding]:
    """Check a zip of `size` bytes against PyPI's limit for the compression ratio."""
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > RATIO_FROM and unpacked > RATIO * size:
        yield refused(
            "zip-ratio",
            f"The archive unpacks to {unpacked:,} bytes, {unpacked // max(size, 1)} times its "
            f"size; PyPI allows {RATIO} times.",
            "Leave out files that are mostly empty, or create them at run time.",
        )


def compression_findings(archive: zipfile.ZipFile) -> Iterator[Finding]:
    """Check that every member has one of the two compression methods that PyPI accepts."""
    for entry in archive.infolist():
        if entry.compress_type not in TAKEN_METHODS:
            yield refused(
                "zip-compression",
                f"The member {shown(entry.filename)} is compressed with method "
                f"{entry.compress_type}; PyPI accepts only stored and deflated members.",
                _REBUILD,
            )
            return


def duplicate_findings(archive: zipfile.ZipFile, remedy: str = _REBUILD) -> Iterator[Finding]:
    """Report members that the archive's directory lists more than once.

    The walk over the records (`framing_findings`) may report something that follows from it, as
    PyPI does: where the two differ in size, a wrong size.
    """
    names = Counter(entry.orig_filename for entry in archive.infolist())
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        yield refused(
            "zip-duplicate",
            f"The archive has more than one member of the same name: {first(twice)}.",
            remedy,
        )


def framing_findings(path: Path, entries: Iterable[zipfile.ZipInfo]) -> Iterator[Finding]:
    """Walk the records of the zip at `path` from its start and report the first irregularity.

    `entries` is the archive's directory as `zipfile` reads it.
    """
    sizes = {entry.orig_filename: (entry.compress_size, entry.file_size) for entry in entries}
    with path.open("rb") as file:
        try:
            _Walk(file, sizes).run()
        except _Odd as odd:
            yield odd.finding


class _Odd(Exception):
    def __init__(self, rule: str, message: str, remedy: str = _REBUILD) -> None:
        super().__init__(message)
        self.finding = refused(rule, message, remedy)


def _malformed(what: str) -> _Odd:
    return _Odd("zip-malformed", f"The zip archive is malformed: {what}.")


class _Walk:
    """One pass over a zip's records, from the first to the last byte."""

    def __init__(self, file: IO[bytes], sizes: dict[str, tuple[int, int]]) -> None:
        self._file = file
        self._sizes = sizes
        self._local: set[bytes] = set()
        self._central: set[bytes] = set()
        self._directory_start: int | None = None
        self._directory_size = 0
        # What the end record states about the directory: entries, bytes, offset.
        self._stated: tuple[int, int, int] | None = None
        self._end64 = False
        self._located = False

    def run(self) -> None:
        records = {
            _LOCAL: self._local_file,
            _CENTRAL: self._central_entry,
            _END64: self._zip64_end,
            _END64_LOCATOR: self._zip64_locator,
        }
        while (signature := self._take(4)) != _END:
            record = records.get(signature)
            if record is None:
                raise _Odd(
                    "zip-unknown-record",
                    f"The zip archive has bytes at {self._file.tell() - 4:,} that belong to no "
                    f"file in it.",
                )
            record()
        self._end()

    def _take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise _malformed("it ends in the middle of a record")
        return data

    def _name(self, length: int) -> bytes:
        name = self._take(length)
        _no_control_character(name)
        return name

    def _local_file(self) -> None:
        flags, method, packed, unpacked, name_size, extra_size = struct.unpack(
            "<2xHH8xLLHH", self._take(26)
        )
        name = self._name(name_size)
        packed, unpacked = _true_sizes(
            dict(_extras(self._take(extra_size))).get(_ZIP64), method, packed, unpacked
        )
        if flags & _DATA_DESCRIPTOR:
            raise _Odd(
                "zip-data-descriptor",
                f"The member {_text(name)} states its size only after its data (a data "
                f"descriptor), as zips written to a pipe do.",
            )
        try:
            stated = self._sizes.get(name.decode())
        except UnicodeDecodeError:
            raise _Odd(
                "zip-name-encoding", f"The member name {_text(name)} is not UTF-8."
            ) from None
        if stated is None:
            raise _Odd(
                "zip-listing",
                f"The member {_text(name)} is not listed in the zip's directory.",
            )
        if stated != (packed, unpacked):
            raise _Odd(
                "zip-sizes",
                f"The sizes of the member {_text(name)} differ from those in the zip's directory.",
            )
        try:
            self._file.seek(packed, 1)
        except (OSError, ValueError, OverflowError):
            raise _malformed(
                f"the member {_text(name)} claims to have {packed:,} bytes, more than any file"
            ) from None
        if name in self._local:
            raise _Odd("zip-duplicate", f"The member {_text(name)} exists twice.")
        self._local.add(name)

    def _central_entry(self) -> None:
        start = self._file.tell() - 4
        if self._directory_start is None:
            self._directory_start = start
        name_size, extra_size, comment_size = struct.unpack("<24xHHH12x", self._take(42))
        name = self._name(name_size)
        if comment_size:
            raise _Odd("zip-comment", f"The member {_text(name)} of the zip archive has a comment.")
        self._take(extra_size)
        if name in self._central:
            raise _Odd("zip-duplicate", f"The member {_text(name)} is listed twice.")
        if name not in self._local:
            raise _Odd(
                "zip-listing", f"The zip's directory lists {_text(name)}, which does not exist."
            )
        self._central.add(name)
        self._directory_size += self._file.tell() - start

    def _zip64_end(self) -> None:
        self._end64 = True
        size, here, total, directory, offset = struct.unpack("<Q12xQQQQ", self._take(52))
        if here != total:
            raise _malformed("it claims to span several disks")
        if size != 44:  # noqa: PLR2004 - what is left of the record when nothing is appended
            raise _malformed("its zip64 end record has extra data")
        self._stated = (total, directory, offset)

    def _zip64_locator(self) -> None:
        self._located = True
        self._take(16)

    def _end(self) -> None:
        if self._end64 and not self._located:
            raise _malformed("its zip64 end record has no locator")
        start = self._file.tell() - 4
        here, total, directory, offset, comment = struct.unpack("<4xHHLLH", self._take(18))
        if here != total:
            raise _malformed("it claims to span several disks")
        stated = self._stated if self._stated and self._located else (total, directory, offset)
        beginning = start if self._directory_start is None else self._directory_start
        actual = (len(self._central), self._directory_size, beginning)
        if stated != actual:
            raise _Odd(
                "zip-directory",
                f"The zip's end record states {stated} for the number, size and place of its "
                f"directory's entries, which are {actual}.",
            )
        self._file.seek(comment, 1)
        if self._file.read(1):
            raise _Odd("zip-trailing-data", "The file continues after the end of the zip archive.")


def _text(name: bytes) -> str:
    return shown(name.decode("utf-8", "backslashreplace"))


def _no_control_character(name: bytes) -> None:
    if _CONTROL_CHARACTER.search(name):
        raise _Odd(
            "zip-name-control-character", f"The member name {_text(name)} has a control character."
        )


def _extras(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the extra fields of a member by their ids."""
    seen = set()
    place = 0
    while place < len(data):
        if len(data) - place < 4:  # noqa: PLR2004 - two 16-bit numbers
            raise _malformed("an extra field is truncated")
        kind, size = struct.unpack_from("<HH", data, place)
        field = data[place + 4 : place + 4 + size]
        place += 4 + size
        if len(field) != size:
            raise _malformed("an extra field is truncated")
        if kind in seen and kind in {_ZIP64, _UNICODE_PATH}:
            raise _malformed("an extra field is repeated")
        seen.add(kind)
        if kind == _UNICODE_PATH:
            _no_control_character(field[5:])
            try:
                field[5:].decode()
            except UnicodeDecodeError:
                raise _Odd(
                    "zip-name-encoding", f"The member name {_text(field[5:])} is not UTF-8."
                ) from None
        yield kind, field


def _true_sizes(zip64: bytes | None, method: int, packed: int, unpacked: int) -> tuple[int, int]:
    """Return packed and unpacked size of a member, taking its zip64 field into account."""
    if zip64 is None:
        return packed, unpacked
    if len(zip64) not in _ZIP64_SIZES:
        raise _malformed("a zip64 field has an impossible length")
    if not zip64:
        if _UNSET32 in {packed, unpacked}:
            raise _malformed("a zip64 field is empty, but sizes refer to it")
        return packed, unpacked
    (first,) = struct.unpack_from("<Q", zip64)
    if len(zip64) == 8:  # noqa: PLR2004 - one 64-bit number, so both sizes have to be the same
        if method != zipfile.ZIP_STORED:
            raise _malformed("a zip64 field lacks the packed size")
        return first, first if unpacked == _UNSET32 else unpacked
    (second,) = struct.unpack_from("<Q", zip64, 8)
    return second, first if unpacked == _UNSET32 else unpacked
