"""Draw what the command prints on a terminal, for docs/: `terminal_pictures.py [NAME …]`.

Each is a real run in a pseudo-terminal of that width, with the embedded services, and with PyPI's
name and addresses in place of those on loopback. What a terminal would show in the end is drawn, by
rich, as SVG: live blocks are gone by then.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import material
from pictures import PICTURES, REGISTRY, WORKFLOWS, as_for_pypi
from rich.cells import cell_len
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.terminal_theme import DEFAULT_TERMINAL_THEME, SVG_EXPORT_THEME, TerminalTheme
from rich.text import Text

from attested_publish.rehearsal.jobs.github import job_claims
from attested_publish.rehearsal.jobs.pretended import without_job
from attested_publish.rehearsal.pypi.registry import Registry
from attested_publish.rehearsal.world import World

SIZE_LIMIT = 60_000
ROWS = 50
WIDE = 80
DARK, LIGHT = SVG_EXPORT_THEME, DEFAULT_TERMINAL_THEME

PROJECT = "octopus_weather_station"
PUBLISH_WORKFLOW = """\
name: publish
on:
  release:
    types: [published]
jobs:
  publish:
    runs-on: ubuntu-latest
    permissions:
      id-token: write
    steps:
      - uses: actions/checkout@v5
      - run: pipx run build
      - uses: pypa/gh-action-pypi-publish@release/v1
"""
PYPROJECT = """\
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"

[project]
name = "octopus-weather-station"
version = "1.0"
description = "A sample."
"""
# Fonts from elsewhere are not loaded in pictures on a page; the reader's own serves as well.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)

_PIECE = re.compile(r"\x1b\[([\d;?]*)([A-Za-z])|\x1b\]8;[^\x07\x1b]*(?:\x07|\x1b\\)|([^\x1b]+)")


@dataclass(frozen=True)
class Picture:
    """What is drawn: a command's run on a terminal of so many columns."""

    printed: Callable[[int], tuple[str, str]]
    columns: int
    theme: TerminalTheme


