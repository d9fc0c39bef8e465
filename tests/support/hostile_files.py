"""Distributions that are made to exhaust whoever reads them; each builder returns a path.

They are what got through in November 2026, and their siblings.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from support.makers import make_wheel, metadata_text, wheel_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

INFO = "sample-1.0.dist-info"
WHEEL = "sample-1.0-py3-none-any.whl"
SDIST = "sample-1.0.tar.gz"


def lying_wheel(folder: Path, name: str, packed: bytes, method: int) -> Path:
    """A wheel whose member `name` claims 103 bytes, and unpacks to what is `packed`."""
    path = make_wheel(folder, extra_files={name: b"x" * 103}, omit=[])
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        contents = {each: archive.read(each) for each in names}
    entries, directory = io.BytesIO(), io.BytesIO()
    for each in names:
        is_it = each == name
        content = packed if is_it else contents[each]
        kind = method if is_it else 0
        size = 103 if is_it else len(content)
        crc = zlib.crc32(contents[each])
        raw = each.encode()
        fields = (20, 0, kind, 0, 0x5021, crc, len(content), size, len(raw), 0)
        start = entries.tell()
        entries.write(struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", *fields) + raw + content)
        directory.write(
            struct.pack("<4sH", b"PK\x01\x02", 0x0314)
            + struct.pack("<HHHHHLLLHH", *fields)
            + struct.pack("<HHHLL", 0, 0, 0, 0o644 << 16, start)
            + raw
        )
    at, listed = entries.tell(), directory.getvalue()
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, len(names), len(names), len(listed), at, 0)
    path.write_bytes(entries.getvalue() + listed + end)
    return path


def deflated_zeros(megabytes: int) -> bytes:
    """A raw deflate stream; after a full flush it goes on as it began."""
    one = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = one.compress(bytes(1 << 20)) + one.flush(zlib.Z_FULL_FLUSH)
    return piece * megabytes + zlib.compressobj(9, zlib.DEFLATED, -15).flush()


def bzip2_metadata(folder: Path) -> Path:
    return lying_wheel(folder, f"{INFO}/METADATA", bz2.compress(bytes(150 << 20)), 12)


def lzma_metadata(folder: Path) -> Path:
    window = 1 << 18
    filters = [{"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": window}]
    # What a zip's member begins with (APPNOTE.TXT, 5.8.8): version, and the preset's properties.
    head = struct.pack("<BBHBI", 9, 4, 5, 0x5D, window)
    packed = head + lzma.compress(bytes(150 << 20), lzma.FORMAT_RAW, filters=filters)
    return lying_wheel(folder, f"{INFO}/METADATA", packed, 14)


def deflated_metadata(folder: Path) -> Path:
    return lying_wheel(folder, f"{INFO}/METADATA", deflated_zeros(1900), 8)


def deflated_source(folder: Path) -> Path:
    return lying_wheel(folder, "sample/a.py", deflated_zeros(1900), 8)


def hidden_members(folder: Path) -> Path:
    """The zip64 end record lists 400,000 members; the one that everybody reads lists one."""
    path = folder / WHEEL
    name = b"sample/x"
    local = struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0)
    listed = (20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0)
    one = struct.pack("<4sHHHHHHLLLHHHHHLL", b"PK\x01\x02", *listed) + name
    count = 370_000
    directory = one * count
    start = len(local + name)
    end64 = struct.pack(
        "<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), start
    )
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(directory), 1)
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 1, 1, len(one), 0xFFFFFFFF, 0)
    path.write_bytes(local + name + directory + end64 + locator + end)
    return path


def shared_header(folder: Path) -> Path:
    """Thousands of members that are all at the same place, before five megabytes of nothing."""
    entry = zipfile.ZipInfo("a.py")
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, b"")
        archive.fp.write(random.Random(1).randbytes(5_000_000))
        archive.start_dir = archive.fp.tell()
        archive.filelist *= 5_000
    return path


def extra_fields(folder: Path) -> Path:
    """Members with 16,000 empty extra fields each."""
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in wheel_files().items():
            archive.writestr(name, content)
        for number in range(150):
            entry = zipfile.ZipInfo(f"sample/{number}")
            entry.extra = struct.pack("<HH", 0x7FFF, 0) * 16_000
            archive.writestr(entry, b"")
    return path


def _tar(folder: Path, *blocks: bytes | tuple[bytes, int]) -> Path:
    """A gzipped tar of these blocks, some of them many times (compressed once each)."""
    path = folder / SDIST
    with path.open("wb") as file:
        for block in blocks:
            content, times = block if isinstance(block, tuple) else (block, 1)
            packed = gzip.compress(content, 9, mtime=0)
            for _ in range(times):
                file.write(packed)
        file.write(gzip.compress(bytes(1024), mtime=0))
    return path


def _header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def negative_size(folder: Path) -> Path:
    """A member whose size leads tarfile back to its own header, again and again."""
    header = bytearray(_header("sample-1.0/x"))
    # As GNU tar writes what is no octal number.
    header[124:136] = (-1024).to_bytes(12, "big", signed=True)
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    member = _header("sample-1.0/PKG-INFO", 5) + _padded(b"Name:")
    return _tar(folder, member * 20, bytes(header))


def long_names(folder: Path) -> Path:
    """Each of 3,000 members has a name of 600 kB."""
    name = b"sample-1.0/" + b"a" * 600_000 + b"\0"
    one = _header("././@LongLink", len(name), tarfile.GNUTYPE_LONGNAME) + _padded(name)
    return _tar(folder, (one + _header("sample-1.0/a"), 1200))


def names_of_names(folder: Path) -> Path:
    """A long name for a long name for a long name …"""
    one = _header("././@LongLink", 5, tarfile.GNUTYPE_LONGNAME) + _padded(b"name\0")
    return _tar(folder, (one, 5000), _header("sample-1.0/a"))


def _pax(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return _header("././@PaxHeader", len(records), kind) + _padded(records)


def _record(keyword: bytes, value: bytes) -> bytes:
    length = len(keyword) + len(value) + 3
    total = length + len(str(length))
    total = length + len(str(total))
    return b"%d %s=%s\n" % (total, keyword, value)


def slashes(folder: Path) -> Path:
    """A path that is nothing but 380 million slashes."""
    count, block = 380, b"/" * (1 << 20)
    # The record's own length, in nine digits, counts too.
    length = count * len(block) + len("398458896 path=\n")
    start = _header("././@PaxHeader", length, tarfile.XHDTYPE) + b"%d path=" % length
    end = bytes(-length % 512) + _header("sample-1.0/x")
    return _tar(folder, start, (block, count), b"\n" + end)


def many_records(folder: Path) -> Path:
    """30 MB of pax records of 6 bytes."""
    return _tar(folder, _pax(b"6 a=b\n" * (30_000_000 // 6)), _header("sample-1.0/x"))


def global_records(folder: Path) -> Path:
    """Global records that tarfile copies for every member that follows."""
    records = b"".join(_record(b"k%d" % number, b"") for number in range(20_000))
    return _tar(folder, _pax(records, tarfile.XGLTYPE), (_header("sample-1.0/x") * 100, 300))


def sparse_map(folder: Path) -> Path:
    """A map of sparse blocks (pax format 1.0) that goes on and on."""
    records = (
        _record(b"GNU.sparse.major", b"1")
        + _record(b"GNU.sparse.minor", b"0")
        + _record(b"GNU.sparse.name", b"sample-1.0/x")
        + _record(b"GNU.sparse.realsize", b"1")
    )
    numbers = _padded(b"9999999999\n" + b"1\n" * 250)
    return _tar(
        folder, _pax(records) + _header("sample-1.0/x", 1 << 30), numbers, (b"1\n" * (8 << 20), 12)
    )


def sparse_digits(folder: Path) -> Path:
    """Digits without end, which a pattern of tarfile's tries from each place."""
    records = _record(b"GNU.sparse.size", b"1") + _record(b"comment", b"1" * 200_000)
    return _tar(folder, _pax(records), _header("sample-1.0/x"))


