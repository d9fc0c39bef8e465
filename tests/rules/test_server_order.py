"""The first refusal is the one that PyPI would give, in its order of checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish.findings import Finding, Severity
from attested_publish.rules import checks
from support.makers import make_sdist, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

FINE = {
    "metadata_version": ["2.4"],
    "name": ["sample"],
    "version": ["1.0"],
    "filetype": ["bdist_wheel"],
    "pyversion": ["py3"],
    "sha256_digest": ["0" * 64],
}


def first_refusal(**fields: list[str]) -> str | None:
    refusal = checks.refuse_form({**FINE, **fields})
    if refusal is None:
        return None
    assert refusal.severity is Severity.ERROR
    return refusal.rule


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, None),
        ({"metadata_version": ["1.0"]}, None),
        ({"metadata_version": ["2.0"]}, "metadata-version-invalid"),
        ({"metadata_version": ["2.6"]}, "metadata-version-newer"),
        ({"metadata_version": []}, "metadata-field-missing"),
        ({"name": ["_"], "metadata_version": ["2.0"]}, "form-name"),
        ({"filetype": ["egg"], "metadata_version": ["2.0"]}, "form-filetype"),
        ({"version": ["x"], "metadata_version": ["2.0"]}, "metadata-version-invalid"),
        ({"version": ["x"], "summary": ["a\nb"]}, "version-invalid"),
        # What the specification refuses comes before PyPI's own rules.
        ({"version": ["1+local"], "summary": ["a\nb"]}, "summary-lines"),
        ({"version": ["1+local"], "summary": ["a" * 600]}, "version-local"),
        ({"summary": ["a" * 600], "author_email": ["a@b"]}, "email-invalid"),
        ({"summary": ["a" * 600], "requires_dist": ["a @ https://a.org"]}, "direct-dependency"),
        ({"classifiers": ["Nothing :: Known"]}, "classifier-unknown"),
        ({"summary": ["a", "b"], "version": ["x"]}, "form-field-repeated"),
        ({"home_page": ["UNKNOWN"], "summary": [""], "unknown": ["x", "y"]}, None),
    ],
)
def test_order_of_the_form(fields: dict[str, list[str]], rule: str | None) -> None:
    assert first_refusal(**fields) == rule


def rule_of(refusal: Finding | None) -> str | None:
    return refusal.rule if refusal else None


def refused_file(path: Path, filename: str | None = None, **fields: list[str]) -> str | None:
    kind = {} if path.suffix == ".whl" else {"filetype": ["sdist"], "pyversion": ["source"]}
    form = {**FINE, **kind, **fields}
    return rule_of(checks.refuse_file(form, filename or path.name, path, path.stat().st_size))


def test_the_description_and_the_name_are_judged_without_the_file() -> None:
    rst = {**FINE, "description": ["Title\n=====\n\n:bad:`role`\n"]}
    assert rule_of(checks.refuse_description(rst)) == "description-not-rendered"
    assert checks.refuse_description(FINE) is None
    assert rule_of(checks.refuse_filename(FINE, "a/b.exe")) == "filename-separator"
    assert rule_of(checks.refuse_filename(FINE, "a\x1fb/c")) == "filename-control-character"
    assert rule_of(checks.refuse_filename(FINE, "sample-1.0.tar.gz")) == "filename-extension"
    assert checks.refuse_filename(FINE, "anything.whl") is None


def test_order_of_a_wheel(tmp_path: Path) -> None:
    """One fault less each time: the one that is left is found."""
    tag, info = "cp312-cp312-linux_x86_64", "sample-1.0.dist-info"
    licensed = {"license_file": ["LICENSE"]}
    bad_scripts = {f"{info}/entry_points.txt": b"[console_scripts]\n../evil = a:b\n"}

    def wheel(folder: str, *omit: str, tag: str = "py3-none-any") -> Path:
        return make_wheel(tmp_path / folder, tag=tag, omit=omit, extra_files=bad_scripts)

    bare = wheel("bare", "WHEEL", "RECORD", "METADATA", tag=tag)
    assert refused_file(bare, **licensed) == "wheel-file-missing"
    unlisted = wheel("unlisted", "RECORD", "METADATA", tag=tag)
    assert refused_file(unlisted, **licensed) == "wheel-platform"
    plain = wheel("plain", "RECORD", "METADATA")
    assert refused_file(plain, name=["x"], version=["2"], **licensed) == "wheel-name-mismatch"
    assert refused_file(plain, version=["2"], **licensed) == "wheel-version-mismatch"
    assert refused_file(plain, **licensed) == "license-file-missing"
    assert refused_file(plain) == "record-missing"
    assert refused_file(wheel("listed", "METADATA")) == "entry-points-invalid"
    assert refused_file(make_wheel(tmp_path, omit=["METADATA"])) == "metadata-missing"
    assert refused_file(make_wheel(tmp_path)) is None
    renamed = make_wheel(tmp_path, omit=["RECORD"], filename="sample-1.1-py3-none-any.whl")
    assert refused_file(renamed, **licensed) == "dist-info-misnamed"


def test_order_of_an_sdist(tmp_path: Path) -> None:
    licensed = {"license_file": ["X"]}
    empty = make_sdist(tmp_path, filename="sample-1.0.0.tar.gz", omit=["PKG-INFO"])
    assert refused_file(empty, **licensed) == "pkg-info-missing"
    misnamed = make_sdist(tmp_path, filename="sample-1.0.0.tar.gz")
    assert refused_file(misnamed, **licensed) == "sdist-filename"
    good = make_sdist(tmp_path)
    assert refused_file(good, **licensed) == "license-file-missing"
    assert refused_file(good) is None


def test_forty_bad_files_are_all_reported(tmp_path: Path) -> None:
    bad = [
        make_wheel(tmp_path, f"bad{number}", metadata={"Requires-Dist": "a b", "Home-Page": "x"})
        if number % 2
        else make_sdist(tmp_path, f"bad{number}", version="1.0+x", filename=f"Bad{number}-1.tar.gz")
        for number in range(40)
    ]
    assert len(set(bad)) == 40
    for path in bad:
        found = checks.check_file(path, path.name, path.stat().st_size)
        assert [one.severity for one in found][:2] == [Severity.ERROR] * 2
        assert {one.rule for one in found} == (
            {"requirement-invalid", "url-invalid"}
            if path.suffix == ".whl"
            else {"version-local", "sdist-filename"}
        )
