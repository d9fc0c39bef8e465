"""The digests of a private copy: SHA-256 while copying, the others when they are asked for."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

import pytest

from attested_publish.distributions import Distribution, copy_privately

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "sample-1.0-py3-none-any.whl"


@pytest.mark.parametrize("size", [0, 1, 1 << 18, (1 << 18) + 1, 3_000_000])
def test_the_digests_are_those_of_the_copy(size: int, tmp_path: Path) -> None:
    content = random.Random(size).randbytes(size)
    source = tmp_path / _NAME
    source.write_bytes(content)
    with copy_privately([tmp_path]) as copies:
        (copied,) = copies.distributions
        # What becomes of the original meanwhile is of no concern.
        source.write_bytes(b"other bytes")
        assert copied.path.read_bytes() == content
        assert copied.size == size
        assert copied.sha256 == hashlib.sha256(content).hexdigest()
        assert copied.md5 == hashlib.md5(content).hexdigest()
        assert copied.blake2b_256 == hashlib.blake2b(content, digest_size=32).hexdigest()


def test_a_file_that_is_not_copied_is_not_read(tmp_path: Path) -> None:
    missing = tmp_path / _NAME
    distribution = Distribution(missing, missing, 2 << 30, sha256="")
    assert (distribution.md5, distribution.blake2b_256) == ("", "")