def empty_gzip_members(folder: Path) -> Path:
    path = folder / SDIST
    path.write_bytes(gzip.compress(b"", mtime=0) * 900_000)
    return path


def entry_points_blanks(folder: Path) -> Path:
    content = b"[console_scripts]\nkey" + b" " * 100_000 + b"x"
    return make_wheel(folder, extra_files={f"{INFO}/entry_points.txt": content})


def entry_points_strays(folder: Path) -> Path:
    content = b"[console_scripts]\n" + b"x\n" * 120_000
    return make_wheel(folder, extra_files={f"{INFO}/entry_points.txt": content})


def classifiers(folder: Path) -> Path:
    unknown = [f"Programming Language :: Python :: {number}.{number}" for number in range(3000)]
    return make_wheel(folder, metadata={"Classifier": unknown})


def distinct_headers(folder: Path) -> Path:
    return make_wheel(folder, metadata={f"X-{number}": "a" for number in range(20_000)})


def license_files(folder: Path) -> Path:
    return make_wheel(folder, metadata={"License-File": [f"L{n}" for n in range(20_000)]})


def requirements(folder: Path) -> Path:
    return make_wheel(folder, metadata={"Requires-Dist": [f"r{n}" for n in range(30_000)]})


def nested_marker(folder: Path) -> Path:
    return make_wheel(folder, metadata={"Requires-Dist": "a; " + "(" * 15_000})


