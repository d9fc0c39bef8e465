"""Python converts no number of more than 4300 digits; a rule says so instead of failing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish.findings import Severity
from attested_publish.rules import checks
from support.makers import make_sdist, make_wheel

if TYPE_CHECKING:
    from pathlib import Path

DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("metadata_version", DIGITS, "metadata-version-invalid"),
        ("metadata_version", f"2.{DIGITS}", "metadata-version-invalid"),
        ("version", DIGITS, "metadata-unreadable"),
        ("version", f"1.0.post{DIGITS}", "metadata-unreadable"),
        ("requires_python", f">={DIGITS}", None),
        ("requires_dist", f"a>={DIGITS}", None),
        ("provides_dist", f"a>={DIGITS}", None),
        ("description_content_type", f"text/plain; a*{DIGITS}=b", "content-type-invalid"),
        ("author_email", f"a@[{DIGITS}]", None),
    ],
)
def test_a_long_number_in_a_form(field: str, value: str, rule: str | None) -> None:
    refusal = checks.refuse_form(
        {
            "metadata_version": ["2.4"],
            "name": ["sample"],
            "version": ["1.0"],
            "filetype": ["sdist"],
            "sha256_digest": ["0" * 64],
            field: [value],
        }
    )
    assert (refusal and refusal.rule) == rule
    assert refusal is None or len(refusal.message) < 700


@pytest.mark.parametrize(
    ("header", "rule"),
    [("Version", "metadata-unreadable"), ("Metadata-Version", "metadata-version-invalid")],
)
def test_a_long_number_in_a_file(header: str, rule: str, tmp_path: Path) -> None:
    for path in (
        make_wheel(tmp_path, metadata={header: DIGITS}),
        make_sdist(tmp_path, metadata={header: DIGITS}),
    ):
        found = checks.check_file(path, path.name, path.stat().st_size)
        assert [one.rule for one in found] == [rule]


@pytest.mark.parametrize(
    ("filename", "rule"),
    [
        (f"sample-{DIGITS}-py3-none-any.whl", "wheel-filename"),
        (f"sample-1.0-{DIGITS}-py3-none-any.whl", "wheel-filename"),
        (f"sample-1.0-py3-none-macosx_{DIGITS}_0_arm64.whl", "wheel-platform"),
        (f"sample-1.0-py3-none-macosx_11_{DIGITS}_arm64.whl", "wheel-platform"),
        (f"sample-{DIGITS}.tar.gz", "sdist-filename"),
    ],
)
def test_a_long_number_in_a_name(filename: str, rule: str, tmp_path: Path) -> None:
    # Nothing but the name is known of a file without metadata.
    make = make_wheel if filename.endswith(".whl") else make_sdist
    path = make(tmp_path, omit=["METADATA", "PKG-INFO"])
    found = checks.check_file(path, filename, path.stat().st_size)
    assert (rule, Severity.ERROR) in [(one.rule, one.severity) for one in found]
