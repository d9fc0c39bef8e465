"""Wheels and sdists with something hostile in one place or in several."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from fuzz.texts import damaged, encoded, repeated, text, word
from support.makers import make_sdist, make_wheel, metadata_text, sdist_files, tar_file

if TYPE_CHECKING:
    import random
    from pathlib import Path

HEADERS = (
    *("Metadata-Version", "Name", "Version", "Summary", "Requires-Python", "Author-Email"),
    *("Maintainer-Email", "Author", "License", "License-Expression", "License-File", "Keywords"),
    *("Classifier", "Project-URL", "Home-page", "Download-URL", "Requires-Dist", "Provides-Dist"),
    *("Obsoletes-Dist", "Provides-Extra", "Dynamic", "Platform", "Supported-Platform"),
    *("Description-Content-Type", "Description", "Import-Name", "Import-Namespace", "X-Other"),
    *("Requires", "Obsoletes", "Requires-External"),
)
_VERSIONS = ("1.0", "1.2", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "9.9", "x", "")
_CONTENT_TYPES = ("text/markdown", "text/markdown; variant=CommonMark", "text/x-rst", "text/plain")
_LARGEST = 300_000
_LANGUAGES = ("python", "c++", "agda", "html+django", "console", "toml", "x", "js", "perl", "sql")
_DIRECTIVES = (
    *("code", "math", "image", "table", "list-table", "csv-table", "include", "raw", "contents"),
    *("replace", "unicode", "date", "class", "role", "parsed-literal", "sectnum", "figure"),
)


def metadata(chance: random.Random) -> str:
    """Make METADATA or PKG-INFO: usual headers, some changed, some many times."""
    headers: dict[str, str | list[str] | None] = {
        "Metadata-Version": chance.choice(_VERSIONS) if chance.random() < 0.3 else "2.4"
    }
    for _ in range(chance.choice((0, 1, 1, 2, 6))):
        name = chance.choice(HEADERS)
        if chance.random() < 0.1:
            name = f"X-{word(chance)}"
        match chance.randrange(5):
            case 0:
                headers[name] = None
            case 1:
                headers[name] = word(chance)
            case 2:
                headers[name] = repeated(chance, _LARGEST)
            case 3:
                headers[name] = [word(chance) for _ in range(int(3000 ** chance.random()))]
            case _:
                count = int(30_000 ** chance.random())
                headers[name] = [f"{word(chance)[:20]}{n}" for n in range(count)]
    body = ""
    if chance.random() < 0.5:
        headers["Description-Content-Type"] = chance.choice(_CONTENT_TYPES)
        body = description(chance)
    return metadata_text(headers=headers, body=body)


def description(chance: random.Random) -> str:
    """Write a readme of pieces of Markdown, HTML or reStructuredText."""
    pieces = []
    for _ in range(chance.choice((1, 1, 2, 5))):
        most = int(20_000 ** chance.random()) + 10
        match chance.randrange(5):
            case 0:
                fence = chance.choice(("```", "~~~", ".. code:: "))
                language = chance.choice(_LANGUAGES)
                pieces.append(f"{fence}{language}\n\n  {text(chance, most)}\n{fence}\n")
            case 1:
                directive = chance.choice(_DIRECTIVES)
                indented = text(chance, most).replace("\n", "\n   ")
                pieces.append(f"\n.. {directive}:: {word(chance)}\n   :a: b\n\n   {indented}\n\n")
            case 2:
                pieces.append("\n".join(text(chance, 100) for _ in range(most // 50 + 1)))
            case _:
                pieces.append(text(chance, most))
    return "\n\n".join(pieces)


def wheel_name(chance: random.Random) -> str:
    if chance.random() < 0.85:
        return "sample-1.0-py3-none-any.whl"
    parts = ["sample", "1.0", "py3", "none", "any"]
    for _ in range(chance.choice((1, 1, 3))):
        place = chance.randrange(len(parts) + 1)
        match chance.randrange(4):
            case 0 if place < len(parts):
                parts[place] = _of_a_name(chance)
            case 1:
                parts.insert(place, _of_a_name(chance))
            case 2 if place < len(parts):
                many = chance.randrange(90)
                parts[place] = ".".join(f"p{chance.randrange(99)}" for _ in range(many))
            case _:
                parts[place:place] = ["1"] * chance.randrange(110)
    name = "-".join(parts)
    return name.encode("utf-8", "surrogatepass")[:240].decode("utf-8", "ignore") + ".whl"


def _of_a_name(chance: random.Random) -> str:
    usable = "".join(char for char in word(chance) if char not in "/\0" and char < "\ud800")
    return usable[:200]


def wheel(chance: random.Random, folder: Path) -> Path:
    """Write a wheel."""
    extra: dict[str, bytes] = {}
    info = "sample-1.0.dist-info"
    for _ in range(chance.choice((1, 1, 2))):
        match chance.randrange(8):
            case 0:
                extra[f"{info}/RECORD"] = encoded(chance, _record(chance))
            case 1:
                extra[f"{info}/entry_points.txt"] = encoded(chance, entry_points(chance))
            case 2:
                extra[f"{info}/WHEEL"] = encoded(chance, text(chance, _LARGEST))
            case 3:
                names = (word(chance) for _ in range(int(2000 ** chance.random())))
                extra |= {name.replace("\ud800", ""): b"" for name in names if _is_text(name)}
            case 4:
                extra[f"sample/{'x/' * chance.randrange(2000)}y.py"] = encoded(
                    chance, text(chance, _LARGEST)
                )
            case _:
                extra[f"{info}/METADATA"] = encoded(chance, metadata(chance))
    omit = chance.choice(((), (), (), ("RECORD",), ("WHEEL",), ("METADATA",)))
    compression = chance.choice((zipfile.ZIP_DEFLATED,) * 8 + (zipfile.ZIP_STORED, 12, 14))
    path = make_wheel(
        folder,
        extra_files=extra,
        omit=omit,
        filename=wheel_name(chance),
        compression=compression,
    )
    if chance.random() < 0.3:
        path.write_bytes(_damaged_zip(chance, path.read_bytes()))
    return path


def _is_text(name: str) -> bool:
    try:
        return bool(name.encode()) and len(name.encode()) < 60_000 and "\0" not in name
    except UnicodeEncodeError:
        return False


def _damaged_zip(chance: random.Random, data: bytes) -> bytes:
    """Damage anything, or one of the records, where damage means something else."""
    if chance.random() < 0.4:
        return damaged(chance, data)
    signature = chance.choice((b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"))
    places = [n for n in range(len(data)) if data.startswith(signature, n)] or [0]
    changed = bytearray(data)
    for _ in range(chance.choice((1, 2, 5))):
        place = chance.choice(places) + chance.randrange(4, 46)
        size = chance.choice((1, 2, 4))
        number = chance.choice(
            (0, 1, 8, 12, 14, 0xFF, 0xFFFF, 0xFFFFFFFF, chance.randrange(1 << 16))
        )
        changed[place : place + size] = (number % (1 << 8 * size)).to_bytes(size, "little")
    if chance.random() < 0.2:
        changed += changed[chance.choice(places) :]
    return bytes(changed)


def _record(chance: random.Random) -> str:
    if chance.random() < 0.5:
        return text(chance, _LARGEST)
    lines = int(20_000 ** chance.random())
    return "".join(f"{word(chance)[:30]},sha256={n},{n}\n" for n in range(lines))


def entry_points(chance: random.Random) -> str:
    """Write entry_points.txt: sections, keys, values, continued lines, in any order."""
    lines = []
    for _ in range(int(3000 ** chance.random())):
        part = word(chance)[:200] if chance.random() < 0.3 else "a"
        lines.append(
            chance.choice(
                (
                    f"[{part}]",
                    f"{part} = {part}",
                    f"  {part}",
                    part,
                    f"# {part}",
                    "",
                    "[console_scripts]",
                    f"={part}",
                    f"{part}=",
                )
            )
        )
    content = chance.choice(("\n", "\r\n", "\r", "\x85")).join(lines)
    if chance.random() < 0.5:
        content = f"[console_scripts]\n{repeated(chance, 200_000)}\n{content}"
    return content


def sdist(chance: random.Random, folder: Path) -> Path:
    """Write an sdist."""
    top = "sample-1.0"
    extra: dict[str, bytes] = {}
    if chance.random() < 0.5:
        extra[f"{top}/PKG-INFO"] = encoded(chance, metadata(chance))
    if chance.random() < 0.2:
        extra[f"{top}/setup.py"] = encoded(chance, text(chance, _LARGEST))
    members = [_member(chance, top) for _ in range(chance.choice((0, 1, 1, 3, 30)))]
    filename = "sample-1.0.tar.gz"
    if chance.random() < 0.1:
        filename = f"{_of_a_name(chance)[:60]}-1.0{chance.choice(('.tar.gz', '.zip'))}"
    if filename.endswith(".zip"):
        path = make_sdist(folder, extra_files=extra, filename=filename)
        if chance.random() < 0.4:
            path.write_bytes(_damaged_zip(chance, path.read_bytes()))
        return path
    buffer = io.BytesIO()
    tar_format = chance.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for member, content in [
            *(tar_file(*file) for file in sdist_files(extra_files=extra).items()),
            *members,
        ]:
            try:
                archive.addfile(member, io.BytesIO(content))
            except (ValueError, OSError, UnicodeError):
                # What this format cannot say.
                continue
    data = buffer.getvalue()
    if chance.random() < 0.6:
        data = _damaged_tar(chance, data)
    path = folder / filename
    path.write_bytes(_zipped(chance, data))
    return path


def _member(chance: random.Random, top: str) -> tuple[tarfile.TarInfo, bytes]:
    name = f"{top}/{word(chance)}" if chance.random() < 0.7 else word(chance)
    member = tarfile.TarInfo(name[:5000])
    content = b"" if chance.random() < 0.5 else encoded(chance, text(chance, 5000))
    member.size = len(content)
    kinds = (tarfile.REGTYPE,) * 4 + (
        *(tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE),
        *(tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE, b"V", b"Z", b"\0"),
    )
    member.type = chance.choice(kinds)
    member.linkname = word(chance)[:1000] if chance.random() < 0.3 else ""
    if chance.random() < 0.4:
        keys = ("path", "size", "mtime", "GNU.sparse.map", "GNU.sparse.size", "GNU.sparse.name")
        keys += ("GNU.sparse.major", "GNU.sparse.minor", "GNU.sparse.numblocks", "hdrcharset", "x")
        for _ in range(chance.choice((1, 2, 200))):
            value = chance.choice(("0", "-1", "1e9", "1.0", "9" * 400, "0,1," * 50, word(chance)))
            member.pax_headers[chance.choice(keys)] = value
    return member, content


def _damaged_tar(chance: random.Random, data: bytes) -> bytes:
    """Change headers, with the right checksum afterwards, so that they are believed."""
    changed = bytearray(data)
    blocks = len(changed) // 512
    for _ in range(chance.choice((1, 2, 6))):
        start = 512 * chance.randrange(max(blocks, 1))
        place, size = chance.choice(
            ((0, 100), (124, 12), (156, 1), (136, 12), (157, 100), (257, 8))
        )
        value = chance.choice(
            (
                *(b"\xff" * size, b"\x80" + b"\0" * (size - 1), b"0" * size, b" " * size),
                *(b"7" * size, b"x", b"L", b"K", b"S", b"g", b"5", b"-0000001", b"/" * size),
                chance.randbytes(size),
            )
        )
        changed[start + place : start + place + size] = value[:size].ljust(size, b"\0")
        changed[start + 148 : start + 156] = b" " * 8
        total = sum(changed[start : start + 512])
        changed[start + 148 : start + 156] = f"{total:06o}\0 ".encode()
    if chance.random() < 0.2:
        start = 512 * chance.randrange(max(blocks, 1))
        changed[start:start] = changed[start : start + 1536] * chance.choice((2, 50, 2000))
    return bytes(changed)


def _zipped(chance: random.Random, data: bytes) -> bytes:
    """Compress: as usual, in several layers or parts, or with something wrong."""
    match chance.randrange(12):
        case 0:
            return gzip.compress(gzip.compress(data, mtime=0), mtime=0)
        case 1:
            half = len(data) // 2
            return gzip.compress(data[:half], mtime=0) + gzip.compress(data[half:], mtime=0)
        case 2:
            return gzip.compress(data, mtime=0) + chance.randbytes(chance.randrange(100))
        case 3:
            return damaged(chance, gzip.compress(data, mtime=0))
        case 4:
            return chance.choice((data, zlib.compress(data), b"", b"\x1f\x8b"))
        case 5:
            return gzip.compress(data[: chance.randrange(len(data) + 1)], mtime=0)
        case _:
            return gzip.compress(data, mtime=0)
