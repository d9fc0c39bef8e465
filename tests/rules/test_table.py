"""Every rule: one file it refuses, one it accepts."""

from __future__ import annotations

import ast
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

import pytest

from attested_publish.distributions import Distribution
from attested_publish.findings import Finding, Severity
from attested_publish.rules import checks
from attested_publish.rules.release import check_release
from support.makers import (
    Header,
    make_commented_wheel,
    make_moved_sdist,
    make_piped_wheel,
    make_sdist,
    make_wheel,
    metadata_text,
    sdist_files,
    tar_file,
    tar_link,
    wheel_files,
    write_tar_gz,
    write_zip,
)

ERROR, WARNING, NOTICE = Severity
INFO = "sample-1.0.dist-info"
WHEEL_NAME = "sample-1.0-py3-none-any.whl"
SDIST_NAME = "sample-1.0.tar.gz"
DIGESTS = {"sha256_digest": ["0" * 64]}

Maker = Callable[[Path], Path]


def distribution(path: Path) -> Distribution:
    content = path.read_bytes()
    return Distribution(
        path=path,
        source=path,
        size=len(content),
        sha256=sha256(content).hexdigest(),
    )


def stated(*headers: Mapping[str, Header]) -> Maker:
    """A wheel whose metadata has these headers besides the usual ones."""
    merged: dict[str, Header] = {}
    for one in headers:
        merged.update(one)
    return partial(make_wheel, metadata=merged)


def header(name: str, value: Header, *more: Mapping[str, Header]) -> Maker:
    return stated({name: value}, *more)


def readme(text: str, content_type: str | None = "text/x-rst") -> Maker:
    def make(folder: Path) -> Path:
        stating = "" if content_type is None else f"Description-Content-Type: {content_type}\n"
        return make_wheel(
            folder,
            metadata=f"Metadata-Version: 2.4\nName: sample\nVersion: 1.0\n{stating}\n{text}",
        )

    return make


def wheel(**how: object) -> Maker:
    return partial(make_wheel, **how)  # type: ignore[arg-type]


def sdist(**how: object) -> Maker:
    return partial(make_sdist, **how)  # type: ignore[arg-type]


def holding(name: str, content: bytes) -> Maker:
    return wheel(extra_files={name: content})


def patched(maker: Maker, change: Callable[[bytes], bytes]) -> Maker:
    """The file that `maker` writes, with its bytes changed."""

    def make(folder: Path) -> Path:
        path = maker(folder)
        before = path.read_bytes()
        after = change(before)
        assert after != before
        path.write_bytes(after)
        return path

    return make


def in_first_header(old: bytes, new: bytes) -> Maker:
    """A wheel whose first local header differs from the directory."""
    assert len(old) == len(new)
    return patched(make_wheel, lambda data: data.replace(old, new, 1))


def in_end_record(offset: int, new: bytes) -> Maker:
    def change(data: bytes) -> bytes:
        start = len(data) - 22 + offset
        return data[:start] + new + data[start + len(new) :]

    return patched(make_wheel, change)


def doubled(folder: Path) -> Path:
    files = list(wheel_files().items())
    with pytest.warns(UserWarning, match="Duplicate name"):
        return write_zip(folder / WHEEL_NAME, [*files, files[0]])


def vast_member(folder: Path) -> Path:
    """A wheel with a member that claims, in both places, more bytes than a file can have."""
    member = zipfile.ZipInfo("sample/vast.bin")
    path = folder / WHEEL_NAME
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in wheel_files().items():
            archive.writestr(name, content)
        with archive.open(member, "w", force_zip64=True) as file:
            file.write(b"x")
        member.compress_size = 1 << 63
    data = path.read_bytes()
    stated = struct.pack("<HHQQ", 1, 16, 1, 1)
    assert data.count(stated) == 1
    path.write_bytes(data.replace(stated, struct.pack("<HHQQ", 1, 16, 1, 1 << 63)))
    return path


def packed(filename: str) -> Maker:
    """A zip with distributions in it."""
    return lambda folder: write_zip(folder / filename, [(WHEEL_NAME, b""), (SDIST_NAME, b"")])


def vendoring(folder: Path) -> Path:
    """A wheel with other wheels as a package's data."""
    return make_wheel(folder, extra_files={"sample/pip-1.0-py3-none-any.whl": b"", WHEEL_NAME: b""})


