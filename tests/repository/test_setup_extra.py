"""What only `setup` needs is an extra of the package, with its own lock."""

from __future__ import annotations

import tomllib

import pytest
from packaging.requirements import Requirement

from support.locks import read_lock
from support.paths import ROOT


def names(lock):
    return {each.name for each in read_lock(lock)}


def test_the_extra_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {Requirement(each).name for each in project["optional-dependencies"]["setup"]}
    lines = (ROOT / "requirements" / "setup.in").read_text("utf-8").splitlines()
    assert declared == {line for line in lines if line and not line.startswith("#")}
    assert names("setup") == {"ruamel-yaml"}
    assert names("setup") <= names("dev")


@pytest.mark.parametrize("lock", ["runtime", "uv"])
def test_the_action_and_the_image_do_not_carry_it(lock):
    assert not names("setup") & names(lock)
