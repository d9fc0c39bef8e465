"""The cause of what is wrong with a file is said first, and what follows from it is not."""

from __future__ import annotations

import gzip
import tarfile
from typing import TYPE_CHECKING

import pytest
from twine.exceptions import InvalidDistribution
from twine.package import PackageFile

from attested_publish.findings import Severity
from attested_publish.rules import checks
from support.makers import (
    make_sdist,
    make_wheel,
    metadata_text,
    tar_file,
    wheel_files,
    write_tar_gz,
    write_zip,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from attested_publish.findings import Finding

INFO = "sample-1.0.dist-info"
WHEEL = "sample-1.0-py3-none-any.whl"
SDIST = "sample-1.0.tar.gz"
VARIANT = "sample-1.0-cp313-cp313-manylinux_2_28_x86_64-x86_64_v3.whl"
DATA = "sample/data/numbers.json"


def findings(path: Path) -> list[Finding]:
    return checks.check_file(path, path.name, path.stat().st_size)


def only_finding(path: Path) -> Finding:
    found = findings(path)
    assert [one.rule for one in found] == [found[0].rule], found
    return found[0]


def doubled(folder: Path, generator: str, first: bytes = b"{}", second: bytes = b"{}") -> Path:
    """Write a wheel as a build backend does that adds a file twice."""
    wheel_file = f"Wheel-Version: 1.0\nGenerator: {generator}\n".encode()
    files = wheel_files(extra_files={DATA: first, f"{INFO}/WHEEL": wheel_file})
    with pytest.warns(UserWarning, match="Duplicate name"):
        return write_zip(folder / WHEEL, [*files.items(), (DATA, second)])


class TestDuplicateMembers:
    @pytest.mark.parametrize(
        ("generator", "setting"),
        [
            ("hatchling 1.27.0", "force-include"),
            ("poetry-core 2.1.3", "`include` matches"),
            ("meson", "meson.build"),
            ("maturin (1.5.1)", "`python-source`"),
            ("setuptools (80.9.0)", "what adds the file for a second time"),
            ("bdist_wheel (0.45.1)", "`force-include`"),
        ],
    )
    def test_the_member_and_the_setting_are_named(
        self, generator: str, setting: str, tmp_path: Path
    ) -> None:
        finding = only_finding(doubled(tmp_path, generator))
        assert finding.rule == "zip-duplicate"
        assert finding.severity is Severity.ERROR
        assert repr(DATA) in finding.message
        assert setting in finding.remedy

    def test_different_sizes_do_not_hide_it(self, tmp_path: Path) -> None:
        """PyPI then says "Mis-matched data size" of the first of the two."""
        path = doubled(tmp_path, "hatchling 1.27.0", second=b'{"one": 1}')
        assert only_finding(path).rule == "zip-duplicate"
        fields = {"name": ["sample"], "version": ["1.0"], "filetype": ["bdist_wheel"]}
        refusal = checks.refuse_file(fields, path.name, path, path.stat().st_size)
        assert refusal is not None
        assert refusal.rule == "zip-sizes"

    def test_it_is_said_before_anything_else_about_the_archive(self, tmp_path: Path) -> None:
        files = wheel_files(omit=["WHEEL"])
        with pytest.warns(UserWarning, match="Duplicate name"):
            path = write_zip(tmp_path / WHEEL, [*files.items(), (f"{INFO}/METADATA", b"")])
        assert findings(path)[0].rule == "zip-duplicate"

    def test_an_odd_generator_is_no_trouble(self, tmp_path: Path) -> None:
        assert "`force-include`" in only_finding(doubled(tmp_path, "\x1b[31m\nGenerator")).remedy


def twine_refuses(path: Path) -> bool:
    try:
        PackageFile.from_filename(str(path), None)
    except InvalidDistribution:
        return True
    return False


class TestMetadata:
    @pytest.mark.parametrize("make", [make_wheel, make_sdist])
    def test_a_byte_order_mark(self, make: Callable[..., Path], tmp_path: Path) -> None:
        path = make(tmp_path, metadata="\ufeff" + metadata_text())
        finding = only_finding(path)
        assert "UTF-8 byte order mark" in finding.message
        assert "utf8NoBOM" in finding.remedy
        assert twine_refuses(path)

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_utf_16(self, encoding: str, tmp_path: Path) -> None:
        content = metadata_text().encode(encoding)
        wheel = make_wheel(tmp_path, extra_files={f"{INFO}/METADATA": content})
        sdist = make_sdist(tmp_path, extra_files={"sample-1.0/PKG-INFO": content})
        for path in (wheel, sdist):
            assert "UTF-16" in only_finding(path).message
            assert twine_refuses(path)

    def test_an_empty_file(self, tmp_path: Path) -> None:
        assert "METADATA is empty" in only_finding(make_wheel(tmp_path, metadata="")).message
        assert "PKG-INFO is empty" in only_finding(make_sdist(tmp_path, metadata="\n")).message

    @pytest.mark.parametrize(
        ("text", "what"),
        [
            (f"\n{metadata_text()}", "line 1, which is blank"),
            ("Metadata-Version: 2.4\n\nName: sample\nVersion: 1.0\n", "line 2, which is blank"),
            (
                "Metadata-Version: 2.4\nSummary: one\nand two\nName: sample\nVersion: 1.0\n",
                "line 3, which is 'and two' and no field",
            ),
            ("Metadata-Version: 2.4\r\n\r\nName: a\r\nVersion: 1\r\n", "line 2, which is blank"),
        ],
    )
    def test_a_line_that_ends_the_fields(self, text: str, what: str, tmp_path: Path) -> None:
        path = make_wheel(tmp_path, metadata=text)
        assert what in only_finding(path).message
        assert twine_refuses(path)

    @pytest.mark.parametrize("newline", ["\r\n", "\r"])
    def test_other_line_ends_are_fine(self, newline: str, tmp_path: Path) -> None:
        path = make_wheel(tmp_path, metadata=metadata_text().replace("\n", newline))
        assert findings(path) == []
        assert not twine_refuses(path)

    def test_fields_that_are_really_missing(self, tmp_path: Path) -> None:
        path = make_wheel(tmp_path, metadata="Metadata-Version: 2.4\n\nSome text.\n")
        assert {one.rule for one in findings(path)} >= {"metadata-field-missing"}

    @pytest.mark.parametrize("variant", ["XYZ", "gfm", "commonmark"])
    def test_an_unknown_markdown_variant(self, variant: str, tmp_path: Path) -> None:
        stated = {"Description-Content-Type": f"text/markdown; variant={variant}"}
        path = make_wheel(tmp_path, metadata=stated)
        finding = only_finding(path)
        assert f"the Markdown variant {variant!r}" in finding.message
        assert "GFM and CommonMark" in finding.message
        assert twine_refuses(path)

    @pytest.mark.parametrize("variant", ["GFM", "CommonMark"])
    def test_a_known_markdown_variant(self, variant: str, tmp_path: Path) -> None:
        stated = {"Description-Content-Type": f"text/markdown; variant={variant}"}
        assert all(
            one.severity is Severity.NOTICE
            for one in findings(make_wheel(tmp_path, metadata=stated))
        )


class TestVariants:
    def test_a_wheel_variant_is_called_one_and_left_to_the_index(self, tmp_path: Path) -> None:
        finding = only_finding(make_wheel(tmp_path, filename=VARIANT))
        assert finding.severity is Severity.WARNING
        assert "wheel variant (PEP 825, a draft), with the label 'x86_64_v3'" in finding.message

    def test_today_s_server_refuses_it(self, tmp_path: Path) -> None:
        path = make_wheel(tmp_path, filename=VARIANT)
        fields = {"name": ["sample"], "version": ["1.0"], "filetype": ["bdist_wheel"]}
        refusal = checks.refuse_file(fields, path.name, path, path.stat().st_size)
        assert refusal is not None
        assert refusal.severity is Severity.ERROR


class TestNotADistribution:
    def test_a_wheel_with_a_folder_around_everything(self, tmp_path: Path) -> None:
        members = [(f"sample-1.0/{name}", data) for name, data in wheel_files().items()]
        finding = only_finding(write_zip(tmp_path / WHEEL, members))
        assert "one folder too deep" in finding.message
        assert "'sample-1.0'" in finding.message

    @pytest.mark.parametrize("name", ["dist.zip", WHEEL, "artifact-1.0.zip"])
    @pytest.mark.parametrize("folder", ["", "dist/"])
    def test_a_zip_of_distributions(self, name: str, folder: str, tmp_path: Path) -> None:
        inner = [make_wheel(tmp_path / "in"), make_sdist(tmp_path / "in")]
        members = [(f"{folder}{one.name}", one.read_bytes()) for one in inner]
        sidecar = (f"{folder}{WHEEL}.publish.attestation", b"{}")
        path = write_zip(tmp_path / name, [(f"{folder}.gitignore", b"*"), *members, sidecar])
        assert findings(path)[-1].rule == "archive-of-distributions"
        finding = only_finding(path)
        assert repr(WHEEL) in finding.message
        assert "Unpack it first (`unzip`)" in finding.remedy

    def test_a_tar_of_distributions(self, tmp_path: Path) -> None:
        members = [tar_file(f"dist/{one}", b"") for one in (WHEEL, SDIST)]
        finding = only_finding(write_tar_gz(tmp_path / "dist.tar.gz", members))
        assert finding.rule == "archive-of-distributions"
        assert "tar -xzf" in finding.remedy

    def test_an_sdist_without_metadata_is_not_taken_for_one(self, tmp_path: Path) -> None:
        path = make_sdist(tmp_path, omit=["PKG-INFO"], extra_files={"sample-1.0/fixture.zip": b""})
        assert [one.rule for one in findings(path)] == ["pkg-info-missing"]

    @pytest.mark.parametrize("name", [WHEEL, SDIST])
    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (b"", "it is empty"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
                "it is a Git LFS pointer",
            ),
            (b"\n<!DOCTYPE html>\n<title>Sign in</title>", "it is an HTML page"),
            (b'<?xml version="1.0"?><Error/>', "it is an XML document"),
            (b'{"message": "Not Found"}', "it is a JSON document"),
            (b"\xfd7zXZ\x00 and so on", "it is an xz file"),
        ],
    )
    def test_another_file_by_that_name(
        self, name: str, content: bytes, what: str, tmp_path: Path
    ) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        assert what in only_finding(path).message

    def test_an_sdist_named_as_a_wheel(self, tmp_path: Path) -> None:
        path = make_sdist(tmp_path).rename(tmp_path / WHEEL)
        assert "it is a gzip file, such as a .tar.gz" in only_finding(path).message

    def test_a_wheel_named_as_an_sdist(self, tmp_path: Path) -> None:
        path = make_wheel(tmp_path).rename(tmp_path / SDIST)
        found = [one for one in findings(path) if one.rule == "tar-unreadable"]
        assert "it is a zip archive" in found[0].message

    def test_a_tar_that_is_not_compressed(self, tmp_path: Path) -> None:
        path = make_sdist(tmp_path)
        path.write_bytes(gzip.decompress(path.read_bytes()))
        assert tarfile.is_tarfile(path)
        assert "a tar archive that is not compressed" in only_finding(path).message
