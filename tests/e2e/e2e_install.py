"""The locks, installed by old and new releases of pip and uv; the wheels are the real index's."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

from support.locks import OPTIONS, assert_installed, install, write_index
from support.paths import ROOT
from support.plain_python import UV, prepared_job

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


# The action's own way, which is the one that takes uv.


@pytest.fixture
def job(tmp_path, real_wheels):
    job = prepared_job(tmp_path)
    job.lock((real_wheels / "lock.txt").read_text())
    job.environment["PIP_FIND_LINKS"] = str(real_wheels)
    return job


def installers(job):
    files = [*job.venv.glob("lib*/**/*.dist-info/INSTALLER")]
    assert len(files) >= 40
    return {path.read_text().strip() for path in files}


def oldest_uv():
    """The oldest release that install.py takes."""
    found = re.search(r"^OLDEST_UV: Final = (.*)$", (ROOT / "install.py").read_text(), re.MULTILINE)
    return ".".join(map(str, ast.literal_eval(found[1])))


@pytest.mark.parametrize("release", ["oldest", "newest"])
def test_the_real_lock_by_uv(release, job):
    program = UV
    if release == "oldest":
        download(job.folder / "uv", f"uv=={oldest_uv()}")
        (wheel,) = (job.folder / "uv").glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(job.folder / "uv")
        (program,) = (job.folder / "uv").glob("*.data/scripts/uv")
        program.chmod(0o755)
    job.put_uv_on_path(f'exec {program} "$@"')
    done = job.prepare()
    assert done.returncode == 0, done.stdout
    assert installers(job) == {"uv"}


@pytest.mark.parametrize("release", ["22.2", "22.3", "newest"])
def test_whatever_pip_the_runner_has(release, job):
    # Up to 22.2, pip cannot install into another environment; Python's own is then used.
    theirs = job.folder / "theirs"
    what = "pip" if release == "newest" else f"pip=={release}"
    subprocess.run([sys.executable, "-m", "venv", theirs], check=True)
    install = [theirs / "bin/python", "-m", "pip", "install", "--quiet", "--upgrade", what]
    subprocess.run(install, check=True)
    job.use_python(theirs / "bin/python")
    done = job.prepare()
    assert done.returncode == 0, done.stdout
    assert installers(job) == {"pip"}
    assert (job.venv / "bin" / "pip").exists() == (release == "22.2")
