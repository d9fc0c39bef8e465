"""The locks, installed by old and new releases of pip; the wheels come from the real index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile

import pytest

from support.locks import OPTIONS, assert_installed, install, write_index
from support.paths import ROOT

# Python 3.11 began with the first; Debian 12 has the third; from 23.3 on extras resolve as locked.
PIPS = ("22.3", "23.0", "23.0.1", "24.0", "newest")


def download(folder, *what):
    # Where packages come from is for this machine's settings to say.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "-d", folder]
    subprocess.run([*command, *what], check=True, env=os.environ)


def unpacked_pip(release, folder):
    """A release of pip, as what a Python is started with; it runs from where it lies."""
    download(folder, "pip" if release == "newest" else f"pip=={release}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return (str(folder / "pip"),)


@pytest.fixture(scope="session")
def real_wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    lock = ROOT / "requirements" / "runtime.txt"
    download(folder, *OPTIONS[1:], "-r", lock)
    shutil.copy(lock, folder / "lock.txt")
    return folder


@pytest.mark.parametrize(
    ("release", "name"),
    [*((release, "runtime") for release in PIPS), ("23.0.1", "dev"), ("newest", "dev")],
)
def test_a_newer_release_of_everything_changes_nothing(release, name, tmp_path):
    lock = write_index(tmp_path / "index", name)
    pip = unpacked_pip(release, tmp_path / "pip")
    assert_installed(lock, *install(lock, OPTIONS, tmp_path / "venv", pip))


@pytest.mark.parametrize("release", [PIPS[0], PIPS[-1]])
def test_the_real_lock(release, real_wheels, tmp_path):
    pip = unpacked_pip(release, tmp_path / "pip")
    options = [*OPTIONS, "--no-compile"]
    found, said = install(real_wheels / "lock.txt", options, tmp_path / "venv", pip)
    assert len(found) >= 40, said
    # Whatever pip says of it: what was installed fits together.
    check = [sys.executable, "-I", *pip, "--python", tmp_path / "venv", "check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
