"""The first refusal is the one that PyPI would give, in its order of checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish import rules
from attested_publish.findings import Severity
from makers import make_sdist, make_wheel

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
    refusal = rules.refuse_form({**FINE, **fields})
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


def test_order_of_a_wheel(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, tag="cp312-cp312-linux_x86_64", omit=["RECORD"])
    size = path.stat().st_size

    def refusal(filename: str = path.name, **fields: list[str]) -> str | None:
        found = rules.refuse_file({**FINE, **fields}, filename, path, size)
        return found.rule if found else None

    rst = {"description": ["Title\n=====\n\n:bad:`role`\n"]}
    assert refusal("a/b.whl", **rst) == "description-not-rendered"
    assert refusal("a/b.whl") == "filename-separator"
    assert refusal(path.name, filetype=["sdist"]) == "filename-extension"
    assert refusal("sample-1.1-py3-none-any.whl") == "dist-info-misnamed"
    assert refusal() == "record-missing"
    good = make_wheel(tmp_path, tag="cp312-cp312-linux_x86_64")
    found = rules.refuse_file(FINE, good.name, good, good.stat().st_size)
    assert found is not None
    assert found.rule == "wheel-platform"


def test_order_of_an_sdist(tmp_path: Path) -> None:
    form = {**FINE, "filetype": ["sdist"], "pyversion": ["source"]}
    path = make_sdist(tmp_path, filename="sample-1.0.0.tar.gz", omit=["PKG-INFO"])
    found = rules.refuse_file(form, path.name, path, path.stat().st_size)
    assert found is not None
    assert found.rule == "pkg-info-missing"
    path = make_sdist(tmp_path, filename="sample-1.0.0.tar.gz")
    found = rules.refuse_file({**form, "license_file": ["X"]}, path.name, path, 1)
    assert found is not None
    assert found.rule == "sdist-filename"
    path = make_sdist(tmp_path)
    found = rules.refuse_file({**form, "license_file": ["X"]}, path.name, path, 1)
    assert found is not None
    assert found.rule == "license-file-missing"
    assert rules.refuse_file(form, path.name, path, path.stat().st_size) is None


def test_forty_bad_files_are_all_reported(tmp_path: Path) -> None:
    bad = [
        make_wheel(tmp_path, f"bad{number}", metadata={"Requires-Dist": "a b", "Home-Page": "x"})
        if number % 2
        else make_sdist(tmp_path, f"bad{number}", version="1.0+x", filename=f"Bad{number}-1.tar.gz")
        for number in range(40)
    ]
    assert len(set(bad)) == 40
    for path in bad:
        found = rules.check_file(path, path.name, path.stat().st_size)
        assert [one.severity for one in found][:2] == [Severity.ERROR] * 2
        assert {one.rule for one in found} == (
            {"requirement-invalid", "url-invalid"}
            if path.suffix == ".whl"
            else {"version-local", "sdist-filename"}
        )
