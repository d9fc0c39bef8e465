"""What only `verify --lock … --write` needs is an extra of the package, with its own lock."""

from __future__ import annotations

import tomllib

import pytest
from packaging.requirements import Requirement

from attested_publish.consumer.locks import read_lock
from support.paths import ROOT


def pinned(name: str) -> dict[str, tuple[str | None, frozenset[str]]]:
    """Read one of our own locks, as a user's."""
    lock = read_lock(ROOT / "requirements" / f"{name}.txt")
    return {
        each.name: (each.version, frozenset(file.sha256 for file in each.files))
        for each in lock.packages
    }


def test_the_extra_is_locked_and_tested_as_it_is_locked():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {Requirement(each).name for each in extras["optional-dependencies"]["lock"]}
    lines = (ROOT / "requirements" / "lock.in").read_text("utf-8").splitlines()
    assert declared == {line for line in lines if line and not line.startswith("#")}
    locked = pinned("lock")
    assert declared <= set(locked)
    assert all(hashes for _, hashes in locked.values())
    assert {name: pinned("dev")[name] for name in locked} == locked


@pytest.mark.parametrize("name", ["runtime", "uv"])
def test_the_action_and_the_image_do_not_carry_it(name: str):
    assert not set(pinned("lock")) & set(pinned(name))


def test_one_module_imports_it_and_does_without():
    sources = (ROOT / "src").rglob("*.py")
    using = [path for path in sources if "import tomlkit" in path.read_text("utf-8")]
    (only,) = using
    assert only.relative_to(ROOT / "src/attested_publish").as_posix() == "consumer/locks/pinning.py"
    assert "except ImportError" in only.read_text("utf-8")