def on_a_terminal(
    command: Sequence[str], columns: int, folder: Path, environment: Mapping[str, str]
) -> str:
    """Run the command on a terminal, and return everything that it wrote there."""
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    inherited = {**without_job(os.environ), "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    inherited = {name: inherited[name] for name in inherited if name not in {"COLUMNS", "NO_COLOR"}}
    process = subprocess.Popen(
        [sys.executable, "-I", "-m", "attested_publish", *command],
        cwd=folder,
        env={**inherited, "NO_PROXY": "127.0.0.1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    written = bytearray()
    # Linux reports an error where a terminal has been closed.
    with contextlib.suppress(OSError):
        while piece := os.read(master, 1 << 16):
            written += piece
    os.close(master)
    process.wait()
    return written.decode()


def shown_in_the_end(written: str) -> list[str]:
    """Return the lines on a terminal, with their colours, after everything that was written to it.

    Of what moves the cursor it knows what rich uses for a live block.
    """
    lines, row = [""], 0
    for piece in _PIECE.finditer(written):
        number, letter, text = piece.groups()
        if letter == "A":
            row -= int(number or 1)
        elif letter == "K":
            lines[row] = ""
        elif letter == "m":
            lines[row] += piece[0]
        for part in re.findall(r"\n|[^\r\n]+", text or ""):
            if part == "\n":
                row += 1
                lines.extend([""] * (row + 1 - len(lines)))
            else:
                lines[row] += part
    return lines


def drawn(title: str, lines: Sequence[str], picture: Picture) -> str:
    """Return lines as an SVG, continued on the next where they are longer, as a terminal does."""
    console = Console(record=True, width=picture.columns, file=io.StringIO(), highlight=False)
    for line in lines:
        for part in folded(Text.from_ansi(line), picture.columns):
            console.print(part, no_wrap=True, overflow="ignore", crop=False)
    return console.export_svg(
        title=title, theme=picture.theme, code_format=FORMAT, unique_id="terminal"
    )


def folded(text: Text, columns: int) -> Iterator[Text]:
    """Yield the lines that a terminal makes of one."""
    breaks, wide = [], 0
    for place, char in enumerate(text.plain):
        if wide + cell_len(char) > columns:
            breaks.append(place)
            wide = 0
        wide += cell_len(char)
    yield from text.divide(breaks)


@contextlib.contextmanager
def release() -> Iterator[Path]:
    """Make a folder with a release in `dist`."""
    with tempfile.TemporaryDirectory() as folder:
        material.make_release(Path(folder, "dist"), PROJECT, 3)
        yield Path(folder)


def check(columns: int) -> tuple[str, str]:
    """Print the check of a release with a file that PyPI would refuse."""
    with release() as folder:
        wheel = folder / "dist" / f"{PROJECT}-{material.VERSION}-3-py3-none-any.whl"
        wheel.write_bytes(b"This is no archive.")
        command = ["check", "--offline", "--print-hash", "false", "dist"]
        return " ".join(command), on_a_terminal(command, columns, folder, {})


def rehearse(columns: int) -> tuple[str, str]:
    """Print a rehearsal."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["rehearse", "--print-hash", "false"]
        return " ".join(command), on_a_terminal(command, columns, Path(folder), {})


def failure(columns: int) -> tuple[str, str]:
    """Print a release from a workflow that has no trusted publisher."""
    registry = json.dumps(REGISTRY).replace('"sample"', json.dumps(PROJECT.replace("_", "-")))
    with release() as folder, world(Registry.parse(registry)) as services:
        return published(services, folder, columns)


def verify(columns: int) -> tuple[str, str]:
    """Print what `verify` says of a release."""
    with release() as folder, world(Registry.open()) as services:
        published(services, folder, 120)
        project = f"{PROJECT.replace('_', '-')}=={material.VERSION}"
        command = ["verify", project, "--repository", "octo-org/sample-project"]
        written = on_a_terminal([*command, *at(services, folder)], columns, folder, {})
        return " ".join(command), as_for_pypi(written, services)


def setup(columns: int) -> tuple[str, str]:
    """Print what `setup` says of a repository with pypa's action."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".github/workflows").mkdir(parents=True)
        (folder / ".github/workflows/publish.yml").write_text(PUBLISH_WORKFLOW)
        (folder / "pyproject.toml").write_text(PYPROJECT)
        address = "https://github.com/octo-org/octopus-weather-station"
        for arguments in (["init", "--quiet"], ["remote", "add", "origin", address]):
            subprocess.run(["git", *arguments], cwd=folder, check=True)
        command = ["setup", "--offline"]
        return " ".join(command), on_a_terminal(command, columns, folder, {})


@contextlib.contextmanager
def world(registry: Registry) -> Iterator[World]:
    """Run the services, for a job of the workflow `release.yml` on a tag."""
    ref = f"{WORKFLOWS}/release.yml@refs/tags/v{material.VERSION}"
    overrides = {
        "environment": "pypi",
        "ref": f"refs/tags/v{material.VERSION}",
        "workflow_ref": ref,
        "job_workflow_ref": ref,
    }
    with World(claims=job_claims({}, overrides), registry=registry) as services:
        yield services


def published(services: World, folder: Path, columns: int) -> tuple[str, str]:
    """Publish to the services."""
    command = ["publish", "dist", "--print-hash", "false"]
    written = on_a_terminal(
        [*command, *at(services, folder)], columns, folder, services.environment
    )
    return " ".join(command), as_for_pypi(written, services)


def at(services: World, folder: Path) -> list[str]:
    """Return the options that name the services."""
    services.export(folder / "services")
    return [
        *("--repository-url", services.upload_url),
        *("--sigstore-trust-config", str(folder / "services" / "trust_config.json")),
    ]


NAMES = {
    "check-80-dark": Picture(check, 80, DARK),
    "rehearse-80-dark": Picture(rehearse, 80, DARK),
    "rehearse-40-light": Picture(rehearse, 40, LIGHT),
    "failure-80-light": Picture(failure, 80, LIGHT),
    "failure-40-dark": Picture(failure, 40, DARK),
    "verify-80-dark": Picture(verify, 80, DARK),
    "verify-40-light": Picture(verify, 40, LIGHT),
    "setup-80-light": Picture(setup, 80, LIGHT),
}


def main() -> None:
    """Draw every picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", action="store_true", help="print the lines, too")
    parser.add_argument("names", nargs="*", help="which ones; without any, all")
    options = parser.parse_args()
    for name in options.names or NAMES:
        picture = NAMES[name]
        command, written = picture.printed(picture.columns)
        lines = shown_in_the_end(written)
        while lines and not Text.from_ansi(lines[-1]).plain.strip():
            lines.pop()
        # There is no room for options above a narrow one.
        title = command if picture.columns >= WIDE else command.partition(" ")[0]
        text = drawn(f"attested-publish {title}", lines, picture)
        path = PICTURES / f"terminal-{name}.svg"
        if len(text.encode()) > SIZE_LIMIT:
            sys.exit(f"{path.name} would have {len(text.encode())} bytes")
        path.write_text(text, encoding="utf-8")
        print(f"{path}: {path.stat().st_size} bytes")
        if options.text:
            for line in lines:
                for part in folded(Text.from_ansi(line), picture.columns):
                    print(part.plain)


if __name__ == "__main__":
    main()
