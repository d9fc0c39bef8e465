"""Sdists: read once within limits, and what PyPI refuses in them."""

from __future__ import annotations

import gzip
import io
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attested_publish.rules import zips
from attested_publish.rules.bounds import ArchiveBounds, too_much
from attested_publish.rules.encoding import nothing_to_send
from attested_publish.rules.mistaken import recognized
from attested_publish.rules.scanned import content_findings, is_scanned
from attested_publish.rules.wording import doubtful, first, refused, sentence, shown

if TYPE_CHECKING:
    from attested_publish.findings import Finding

_CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_USUAL_HEADER: Final = 4 << 10
_REBUILD: Final = "Build the sdist with a build backend: `python -m build --sdist`."


@dataclass(slots=True)
class Sdist:
    """What was found in an sdist.

    `names`: of all members; `top`: the folder that contains everything, as PyPI and twine find
    it, "" if there is none; `irregular`: members that are not plain files; `metadata`: the
    content of each PKG-INFO by its path; `findings`: what PyPI refuses in the archive, in the
    server's order; `whole`: whether the archive was read to its end.
    """

    names: set[str] = field(default_factory=set)
    top: str = ""
    irregular: set[str] = field(default_factory=set)
    metadata: dict[str, bytes] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    whole: bool = False

    @property
    def pkg_info(self) -> str:
        """The path at which PyPI and twine look for the metadata."""
        return posixpath.join(self.top, "PKG-INFO")


def _top(names: Iterable[str]) -> str:
    """Return the longest common path, as `posixpath.commonpath`, without splitting all names."""
    top: str | None = None
    try:
        for name in names:
            # The common path of a name with itself has no empty parts and dots.
            top = posixpath.commonpath((name if top is None else top, name))
    except ValueError:
        return ""
    return top or ""


class _TooMuch(Exception):
    """The archive exceeds the limits."""


def open_sdist(path: Path, filename: str, size: int, bounds: ArchiveBounds) -> Sdist:
    """Read the sdist at `path`, of `size` bytes, that will be uploaded as `filename`."""
    sdist = Sdist()
    if filename.endswith(".zip"):
        _look_into_zip(sdist, path, size, bounds)
    else:
        _look_into_tar(sdist, path, bounds)
    if sdist.whole:
        sdist.findings.extend(_layout(sdist))
    return sdist


def _look_into_zip(sdist: Sdist, path: Path, size: int, bounds: ArchiveBounds) -> None:
    archive = zips.opened(path, bounds)
    if not isinstance(archive, zipfile.ZipFile):
        sdist.findings.append(archive)
        return
    with archive:
        bombs = list(zips.bomb_findings(archive, size))
        sdist.findings.extend(bombs or zips.compression_findings(archive))
        if bombs:
            return
        sdist.findings.extend(zips.framing_findings(path, archive.infolist()))
        sdist.names.update(archive.namelist())
        sdist.top = _top(sdist.names)
        try:
            content = zips.read(archive, sdist.pkg_info, bounds.metadata)
        except zips.NotRead as why:
            sdist.findings.append(zips.unreadable_member(sdist.pkg_info, why))
            return
        if content is not None:
            sdist.metadata[sdist.pkg_info] = content
        sdist.whole = True


def _look_into_tar(sdist: Sdist, path: Path, bounds: ArchiveBounds) -> None:
    try:
        if zipfile.is_zipfile(path):
            sdist.findings.append(
                refused(
                    "archive-ambiguous",
                    "The file is both a zip archive and a tar archive.",
                    _REBUILD,
                )
            )
        with path.open("rb") as file, _Unpacked(file, bounds) as unpacked:
            _walk(sdist, unpacked, bounds)
        sdist.top = _top(sdist.names)
        sdist.whole = True
    except _TooMuch as why:
        sdist.findings.append(too_much(str(why)))
    except (
        tarfile.TarError,
        EOFError,
        OSError,
        zlib.error,
        ValueError,
        OverflowError,
        RecursionError,  # long names for long names
    ) as bad:
        sdist.findings.append(_not_a_tar(path, sentence(bad)))


def _not_a_tar(path: Path, why: str) -> Finding:
    other = recognized(path, expected=_GZIP)
    if other is not None:
        return refused(
            "tar-unreadable",
            f"The file is not a gzipped tar archive: it is {other.what}.",
            other.remedy,
        )
    return refused(
        "tar-unreadable",
        f"The file is not a readable gzipped tar archive: {why}.",
        "Build or download it again; it may be truncated, or not an sdist at all.",
    )


