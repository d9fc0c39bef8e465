"""Locks of the same shape as ours, with made-up wheels, and how a pip installs them."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support.paths import ROOT

NEWER = ".77"
"""What turns a locked version into a newer one, which most requirements would take, too."""


@dataclass(frozen=True)
class Locked:
    """A line of a lock."""

    requirement: Requirement
    hashes: int

    @property
    def name(self):
        return canonicalize_name(self.requirement.name)

    @property
    def version(self):
        (pin,) = self.requirement.specifier
        assert pin.operator == "=="
        return pin.version

    def holds(self, environment):
        return self.requirement.marker is None or self.requirement.marker.evaluate(environment)


def read_lock(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    lines = text.replace("\\\n", " ").splitlines()
    return [
        Locked(Requirement(line.partition(" --hash=")[0].strip()), line.count("--hash=sha256:"))
        for line in lines
    ]


@functools.cache
def requires_of(name):
    """What a package says that it requires; `None` where it is not installed."""
    try:
        found = importlib.metadata.distribution(name).requires
    except importlib.metadata.PackageNotFoundError:
        return None
    return [Requirement(text) for text in found or []]


def commands_that_install_a_lock():
    """Every command in this repository that installs a lock, by the file it stands in."""
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/**/*.yml")]
    files = [
        *(ROOT / "Makefile", ROOT / "Dockerfile", ROOT / "launch.sh", ROOT / ".ci" / "run"),
        *(*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("templates/**/*.yml"), *pages),
    ]
    found = []
    for file in files:
        text = file.read_text(encoding="utf-8").replace("\\\n", " ")
        locked = re.search(r"^LOCKED := (.*)$", text, re.MULTILINE)
        if locked:
            text = text.replace("$(LOCKED)", locked[1])
        found += [
            (file.relative_to(ROOT).as_posix(), line.partition("&&")[0])
            for line in text.splitlines()
            if re.search(r"\binstall\b.* -r \S*requirements/\S+\.txt", line)
        ]
    return found


COMMANDS = commands_that_install_a_lock()


def options_in(command):
    words = command.split()
    return [
        word
        for index, word in enumerate(words)
        if word in {"--no-deps", "--require-hashes", "--no-compile", "--only-binary"}
        or words[index - 1] == "--only-binary"
    ]


OPTIONS = options_in(next(line for file, line in COMMANDS if file == "Makefile"))


def write_wheel(folder, name, version, requires=(), files=None):
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    metadata = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
    extras = {extra for r in requires for extra in re.findall(r"extra == [\"']([^\"']+)", r)}
    metadata += [f"Provides-Extra: {extra}" for extra in sorted(extras)]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{stem}.dist-info/METADATA", "Metadata-Version: 2.1\n" + "\n".join(metadata)
        )
        archive.writestr(
            f"{stem}.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{stem}.dist-info/RECORD", "")
        for file, text in (files or {}).items():
            archive.writestr(file, text)
    return path


def write_index(folder, name):
    """A lock of the same shape, and wheels for it; of each package there is a newer one, too."""
    folder.mkdir()
    lines = []
    for locked in read_lock(name):
        if not locked.holds(None):
            continue
        requires = [str(each) for each in requires_of(locked.name) or []]
        wheel = write_wheel(folder, locked.name, locked.version, requires)
        write_wheel(folder, locked.name, f"{locked.version}{NEWER}", requires)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lines.append(f"{locked.requirement} --hash=sha256:{digest}")
    lock = folder / "lock.txt"
    lock.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lock


def without_settings_of_pip():
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    return kept | {"PIP_CONFIG_FILE": os.devnull}


def install(lock, options, folder, pip=("-m", "pip")):
    """Install a lock of made-up wheels; return what is there then, and what pip says."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    done = subprocess.run(
        [
            *(sys.executable, "-I", *pip, "--python", folder, "--isolated", "install", "--quiet"),
            *("--disable-pip-version-check", "--no-index", "--find-links", lock.parent),
            *(*options, "-r", lock),
        ],
        env=without_settings_of_pip(),
        capture_output=True,
        text=True,
        check=False,
    )
    found = (path.name.removesuffix(".dist-info") for path in folder.glob("**/*.dist-info"))
    return {name.replace("-", "==").replace("_", "-") for name in found}, done.stdout + done.stderr


def assert_installed(lock, found, said):
    wanted = set(re.findall(r"^[^\s;]+==[^\s;]+", lock.read_text(encoding="utf-8"), re.MULTILINE))
    assert wanted <= found, said
    assert not [each for each in found if each.endswith(NEWER)]
