from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from makers import make_release
from releases import Stage, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A folder with a wheel and an sdist of `sample` 1.0."""
    folder = tmp_path / "dist"
    folder.mkdir()
    make_release(folder)
    return folder


@pytest.fixture
def stage(dist: Path) -> Iterator[Stage]:
    """An embedded world, and the release of `dist` to publish to it."""
    with staged(dist) as stage:
        yield stage
