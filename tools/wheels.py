"""Check for every supported platform whether every locked package has a wheel.

uv resolves the locks for each target as if it ran there, including markers, and installs nothing.
The results are the tables in the README and in docs/development.md: `wheels.py` fails if these are
different, `wheels.py --write` corrects them.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")

_TARGETS_AT_ONCE: Final = 4
_SECONDS: Final = 300
_INSTALLED: Final = re.compile(r"^ \+ ([\w.-]+)==", re.MULTILINE)
_MISSING: Final = re.compile(r"Because ([\w.-]+)(?:\{[^}]*\})?==(\S+) has no (?:usable )?wheels")


@dataclass(frozen=True)
class Platform:
    """A platform: its names in a table, for uv, and in environment markers."""

    name: str
    uv: str
    system: str
    machine: str
    oldest_macos: str = ""

    @property
    def markers(self) -> dict[str, str]:
        """The values of environment markers there, except for the version of Python."""
        names = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}
        return {
            "sys_platform": self.system,
            "platform_system": names[self.system],
            "platform_machine": self.machine,
            "os_name": "nt" if self.system == "win32" else "posix",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }


def _linux(machine: str, glibc: str) -> Platform:
    name = f"Linux {machine}, glibc {glibc} or newer"
    return Platform(name, f"{machine}-manylinux_{glibc.replace('.', '_')}", "linux", machine)


def _macos(oldest: str) -> tuple[Platform, Platform]:
    name = f"macOS {oldest} or newer"
    return (
        Platform(f"{name}, Apple silicon", "aarch64-apple-darwin", "darwin", "arm64", oldest),
        Platform(f"{name}, Intel", "x86_64-apple-darwin", "darwin", "x86_64", oldest),
    )


_LINUX_MUSL: Final = tuple(
    Platform(
        f"Linux {machine}, musl 1.2 or newer", f"{machine}-unknown-linux-musl", "linux", machine
    )
    for machine in ("x86_64", "aarch64")
)
_WINDOWS: Final = Platform("Windows x64", "x86_64-pc-windows-msvc", "win32", "AMD64")
_WINDOWS_ARM: Final = Platform("Windows ARM64", "aarch64-pc-windows-msvc", "win32", "ARM64")


@dataclass(frozen=True)
class Table:
    """The locks that are installed together, the platforms, and the page that lists them."""

    locks: tuple[str, ...]
    page: str
    platforms: tuple[Platform, ...]

    def text(self, cells: dict[tuple[Platform, str], str]) -> str:
        """Return the table in Markdown."""
        lines = [
            ["CPython", *PYTHONS],
            ["---"] * (len(PYTHONS) + 1),
            *(
                [platform.name, *(cells[platform, python] for python in PYTHONS)]
                for platform in self.platforms
            ),
        ]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace(" --- ", "---")


RUNTIME: Final = Table(
    ("runtime", "uv"),
    "README.md",
    (
        *(_linux("x86_64", "2.17"), _linux("aarch64", "2.17"), *_LINUX_MUSL),
        *(*_macos("11"), _WINDOWS, _WINDOWS_ARM),
    ),
)
DEVELOPMENT: Final = Table(
    ("dev", "e2e", "audit"),
    "docs/development.md",
    (_linux("x86_64", "2.28"), _linux("aarch64", "2.28"), *_macos("13"), _WINDOWS),
)
TABLES: Final = (RUNTIME, DEVELOPMENT)

YES: Final = "yes"
NO: Final = "no"
NO_MARKDOWN: Final = "yes, without Markdown"


def promised(table: Table) -> set[tuple[Platform, str]]:
    """Return the targets that a page lists."""
    by_name = {platform.name: platform for platform in table.platforms}
    found = set()
    for line in _shown(table).splitlines()[2:]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found |= {
            (by_name[name], python)
            for python, cell in zip(PYTHONS, cells, strict=True)
            if cell != NO
        }
    return found


def _shown(table: Table) -> str:
    return _block(table).group(2)


def _block(table: Table) -> re.Match[str]:
    page = (ROOT / table.page).read_text(encoding="utf-8")
    found = re.search(r"(<!-- platforms -->\n)(.*?)(\n<!-- /platforms -->)", page, re.DOTALL)
    if found is None:
        raise SystemExit(f"{table.page} has no block between <!-- platforms --> comments.")
    return found


def _options() -> list[str]:
    """Return the Makefile's options for a lock that decide which files count as wheels."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^LOCKED := (.*)$", makefile, re.MULTILINE)
    if found is None:
        raise SystemExit("The Makefile has no variable LOCKED.")
    # With dependencies, so that uv also reports one that is missing in the lock.
    return [option for option in found[1].split() if option != "--no-deps"]


def _answer(table: Table, platform: Platform, python: str) -> tuple[str, str]:
    """Return the table's cell for a target, and the missing wheels."""
    with tempfile.TemporaryDirectory() as nothing_installed:
        command = [
            *("uv", "pip", "install", "--dry-run", "--color", "never", "--target"),
            *(nothing_installed, "--python", sys.executable, *_options()),
            *("--python-platform", platform.uv, "--python-version", python),
        ]
        for lock in table.locks:
            command += ["-r", str(ROOT / "requirements" / f"{lock}.txt")]
        done = subprocess.run(
            command,
            env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": f"{platform.oldest_macos}.0"},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    if done.returncode == 0:
        return YES if "comrak" in _INSTALLED.findall(done.stderr) else NO_MARKDOWN, ""
    missing = _MISSING.findall(done.stderr)
    if not missing:
        # A failure is not a "no": the index may be down, or the lock broken.
        raise SystemExit(f"{platform.name}, Python {python}: uv fails:\n{done.stderr}")
    return NO, f"no wheel of {', '.join(f'{name} {version}' for name, version in missing)}"


def _compare(table: Table, *, write: bool) -> bool:
    targets = [(platform, python) for platform in table.platforms for python in PYTHONS]
    with ThreadPoolExecutor(_TARGETS_AT_ONCE) as pool:
        answers = list(pool.map(lambda target: _answer(table, *target), targets))
    text = table.text({target: cell for target, (cell, _) in zip(targets, answers, strict=True)})
    print(f"{' and '.join(table.locks)}:\n\n{text}\n")
    for (platform, python), (_, missing) in zip(targets, answers, strict=True):
        if missing:
            print(f"{platform.name}, Python {python}: {missing}")
    block = _block(table)
    if block.group(2) == text:
        return True
    if write:
        page = block.string[: block.start(2)] + text + block.string[block.end(2) :]
        (ROOT / table.page).write_text(page, encoding="utf-8")
        return True
    print(f"\n{table.page} has another table:\n\n{block.group(2)}\n", file=sys.stderr)
    return False


def main() -> int:
    """Print the tables; return 1 if a page has another one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="correct the tables in the pages")
    write = parser.parse_args().write
    agreed = [_compare(table, write=write) for table in TABLES]
    return 0 if all(agreed) else 1


if __name__ == "__main__":
    sys.exit(main())
