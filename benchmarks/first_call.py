"""How long the first call waits for plain Python: `first_call.py [--runs N]`.

Each run makes the environment in every way, in turn: as before (Python's own pip, put into the
environment by ensurepip, installs the lock), and with launch.sh, which finds uv on PATH, fetches
the locked one, or has only pip. Packages come from wherever pip on this machine gets them. Needs
bash, and uv from dev.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Final

from measure import CannotMeasure, ProgramFailed, measured, medians

ROOT: Final = Path(__file__).parents[1]
UV: Final = Path(sys.prefix) / ("Scripts/uv.exe" if os.name == "nt" else "bin/uv")

PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
WAYS: Final = ("fetched", "path", "pip")
"""Where uv is from: the lock, the runner's PATH, or nowhere."""

GOAL: Final = 0.4

_TOOLS: Final = ("bash", "cat", "dirname", "mktemp", "od", "rm", "tr", "uname")
_LOCKED: Final = ("--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-compile")


def first_call(runs: int) -> dict[str, dict[str, float]]:
    """Return the medians by version of Python: of this one, and of the newest on the machine.

    `seconds` and `ratio` are those of a runner without uv; `path_…` are with uv on PATH, `pip_…`
    without either. `before_seconds` is what each is compared with. Raises `CannotMeasure` where a
    needed program is missing, `ProgramFailed` where something else installed than was wanted.
    """
    tools = _tools()
    if not UV.is_file():
        raise CannotMeasure(f"there is no uv at {UV}")
    return {version: _compared(program, tools, runs) for version, program in _pythons().items()}


def _tools() -> dict[str, str]:
    """Return where the programs are that launch.sh calls."""
    found = {name: shutil.which(name) for name in _TOOLS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise CannotMeasure(f"there is no {missing[0]} on PATH")
    return {name: path for name, path in found.items() if path is not None}


def _compared(program: str, tools: Mapping[str, str], runs: int) -> dict[str, float]:
    before: list[float] = []
    now: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(runs):
        before.append(_before(program))
        for way in WAYS:
            now[way].append(_launched(program, tools, way))
    found = {"before_seconds": round(median(before), 2)}
    for way, seconds in now.items():
        prefix = "" if way == "fetched" else f"{way}_"
        found[f"{prefix}seconds"] = round(median(seconds), 2)
        found[f"{prefix}ratio"] = round(median(seconds) / median(before), 2)
    return found


def _before(program: str) -> float:
    """Make the environment as it was made before there was uv; return the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder, "venv")
        inner = str(venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        pip = [inner, "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        lock = str(ROOT / "requirements" / "runtime.txt")
        steps = [
            [program, "-I", "-m", "venv", "--clear", str(venv)],
            [*pip, "-vvv", "config", "list"],
            [*pip, "install", "--quiet", "--progress-bar", "off", *_LOCKED, "-r", lock],
            [*pip, "check"],
        ]
        return sum(measured(step, os.environ)[0].seconds for step in steps)


def _launched(program: str, tools: Mapping[str, str], way: str) -> float:
    """Make it with launch.sh; return the seconds. `ProgramFailed` if it went another way."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        action = folder / "action"
        (action / "requirements").mkdir(parents=True)
        for file in ("launch.sh", "install.py", "requirements/runtime.txt"):
            shutil.copy(ROOT / file, action / file)
        if way == "fetched":
            shutil.copy(ROOT / "requirements" / "uv.txt", action / "requirements")
        (folder / "temp").mkdir()
        environment = {
            **os.environ,
            "PATH": _path(folder / "bin", program, tools, way),
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "INPUT_RUNTIME": "python",
        }
        cost, said = measured(["bash", str(action / "launch.sh"), "prepare"], environment)
        installers = {
            path.read_text(encoding="utf-8").strip()
            for path in folder.glob("temp/*/[Ll]ib*/**/*.dist-info/INSTALLER")
        }
        if installers != {"pip" if way == "pip" else "uv"}:
            raise ProgramFailed(f"uv from {way}, but {installers} installed:\n{said}")
        return cost.seconds


def _path(folder: Path, program: str, tools: Mapping[str, str], way: str) -> str:
    """Return a PATH with one Python, and uv if that is the way."""
    folder.mkdir()
    programs = {**tools, "python3": program}
    if way == "path":
        programs["uv"] = str(UV)
    for name, path in programs.items():
        (folder / name).symlink_to(path)
    return str(folder)


def _pythons() -> dict[str, str]:
    """Return this Python and the newest that is supported: on PATH, or kept by pyenv."""
    found = dict(_candidates())
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    newest = max(found, key=PYTHONS.index, default=this)
    return {this: found.get(this, sys.executable), newest: found.get(newest, sys.executable)}


def _candidates() -> Iterator[tuple[str, str]]:
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    script = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2], sys.executable)"
    for version in PYTHONS:
        programs = [*map(str, kept.glob(f"{version}.*/bin/python3")), f"python{version}"]
        for program in programs:
            if shutil.which(program) is None:
                continue
            done = subprocess.run(
                [program, "-I", "-c", script], capture_output=True, text=True, check=False
            )
            name, _, path = done.stdout.strip().partition(" ")
            if done.returncode == 0 and name == version:
                yield version, path
                break


def table(found: Mapping[str, Mapping[str, float]]) -> str:
    """Return the figures and the goal as text."""
    lines = [f"{'Python':8}{'before':>9}{'uv fetched':>16}{'uv on PATH':>16}{'pip':>16}"]
    for version, figures in found.items():
        cells = [
            f"{figures[f'{prefix}seconds']:6.1f} s ({figures[f'{prefix}ratio']:.2f})"
            for prefix in ("", "path_", "pip_")
        ]
        before = f"{figures['before_seconds']:.1f} s"
        lines.append(f"{version:8}{before:>9}" + "".join(f"{cell:>16}" for cell in cells))
    return "\n".join([*lines, f"Goal: {GOAL:g} of the time before."])


def main() -> int:
    """Print the table, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    if runs < 1:
        parser.error("at least one run is needed")
    found = first_call(runs)
    print(medians(runs))
    print(table(found))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