def one_folder_down(folder: Path) -> Path:
    files = wheel_files().items()
    return write_zip(folder / WHEEL_NAME, [(f"sample-1.0/{name}", data) for name, data in files])


def sized(size: int) -> Maker:
    """A file with a hole: `size` bytes that take no room."""

    def make(folder: Path) -> Path:
        with (folder / WHEEL_NAME).open("wb") as file:
            file.truncate(size)
        return folder / WHEEL_NAME

    return make


def garbage(name: str) -> Maker:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(b"not an archive")
        return folder / name

    return make


def moved(prefix: str) -> Maker:
    return partial(make_moved_sdist, prefix=prefix)


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> Maker:
    return lambda folder: write_tar_gz(folder / SDIST_NAME, members)


def sparse_member() -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo("sample-1.0/hole.bin")
    member.type = tarfile.GNUTYPE_SPARSE
    return member, b""


def zipped_too(folder: Path) -> Path:
    path = make_sdist(folder)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as empty:
        empty.writestr("a", b"")
    path.write_bytes(path.read_bytes() + archive.getvalue())
    return path


def linked_metadata(folder: Path) -> Path:
    files = sdist_files(omit=["PKG-INFO"])
    return write_tar_gz(
        folder / SDIST_NAME,
        [
            *(tar_file(*file) for file in files.items()),
            tar_link("sample-1.0/PKG-INFO", "pyproject.toml"),
        ],
    )


@dataclass(frozen=True)
class Case:
    rule: str
    severity: Severity
    bad: Maker
    good: Maker = make_wheel
    # The name it is sent as, where no file system takes it.
    sent_as: str | None = None


