"""Files with names that no attestation can have: they are named before anything is spent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish.journey import publish
from support.makers import make_wheel
from support.releases import problem, staged

if TYPE_CHECKING:
    from pathlib import Path

VARIANT = "sample-1.0-py3-none-any-x86_64_v3.whl"
NAMES = (VARIANT, "sample-1.0-1-py3-none-any-cu126.whl", "sample-1.0-no_tags.whl")


@pytest.mark.parametrize("do", [publish.publish, publish.attest])
@pytest.mark.parametrize("filename", NAMES)
def test_the_file_is_named_and_nothing_is_spent(tmp_path: Path, filename: str, do: object) -> None:
    make_wheel(tmp_path, filename=filename)
    make_wheel(tmp_path)
    with staged(tmp_path) as stage:
        report = stage.run(do, verify_metadata="false")
        told = problem(report)
        assert f"{filename} cannot be attested" in told
        assert "attestations: false" in told
        assert "bug" not in told
        assert stage.served() == {}
        assert not stage.world.index.issued_tokens


def test_all_of_them_are_named_at_once(tmp_path: Path) -> None:
    for filename in NAMES:
        make_wheel(tmp_path, filename=filename)
    with staged(tmp_path) as stage:
        told = problem(stage.run(verify_metadata="false"))
        assert "3 files cannot be attested" in told
        assert all(filename in told for filename in NAMES)


def test_without_attestations_the_index_decides(tmp_path: Path) -> None:
    make_wheel(tmp_path, filename=VARIANT)
    with staged(tmp_path) as stage:
        told = problem(stage.run(attestations="false"))
        assert f"refused {VARIANT}" in told