class _Unpacked(io.RawIOBase):
    """The tar in a gzip file: read once, forwards, up to a limit.

    tarfile reads an extended header (a long name, pax records, the map of a sparse file) as a whole
    or block by block, whatever length it claims. So the bytes of headers are counted:
    `bounds.header` for each member, which `next_header` begins, and `bounds.headers` beyond what is
    members together, beyond what is usual.
    """

    def __init__(self, file: io.BufferedReader, bounds: ArchiveBounds) -> None:
        super().__init__()
        self._gzip = gzip.GzipFile(fileobj=file)
        self._bounds = bounds
        self._at = 0
        self._left = bounds.header
        self._all_left = bounds.headers

    def next_header(self) -> None:
        self._left = self._bounds.header
        self._all_left += _USUAL_HEADER

    def content(self, size: int) -> bytes:
        """Read the content of a member whose header tarfile has just read."""
        if size < 0:
            raise tarfile.ReadError("a member has a negative size")
        return self._unpack(size)

    def read(self, size: int = -1) -> bytes:
        """Read a part of a header."""
        if size < 0:
            raise tarfile.ReadError("a header has a negative size")
        if size > min(self._left, self._all_left):
            raise _TooMuch(f"its headers are too long, at {self._at:,} bytes into the tar")
        self._left -= size
        self._all_left -= size
        return self._unpack(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._at:
            # The effect of a negative size (CVE-2025-8194); newer Pythons refuse it themselves.
            raise tarfile.ReadError("its headers form a loop")
        while (left := offset - self._at) > 0 and self._unpack(min(left, _CHUNK)):
            pass
        return self._at

    def _unpack(self, size: int) -> bytes:
        data = self._gzip.read(size)
        self._at += len(data)
        if self._at > self._bounds.unpacked:
            raise _TooMuch(f"it unpacks to more than {self._bounds.unpacked:,} bytes")
        return data

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        self._gzip.close()
        super().close()


def _walk(sdist: Sdist, unpacked: _Unpacked, bounds: ArchiveBounds) -> None:
    count = named = kept = 0
    sparse: list[str] = []
    with tarfile.open(fileobj=unpacked, mode="r:") as archive:
        for member in _members(archive, unpacked):
            count += 1
            named += len(member.name)
            if count > bounds.members:
                raise _TooMuch(f"it has more than {bounds.members:,} members")
            if named > bounds.names:
                raise _TooMuch(f"the names in it have more than {bounds.names:,} characters")
            sdist.names.add(member.name)
            if member.issparse():
                sparse.append(member.name)
            if not member.isfile() or member.issparse():
                sdist.irregular.add(member.name)
                continue
            sdist.irregular.discard(member.name)
            metadata = posixpath.basename(member.name) == "PKG-INFO"
            if not metadata and not is_scanned(member.name, member.size):
                continue
            if metadata and kept + member.size > bounds.metadata:
                raise _TooMuch(f"its PKG-INFO files have more than {bounds.metadata:,} bytes")
            content = unpacked.content(member.size)
            if metadata:
                kept += len(content)
                sdist.metadata[member.name] = content
            else:
                sdist.findings.extend(content_findings(member.name, content))
    if sparse:
        sdist.findings.append(
            refused(
                "tar-sparse",
                f"The sdist has sparse members, which PyPI does not accept: {first(sparse)}.",
                "Build it without `tar --sparse`.",
            )
        )


def _members(archive: tarfile.TarFile, unpacked: _Unpacked) -> Iterator[tarfile.TarInfo]:
    while True:
        unpacked.next_header()
        member = archive.next()
        if member is None:
            return
        # tarfile keeps every member it has read; a bomb has millions.
        archive.members = []  # type: ignore[attr-defined]
        yield member


def _layout(sdist: Sdist) -> Iterator[Finding]:
    """Require one top folder with PKG-INFO in it."""
    absolute = sorted(name for name in sdist.names if name.startswith("/"))
    if absolute and len(absolute) < len(sdist.names):
        yield refused(
            "sdist-absolute-path",
            f"The sdist has absolute paths, for which PyPI fails with a server error: "
            f"{first(absolute)}.",
            _REBUILD,
        )
        return
    if absolute:
        yield doubtful(
            "sdist-all-absolute",
            f"All paths in the sdist are absolute: {first(absolute)}.",
            _REBUILD,
        )
    if sdist.top in {"", ".", "/"}:
        tops = sorted({name.partition("/")[0] for name in sdist.names})
        yield refused(
            "sdist-top-folder",
            f"The sdist has no single top folder: {first(tops) or 'it is empty'}.",
            "Put everything into one folder name-version/; `python -m build --sdist` does.",
        )
    elif sdist.pkg_info not in sdist.names:
        yield refused(
            "pkg-info-missing",
            f"The sdist has no {shown(sdist.pkg_info)}, where PyPI looks for the metadata.",
            "Put everything, including PKG-INFO, into one folder name-version/ (not ./): "
            "`python -m build --sdist` does. PKG-INFO must not be the only file.",
        )


def metadata_of(sdist: Sdist) -> tuple[bytes | None, list[Finding]]:
    """Return the metadata that twine sends for the sdist, and why there is none."""
    if not sdist.whole or sdist.pkg_info not in sdist.names:
        return None, []
    content = sdist.metadata.get(sdist.pkg_info)
    if sdist.pkg_info in sdist.irregular or content is None:
        return None, [
            refused(
                "pkg-info-not-a-file",
                f"{shown(sdist.pkg_info)} is not a plain file, so twine cannot send the sdist.",
                _REBUILD,
            )
        ]
    if b"Metadata-Version" not in content:
        return None, [nothing_to_send("PKG-INFO", content)]
    return content, []


def license_findings(sdist: Sdist, license_files: Sequence[str]) -> Iterator[Finding]:
    """Check that the licence files named in the metadata exist."""
    for file in _missing(sdist, license_files):
        yield refused(
            "license-file-missing",
            f"The metadata names the licence file {shown(file)}, which is not in "
            f"{shown(f'{sdist.top}/')}.",
            "Add the file to the sdist, or correct `license-files` in pyproject.toml.",
        )


def _missing(sdist: Sdist, license_files: Sequence[str]) -> Iterable[str]:
    if not sdist.whole:
        return ()
    return [file for file in license_files if posixpath.join(sdist.top, file) not in sdist.names]