CASES = [
    # The metadata, as twine reads it.
    Case("metadata-unreadable", ERROR, header("Requires-Dist", f"a; {'(' * 3000}")),
    Case("metadata-field-unparsed", ERROR, header("Colour", "red"), header("Platform", "any")),
    Case("metadata-field-unparsed", ERROR, header("Summary", ["one", "two"])),
    Case("metadata-field-unparsed", ERROR, header("Project-URL", ["A, https://a.org"] * 2)),
    Case("metadata-version-invalid", ERROR, header("Metadata-Version", "abc")),
    Case("metadata-version-invalid", ERROR, header("Metadata-Version", "2.0")),
    Case("metadata-version-newer", WARNING, header("Metadata-Version", "2.6")),
    Case(
        "metadata-version-newer",
        WARNING,
        header("Metadata-Version", "3.1"),
        header("Metadata-Version", "2.5"),
    ),
    Case("metadata-field-missing", ERROR, header("Name", None)),
    Case("metadata-field-missing", ERROR, header("Version", None)),
    Case(
        "metadata-field-too-new",
        ERROR,
        stated({"Metadata-Version": "2.1", "License-Expression": "MIT"}),
        stated({"Metadata-Version": "2.4", "License-Expression": "MIT"}),
    ),
    Case("metadata-encoding", ERROR, wheel(metadata="\ufeff" + metadata_text())),
    Case("metadata-encoding", ERROR, holding(f"{INFO}/METADATA", metadata_text().encode("utf-16"))),
    Case(
        "metadata-encoding",
        ERROR,
        holding(f"{INFO}/METADATA", metadata_text(body="J\xf6rg\n").encode("latin-1")),
        wheel(metadata=metadata_text(body="J\xf6rg\n")),
    ),
    Case("metadata-nul", WARNING, header("Summary", "a\0b")),
    Case(
        "metadata-cut-short",
        ERROR,
        wheel(metadata="Metadata-Version: 2.4\nAnd so on.\nName: sample\nVersion: 1.0\n"),
    ),
    # The metadata, by the specification.
    Case("name-invalid", ERROR, header("Name", "-sample"), header("Name", "Sample")),
    Case("version-invalid", ERROR, header("Version", "one"), header("Version", "1.0.0")),
    Case("summary-lines", ERROR, header("Summary", "one\n  two"), header("Summary", "one two")),
    Case(
        "content-type-invalid",
        ERROR,
        header("Description-Content-Type", "text/html"),
        header("Description-Content-Type", "text/markdown; charset=UTF-8; variant=GFM"),
    ),
    Case("dynamic-invalid", ERROR, header("Dynamic", "Version"), header("Dynamic", "License-File")),
    Case("dynamic-invalid", ERROR, header("Dynamic", "Colour"), header("Dynamic", "Classifier")),
    Case(
        "import-name-invalid",
        ERROR,
        stated({"Metadata-Version": "2.5", "Import-Name": "not-a-name"}),
        stated({"Metadata-Version": "2.5", "Import-Name": "sample"}),
    ),
    Case(
        "license-expression-invalid",
        ERROR,
        header("License-Expression", "my own"),
        header("License-Expression", "Apache-2.0 OR MIT"),
    ),
    Case(
        "license-expression-newer",
        WARNING,
        header("License-Expression", "MIT OR Newer-1.0"),
        header("License-Expression", "MIT OR LicenseRef-Newer-1.0"),
    ),
    Case(
        "metadata-field-newer",
        WARNING,
        stated({"Metadata-Version": "2.7", "Colour": "blue"}),
    ),
    Case(
        "license-file-path",
        ERROR,
        header("License-File", "../LICENSE"),
        wheel(
            metadata={"License-File": "LICENSE"},
            extra_files={f"{INFO}/licenses/LICENSE": b"free"},
        ),
    ),
    Case("extra-invalid", ERROR, header("Provides-Extra", "?"), header("Provides-Extra", "fast")),
    Case(
        "requires-python-invalid",
        ERROR,
        header("Requires-Python", "three"),
        header("Requires-Python", ">=3.9,<4"),
    ),
    Case(
        "requirement-invalid",
        ERROR,
        header("Requires-Dist", "a b"),
        header("Requires-Dist", ["a>=1", 'b; python_version < "3.11"']),
    ),
    Case(
        "requirement-invalid", ERROR, header("Provides-Dist", "a b"), header("Provides-Dist", "a")
    ),
    # The metadata, by PyPI's own rules.
    Case("version-local", ERROR, wheel(version="1.0+local"), wheel(version="1.0.post1")),
    Case("summary-length", ERROR, header("Summary", "x" * 513), header("Summary", "x" * 512)),
    Case(
        "email-invalid",
        ERROR,
        header("Author-Email", "A. Uthor <author@nowhere>"),
        header("Author-Email", "A. Uthor <author@python.org>"),
    ),
    Case(
        "email-invalid",
        ERROR,
        header("Maintainer-Email", '"Me, (" me@localhost (of (these))'),
        header("Maintainer-Email", "One <a@b>, Two <c@d>"),
    ),
    Case(
        "classifier-private",
        ERROR,
        header("Classifier", "Private :: Do Not Upload"),
        header("Classifier", "Typing :: Typed"),
    ),
    Case("classifier-misspelled", ERROR, header("Classifier", "Typing :: Typed ")),
    Case("classifier-misspelled", ERROR, header("Classifier", "typing::typed")),
    Case("classifier-unknown", WARNING, header("Classifier", "Programming Language :: Perlish")),
    # No more licences are added to PyPI's list; a new one is no matter of an older list here.
    Case("classifier-unknown", ERROR, header("Classifier", "License :: OSI Approved :: My Own")),
    Case("classifier-unknown", ERROR, header("Classifier", "license::osi approved::mit license")),
    Case("classifier-deprecated", ERROR, header("Classifier", "Natural Language :: Ukranian")),
    Case(
        "url-invalid",
        ERROR,
        header("Home-Page", "mailto:me@python.org"),
        header("Home-Page", "https://python.org/a?b=c#d"),
    ),
    Case(
        "url-invalid",
        ERROR,
        header("Download-URL", "ftp://python.org"),
        header("Download-URL", "http://python.org"),
    ),
    Case(
        "url-invalid",
        ERROR,
        header("Project-URL", "Docs, python.org/docs"),
        header("Project-URL", "Docs, https://python.org/docs"),
    ),
    Case(
        "project-url-incomplete",
        ERROR,
        header("Project-URL", "https://python.org"),
        header("Home-Page", "UNKNOWN"),
    ),
    Case(
        "project-url-label",
        ERROR,
        header("Project-URL", f"{'x' * 33}, https://python.org"),
        header("Project-URL", f"{'x' * 32}, https://python.org"),
    ),
    Case(
        "direct-dependency",
        ERROR,
        header("Requires-Dist", "a @ https://python.org/a.zip"),
        header("Requires-Dist", "a"),
    ),
    Case("direct-dependency", ERROR, header("Obsoletes-Dist", "a @ https://python.org/a.zip")),
    Case(
        "license-twice",
        ERROR,
        stated({"License": "MIT", "License-Expression": "MIT"}),
        header("License", "MIT"),
    ),
    Case(
        "content-type-spelling",
        WARNING,
        header("Description-Content-Type", "text/plain; charset=utf-8"),
        header("Description-Content-Type", "text/plain; charset=UTF-8"),
    ),
    # The description.
    Case("description-missing", WARNING, readme("")),
    Case("content-type-missing", WARNING, readme("Title\n=====\n", None)),
    Case("description-not-judged", WARNING, readme("word " * 300_000, "text/markdown")),
    Case(
        "description-not-rendered",
        ERROR,
        readme("Long title\n=====\n"),
        readme("Long title\n==========\n"),
    ),
    Case(
        "description-not-rendered",
        ERROR,
        readme(":func:`x`\n", None),
        readme("# Anything\n\n:func:`x`\n", "text/markdown"),
    ),
    # Where there is no wheel of the renderer, test_markdown_missing.py says what happens.
    *(
        [Case("description-not-rendered", ERROR, readme("\n\n", "text/markdown"))]
        if find_spec("comrak")
        else []
    ),
    # The file's name.
    Case(
        "filename-control-character", ERROR, make_wheel, sent_as="sam\x07ple-1.0-py3-none-any.whl"
    ),
    Case("filename-separator", ERROR, make_wheel, sent_as=f"..\\{WHEEL_NAME}"),
    Case("filename-extension", ERROR, wheel(filename="sample-1.0-py3-none-any.WHL")),
    Case("filename-extension", ERROR, sdist(filename="sample-1.0.tgz"), make_sdist),
    Case("sdist-filename", ERROR, sdist(filename="Sample-1.0.tar.gz"), make_sdist),
    Case("sdist-filename", ERROR, sdist(filename="sample-1.0.0.tar.gz"), make_sdist),
    Case("sdist-filename", ERROR, sdist(filename="sample-1.0.zip"), make_sdist),
    Case("sdist-filename", ERROR, sdist(filename="other-1.0.tar.gz"), make_sdist),
    Case("sdist-filename", ERROR, sdist(name="my.sample", filename="my.sample-1.0.tar.gz")),
    Case("sdist-filename", ERROR, garbage("sample.tar.gz"), sdist(name="my.sample")),
    Case("wheel-filename", ERROR, wheel(filename="sample-1.0-any.whl")),
    Case("wheel-filename-tags", WARNING, wheel(tag="py3..py2-none-any"), wheel(tag="foo-bar-any")),
    Case(
        "wheel-name-mismatch",
        ERROR,
        wheel(metadata={"Name": "other"}),
        wheel(name="my-sample", metadata={"Name": "My.Sample"}),
    ),
    Case(
        "wheel-name-not-normalized",
        ERROR,
        wheel(filename="Sample-1.0-py3-none-any.whl"),
        wheel(metadata={"Name": "Sample"}),
    ),
    Case(
        "wheel-version-mismatch",
        ERROR,
        wheel(metadata={"Version": "1.1"}),
        wheel(metadata={"Version": "1.0.0"}),
    ),
    Case("wheel-platform", ERROR, wheel(tag="cp312-cp312-linux_x86_64")),
    Case("wheel-platform", ERROR, wheel(tag="cp312-cp312-macosx_11_5_arm64")),
    Case("wheel-platform", ERROR, wheel(tag="cp312-cp312-macosx_16_0_arm64")),
    Case("wheel-platform", ERROR, wheel(tag="cp312-cp312-win_arm")),
    Case(
        "wheel-platform",
        ERROR,
        wheel(tag="cp312-cp312-pyodide_2024_0_wasm32"),
        wheel(tag="cp313-cp313-pyemscripten_2025_0_wasm32"),
    ),
    Case(
        "wheel-platform-newer",
        WARNING,
        wheel(tag="cp312-cp312-macosx_31_0_arm64"),
        wheel(tag="cp312-cp312-macosx_26_0_arm64"),
    ),
    Case("wheel-platform-newer", WARNING, wheel(tag="cp312-cp312-manylinux_2_41_loongarch64")),
    Case(
        "wheel-filename-newer",
        WARNING,
        wheel(filename="sample-1.0-cp312-cp312-manylinux_2_28_x86_64-x86_64_v3.whl"),
    ),
    Case(
        "wheel-name-length",
        ERROR,
        make_wheel,
        sent_as=f"sample-1.0-py3-none-{'.'.join(['any'] * 57)}.whl",
    ),
    # The size.
    Case("file-over-limit", WARNING, sized(100 * 2**20 + 1)),
    Case("file-beyond-cap", ERROR, sized(2 * 2**30)),
    # What is not a distribution.
    Case("archive-of-distributions", ERROR, packed("dist.zip"), vendoring),
    Case("archive-of-distributions", ERROR, packed(WHEEL_NAME)),
    # Zip archives.
    Case("zip-unreadable", ERROR, garbage(WHEEL_NAME)),
    Case("zip-ratio", ERROR, holding("sample/zeros", bytes(65 << 20))),
    Case(
        "zip-compression",
        ERROR,
        wheel(compression=zipfile.ZIP_LZMA),
        wheel(compression=zipfile.ZIP_STORED),
    ),
    Case(
        "zip-member-unreadable",
        ERROR,
        patched(
            wheel(compression=zipfile.ZIP_STORED), lambda data: data.replace(b"A sample.", b"B" * 9)
        ),
    ),
    Case("zip-data-descriptor", ERROR, make_piped_wheel),
    Case("zip-comment", ERROR, make_commented_wheel),
    Case("zip-duplicate", ERROR, doubled),
    Case("zip-trailing-data", ERROR, patched(make_wheel, lambda data: data + b"more")),
    Case("zip-unknown-record", ERROR, patched(make_wheel, lambda data: b"#!/bin/sh\n" + data)),
    Case("zip-listing", ERROR, in_first_header(b"sample/__init__.py", b"sample/__else__.py")),
    Case(
        "zip-name-encoding", ERROR, in_first_header(b"sample/__init__.py", b"sample/__ini\xff__.py")
    ),
    Case("zip-sizes", ERROR, patched(make_wheel, lambda data: data[:22] + b"\x07" + data[23:])),
    Case("zip-name-control-character", ERROR, holding("sample/a\tb", b"")),
    Case("zip-directory", ERROR, in_end_record(8, b"\x09\x00\x09\x00")),
    Case("zip-malformed", ERROR, in_end_record(8, b"\x09\x00")),
    Case("zip-malformed", ERROR, vast_member),
    Case(
        "archive-ambiguous",
        ERROR,
        patched(make_wheel, lambda data: tarfile.TarInfo("a").tobuf() + bytes(1024) + data),
    ),
    # What is in a wheel.
    Case("dist-info-misnamed", ERROR, wheel(filename="sample-1.0.0-py3-none-any.whl")),
    Case("dist-info-misplaced", ERROR, one_folder_down),
    Case(
        "wheel-file-missing", ERROR, wheel(omit=["WHEEL"]), holding(f"{INFO}/WHEEL", b"\xff junk")
    ),
    Case("record-missing", ERROR, wheel(omit=["RECORD"]), holding(f"{INFO}/RECORD", b"")),
    Case("metadata-missing", ERROR, wheel(omit=["METADATA"])),
    Case("metadata-empty", ERROR, wheel(metadata="Name: sample\n")),
    Case(
        "metadata-from-elsewhere",
        WARNING,
        holding("aaa/METADATA", b"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n\nText.\n"),
        holding("aaa/METADATA", b"nothing of that kind"),
    ),
    Case(
        "dist-info-extra", NOTICE, holding("zzz-1.0.dist-info/METADATA", b"Metadata-Version: 2.1")
    ),
    Case(
        "license-file-missing",
        ERROR,
        wheel(
            metadata={"License-File": "LICENSE"}, extra_files={f"{INFO}/LICENSE": b"in the root"}
        ),
        wheel(
            metadata={"License-File": "LICENSE"},
            extra_files={f"{INFO}/licenses/LICENSE": b"free"},
        ),
    ),
    Case(
        "license-file-missing",
        ERROR,
        sdist(metadata={"License-File": "LICENSE"}),
        sdist(metadata={"License-File": "LICENSE"}, extra_files={"sample-1.0/LICENSE": b"free"}),
    ),
    Case("record-unreadable", ERROR, holding(f"{INFO}/RECORD", b"\xff,,\n")),
    Case("record-blank-line", ERROR, holding(f"{INFO}/RECORD", b"a,,\n\nb,,\n")),
    Case("record-mismatch", NOTICE, holding(f"{INFO}/RECORD", b"a,,\n")),
    Case(
        "entry-points-invalid",
        ERROR,
        holding(f"{INFO}/entry_points.txt", b"[console_scripts]\n../evil = a:b\n"),
        holding(f"{INFO}/entry_points.txt", b"[console_scripts]\nsample-it.py = a:b\n"),
    ),
    Case(
        "entry-points-invalid",
        ERROR,
        holding(f"{INFO}/entry_points.txt", b"no section = here\n"),
        holding(f"{INFO}/entry_points.txt", b"[other group]\nany / name = a:b\n"),
    ),
    Case(
        "content-encrypted",
        ERROR,
        holding("sample/a.py", b"__pyarmor__(__name__, __file__, b'')"),
        holding("sample/a.py", b"__pyarmor__ is a name"),
    ),
    Case(
        "content-encrypted",
        ERROR,
        sdist(extra_files={"sample-1.0/a.pye": b"---BEGIN PYE FILE---\nx\n---END PYE FILE---\n"}),
        sdist(extra_files={"sample-1.0/a.pye": b"---BEGIN PYE FILE---\n"}),
    ),
    Case(
        "content-token",
        WARNING,
        holding("sample/a.py", b"pypi-AgEIcHlwaS5vcmcCJ" + b"x" * 151),
        holding("sample/a.py", b"pypi-AgEIcHlwaS5vcmcCJ"),
    ),
    # Sdists.
    Case("tar-unreadable", ERROR, garbage(SDIST_NAME), make_sdist),
    Case("tar-unreadable", ERROR, patched(make_sdist, lambda data: data[:200]), make_sdist),
    Case("archive-ambiguous", ERROR, zipped_too, make_sdist),
    Case(
        "tar-sparse",
        ERROR,
        sdist(members=[sparse_member()]),
        sdist(members=[tar_link("sample-1.0/link", "/etc/passwd")]),
    ),
    Case("sdist-absolute-path", ERROR, sdist(members=[tar_file("/etc/x", b"")]), make_sdist),
    Case("sdist-all-absolute", WARNING, moved("/"), make_sdist),
    Case("sdist-top-folder", ERROR, sdist(members=[tar_file("other/x", b"")]), make_sdist),
    Case("sdist-top-folder", ERROR, tar_of(), make_sdist),
    Case("pkg-info-missing", ERROR, sdist(omit=["PKG-INFO"]), make_sdist),
    Case("pkg-info-missing", ERROR, moved("./"), moved("")),
    Case(
        "pkg-info-missing", ERROR, tar_of(tar_file("sample-1.0/PKG-INFO", b"Name: x")), make_sdist
    ),
    Case("pkg-info-not-a-file", ERROR, linked_metadata, make_sdist),
    Case("metadata-empty", ERROR, sdist(metadata="Name: sample\n"), make_sdist),
]