def long_address(folder: Path) -> Path:
    return make_wheel(folder, metadata={"Author-Email": "a@" + "b." * 500_000})


def blank_record(folder: Path) -> Path:
    return make_wheel(folder, extra_files={f"{INFO}/RECORD": b"\n" * (32 << 20)})


def crowded_record(folder: Path) -> Path:
    return make_wheel(folder, extra_files={f"{INFO}/RECORD": b"a\n" * (8 << 20)})


def _described(text: str, content_type: str) -> Callable[[Path], Path]:
    metadata = metadata_text(headers={"Description-Content-Type": content_type}, body=text)

    def build(folder: Path) -> Path:
        return make_wheel(folder, metadata=metadata)

    return build


_RST_DOUBLING = ".. |a0| replace:: b\n" + "".join(
    f".. |a{n}| replace:: |a{n - 1}| |a{n - 1}|\n" for n in range(1, 40)
)

_MARKDOWN = {
    "comments": "<!--" * 100_000,
    "divs": "<div>" * 100_000,
    "quotes": "> " * 50_000,
    "brackets": "[" * 200_000,
    "links": "![[]()" * 60_000,
    "emphasis": "*a **a " * 60_000,
    "lists": "".join(" " * n + "* a\n" for n in range(1200)),
    "footnotes": "".join(f"[^{n}] " for n in range(30_000)) + "\n\n[^1]: a\n",
    "attributes": "<a " + "".join(f"a{n}=1 " for n in range(60_000)) + ">",
    "table": "|a" * 3000 + "\n" + "|-" * 3000 + "\n" + "|a\n" * 3000,
    "agda": "```agda\n" + "{-" * 20_000 + "\n```\n",
    "autohotkey": "```autohotkey\n" + ("a" * 50 + ":: ") * 2000 + "\n```\n",
}
_RST = {
    "rst sections": "".join(f"a{n}\n=========\n\n" for n in range(20_000)),
    "rst emphasis": "*a " * 150_000,
    "rst quotes": "".join(" " * n + "a\n\n" for n in range(1200)),
    "rst substitutions": f"{_RST_DOUBLING}\n|a39|\n",
    "rst table": "=========  =========\n" + "a          b\n" * 30_000,
}

DESCRIPTIONS = {
    **{name: _described(text, "text/markdown") for name, text in _MARKDOWN.items()},
    **{name: _described(text, "text/x-rst") for name, text in _RST.items()},
}

ARCHIVES = {
    build.__name__: build
    for build in (
        bzip2_metadata,
        lzma_metadata,
        deflated_metadata,
        deflated_source,
        shared_header,
        hidden_members,
        extra_fields,
        negative_size,
        long_names,
        names_of_names,
        slashes,
        many_records,
        global_records,
        sparse_map,
        sparse_digits,
        empty_gzip_members,
        entry_points_blanks,
        entry_points_strays,
        classifiers,
        distinct_headers,
        license_files,
        requirements,
        nested_marker,
        long_address,
        blank_record,
        crowded_record,
    )
}
