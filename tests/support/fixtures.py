"""Fixtures for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from attested_publish.net import secrecy
from support.independent import installed
from support.makers import make_release
from support.releases import Stage, staged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests() -> Iterator[None]:
    """A process is one run, and has its secrets; these tests are many in one."""
    secrecy.forget()
    yield
    secrecy.forget()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `verify` find nothing that it has verified before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """The folder with Sigstore's JavaScript implementation."""
    return installed()


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