FORMS: list[tuple[str, dict[str, list[str]]]] = [
    ("form-name", {"name": ["-"]}),
    ("form-filetype", {"filetype": ["bdist_egg"]}),
    ("form-pyversion", {"pyversion": []}),
    ("form-pyversion", {"filetype": ["sdist"]}),
    ("form-digest-missing", {"sha256_digest": []}),
    ("form-digest", {"sha256_digest": ["abc"]}),
    ("form-field-repeated", {"summary": ["one", "two"]}),
    ("project-url-repeated", {"project_urls": ["a, https://a.org", "a, https://b.org"]}),
]


def form(**fields: list[str]) -> dict[str, list[str]]:
    return {
        "metadata_version": ["2.4"],
        "name": ["sample"],
        "version": ["1.0"],
        "filetype": ["bdist_wheel"],
        "pyversion": ["py3"],
        "description": ["Text."],
        "description_content_type": ["text/plain"],
        "sha256_digest": ["0" * 64],
        **fields,
    }


def judged(path: Path, sent_as: str | None) -> list[Finding]:
    return checks.check_file(path, sent_as or path.name, path.stat().st_size)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_rule_finds_the_bad_file_and_leaves_the_good_one(case: Case, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.mkdir()
    good.mkdir()
    found = judged(case.bad(bad), case.sent_as)
    assert (case.rule, case.severity) in [(one.rule, one.severity) for one in found]
    assert len(found) == len(set(found))
    assert [one.severity for one in found] == sorted(
        (one.severity for one in found), key=list(Severity).index
    )
    if case.good is not case.bad:
        assert case.rule not in [one.rule for one in judged(case.good(good), None)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_findings_are_sentences_that_can_be_printed(case: Case, tmp_path: Path) -> None:
    for finding in judged(case.bad(tmp_path), case.sent_as):
        for text in (finding.message, finding.remedy):
            assert text.isprintable()
            assert 10 < len(text) < 700
            assert text.endswith(".")


@pytest.mark.parametrize(("rule", "fields"), FORMS, ids=lambda value: str(value)[:40])
def test_rule_refuses_the_bad_form(rule: str, fields: dict[str, list[str]]) -> None:
    assert checks.refuse_form(form()) is None
    refusal = checks.refuse_form(form(**fields))
    assert refusal is not None
    assert refusal.rule == rule


def test_two_sdists_of_one_release_exclude_each_other(tmp_path: Path) -> None:
    files = [
        distribution(make_sdist(tmp_path / "a")),
        distribution(make_sdist(tmp_path / "b", filename="sample-1.0.zip")),
        distribution(make_sdist(tmp_path / "c", version="1.0.0")),
        distribution(make_sdist(tmp_path / "c", version="1.1")),
        distribution(make_sdist(tmp_path / "d", name="other")),
        distribution(make_wheel(tmp_path / "e")),
    ]
    found = check_release(files)
    assert [(name, [one.rule for one in some]) for name, some in found.items()] == [
        ("sample-1.0.tar.gz", ["release-two-sdists"]),
        ("sample-1.0.zip", ["release-two-sdists"]),
        ("sample-1.0-py3-none-any.whl", ["two-versions"]),
    ]


def test_two_files_with_the_same_bytes_exclude_each_other(tmp_path: Path) -> None:
    files = [
        distribution(make_wheel(tmp_path)),
        distribution(make_wheel(tmp_path, filename="sample-1.0-py2-none-any.whl")),
        distribution(make_wheel(tmp_path, version="1.1")),
    ]
    found = check_release(files)
    assert [(name, [one.rule for one in some]) for name, some in found.items()] == [
        (WHEEL_NAME, ["release-same-bytes"]),
        ("sample-1.0-py2-none-any.whl", ["two-versions"]),
    ]
    assert check_release(files[2:]) == {}


def _rule_names() -> set[str]:
    """The first argument of whatever makes a finding, and the names in packaging's table."""
    names = set()
    for source in Path(checks.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                makes = node.func.id in {
                    "refused",
                    "doubtful",
                    "discouraged",
                    "unwise",
                    "untried",
                    "_Odd",
                }
                if makes and isinstance(node.args[0], ast.Constant):
                    names.add(node.args[0].value)
            elif isinstance(node, ast.AnnAssign | ast.Assign):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target
                if isinstance(target, ast.Name) and target.id == "_PACKAGING_RULES":
                    assert isinstance(node.value, ast.Dict)
                    names.update(ast.literal_eval(value)[0] for value in node.value.values)
    return names


def test_every_rule_is_in_a_table() -> None:
    tested = {case.rule for case in CASES} | {rule for rule, _ in FORMS}
    tested |= {"release-two-sdists", "release-same-bytes", "two-versions"}
    tested |= {"archive-not-judged"}  # test_bombs.py
    tested |= {"description-not-rendered-here"}  # test_markdown_missing.py
    # test_foresight.py and test_rehearsal_pypi_uploads.py
    tested |= {"filename-taken", "content-taken", "second-sdist", "release-closed", "project-size"}
    assert _rule_names() == tested
